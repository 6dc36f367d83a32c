# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts the agent on the host, keeps it as wanted, and takes it away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..files import remove, write_atomic
from ..part import Wanted
from ..system import System
from . import bundle, document, timer, units
from .systemd import Systemd


@dataclass
class Result:
    """What was done, or in check mode would be. ``diff`` has an entry for each thing that differs."""

    changed: bool = False
    files: list[str] = field(default_factory=list)
    enabled: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


def hold(system: System, hold_s: int, check: bool) -> Result:
    """Stop the units of the NICs, so that they do not set back what is changed now; apply() starts them again.

    The hold ends by itself: a timer on the host starts the units, with the document of before, where apply() does not
    come within ``hold_s``. So nothing has to reach the host for it, which no rescue of a play does when the connection
    or the controller is lost. To hold again begins that time anew.
    """
    systemd = Systemd(system)
    enabled = {unit: units.device_of(unit) for unit in systemd.enabled_instances()}
    active = systemd.active(sorted({*enabled, *enabled.values(), units.HOLD}))
    stopped = sorted(active & set(enabled))
    if not check and (stopped or units.HOLD in active):
        # In this order: cut off in between, the units run or are about to.
        systemd.start_later(units.HOLD, hold_s, sorted(unit for unit in enabled if enabled[unit] in active))
        if stopped:
            systemd.call("stop", *stopped)
    return Result(changed=bool(stopped), stopped=stopped)


def apply(system: System, wanted: Wanted, python: str, sources: Mapping[str, str], check: bool) -> Result:
    """The agent with these sources and that document, its units enabled and running; away where nothing is wanted.

    Nothing is written when ``check``. HostError when a value is wrong or systemd refuses; files are as before then.
    """
    when = timer.parse(wanted.get("drift_timer"))
    kept = {name: value for name, value in wanted.items() if name != "unmovable_irqs"}
    present = document.anything(kept)
    interfaces = document.watched_interfaces(system, kept) if present else []
    code = _read(system, units.BINARY)
    if not bundle.is_current(code, sources):
        code = bundle.build(sources, bytecode=True)
    files: dict[str, bytes | None] = {
        units.BINARY: code if present else None,
        document.FILE: document.as_text(kept).encode() if present else None,
        f"{units.DIRECTORY}/{units.NIC}": None,
        f"{units.DIRECTORY}/{units.DRIFT}": None,
        f"{units.DIRECTORY}/{units.TIMER}": None,
    }
    if present:
        housekeeping = document.housekeeping(system, kept)
        nic = units.nic_unit(python, housekeeping, bool(kept.get("roce")))
        files[f"{units.DIRECTORY}/{units.NIC}"] = nic.encode()
        drift = units.drift_unit(python, housekeeping, when.textfile, bool(kept.get("firmware")))
        files[f"{units.DIRECTORY}/{units.DRIFT}"] = drift.encode()
        if when.enabled:
            files[f"{units.DIRECTORY}/{units.TIMER}"] = units.timer_unit(when.interval).encode()
    return _carry_out(system, files, interfaces, when if present else timer.Timer(enabled=False), check)


def _carry_out(
    system: System, files: Mapping[str, bytes | None], interfaces: list[str], when: timer.Timer, check: bool
) -> Result:
    systemd, result = Systemd(system), Result()
    before = {name: _read(system, name) for name in files}
    result.files = [name for name, data in files.items() if before[name] != data]
    result.diff = [_difference(name, before[name], files[name]) for name in result.files]
    old_metrics = _old_textfile(before[document.FILE])

    wanted_units = {units.instance(name): units.device(name) for name in interfaces}
    enabled = systemd.enabled_instances()
    if systemd.enabled(units.TIMER):
        enabled.add(units.TIMER)
    should = {*wanted_units, *([units.TIMER] if when.enabled else [])}
    result.enabled, result.disabled = sorted(should - enabled), sorted(enabled - should)
    active = systemd.active(sorted({*enabled, *should, *wanted_units.values(), units.HOLD}))
    result.stopped = sorted(active & {*result.disabled, units.HOLD})
    # A running agent has read its code and its document when it started.
    stale = {name for name in should & active if set(result.files) & _read_by(name)}
    ready = {name for name in should if name == units.TIMER or wanted_units[name] in active}
    result.started = sorted(((ready - active) | stale) if systemd.runs else ())
    result.waiting = sorted(should - ready - active)
    if enabled != should:
        result.diff.append(_listed("units that start by themselves", enabled, should))
    if result.started or result.stopped:
        result.diff.append(_listed("units that run", active & enabled - stale, (active - enabled | ready) & should))
    gone = old_metrics if old_metrics != when.textfile.lstrip("/") and system.path(old_metrics).is_file() else ""
    if gone:
        result.files.append(gone)
    result.changed = bool(result.files or result.enabled or result.disabled or result.started or result.stopped)
    if result.changed and not check:
        _write(system, systemd, files, before, when, result)
    return result


def _read_by(unit: str) -> set[str]:
    """The files that a running unit has read."""
    if unit == units.TIMER:
        return {f"{units.DIRECTORY}/{units.TIMER}"}
    return {units.BINARY, document.FILE, f"{units.DIRECTORY}/{units.NIC}"}


def _write(
    system: System,
    systemd: Systemd,
    files: Mapping[str, bytes | None],
    before: Mapping[str, bytes | None],
    when: timer.Timer,
    result: Result,
) -> None:
    """In an order in which no unit runs on half of it: stop and disable, files, enable, start."""
    try:
        if result.disabled:
            systemd.call("disable", *(["--now"] if systemd.runs else []), *result.disabled)
        for name in result.files:
            _put(system, name, files.get(name))
        if when.textfile:
            system.path(when.directory).mkdir(mode=0o755, parents=True, exist_ok=True)
        if systemd.runs and any(name.startswith(units.DIRECTORY) for name in result.files):
            systemd.call("daemon-reload")
        if result.enabled:
            systemd.call("enable", *result.enabled)
        if result.started:
            systemd.call("restart", *result.started)
        # Last: when something fails before, it starts the units again.
        if units.HOLD in result.stopped:
            systemd.forget(units.HOLD)
    except BaseException:
        for name, data in before.items():
            _put(system, name, data)
        raise


def _put(system: System, name: str, data: bytes | None) -> None:
    path = system.path(name)
    if data is not None:
        write_atomic(path, data)
        return
    remove(path)
    if name == units.BINARY and path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _read(system: System, name: str) -> bytes | None:
    try:
        return system.path(name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _old_textfile(data: bytes | None) -> str:
    """The file of the metrics by the document of before, without the leading slash; empty without one."""
    try:
        return timer.parse(json.loads(data or b"{}").get("drift_timer")).textfile.lstrip("/")
    except (ValueError, AttributeError):  # a damaged document is replaced and says nothing
        return ""


def _listed(what: str, before: set[str], after: set[str]) -> dict[str, str]:
    texts = ["".join(f"{name}\n" for name in sorted(names)) for names in (before, after)]
    return {"before_header": what, "after_header": what, "before": texts[0], "after": texts[1]}


def _difference(name: str, before: bytes | None, after: bytes | None) -> dict[str, str]:
    """What a reader wants to see of a file that differs: of the code which sources do, of the document which keys."""
    if name == units.BINARY:
        old = {key: _hash(text) for key, text in bundle.parse(before).items()}
        new = {key: _hash(text) for key, text in bundle.parse(after).items()}
        texts = _only_differing(old, new)
    elif name == document.FILE:
        texts = _only_differing(_keys(before), _keys(after))
    else:
        texts = ((before or b"").decode("utf-8", "replace"), (after or b"").decode("utf-8", "replace"))
    return {"before_header": f"/{name}", "after_header": f"/{name}", "before": texts[0], "after": texts[1]}


def _hash(text: str) -> str:
    return "sha256 " + hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _keys(data: bytes | None) -> dict[str, str]:
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {"damaged": "no JSON object"}
    return {str(key): json.dumps(value, sort_keys=True) for key, value in found.items()}


def _only_differing(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, str]:
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    old, new = ("".join(f"{name}: {side[name]}\n" for name in names if name in side) for side in (before, after))
    return old, new
