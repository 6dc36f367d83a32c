# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns that packets take beside the valley-free paths, with every link up and after a link has failed.

- Hosts without a valley-free path between them use the shortest paths over switches, all the equally short ones.
- A switch that has lost its link down, or to a peer, sends what had no other valley-free way on from there by the
  shortest paths that are left to the other end of the link, until the routing has converged. It never sends a packet
  straight back to where it came from.

A link in parallel to one that failed takes its place, so only the last one between two devices counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from .bounce import Bounces
from .graph import NONE, LaneGraph, Pair, Turns, bits, mask_of


class Detours:
    """The turns of one lane's graph that break the valley-free rule or that only a detour takes."""

    def __init__(self, graph: LaneGraph) -> None:
        self.graph = graph
        self.bounces = Bounces(graph)
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
        return found + self._newly_without(failed) + self.bounces.after(failed)

    def all_after(self, failed: Pair) -> list[Turns]:
        """Every turn when two switches have lost their link."""
        found = []
        for number, others in self.without_valley_free.items():
            found += self._pairs(self.graph.homes[number], number, others, failed)
        return found + self._newly_without(failed) + self.bounces.after(failed)

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
        return found + self.bounces.after_host(number, lost, mask_of(homes))

    def _pairs(
        self, homes: Sequence[int], number: int, others: int, failed: Pair, note_sole: bool = False
    ) -> list[Turns]:
        """Turns of the shortest paths between a host at ``homes`` and hosts of the classes ``others``, both ways."""
        starts = [mask_of(self.graph.homes[other]) for other in bits(others)]
        levels = self.graph.levels(mask_of(homes), failed, starts)
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
                receivers = self.graph.near_without(switch, failed) & levels[depth - 1]
                begin[depth - 1] |= receivers
                if switch in senders:
                    found.append(Turns(switch, senders[switch], receivers, why))
                    found.append(Turns(switch, receivers, senders[switch], why))
                if note_sole and receivers & (receivers - 1) == 0:
                    self._sole.setdefault((switch, receivers.bit_length() - 1), set()).add(number)
                for receiver in bits(receivers):
                    senders[receiver] = senders.get(receiver, 0) | 1 << switch
        return found

    def _newly_without(self, failed: Pair) -> list[Turns]:
        """Pairs that a failure leaves without a valley-free path."""
        graph = self.graph
        lower, upper = failed if graph.tier[failed[0]] <= graph.tier[failed[1]] else failed[::-1]
        if self._classes_from(lower, failed, {}) == graph.classes_from[lower]:
            return []
        found: list[Turns] = []
        near_side = 0  # what the lower end still reaches, when the failure cuts it off
        for level in self.graph.levels(1 << lower, failed, [1 << upper]):
            near_side |= level
        joined = (1 << len(graph.homes)) - 1  # classes that what has its homes on that side only still reaches
        if not near_side >> upper & 1:
            joined = 0
            for switch in bits(near_side):
                joined |= graph.attached[switch]
        memo: dict[int, int] = {}
        for number in bits(graph.classes_below[lower]):
            kept = 0
            for home in graph.homes[number]:
                if graph.switches_below[lower] >> home & 1:
                    kept |= self._classes_from(home, failed, memo)
                else:
                    kept |= graph.classes_from[home]
            others = graph.classes_of(number) & ~kept & ~graph.classes_below[lower]
            if not mask_of(graph.homes[number]) & ~near_side:
                others &= joined
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
