# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of files of /proc/sys and /sys: wanted, read, written until they read back, and brought back at boot.

Sysctls are kept in a file of ours in sysctl.d, files of /sys in one in tmpfiles.d. What this host's kernel has not, or
lets nobody change, is reported with the reason and is no failure. What a value was before its first change is kept
(before.py), and put back when the value is no longer wanted.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .before import read_before, write_before
from .boot_values import SYSCTL, TMPFILES, at_boot, render_sysctl, render_tmpfiles
from .cpulist import parse_cpu_list
from .errors import HostError
from .files import read_text
from .part import Drift
from .system import System
from .undo import Undo, replace_file

MODE = 0o644
#: Kernel answers that mean "not on this machine" and not "wrong value".
_HAS_NOT = {errno.EOPNOTSUPP, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.EPERM, errno.EROFS}
_CHOSEN = re.compile(r"(?:^|\s)\[([^\]\s]+)\](?:\s|\Z)")


@dataclass(frozen=True)
class Value:
    """One file and what it shall say, as the kernel prints it; ``item`` is its name in the user's words.

    cpus: the text is a list of CPUs and is compared as a set. offered: a file with the values this host has, if any.
    lacking: what the file says on a machine that has not what it is for.
    """

    item: str
    path: str
    value: str
    cpus: bool = False
    offered: str = ""
    lacking: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What a change did or, in check mode, would do; ``before`` and ``after`` only have what is different."""

    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def note(self, item: str, before: str, after: str) -> None:
        """One thing that is different now."""
        self.before[item] = before
        self.after[item] = after

    def diff(self) -> dict[str, str]:
        """Both sides as text, one thing per line."""
        return {
            "before": "".join(f"{item}: {text}\n" for item, text in self.before.items()),
            "after": "".join(f"{item}: {text}\n" for item, text in self.after.items()),
        }


@dataclass(frozen=True)
class Owner:
    """Whose values these are: the key in before.py and the names of the two files."""

    name: str

    @property
    def sysctl(self) -> str:
        """After the distribution's 99-sysctl.conf, since the last one wins."""
        return f"{SYSCTL}/99-tickwire-{self.name}.conf"

    @property
    def tmpfiles(self) -> str:
        """Before all others, since the first one wins."""
        return f"{TMPFILES}/00-tickwire-{self.name}.conf"


def flag(item: str, value: Any) -> bool | None:
    """A wanted yes or no, None where nothing is said; inventories may carry the words as text. HostError otherwise."""
    if value is None or value == "":
        return None
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in known:
        raise HostError(item, value, "it is neither true nor false", "give one of the two")
    return known[str(value).lower()]


def parse_value(text: str) -> str:
    """What a file says: the chosen word where the kernel shows all (``always [madvise] never``), blanks made one."""
    chosen = _CHOSEN.search(text)
    return chosen.group(1) if chosen else " ".join(text.split())


def read_value(system: System, path: str) -> str | None:
    """The running value, or None where there is no such file or the kernel does not answer."""
    try:
        text = read_text(system.path(path))
    except OSError:
        return None
    return None if text is None else parse_value(text)


def same(value: Value, found: str) -> bool:
    """Whether the kernel says what is wanted."""
    if not value.cpus:
        return found == value.value
    try:
        return parse_cpu_list(found) == parse_cpu_list(value.value)
    except ValueError:
        return False


def shared_kernel(system: System) -> str:
    """Why nothing of the kernel is set here: a container has it from its host, with all others. Empty on a host."""
    for name in ("run/systemd/container", "run/.containerenv"):
        if system.path(name).exists():
            return f"this is a container (/{name}), and its kernel belongs to the host"
    return ""


def why_not(system: System, value: Value) -> str:
    """Why this host cannot be set so; empty when it can or already is."""
    found = read_value(system, value.path)
    if shared_kernel(system):
        return shared_kernel(system)
    if found is None:
        return f"this kernel has no /{value.path}"
    if same(value, found):
        return ""
    if found in value.lacking:
        return f"/{value.path} says {found}"
    if not _writable(system, value.path):
        return f"/{value.path} says {found} and cannot be written here"
    path = system.path(value.path)
    offered = (read_text(path) or "").replace("[", " ").replace("]", " ").split()
    if not _CHOSEN.search(read_text(path) or ""):
        offered = (system.read(value.offered) or "").split() if value.offered else []
    if offered and value.value not in offered:
        return f"/{value.path} has no {value.value}, only {', '.join(offered)}"
    return ""


def files_of(system: System, owner: Owner, values: Sequence[Value], module: str) -> dict[str, str]:
    """Texts of our two files for the values that this host can have; empty where nothing is in it."""
    kept = {one.path: one.value for one in values if not why_not(system, one) and _writable(system, one.path)}
    marker = f"# Written by tickwire.fabric.{module}; changes made here are overwritten.\n"
    sysctl = render_sysctl({path: value for path, value in kept.items() if path.startswith("proc/sys/")})
    tmpfiles = render_tmpfiles({path: value for path, value in kept.items() if path.startswith("sys/")})
    return {
        owner.sysctl: marker + sysctl if sysctl else "",
        owner.tmpfiles: marker + tmpfiles if tmpfiles else "",
    }


def _writable(system: System, path: str) -> bool:
    return bool(system.path(path).stat().st_mode & 0o222) and os.access(system.path(path), os.W_OK)


def check_boot(system: System, values: Sequence[Value], files: Mapping[str, str]) -> None:
    """HostError when a file of somebody else would give one of these values another one at boot."""
    able = [value for value in values if not why_not(system, value) and _writable(system, value.path)]
    at_next_boot = at_boot(system, [value.path for value in able], files)
    for value in able:
        found = at_next_boot.get(value.path)
        if found is not None and not same(value, parse_value(found[0])):
            raise HostError(
                value.item,
                value.value,
                f"/{found[1]} sets /{value.path} to {found[0]} at boot and comes out on top of /{_file(value, files)}",
                f"take the line out of /{found[1]}",
            )


def _file(value: Value, files: Mapping[str, str]) -> str:
    directory = SYSCTL if value.path.startswith("proc/sys/") else TMPFILES
    return next(name for name in files if name.startswith(directory))


def apply_values(
    system: System, owner: Owner, values: Sequence[Value], module: str, check: bool, undo: Undo, outcome: Outcome
) -> None:
    """Give every value to its file now and at every boot, and those no longer wanted what they were before.

    HostError when the kernel refuses a value or says another one afterwards; ``undo`` then has all steps to go back.
    """
    outcome.unsupported.update({one.item: reason for one in values for reason in [why_not(system, one)] if reason})
    check_boot(system, values, files_of(system, owner, values, module))
    before = read_before(system, owner.name)
    kept = dict(before)
    changes = []
    for value in [one for one in values if one.item not in outcome.unsupported]:
        found = read_value(system, value.path) or ""
        if not same(value, found):
            changes.append((value, found))
            kept.setdefault(value.path, found)
    named = {one.path for one in values}
    # A governor first: intel_pstate takes no other preference while it is "performance".
    for path in sorted(set(before) - named, key=lambda path: (not path.endswith("/scaling_governor"), path)):
        now = read_value(system, path)
        kept.pop(path)
        if now is not None and now != before[path]:
            changes.append((Value(f"/{path}", path, before[path]), now))
    if not check and (changes or kept != before):
        undo.add(lambda: write_before(system, owner.name, before))
        write_before(system, owner.name, {**kept, **before})
    # They are put back in the order of writing as well: what goes along with a governor has to come after it.
    for value, found in reversed(changes) if not check else ():
        undo.add(partial(_put_back, system, value.path, found))
    for value, found in changes:
        refusal = "" if check else _write(system, value)
        if refusal:
            outcome.unsupported[value.item] = refusal
            kept.pop(value.path, None)
        else:
            outcome.note(value.item, found, value.value)
    able = [one for one in values if one.item not in outcome.unsupported]
    for name, text in files_of(system, owner, able, module).items():
        old = read_text(system.path(name)) or ""
        if old != text:
            outcome.note(f"/{name}", lines_of(old), lines_of(text))
        if not check:
            replace_file(system, name, text, MODE, undo)
    if not check:
        write_before(system, owner.name, kept)


def lines_of(text: str) -> str:
    """The lines of a file of ours without its marker, on one line."""
    return "; ".join(text.splitlines()[1:]) or "no such file"


def _put_back(system: System, path: str, found: str) -> None:
    if read_value(system, path) != found:
        system.write(system.path(path), found)


def _write(system: System, value: Value) -> str:
    """Write and read back; the reason where the machine has not what the file is for, HostError for a wrong value."""
    path = system.path(value.path)
    if same(value, read_value(system, value.path) or ""):
        return ""  # one that was written before it took this one along
    try:
        system.write(path, value.value)
    except OSError as error:
        if error.errno in _HAS_NOT:
            return f"the kernel refuses {value.value} in /{value.path}: {error.strerror}"
        raise HostError(
            value.item, value.value, f"the kernel refuses it in /{value.path}: {error.strerror}", "give another value"
        ) from error
    now = read_value(system, value.path)
    if now is None or not same(value, now):
        raise HostError(
            value.item,
            value.value,
            f"/{value.path} says {now} after it was written",
            "look for a program that sets it as well, such as tuned",
        )
    return ""


def find_drift(system: System, owner: Owner, values: Sequence[Value], module: str) -> list[Drift]:
    """Values that are not as wanted now, and files of ours that would not bring them back; not what a host lacks."""
    found = []
    for one in [one for one in values if not why_not(system, one)]:
        now = read_value(system, one.path) or ""
        if not same(one, now):
            found.append(Drift(one.item, one.value, now))
    for name, text in files_of(system, owner, values, module).items() if values else ():
        old = read_text(system.path(name)) or ""
        if old != text:
            found.append(Drift(f"/{name}", lines_of(text), lines_of(old)))
    return found
