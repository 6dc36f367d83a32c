# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns that packets take beside the valley-free paths, with every link up and after a link has failed.

- Hosts without a valley-free path between them use the shortest paths over switches, all the equally short ones.
- A switch that has lost its link down, or to a peer, sends what had no other valley-free way on from there by the
  shortest paths that are left to the other end of the link, until the routing has converged. It never sends a packet
  straight back to where it came from.

A link in parallel to one that failed takes its place, so only the last one between two devices counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .graph import DOWN, UP, LaneGraph, bits, mask_of
from .ways import ways

Pair = tuple[int, int]
NONE: Pair = (-1, -1)


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


class Detours:
    """The turns of one lane's graph that break the valley-free rule or that only a detour takes."""

    def __init__(self, graph: LaneGraph) -> None:
        self.graph = graph
        self._sole: dict[Pair, set[int]] = {}

    @cached_property
    def without_valley_free(self) -> dict[int, int]:
        """Class -> classes that no valley-free path joins with it, each pair once, at the class with more of them."""
        every = (1 << len(self.graph.homes)) - 1
        lacks = [every & ~self.graph.classes_of(number) for number in range(len(self.graph.homes))]
        count = [bin(mask).count("1") for mask in lacks]
        found = {}
        for number, mask in enumerate(lacks):
            kept = mask_of(other for other in bits(mask) if (count[number], number) > (count[other], other))
            if kept:
                found[number] = kept
        return found

    @cached_property
    def base(self) -> list[Turns]:
        """With every link up."""
        found = []
        for number, others in self.without_valley_free.items():
            found += self._pairs(self.graph.homes[number], number, others, NONE, note_sole=True)
        return found

    def after(self, failed: Pair) -> list[Turns]:
        """What is new when two switches lose their link; turns of ``base`` that are no longer taken are not told."""
        sole = self.base and {*self._sole.get(failed, ()), *self._sole.get(failed[::-1], ())}
        found = []
        for number in sorted(sole or ()):
            others = self.without_valley_free[number]
            found += self._pairs(self.graph.homes[number], number, others, failed)
        return found + self._newly_without(failed) + self._bounces(failed)

    def all_after(self, failed: Pair) -> list[Turns]:
        """Every turn when two switches have lost their link."""
        found = []
        for number, others in self.without_valley_free.items():
            found += self._pairs(self.graph.homes[number], number, others, failed)
        return found + self._newly_without(failed) + self._bounces(failed)

    def after_host(self, number: int, lost: int) -> list[Turns]:
        """What is new when a host of the class loses its link to the switch ``lost``."""
        graph = self.graph
        homes = tuple(home for home in graph.homes[number] if home != lost)
        if not homes:
            return []
        reached = 0
        for home in homes:
            reached |= graph.classes_from[home]
        others = ((1 << len(graph.homes)) - 1) & ~reached & ~(1 << number)
        found = self._pairs(homes, number, others, NONE) if others else []
        kept = mask_of(homes)
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

    # --- pairs -----------------------------------------------------------------------------------------------------

    def _pairs(
        self, homes: Sequence[int], number: int, others: int, failed: Pair, note_sole: bool = False
    ) -> list[Turns]:
        """Turns of the shortest paths between a host at ``homes`` and hosts of the classes ``others``, both ways."""
        starts = [mask_of(self.graph.homes[other]) for other in bits(others)]
        levels = self._levels(mask_of(homes), failed, starts)
        named = [self.graph.hosts[other][0] for other in bits(others)]
        shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        why = f"{self.graph.hosts[number][0]} and {shown} have no valley-free path between them and use the shortest"
        begin = [0] * len(levels)
        for start in starts:
            for depth, level in enumerate(levels):
                if level & start:
                    begin[depth] |= level & start
                    break
        senders: dict[int, int] = {}
        found = []
        for depth in range(len(levels) - 1, 0, -1):
            for switch in bits(begin[depth]):
                receivers = self._near(switch, failed) & levels[depth - 1]
                begin[depth - 1] |= receivers
                if switch in senders:
                    found.append(Turns(switch, senders[switch], receivers, why))
                    found.append(Turns(switch, receivers, senders[switch], why))
                if note_sole and receivers & (receivers - 1) == 0:
                    self._sole.setdefault((switch, receivers.bit_length() - 1), set()).add(number)
                for receiver in bits(receivers):
                    senders[receiver] = senders.get(receiver, 0) | 1 << switch
        return found

    def _near(self, switch: int, failed: Pair) -> int:
        near = self.graph.near_mask[switch]
        if switch in failed:
            near &= ~(1 << (failed[1] if switch == failed[0] else failed[0]))
        return near

    def _levels(self, targets: int, failed: Pair, starts: Iterable[int]) -> list[int]:
        """Switches by their distance to ``targets``, until one of each of ``starts`` is there or none is left."""
        missing = [start for start in starts if not start & targets]
        levels, seen = [targets], targets
        while missing:
            level = 0
            for switch in bits(levels[-1]):
                level |= self._near(switch, failed)
            level &= ~seen
            if not level:
                break
            levels.append(level)
            seen |= level
            missing = [start for start in missing if not start & level]
        return levels

    def _newly_without(self, failed: Pair) -> list[Turns]:
        """Pairs that a failure leaves without a valley-free path."""
        graph = self.graph
        lower, upper = failed if graph.tier[failed[0]] <= graph.tier[failed[1]] else failed[::-1]
        if self._classes_from(lower, failed, {}) == graph.classes_from[lower]:
            return []
        found: list[Turns] = []
        near_side = 0  # what the lower end still reaches, when the failure cuts it off
        for level in self._levels(1 << lower, failed, [1 << upper]):
            near_side |= level
        is_cut = not near_side >> upper & 1
        memo: dict[int, int] = {}
        for number in bits(graph.classes_below[lower]):
            if is_cut and not mask_of(graph.homes[number]) & ~near_side:
                continue
            kept = 0
            for home in graph.homes[number]:
                if graph.switches_below[lower] >> home & 1:
                    kept |= self._classes_from(home, failed, memo)
                else:
                    kept |= graph.classes_from[home]
            others = graph.classes_of(number) & ~kept & ~graph.classes_below[lower]
            if others:
                found += self._pairs(graph.homes[number], number, others, failed)
        return found

    def _classes_from(self, switch: int, failed: Pair, memo: dict[int, int]) -> int:
        """``graph.classes_from`` without the failed link, for a switch at or below the link's lower end."""
        graph = self.graph
        if switch not in memo:
            lower = failed if graph.tier[failed[0]] <= graph.tier[failed[1]] else failed[::-1]
            found = graph.classes_below[switch]
            for peer in graph.peers[switch]:
                if {switch, peer} != set(failed):
                    found |= graph.classes_below[peer]
            for upper in graph.ups[switch]:
                if {switch, upper} != set(failed):
                    is_below = graph.switches_below[lower[0]] >> upper & 1
                    found |= self._classes_from(upper, failed, memo) if is_below else graph.classes_from[upper]
            memo[switch] = found
        return memo[switch]

    # --- bounces ---------------------------------------------------------------------------------------------------

    def _bounces(self, failed: Pair) -> list[Turns]:
        found: list[Turns] = []
        for switch, other in (failed, failed[::-1]):
            kind = self.graph.kind(switch, other)
            if kind != UP:
                found += self._bounces_of(switch, other, kind)
        return found

    def _bounces_of(self, switch: int, other: int, kind: int) -> list[Turns]:
        graph = self.graph
        lost = graph.classes_below[other]
        if kind == DOWN:
            lost &= ~graph.attached[switch]
            for lower in graph.downs[switch]:
                if lower != other:
                    lost &= ~graph.classes_below[lower]
        failed = (switch, other)
        above: dict[int, int] = {}
        strays = mask_of(number for number in bits(lost) if not self._stays(switch, number, failed, above))
        below = graph.from_below[switch]
        senders = mask_of(sender for sender in graph.near[switch] if graph.is_used((sender, switch, other)))
        named = graph.names[other]
        found: list[Turns] = []
        if strays:
            has_host = bool(graph.attached[switch])
            found += self._bounce(switch, 1 << other, senders & below, has_host, failed, named, strays, other)
        if kind == DOWN and lost:
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
        levels = self._levels(targets, failed, [1 << switch])
        if not levels[-1] >> switch & 1:
            return []
        why = f"{graph.names[switch]} has lost its link to {named} and goes round by the shortest way left"
        start = mask_of(
            receiver
            for receiver in bits(self._near(switch, failed) & levels[-2])
            if has_host or senders & ~(1 << receiver)
        )
        found = [Turns(switch, senders, start, why, bounced)]
        inward = {receiver: 1 << switch for receiver in bits(start)}
        for depth in range(len(levels) - 2, 0, -1):
            following: dict[int, int] = {}
            for middle, before in inward.items():
                receivers = self._near(middle, failed) & levels[depth - 1]
                found.append(Turns(middle, before, receivers, why))
                for receiver in bits(receivers):
                    following[receiver] = following.get(receiver, 0) | 1 << middle
            inward = following
        for middle, before in inward.items():
            onward = mask_of(lower for lower in graph.downs[middle] if graph.classes_below[lower] & lost)
            if onward:
                found.append(Turns(middle, before, onward, why))
        return found
