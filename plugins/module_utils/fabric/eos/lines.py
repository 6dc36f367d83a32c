# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Configuration lines of EOS: read into sections, and the lines that lead from what runs to what is wanted.

What is ours, and so what may be removed: sections of profiles with our prefix, and on the intent's ports the settings
of ``PORT_STEMS``. The switch's own settings (maps, watchdog, PTP) are only set, never removed, but for the way back,
which restores them as they were. The switch itself has the last word: it compares the session with what runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ..model import Fabric
from .context import PREFIX

PROFILE = re.compile(rf"(?:qos profile|platform trident mmu queue profile) {PREFIX}\S*")
MAP = re.compile(r"qos map (dscp|cos) ([\d ]+) to traffic-class (\d+)")
# uc-tx-queue where the queues for unicast are apart
QUEUE_MAP = re.compile(r"qos map traffic-class ([\d ]+) to ((?:uc-)?tx-queue \d+)")
MAPS = ((MAP, "qos map {} {} to traffic-class {}"), (QUEUE_MAP, "qos map traffic-class {} to {}"))
# settings of the whole switch, which a line with the same words replaces
GLOBAL_STEMS = (
    r"priority-flow-control pause watchdog default \S+",
    r"priority-flow-control pause watchdog action",
    r"ptp (?:domain|mode|source ip)",
    r"lldp run",
    r"platform trident mmu queue profile(?= \S+ apply)",
    r"platform trident mmu headroom-pool limit",
)
PORT_STEMS = (
    r"mtu",
    r"switchport (?:access vlan|mode|trunk native vlan|trunk allowed vlan)",
    r"switchport(?=$)",
    r"dcbx mode",
    r"lldp (?:transmit|receive)",
    r"ptp (?:enable|transport)",
    r"service-profile",
    r"storm-control (?:broadcast|unknown-unicast)",
)
PROFILE_STEMS = (
    r"qos trust",
    r"priority-flow-control priority \d",
    r"priority-flow-control pause watchdog port (?:timer|action)",
    r"priority-flow-control pause watchdog(?=$)",
    r"priority-flow-control(?= on$|$)",
    r"priority(?= strict$|$)",
    r"bandwidth (?:percent|guaranteed)",
    r"random-detect ecn (?:count|minimum-threshold)",
    r"ingress (?:threshold|headroom|resume)",
    r"name",
)

# what a switch does unless it is told not to
ON_BY_DEFAULT = ("switchport", "lldp run", "lldp transmit", "lldp receive", "priority-flow-control pause watchdog")
SECTION = re.compile(
    r"interface \S+|vlan \d+|qos profile \S+|platform trident mmu queue profile \S+|(?:uc-|mc-)?tx-queue \d"
)

# a line with the lines that lead to it, from the top
Path = tuple[str, ...]


@dataclass(frozen=True)
class Scope:
    """What of a switch the intent speaks of: names of ports and numbers of VLANs."""

    ports: tuple[str, ...]
    vlans: tuple[int, ...]


def scope_of(fabric: Fabric, device: str) -> Scope:
    """What the intent speaks of on one switch."""
    ports = fabric.ports_of(device)
    return Scope(tuple(port.name for port in ports), tuple(sorted({vlan.vid for port in ports for vlan in port.vlans})))


def parse(text: str) -> list[Path]:
    """Every line of a configuration, the codes of a map one by one; comments left out."""
    found: list[Path] = []
    parents: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line = " ".join(raw.split())
        if not line or line.startswith("!") or line == "end":
            continue
        indent = len(raw) - len(raw.lstrip())
        while parents and parents[-1][0] >= indent:
            parents.pop()
        above = tuple(name for _indent, name in parents)
        found += [(*above, one) for one in _expanded(line)]
        parents.append((indent, line))
    return found


def _expanded(line: str) -> list[str]:
    for pattern, words in MAPS:
        match = pattern.fullmatch(line)
        if match:
            *kind, codes, target = match.groups()
            return [words.format(*kind, code, target) for code in codes.split()]
    return [line]


def grouped(lines: Iterable[str]) -> list[str]:
    """Lines of maps with the same target as one line, where the first of them stood."""
    codes: dict[tuple[str, str], list[str]] = {}
    found: list[str] = []
    for line in lines:
        match = re.fullmatch(r"((?:no )?qos map \S+) (\d+)((?: to \S+(?: \d+)?)?)", line)
        if not match:
            found.append(line)
            continue
        words, code, target = match.groups()
        if (words, target) not in codes:
            found.append(f"{words} {{}}{target}")
        codes.setdefault((words, target), []).append(code)
    by_line = {f"{words} {{}}{target}": " ".join(numbers) for (words, target), numbers in codes.items()}
    return [line.format(by_line[line]) if line in by_line else line for line in found]


def stem(path: Path) -> str | None:
    """The words of the last line that name the setting; None when it is none that we know."""
    *above, line = path
    text = line[3:] if line.startswith("no ") else line
    stems: Sequence[str] = PROFILE_STEMS
    if not above:
        stems = (*GLOBAL_STEMS, r"qos map \S+ \d+(?: to (?:uc-|mc-)?tx-queue)?")
    elif above[0].startswith("interface "):
        stems = PORT_STEMS if len(above) == 1 else ()
    for pattern in stems:
        match = re.match(rf"(?:{pattern})(?= |$)", text)
        if match:
            return match.group(0)
    return None


def is_ours(path: Path, scope: Scope, restoring: bool = False) -> bool:
    """Whether the line may be removed; ``restoring`` adds the switch's own settings and the intent's VLANs."""
    top = path[0]
    if PROFILE.fullmatch(top):
        return True
    if len(path) == 2 and top in {f"interface {port}" for port in scope.ports}:
        return stem(path) is not None
    if restoring:
        return top in {f"vlan {vid}" for vid in scope.vlans} or (len(path) == 1 and stem(path) is not None)
    return False


def ours(text: str, scope: Scope) -> str:
    """The part of a configuration that the way back restores, as configuration."""
    return "".join("   " * (len(path) - 1) + path[-1] + "\n" for path in _with_parents(parse(text), scope))


def _with_parents(paths: Sequence[Path], scope: Scope) -> list[Path]:
    kept = [path for path in paths if is_ours(path, scope, restoring=True)]
    needed = {path[:depth] for path in kept for depth in range(1, len(path) + 1)}
    return [path for path in paths if path in needed]


def commands(wanted: str, running: str, scope: Scope, restoring: bool = False) -> list[str]:
    """What to enter, in order: in each section what goes and what comes, then the sections that go."""
    want, now = parse(wanted), parse(running)
    wanted_set, now_set = set(want), set(now)
    replaced = {(path[:-1], stem(path)) for path in want}
    gone: list[Path] = []
    # settings of the switch first: a buffer profile can go when it is not the switch's own any more
    for path in sorted(now, key=lambda path: len(path) > 1 or bool(SECTION.fullmatch(path[0]))):
        if path in wanted_set or not is_ours(path, scope, restoring):
            continue
        name = stem(path)
        inside = any(path[: len(other)] == other for other in gone)
        kept = path[:1] not in wanted_set and _in_use(path[0], now, gone, replaced, scope)
        if inside or kept or (name and (path[:-1], name) in replaced):
            continue
        gone.append(path)
    writer = _Writer()
    for path in gone:
        if len(path) > 1 or not SECTION.fullmatch(path[0]):
            writer.add((*path[:-1], _without(path)))
    for path in want:
        if path not in now_set:
            writer.add(path)
    for path in gone:
        if len(path) == 1 and SECTION.fullmatch(path[0]):
            writer.add((_without(path),))
    return grouped(writer.lines)


def _in_use(
    top: str, running: Sequence[Path], gone: Sequence[Path], replaced: Collection[tuple[Path, str | None]], scope: Scope
) -> bool:
    """Whether ``top`` is a profile of ours that a port has which is not the intent's, or that is the switch's own."""
    apply = (f"{top} apply",)
    if apply in running and apply not in gone and ((), stem(apply)) not in replaced:
        return True
    user = "service-profile " + top.split(" ")[-1]
    ports = {f"interface {port}" for port in scope.ports}
    return top.startswith("qos profile ") and any(
        len(other) == 2 and other[1] == user and other[0] not in ports for other in running
    )


def _without(path: Path) -> str:
    """The line that takes ``path`` away. Where ``no`` would be the opposite and not the absence: ``default``."""
    line, name = path[-1], stem(path)
    match = MAP.fullmatch(line) or QUEUE_MAP.fullmatch(line)
    if match:
        return f"no {line.rpartition(' ')[0]}" if match.re is QUEUE_MAP else f"no {line.partition(' to ')[0]}"
    if line.startswith("no "):
        return f"default {name or line[3:]}"
    return f"default {line}" if line in ON_BY_DEFAULT else f"no {line}"


class _Writer:
    """Lines in order, each entered in its section."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._section: Path = ()

    def add(self, path: Path) -> None:
        above = path[:-1]
        if above and above != self._section:
            self.lines += above
        self.lines.append(path[-1])
        self._section = path if SECTION.fullmatch(path[-1]) else above
