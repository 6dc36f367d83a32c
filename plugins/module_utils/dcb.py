# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``dcb`` of iproute2: what it prints for an interface, and the words that set it. For switches and hosts alike.

Of the versions: ets, pfc, buffer and maxrate are there since 5.11, app and dcbx since 5.12, apptrust since 6.2. JSON is
the same in all of them but for a blank at the end of each entry of app (6.15 has it, 6.1 has not). 6.1 exits with 0 and
says nothing when a driver refuses pfc, ets or buffer, so whatever was set has to be read back. Before 6.18 maxrate
writes and prints bytes per second into what the kernel keeps in kilobits per second (include/uapi/linux/dcbnl.h, struct
ieee_maxrate; iproute2 commit e7d4c060).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable

#: Runs a program: argv to exit status, standard output and standard error.
Run = Callable[[list[str]], "tuple[int, str, str]"]

PRIORITIES = range(8)
#: What ``dcb`` says where a driver, or this version of dcb, has no such thing.
_NOT_THERE = re.compile(r"not supported|attribute not found|object \S+ is unknown|what is \S+\?", re.IGNORECASE)
#: 5.15 prints the negative errno of the kernel as an unsigned byte.
_UNSIGNED_ERRNO = re.compile(r"Unknown error (\d+)")
_VERSION = re.compile(r"iproute2-(\d+)\.(\d+)")
MAXRATE_IN_KBITS_SINCE = (6, 18)


class DcbError(RuntimeError):
    """``dcb`` failed: the command and what it said."""


class NotSupported(DcbError):
    """The driver, or this ``dcb``, has no such thing."""


def show(run: Run, dcb: str, what: str, interface: str) -> dict[str, Any]:
    """What ``dcb WHAT show`` prints for the interface; NotSupported or DcbError. ``dcb`` is the program's path."""
    argv = [dcb, "-N", "-j", what, "show", "dev", interface]
    out = _said(run, argv)
    try:
        found = json.loads(out) if out.strip() else {}
    except ValueError as error:
        raise DcbError(f"'{' '.join(argv)}' printed no JSON ({error}); iproute2 5.12 or newer is needed") from error
    if not isinstance(found, dict):
        raise DcbError(f"'{' '.join(argv)}' printed no object but {out.strip()[:80]}")
    return found


def change(run: Run, dcb: str, words: Sequence[str]) -> None:
    """Run ``dcb`` with these words; NotSupported or DcbError with what it said."""
    _said(run, [dcb, *words])


def _said(run: Run, argv: list[str]) -> str:
    rc, out, err = run(argv)
    if rc == 0:
        return out
    said = " ".join(_UNSIGNED_ERRNO.sub(_errno_text, err).split()) or out.strip() or f"exit status {rc}"
    kind = NotSupported if _NOT_THERE.search(said) else DcbError
    raise kind(f"'{' '.join(argv)}' failed with {rc}: {said}")


def _errno_text(match: re.Match[str]) -> str:
    number = int(match.group(1))
    return os.strerror(256 - number) if 128 < number < 256 else match.group(0)


def version(run: Run, dcb: str) -> tuple[int, int]:
    """Version of iproute2; DcbError when it does not tell."""
    said = _said(run, [dcb, "-V"])
    match = _VERSION.search(said)
    if not match:
        raise DcbError(f"'{dcb} -V' printed '{said.strip()}', where a version of iproute2 is looked for")
    return int(match.group(1)), int(match.group(2))


# --- what is printed, as plain values


def pfc_of(shown: Mapping[str, Any]) -> list[int]:
    """Priorities that pause."""
    return [number for number, on in enumerate(shown["prio_pfc"]) if on]


def dscp_of(shown: Mapping[str, Any]) -> dict[int, list[int]]:
    """Priorities of each DSCP that the driver has been told; the kernel keeps several of one DSCP."""
    found: dict[int, list[int]] = {}
    for dscp, priority in (entry[:2] for entry in shown.get("dscp_prio", [])):
        found.setdefault(int(dscp), []).append(int(priority))
    return {dscp: sorted(priorities) for dscp, priorities in sorted(found.items())}


def kbits_of(shown: int, found: tuple[int, int]) -> int:
    """Kilobits per second of a rate that ``dcb maxrate`` of this version prints."""
    return shown // 125 if found >= MAXRATE_IN_KBITS_SINCE else shown


# --- words that set


def numbered(values: Sequence[object]) -> list[str]:
    """``0:a 1:b`` of a list."""
    return [f"{number}:{value}" for number, value in enumerate(values)]


def pfc_words(interface: str, priorities: Sequence[int]) -> list[str]:
    """Pause these priorities and no other."""
    return ["pfc", "set", "dev", interface, "prio-pfc", "all:off", *(f"{priority}:on" for priority in priorities)]


def ets_words(
    interface: str,
    willing: bool | None = None,
    prio_tc: Sequence[int] = (),
    tsa: Sequence[str] = (),
    bw: Sequence[int] = (),
) -> list[str]:
    """Scheduling; what is None or empty stays as it is."""
    words = ["ets", "set", "dev", interface]
    if willing is not None:
        words += ["willing", "on" if willing else "off"]
    for name, values in (("prio-tc", prio_tc), ("tc-tsa", tsa), ("tc-bw", bw)):
        if values:
            words += [name, *numbered(values)]
    return words


def dscp_words(verb: str, interface: str, entries: Sequence[tuple[int, int]]) -> list[str]:
    """``replace`` or ``del`` of (DSCP, priority). Never flush: mlx5 goes back to trusting the PCP with the last one."""
    return ["app", verb, "dev", interface, "dscp-prio", *(f"{dscp}:{priority}" for dscp, priority in entries)]


def rate_words(interface: str, kbits: Mapping[int, int], found: tuple[int, int]) -> list[str]:
    """Kilobits per second of traffic classes; before 6.18 the number has to be given as if it were bytes per second."""
    unit = "kbit" if found >= MAXRATE_IN_KBITS_SINCE else "bps"
    rates = [f"{number}:{rate}{unit}" for number, rate in sorted(kbits.items())]
    return ["maxrate", "set", "dev", interface, "tc-maxrate", *rates]
