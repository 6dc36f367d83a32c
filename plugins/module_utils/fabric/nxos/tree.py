# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A configuration of NX-OS as a tree of lines, and what makes two lines say the same thing.

``show running-config`` leaves defaults out and writes some values in another way than they were given; a line of ours
and a line of the switch are compared in one form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Tree = dict[str, "Tree"]

DSCP_NAMES = {
    "default": 0,
    "ef": 46,
    **{f"cs{number}": 8 * number for number in range(1, 8)},
    **{f"af{row}{drop}": 8 * row + 2 * drop for row in range(1, 5) for drop in range(1, 4)},
}
# settings of which an interface, a class or the switch has one: a second line takes the place of the first
SINGLE = (
    "system jumbomtu",
    "priority-flow-control watch-dog-interval",
    "priority-flow-control watch-dog interval",
    "priority-flow-control watch-dog shutdown-multiplier",
    "priority-flow-control auto-restore multiplier",
    "priority-flow-control fixed-restore multiplier",
    "priority-flow-control mode",
    "ptp source",
    "ptp domain",
    "name",
    "set qos-group",
    "mtu",
    "pause pfc-cos",
    "pause buffer-size",
    "priority level",
    "bandwidth remaining percent",
    "random-detect",
    "service-policy type network-qos",
    "service-policy type qos input",
    "service-policy type queuing output",
    "service-policy type queuing input",
    "switchport mode",
    "switchport access vlan",
    "switchport trunk native vlan",
    "switchport trunk allowed vlan",
    "storm-control broadcast level",
    "storm-control unicast level",
    "lldp transmit",
    "lldp receive",
)
# the same, as a line of one word only: `switchport block unicast` and `ptp announce interval` are other settings
SINGLE_WORDS = ("switchport", "ptp")
# what holds when the running configuration says nothing
GLOBAL_DEFAULTS = (
    "system jumbomtu 9216",
    "priority-flow-control watch-dog interval 100",
    "priority-flow-control auto-restore multiplier 0",
    "ptp domain 0",
)
INTERFACE_DEFAULTS = (
    "switchport mode access",
    "switchport access vlan 1",
    "switchport trunk native vlan 1",
    "mtu 1500",
    "priority-flow-control mode auto",
)
L2_BY_DEFAULT = "system default switchport"
NUMBERS_AFTER = re.compile(r"(match dscp|match cos|switchport trunk allowed vlan) (.+)")
ALLOWED = "switchport trunk allowed vlan"
LEVEL = re.compile(r"(storm-control \S+ level) ([\d.]+)")


def parse(text: str) -> Tree:
    """The tree of a configuration's text; deeper lines are indented further. Comments and banners are left out."""
    root: Tree = {}
    stack: list[tuple[int, Tree]] = [(-1, root)]
    until = ""
    for raw in text.splitlines():
        line = raw.strip()
        if until:
            until = "" if until in line else until
            continue
        if not line or line.startswith("!"):
            continue
        banner = re.fullmatch(r"banner \S+ (\S)(.*)", line)
        if banner:
            until = "" if banner.group(1) in banner.group(2) else banner.group(1)
            continue
        indent = len(raw) - len(raw.lstrip())
        while stack[-1][0] >= indent:
            stack.pop()
        line = _joined(stack[-1][1], line)
        stack.append((indent, stack[-1][1].setdefault(canonical(line), {})))
    return root


def _joined(block: Tree, line: str) -> str:
    """A list of VLANs that is too long for a line goes on in one with ``add``: both are one line here."""
    if not line.startswith(f"{ALLOWED} add "):
        return line
    first = next((one for one in block if one.startswith(f"{ALLOWED} ")), "")
    if not first:
        return line
    del block[first]
    return f"{first},{line[len(ALLOWED) + 5 :]}"


def text(tree: Tree, depth: int = 0) -> str:
    """The tree as text, two columns a level."""
    return "".join("  " * depth + line + "\n" + text(inner, depth + 1) for line, inner in tree.items())


def differing(one: Tree, other: Tree) -> Tree:
    """The blocks and lines of the top that ``other`` has not, or not so."""
    return {line: block for line, block in one.items() if other.get(line) != block}


def canonical(line: str) -> str:
    """One form of a line: numbers instead of names of DSCPs, lists of numbers in order, two decimals of a level."""
    line = " ".join(line.split())
    found = NUMBERS_AFTER.fullmatch(line)
    if found and found.group(2) not in ("none", "all"):
        return f"{found.group(1)} {','.join(str(number) for number in numbers(found.group(2)))}"
    found = LEVEL.fullmatch(line)
    return f"{found.group(1)} {float(found.group(2)):.2f}" if found else line


def numbers(written: str) -> list[int]:
    """``8,10-12,cs6`` as sorted numbers; a word that is neither is left out."""
    found: set[int] = set()
    for part in written.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if dash and first.isdigit() and last.isdigit():
            found.update(range(int(first), int(last) + 1))
        elif part.isdigit():
            found.add(int(part))
        elif part in DSCP_NAMES:
            found.add(DSCP_NAMES[part])
    return sorted(found)


def key(line: str) -> str:
    """The setting a line gives a value to; the line itself where there may be several."""
    bare = line[3:] if line.startswith("no ") else line
    if bare in SINGLE_WORDS:
        return bare
    return next((one for one in SINGLE if bare == one or bare.startswith(f"{one} ")), line)


def of_key(lines: Iterable[str], wanted: str) -> str | None:
    """The line that gives that setting its value."""
    return next((line for line in lines if key(line) == wanted), None)


def with_defaults(block: Tree, top: Tree) -> Tree:
    """An interface as it works: what its lines say, and defaults where they say nothing."""
    found = dict(block)
    lldp = "" if "feature lldp" in top else "no "
    defaults = [*INTERFACE_DEFAULTS, f"{lldp}lldp transmit", f"{lldp}lldp receive"]
    if L2_BY_DEFAULT in top:
        defaults.append("switchport")
    for line in defaults:
        if of_key(found, key(line)) is None:
            found[line] = {}
    return found


def has_global(top: Tree, line: str) -> bool:
    """Whether the switch has a line of the top, the defaults and the list of VLANs (``vlan 1,110-120``) included."""
    if line in top:
        return True
    if line.startswith("vlan "):
        return int(line.split()[1]) in vlans(top)
    return line in GLOBAL_DEFAULTS and of_key(top, key(line)) is None


def vlans(top: Tree) -> set[int]:
    """The VLANs the switch has."""
    return {vid for line in top if re.fullmatch(r"vlan [\d,-]+", line) for vid in numbers(line.split()[1])}
