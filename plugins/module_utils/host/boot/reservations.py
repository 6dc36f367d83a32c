# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hugepages that are there because of our boot parameters, and would not be without us.

Syntax: hugepagesz, hugepages and default_hugepagesz in Documentation/admin-guide/kernel-parameters.txt of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..cmdline import Token, parse_cmdline
from ..system import System
from .record import read_record, tokens_of

#: What ``hugepages=`` means where no size is named, in kB.
DEFAULT_KB = 2048
_UNITS_KB = {"K": 1, "M": 1024, "G": 1048576}


def booted_sizes_kb(system: System) -> set[int]:
    """Sizes of the pages that the running kernel made at boot because of our boot parameters.

    Ours are those of the next boot and those with which the host was last seen running: after parameters were taken
    away, or a boot on trial fell back, the pages are still there.
    """
    record = read_record(system)
    running = _reservations(parse_cmdline(system.read("proc/cmdline") or ""))
    ours = _reservations(tokens_of(record.tokens)) | _reservations(tokens_of(record.former))
    return {size_kb for size_kb, dummy in running & ours}


def _reservations(tokens: Sequence[Token]) -> set[tuple[int, str]]:
    """Size in kB and value of each ``hugepages=``, which means the size named before it, or else the default size."""
    found = set()
    size_kb = next((_size_kb(token.value) for token in tokens if token.name == "default_hugepagesz"), DEFAULT_KB)
    for token in tokens:
        if token.name == "hugepagesz":
            size_kb = _size_kb(token.value)
        elif token.name == "hugepages":
            found.add((size_kb, token.value or ""))
    return found


def _size_kb(text: str | None) -> int:
    """A size as the kernel's memparse() takes it; 0 for what is none."""
    match = re.match(r"(\d+)([KMG])\Z", (text or "").upper())
    return int(match.group(1)) * _UNITS_KB[match.group(2)] if match else 0
