# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""irqbalance told which CPUs it may not use, or stopped.

It is told by environment variables of its unit. Which one is asked of the program itself: a build that knows
IRQBALANCE_BANNED_CPULIST has the name in it, whatever a distribution patched (upstream has it since 1.8.0, see
cputree.c). Older ones know IRQBALANCE_BANNED_CPUS only, a mask; newer ones still take it, and prefer it where both
are set. Either variable turns off that irqbalance spares the isolated CPUs by itself, and an empty list means "ban
nothing" in versions after 1.9.5. So the list is never written empty.

A file of environment of our own is read after the packaged one (/etc/default/irqbalance, /etc/sysconfig/irqbalance),
and the packaged files stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .before import read_before, write_before
from .cpulist import format_cpu_list, format_cpu_mask, parse_cpu_list, parse_cpu_mask
from .errors import HostError
from .files import read_text, remove, write_atomic
from .irq_plan import make_plan
from .isolation import isolated_cpus
from .part import Drift, Wanted
from .system import System

MODES = ("leave", "banned", "stopped")
UNIT = "irqbalance.service"
#: Sorts after what others put there, and the last file of environment wins.
DROP_IN = f"etc/systemd/system/{UNIT}.d/zz-tickwire.conf"
ENVIRONMENT = "etc/tickwire/irqbalance.env"
LIST, MASK = "IRQBALANCE_BANNED_CPULIST", "IRQBALANCE_BANNED_CPUS"
MARKER = "# Written by tickwire.fabric.irq_affinity; changes made here are overwritten.\n"
_UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_PROGRAMS = ("usr/sbin/irqbalance", "usr/bin/irqbalance")
_OWNER = "irqbalance"
_RESTART_TIMEOUT_S = 5.0


@dataclass
class IrqbalanceResult:
    """changed, and what was done in words; banned: CPUs that the running daemon keeps off, None where none runs."""

    changed: bool = False
    done: list[str] = field(default_factory=list)
    banned: frozenset[int] | None = None


def installed(system: System) -> bool:
    """Whether the host has a unit of irqbalance."""
    return any(system.path(f"{directory}/{UNIT}").exists() for directory in _UNIT_DIRECTORIES)


def enabled(system: System) -> bool:
    """Whether it starts at boot."""
    return any(os.path.lexists(place / UNIT) for place in system.path("etc/systemd/system").glob("*.wants"))


def running_pid(system: System) -> int | None:
    """Process of the running daemon, None without one."""
    for entry in sorted(system.path("proc").glob("[0-9]*")):
        if (read_text(entry / "comm") or "").strip() == "irqbalance":
            return int(entry.name)
    return None


def banned_by(environment: str) -> frozenset[int] | None:
    """CPUs that a daemon with this environment (of /proc/PID/environ) keeps off; None where it decides by itself."""
    values = dict(item.partition("=")[::2] for item in environment.split("\0") if item)
    try:
        if values.get(MASK):
            return parse_cpu_mask(values[MASK].replace("0x", ""))
        return parse_cpu_list(values[LIST]) if values.get(LIST) else None
    except ValueError:
        return None


def banned_now(system: System) -> frozenset[int] | None:
    """CPUs that the running daemon was told to keep off; None where none runs or it was told nothing."""
    pid = running_pid(system)
    return None if pid is None else banned_by(system.read(f"proc/{pid}/environ") or "")


def knows_list(system: System) -> bool:
    """Whether the installed program knows the list."""
    for name in _PROGRAMS:
        path = system.path(name)
        if path.exists():
            return LIST.encode() in path.read_bytes()
    return True


def mode_of(wanted: Wanted) -> str:
    """leave, banned or stopped; HostError for another word."""
    mode = str(wanted.get("irqbalance") or "leave")
    if mode not in MODES:
        raise HostError("irqbalance", mode, f"it is none of {', '.join(MODES)}", "give one of these")
    return mode


def check(system: System, wanted: Wanted) -> None:
    """HostError where irqbalance would move what is wanted to stay."""
    mode = mode_of(wanted)
    pinned = sorted(make_plan(system, wanted).nics)
    if pinned and mode == "banned" and _moves(system):
        raise HostError(
            "irqbalance",
            "banned",
            f"it moves every interrupt among the CPUs that are left to it, those of {', '.join(pinned)} too, "
            "which have CPUs of their own",
            "stop it (stopped), or take irq_cpus and queue_cpus away",
        )


def _moves(system: System) -> bool:
    """Whether it runs, or will when it is not to be stopped: one that the host keeps off moves nothing."""
    was_on = bool(read_before(system, _OWNER))
    return installed(system) and (was_on or running_pid(system) is not None or enabled(system))


def apply_irqbalance(
    system: System, wanted: Wanted, check_mode: bool, sleep: Callable[[float], None]
) -> IrqbalanceResult:
    """Tell or stop irqbalance, and undo that where it is not wanted any more; nothing is run when ``check_mode``.

    A running daemon is restarted only when something changed or when it runs without what is wanted. HostError when
    it does not run with that afterwards; the files are put back then.
    """
    check(system, wanted)
    isolated = isolated_cpus(system, wanted)
    mode = mode_of(wanted) if make_plan(system, wanted) and installed(system) else "leave"
    result = IrqbalanceResult()
    was = read_before(system, _OWNER)
    if mode == "stopped":
        _stop(system, result, was, check_mode)
    elif was:
        _start_again(system, result, was, check_mode)
    _tell(system, isolated if mode == "banned" else frozenset(), result, check_mode, sleep)
    result.changed = bool(result.done)
    result.banned = banned_now(system)
    return result


def _stop(system: System, result: IrqbalanceResult, was: dict[str, str], check_mode: bool) -> None:
    active, starts = running_pid(system) is not None, enabled(system)
    if not active and not starts:
        return
    result.done.append(f"{UNIT} stopped and not started at boot")
    if check_mode:
        return
    if not was:
        write_before(system, _OWNER, {"active": str(active), "enabled": str(starts)})
    _systemctl(system, "disable", "--now", UNIT)


def _start_again(system: System, result: IrqbalanceResult, was: dict[str, str], check_mode: bool) -> None:
    verbs = [verb for verb, key in (("enable", "enabled"), ("start", "active")) if was.get(key) == "True"]
    result.done.append(f"{UNIT} as before: {' and '.join(verbs) or 'stopped'}")
    if check_mode:
        return
    for verb in verbs if installed(system) else []:
        _systemctl(system, verb, UNIT)
    write_before(system, _OWNER, {})


def wanted_environment(system: System, isolated: frozenset[int]) -> str:
    """Text of the file of environment; empty without isolated CPUs."""
    if not isolated:
        return ""
    if knows_list(system):
        # The packaged file may set the mask, which wins where it is not empty.
        return f"{MARKER}{MASK}=\n{LIST}={format_cpu_list(isolated)}\n"
    return f"{MARKER}{MASK}={format_cpu_mask(isolated)}\n"


def _tell(
    system: System,
    isolated: frozenset[int],
    result: IrqbalanceResult,
    check_mode: bool,
    sleep: Callable[[float], None],
) -> None:
    texts = {
        ENVIRONMENT: wanted_environment(system, isolated),
        DROP_IN: f"{MARKER}[Service]\nEnvironmentFile=/{ENVIRONMENT}\n" if isolated else "",
    }
    found = {name: read_text(system.path(name)) or "" for name in texts}
    running = running_pid(system) is not None
    stale = running and bool(isolated) and banned_now(system) != isolated
    if texts == found and not stale:
        return
    result.done.append(
        f"{UNIT} keeps off CPUs {format_cpu_list(isolated)}" if isolated else f"{UNIT} is told no CPUs any more"
    )
    if check_mode:
        return
    _write(system, texts)
    try:
        _systemctl(system, "daemon-reload")
        if running:
            _systemctl(system, "restart", UNIT)
            _wait(system, isolated, sleep)
    except HostError:
        _write(system, found)
        for arguments in (["daemon-reload"], ["restart", UNIT] if running else []):
            if arguments:
                system.run(["systemctl", *arguments])
        raise


def _wait(system: System, isolated: frozenset[int], sleep: Callable[[float], None]) -> None:
    """Wait until the new daemon has replaced itself by the program; only then its environment is its own."""
    waited_s = 0.0
    while isolated and banned_now(system) != isolated:
        if waited_s >= _RESTART_TIMEOUT_S:
            raise HostError(
                UNIT,
                format_cpu_list(isolated),
                f"it was told to keep off these CPUs, and runs with {_found(system)}",
                f"look at systemctl cat {UNIT} for what sets {LIST} or {MASK} after /{DROP_IN}",
            )
        sleep(0.1)
        waited_s += 0.1


def _found(system: System) -> str:
    if running_pid(system) is None:
        return "nothing: it does not run"
    banned = banned_now(system)
    return "no CPUs named" if banned is None else f"CPUs {format_cpu_list(banned)}"


def _write(system: System, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        if text:
            write_atomic(system.path(name), text)
        else:
            remove(system.path(name))
    try:
        system.path(DROP_IN).parent.rmdir()
    except OSError:
        pass  # It is not there, or somebody else has a drop-in there.


def _systemctl(system: System, *arguments: str) -> None:
    rc, dummy, error = system.run(["systemctl", *arguments])
    if rc != 0:
        raise HostError(
            UNIT, " ".join(arguments), f"systemctl says: {error.strip() or rc}", f"see journalctl -u {UNIT}"
        )


def drift(system: System, wanted: Wanted) -> list[Drift]:
    """irqbalance that runs without being told, or runs though it is to be stopped."""
    isolated = isolated_cpus(system, wanted)
    mode = mode_of(wanted)
    if mode == "leave" or not make_plan(system, wanted) or not installed(system):
        return []
    if mode == "stopped":
        states = (("running", running_pid(system) is not None), ("enabled", enabled(system)))
        state = " and ".join(word for word, is_so in states if is_so)
        return [Drift(UNIT, "stopped", state)] if state else []
    if not isolated:
        return []
    if running_pid(system) is not None and banned_now(system) != isolated:
        return [Drift(UNIT, f"keeps off CPUs {format_cpu_list(isolated)}", _found(system))]
    if read_text(system.path(ENVIRONMENT)) != wanted_environment(system, isolated):
        return [Drift(f"/{ENVIRONMENT}", f"CPUs {format_cpu_list(isolated)}", "another text or no file")]
    return []


def running(system: System) -> dict[str, Any]:
    """State for the report."""
    banned = banned_now(system)
    return {
        "installed": installed(system),
        "running": running_pid(system) is not None,
        "enabled": enabled(system),
        "banned_cpus": None if banned is None else format_cpu_list(banned),
    }
