# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CPU lists and CPU masks of the kernel, as sets.

The kernel writes the same set in several texts (``1-2``, ``1,2``; ``6``, ``00000006``, ``0,00000006``), and which of
them depends on its version and on the number of CPUs. Texts are therefore only parsed and printed here, and never
compared.
"""

from __future__ import annotations

import re
from collections.abc import Set

#: More than any kernel is built for (NR_CPUS is at most 8192 on x86-64): a typing error shall not fill the memory.
MAX_CPUS = 65536

_ITEM = re.compile(r"(\d+)(?:-(\d+)(?::(\d+)/(\d+))?)?\Z")
_GROUP = re.compile(r"[0-9a-fA-F]{1,8}\Z")


def parse_cpu_list(text: str) -> frozenset[int]:
    """Set of CPU numbers of a kernel list: ``0-3,8``, and ``0-7:2/4`` (the first 2 of every 4 in 0-7: 0,1,4,5).

    Empty text is the empty set, and so is ``(null)``, which is what some kernels print in
    ``/sys/devices/system/cpu/nohz_full`` when the mask was never allocated.
    ValueError names the item and the rule. Grammar: Documentation/admin-guide/kernel-parameters.rst, "cpu lists".
    """
    text = text.strip()
    if text in ("", "(null)"):
        return frozenset()
    cpus: set[int] = set()
    for item in text.split(","):
        match = _ITEM.match(item.strip())
        if match is None:
            raise ValueError(f"CPU list '{text}': '{item}' is neither a number, a range a-b nor a-b:used/group")
        first = int(match.group(1))
        last = int(match.group(2)) if match.group(2) is not None else first
        if last < first:
            raise ValueError(f"CPU list '{text}': the range '{item}' ends before it starts")
        if last >= MAX_CPUS:
            raise ValueError(f"CPU list '{text}': {last} is not below {MAX_CPUS}")
        used, group = int(match.group(3) or 1), int(match.group(4) or 1)
        if group == 0 or used > group:
            raise ValueError(f"CPU list '{text}': '{item}' uses {used} of every {group} CPUs")
        cpus.update(cpu for cpu in range(first, last + 1) if (cpu - first) % group < used)
    return frozenset(cpus)


def format_cpu_list(cpus: Set[int]) -> str:
    """Shortest kernel list of the set, ascending: {0, 1, 2, 8} is ``0-2,8``; the empty set is empty text."""
    ranges: list[tuple[int, int]] = []
    for cpu in sorted(cpus):
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1] = (ranges[-1][0], cpu)
        else:
            ranges.append((cpu, cpu))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def parse_cpu_mask(text: str) -> frozenset[int]:
    """Set of CPU numbers of a kernel mask: hexadecimal, commas between groups of 32 bits, the highest group first.

    Leading zeros and leading groups of zeros mean nothing; ``f``, ``0000000f`` and ``00000000,0000000f`` are one set.
    """
    stripped = text.strip()
    value = 0
    groups = stripped.split(",")
    if len(groups) * 32 > MAX_CPUS:
        raise ValueError(f"CPU mask '{stripped}': more than {MAX_CPUS} bits")
    for group in groups:
        if _GROUP.match(group) is None:
            raise ValueError(f"CPU mask '{stripped}': '{group}' is not a group of 1 to 8 hexadecimal digits")
        value = value << 32 | int(group, 16)
    return frozenset(bit for bit in range(value.bit_length()) if value >> bit & 1)


def format_cpu_mask(cpus: Set[int]) -> str:
    """Mask of the set as the kernel reads it: groups of 8 digits with commas, the first group without leading zeros."""
    value = sum(1 << cpu for cpu in cpus)
    groups = [value & 0xFFFFFFFF]
    while value >> 32:
        value >>= 32
        groups.append(value & 0xFFFFFFFF)
    groups.reverse()
    return ",".join([f"{groups[0]:x}"] + [f"{group:08x}" for group in groups[1:]])
