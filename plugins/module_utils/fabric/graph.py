# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The links of one lane as a graph of switches, and what valley-free paths reach in it.

Parallel links between two devices are one edge here: a packet may take any of them, so a cycle through one is a cycle
through all. Hosts end paths and never forward, so a link to a host is in no cycle; hosts with the same switches are one
class. Sets of switches and of classes are bit masks: bit ``i`` of a number stands for the ``i``-th.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from .model import Fabric

UP, PEER, DOWN = 1, 0, -1
Pair = tuple[int, int]
Turn = tuple[int, int, int]
NONE: Pair = (-1, -1)  # no link has failed


def adjacency(fabric: Fabric, lane: str, without: int | None = None) -> dict[tuple[str, str], list[int]]:
    """(device, device) -> indexes in ``fabric.links`` of the links between them that carry ``lane``, both ways.

    ``without`` is the index of a link to leave out.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for index, link in enumerate(fabric.links):
        if lane in link.lanes and index != without:
            for one, other in ((link.a, link.b), (link.b, link.a)):
                found.setdefault((one.device, other.device), []).append(index)
    return found


def hop_text(fabric: Fabric, link: int, sender: str) -> str:
    """A direction of a link, ``leaf1:Ethernet1/1 -> spine1:swp1``."""
    near, far = fabric.links[link].ends
    return f"{near} -> {far}" if near.device == sender else f"{far} -> {near}"


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, low to high."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def mask_of(numbers: Iterable[int]) -> int:
    """The mask with these bits set."""
    found = 0
    for number in numbers:
        found |= 1 << number
    return found


@dataclass(frozen=True)
class Turns:
    """At switch ``middle``, from each switch of the mask ``senders`` to each of ``receivers``; ``why`` in words.

    ``bounced`` is the switch that its link was lost to; the turn is taken only where (sender, middle, bounced) was.
    """

    middle: int
    senders: int
    receivers: int
    why: str
    bounced: int | None = None

    def each(self) -> list[tuple[int, int, int]]:
        return [
            (sender, self.middle, receiver)
            for sender in bits(self.senders)
            for receiver in bits(self.receivers)
            if sender != receiver
        ]


class LaneGraph:
    """Switches by number, in order of appearance, with their neighbours; classes of hosts by number."""

    def __init__(self, fabric: Fabric, lane: str, without: int | None = None) -> None:
        self.fabric = fabric
        self.lane = lane
        self.links = adjacency(fabric, lane, without)
        self.names = tuple(device.name for device in fabric.switches)
        self.number = {name: number for number, name in enumerate(self.names)}
        self.tier = tuple(fabric.devices[name].tier for name in self.names)
        self.near: list[list[int]] = [[] for name in self.names]
        homes: dict[str, list[int]] = {}
        for one, other in self.links:
            if one not in self.number:
                if other in self.number:
                    homes.setdefault(one, []).append(self.number[other])
            elif other in self.number:
                self.near[self.number[one]].append(self.number[other])
        classes: dict[tuple[int, ...], list[str]] = {}
        for host, switches in homes.items():
            classes.setdefault(tuple(sorted(switches)), []).append(host)
        self.homes = tuple(classes)
        self.hosts = tuple(classes.values())
        self.class_of = {host: number for number, hosts in enumerate(self.hosts) for host in hosts}
        self.attached = [0] * len(self.names)
        for number, there in enumerate(self.homes):
            for switch in there:
                self.attached[switch] |= 1 << number

    def kind(self, sender: int, receiver: int) -> int:
        """UP, PEER or DOWN."""
        one, other = self.tier[sender], self.tier[receiver]
        return (other > one) - (other < one)

    @cached_property
    def near_mask(self) -> list[int]:
        return [mask_of(near) for near in self.near]

    @cached_property
    def from_below(self) -> list[int]:
        """By switch: its neighbours of a lower tier; a packet from there may go on anywhere."""
        return [mask_of(lower) for lower in self.downs]

    @cached_property
    def to_above(self) -> list[int]:
        """By switch: its neighbours of a higher tier."""
        return [mask_of(upper) for upper in self.ups]

    @cached_property
    def ups(self) -> list[list[int]]:
        return self._of_kind(UP)

    @cached_property
    def peers(self) -> list[list[int]]:
        return self._of_kind(PEER)

    @cached_property
    def downs(self) -> list[list[int]]:
        return self._of_kind(DOWN)

    def _of_kind(self, kind: int) -> list[list[int]]:
        return [[other for other in near if self.kind(one, other) == kind] for one, near in enumerate(self.near)]

    def near_without(self, switch: int, failed: Pair) -> int:
        """Neighbours of a switch as a mask, without the link that failed."""
        near = self.near_mask[switch]
        if switch in failed:
            near &= ~(1 << (failed[1] if switch == failed[0] else failed[0]))
        return near

    def levels(self, targets: int, failed: Pair, starts: Iterable[int]) -> list[int]:
        """Switches by their distance to ``targets``, until one of each of ``starts`` is there or none is left."""
        missing = [start for start in starts if not start & targets]
        levels, seen = [targets], targets
        while missing:
            level = 0
            for switch in bits(levels[-1]):
                level |= self.near_without(switch, failed)
            level &= ~seen
            if not level:
                break
            levels.append(level)
            seen |= level
            missing = [start for start in missing if not start & level]
        return levels

    @cached_property
    def _rising(self) -> list[int]:
        return sorted(range(len(self.names)), key=self.tier.__getitem__)

    def _below(self, start: list[int]) -> list[int]:
        found = list(start)
        for switch in self._rising:
            for lower in self.downs[switch]:
                found[switch] |= found[lower]
        return found

    def _over_the_top(self, below: list[int]) -> list[int]:
        found = list(below)
        for switch in reversed(self._rising):
            for peer in self.peers[switch]:
                found[switch] |= below[peer]
            for upper in self.ups[switch]:
                found[switch] |= found[upper]
        return found

    @cached_property
    def classes_below(self) -> list[int]:
        """By switch: classes reached going down only."""
        return self._below(self.attached)

    @cached_property
    def classes_from(self) -> list[int]:
        """By switch: classes that valley-free paths reach from it when they came from below."""
        return self._over_the_top(self.classes_below)

    @cached_property
    def switches_below(self) -> list[int]:
        """By switch: itself and the switches reached going down only."""
        return self._below([1 << number for number in range(len(self.names))])

    @cached_property
    def switches_from(self) -> list[int]:
        """By switch: itself and those that valley-free paths reach from it when they came from below."""
        return self._over_the_top(self.switches_below)

    @cached_property
    def switches_above(self) -> list[int]:
        """By switch: itself and the switches reached going up only."""
        found = [1 << number for number in range(len(self.names))]
        for switch in reversed(self._rising):
            for upper in self.ups[switch]:
                found[switch] |= found[upper]
        return found

    def classes_of(self, number: int) -> int:
        """Classes that a host of this class reaches by valley-free paths."""
        found = 0
        for switch in self.homes[number]:
            found |= self.classes_from[switch]
        return found

    def is_used(self, turn: tuple[int, int, int]) -> bool:
        """Whether the turn keeps to the valley-free rule and has hosts on both of its sides."""
        sender, middle, receiver = turn
        first, second = self.kind(sender, middle), self.kind(middle, receiver)
        if second != DOWN and first != UP:
            return False
        before = self.classes_from[sender] if first == DOWN else self.classes_below[sender]
        after = self.classes_from[receiver] if second == UP else self.classes_below[receiver]
        return sender != receiver and bool(before) and bool(after)
