# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The detour of a switch that has lost a link down or to a peer, until the routing has converged.

It sends what had no other valley-free way on from there by the shortest paths that are left to the other end of the
link, never straight back to where it came from.
"""

from __future__ import annotations

from .graph import DOWN, NONE, UP, LaneGraph, Pair, Turns, bits, mask_of
from .ways import ways


class Bounces:
    """The turns of such detours in one lane's graph."""

    def __init__(self, graph: LaneGraph) -> None:
        self.graph = graph

    def after(self, failed: Pair) -> list[Turns]:
        """Of both ends of the link between two switches."""
        found: list[Turns] = []
        for switch, other in (failed, failed[::-1]):
            kind = self.graph.kind(switch, other)
            if kind != UP:
                found += self._bounces_of(switch, other, kind)
        return found

    def after_host(self, number: int, lost: int, kept: int) -> list[Turns]:
        """Of the switch ``lost`` that a host of the class had a link to; ``kept`` are the switches it still has."""
        graph = self.graph
        found: list[Turns] = []
        if not graph.switches_below[lost] & kept:
            below = graph.from_below[lost]
            host = graph.hosts[number][0]
            if not graph.switches_from[lost] & kept:
                senders = mask_of(sender for sender in bits(below) if self._sends(sender, lost, number))
                has_host = bool(graph.attached[lost] & ~(1 << number)) or len(graph.hosts[number]) > 1
                found += self._bounce(lost, kept, senders, has_host, NONE, host, 0, None)
            others = graph.near_mask[lost] & ~below
            senders = mask_of(sender for sender in bits(others) if self._sends(sender, lost, number))
            found += self._bounce(lost, kept, senders, False, NONE, host, 0, None)
        return found

    def _sends(self, sender: int, switch: int, number: int) -> bool:
        """Whether hosts use a valley-free path over ``sender`` and ``switch`` to a host of the class at the latter."""
        is_above = self.graph.kind(sender, switch) == DOWN
        sources = (source for _way, source in ways(self.graph, sender, is_above, {switch}, set()))
        return any(source != number or len(self.graph.hosts[number]) > 1 for source in sources)

    def _bounces_of(self, switch: int, other: int, kind: int) -> list[Turns]:
        graph = self.graph
        lost = graph.classes_below[other]
        if kind == DOWN:
            lost &= ~graph.attached[switch]
            for lower in graph.downs[switch]:
                if lower != other:
                    lost &= ~graph.classes_below[lower]
        if not lost:
            return []
        failed = (switch, other)
        above: dict[int, int] = {}
        strays = mask_of(number for number in bits(lost) if not self._stays(switch, number, failed, above))
        below = graph.from_below[switch]
        senders = mask_of(sender for sender in graph.near[switch] if graph.is_used((sender, switch, other)))
        named = graph.names[other]
        found: list[Turns] = []
        has_host = bool(graph.attached[switch])
        if kind == DOWN and strays == lost:
            return self._bounce(switch, 1 << other, senders, has_host, failed, named, lost, other)
        if strays:
            found += self._bounce(switch, 1 << other, senders & below, has_host, failed, named, strays, other)
        if kind == DOWN:
            found += self._bounce(switch, 1 << other, senders & ~below, False, failed, named, lost, other)
        return found

    def _stays(self, switch: int, number: int, failed: Pair, above: dict[int, int]) -> bool:
        """Whether a packet that came from below has a valley-free way from ``switch`` to the class."""
        graph = self.graph
        reached = 0
        for home in graph.homes[number]:
            reached |= self._above(home, failed, above)
        mine = graph.switches_above[switch]
        if mine & reached:
            return True
        return any(
            reached >> peer & 1 and {one, peer} != set(failed) for one in bits(mine) for peer in graph.peers[one]
        )

    def _above(self, switch: int, failed: Pair, memo: dict[int, int]) -> int:
        """``graph.switches_above`` without the failed link."""
        graph = self.graph
        if not graph.switches_above[switch] & mask_of(failed) & ~(1 << switch):
            return graph.switches_above[switch]
        if switch not in memo:
            found = 1 << switch
            for upper in graph.ups[switch]:
                if {switch, upper} != set(failed):
                    found |= self._above(upper, failed, memo)
            memo[switch] = found
        return memo[switch]

    def _bounce(
        self,
        switch: int,
        targets: int,
        senders: int,
        has_host: bool,
        failed: Pair,
        named: str,
        lost: int,
        bounced: int | None,
    ) -> list[Turns]:
        """Turns of the detour of ``switch`` to ``targets`` of what comes from ``senders`` or from a host there.

        ``lost`` are the classes below the target that the packets are for.
        """
        graph = self.graph
        levels = graph.levels(targets, failed, [1 << switch])
        if not levels[-1] >> switch & 1:
            return []
        why = f"{graph.names[switch]} has lost its link to {named} and goes round by the shortest way left"
        start = mask_of(
            receiver
            for receiver in bits(graph.near_without(switch, failed) & levels[-2])
            if has_host or senders & ~(1 << receiver)
        )
        found = [Turns(switch, senders, start, why, bounced)]
        middles, before = start, 1 << switch
        for depth in range(len(levels) - 2, 0, -1):
            level = levels[depth - 1]
            following = 0
            for middle in bits(middles):
                receivers = graph.near_without(middle, failed) & level
                found.append(Turns(middle, graph.near_without(middle, failed) & before, receivers, why))
                following |= receivers
            middles, before = following, middles
        for middle in bits(middles):
            onward = mask_of(lower for lower in graph.downs[middle] if graph.classes_below[lower] & lost)
            if onward:
                found.append(Turns(middle, graph.near_without(middle, failed) & before, onward, why))
        return found
