# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits of a user's logins: locked memory and real-time priority, by pam_limits.

Source: limits.conf(5). Units of systemd do not pass pam_limits: theirs are LimitMEMLOCK= and LimitRTPRIO= of the unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import HostError
from .files import read_text
from .part import Drift
from .system import System
from .undo import Undo, replace_file
from .values import MODE, Outcome, lines_of

DIRECTORY = "etc/security/limits.d"
FILE = f"{DIRECTORY}/99-tickwire-memory.conf"
MARKER = "# Written by tickwire.fabric.host_memory; changes made here are overwritten.\n"
_USER = re.compile(r"[a-z_][a-z0-9_.-]*\Z", re.IGNORECASE)
#: Item of limits.conf to the line of /proc/PID/limits and its unit in bytes.
_RUNNING = {"memlock": ("Max locked memory", 1024), "rtprio": ("Max realtime priority", 1)}


def parse_limits(wanted: Mapping[str, Any] | None) -> dict[str, str]:
    """Value by item of the user's {user, memlock, rtprio}, with the user under ``user``; HostError for nonsense."""
    given = {key: str(value) for key, value in (wanted or {}).items() if value not in (None, "")}
    if not given:
        return {}
    user = given.get("user", "")
    if not _USER.match(user):
        raise HostError("limits user", user, "it is no name of a user", "name the user that the runtime runs as")
    memlock = given.get("memlock", "")
    if memlock and memlock != "unlimited" and not memlock.isdigit():
        raise HostError("limits memlock", memlock, "it is neither 'unlimited' nor a number of kB", "correct it")
    rtprio = given.get("rtprio", "")
    if rtprio and not (rtprio.isdigit() and int(rtprio) <= 99):
        raise HostError("limits rtprio", rtprio, "it is no priority from 0 to 99", "correct it")
    return given


def render(wanted: Mapping[str, str]) -> str:
    """Text of our file; ``-`` is both the soft and the hard limit."""
    lines = [f"{wanted['user']} - {item} {wanted[item]}\n" for item in _RUNNING if item in wanted]
    return MARKER + "".join(lines) if lines else ""


def check_limits(system: System, wanted: Mapping[str, str]) -> None:
    """HostError when a file that is read after ours gives the same user another limit."""
    for path in sorted(system.path(DIRECTORY).glob("*.conf")):
        if path.name <= FILE.rpartition("/")[2]:
            continue
        for line in (read_text(path) or "").splitlines():
            fields = line.partition("#")[0].split()
            item = fields[2] if len(fields) == 4 else ""
            if item in wanted and item != "user" and fields[0] == wanted["user"] and fields[3] != wanted[item]:
                raise HostError(
                    f"limits {item} of {wanted['user']}",
                    wanted[item],
                    f"/{DIRECTORY}/{path.name} is read after /{FILE} and says {fields[3]}",
                    f"take the line out of /{DIRECTORY}/{path.name}",
                )


def apply_limits(system: System, wanted: Mapping[str, str], check: bool, undo: Undo, outcome: Outcome) -> None:
    """Write our file, or take it away; it counts for logins from now on."""
    check_limits(system, wanted)
    before, text = read_text(system.path(FILE)) or "", render(wanted)
    if before != text:
        outcome.note(f"/{FILE}", lines_of(before), lines_of(text))
    if not check:
        replace_file(system, FILE, text, MODE, undo)


def find_drift(system: System, wanted: Mapping[str, str]) -> list[Drift]:
    """Our file, where it is not as wanted."""
    before, text = read_text(system.path(FILE)) or "", render(wanted)
    return [Drift(f"/{FILE}", lines_of(text), lines_of(before))] if wanted and before != text else []


def lower_processes(system: System, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Processes of the user with lower soft limits than wanted: older ones, or of a unit with its own limits."""
    uid = _uid(system, wanted.get("user", ""))
    found = []
    for directory in sorted(system.path("proc").glob("[0-9]*")) if uid else ():
        status = re.search(r"^Uid:\s+(\d+)", _text(directory / "status"), re.MULTILINE)
        if status is None or status.group(1) != uid:
            continue
        for item, (name, unit) in _RUNNING.items():
            match = re.search(rf"^{name}\s+(\S+)", _text(directory / "limits"), re.MULTILINE)
            if item in wanted and match and _number(match.group(1), 1) < _number(wanted[item], unit):
                found.append({"pid": int(directory.name), "limit": item, "soft": match.group(1)})
    return found


def _text(path: Path) -> str:
    """Nothing of a process that has ended meanwhile."""
    try:
        return read_text(path) or ""
    except OSError:
        return ""


def _number(text: str, unit: int) -> float:
    return float("inf") if text == "unlimited" else int(text) * unit


def _uid(system: System, user: str) -> str:
    lines = [line.split(":") for line in (system.read("etc/passwd") or "").splitlines()]
    return next((fields[2] for fields in lines if fields[0] == user and len(fields) > 2), "")
