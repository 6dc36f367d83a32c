# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cyclic buffer dependencies of one lane when hosts use all valley-free paths and what :mod:`.reroute` adds to them.

The buffer at the far end of a link waits for the buffer at the far end of the next link of some path. Valley-free paths
alone never close a cycle: they go up, then down, and no packet that went down goes up again. So a cycle has a turn that
breaks the rule, and only what is reached from such turns has to be looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from .graph import DOWN, UP, LaneGraph, Pair, Turn, Turns, bits
from .ways import witness

Lawless = tuple[int, int, int]  # middle, senders, receivers


def may_close(graph: LaneGraph, new: Iterable[Turns], known: Sequence[Lawless]) -> bool:
    """False when no cycle takes one of the turns ``new``; quick, from the masks alone, so True is not yet a cycle.

    ``known`` are the other turns that break the rule.
    """
    fresh = lawless(graph, new)
    if not fresh:
        return False
    if not known:
        tails = middles = 0
        for middle, senders, _receivers in fresh:
            tails |= senders
            middles |= 1 << middle
        if not tails & _reached(graph, fresh) and not any(group[2] & middles for group in fresh):
            return False
    front = _Front(graph)
    for group in fresh:
        front.add(group)
    waiting = list(known)
    more = True
    while more:
        joined = [group for group in waiting if front.meets(group)]
        waiting = [group for group in waiting if not front.meets(group)] if joined else waiting
        for group in joined:
            front.add(group)
        more = bool(joined)
    return any(front.meets(group) for group in fresh)


class _Front:
    """The links after turns that break the rule, and what valley-free paths reach from them."""

    def __init__(self, graph: LaneGraph) -> None:
        self.graph = graph
        self.middles: dict[int, int] = {}  # receiver -> the middles it has packets from
        self.receivers = 0
        self.beyond = 0  # switches further on

    def add(self, group: Lawless) -> None:
        graph = self.graph
        middle, _senders, receivers = group
        for receiver in bits(receivers):
            self.middles[receiver] = self.middles.get(receiver, 0) | 1 << middle
            is_up = graph.kind(middle, receiver) == UP
            reached = (graph.switches_from if is_up else graph.switches_below)[receiver]
            self.beyond |= reached & ~(1 << receiver)
        self.receivers |= receivers

    def meets(self, group: Lawless) -> bool:
        """Whether some way comes to a link before one of these turns; no packet turns straight back."""
        middle, senders, _receivers = group
        if self.beyond & senders or self.middles.get(middle, 0) & senders:
            return True
        return any(self.middles[sender] & ~(1 << middle) for sender in bits(self.receivers & senders))


def lawless(graph: LaneGraph, groups: Iterable[Turns]) -> list[Lawless]:
    """Of each group the senders and receivers between which a packet breaks the valley-free rule."""
    found: dict[Lawless, None] = {}
    for group in groups:
        below = graph.from_below[group.middle]
        senders, receivers = group.senders & ~below, group.receivers & ~below
        if senders and receivers:
            found[group.middle, senders, receivers] = None
    return list(found)


def _reached(graph: LaneGraph, groups: Iterable[tuple[int, int, int]]) -> int:
    """Switches that valley-free paths reach after the links from the middle of each group to its receivers."""
    upward = over = found = 0
    for middle, _senders, receivers in groups:
        upward |= receivers & graph.to_above[middle]
        over |= receivers & ~graph.to_above[middle]
    for receiver in bits(upward):
        found |= graph.switches_from[receiver]
    for receiver in bits(over):
        found |= graph.switches_below[receiver]
    return found


def breaks_rule(graph: LaneGraph, turn: Turn) -> bool:
    """Whether a packet taking the turn comes from above or a peer and goes up or to a peer."""
    return graph.kind(turn[0], turn[1]) != UP and graph.kind(turn[1], turn[2]) != DOWN


class Search:
    """Looks for a cycle, exactly: every step of one that is found is on a path that hosts use."""

    def __init__(self, graph: LaneGraph, groups: Iterable[Turns], failed: Pair) -> None:
        self.graph = graph
        self.failed = set(failed)
        self.extra: dict[Pair, dict[int, Turns]] = {}
        for group in groups:
            for sender, middle, receiver in group.each():
                if group.bounced is None or self._was_used((sender, middle, group.bounced)):
                    self.extra.setdefault((sender, middle), {}).setdefault(receiver, group)
        self._refuted: set[Turn] = set()
        self._proven: set[Turn] = set()

    def _was_used(self, turn: Turn) -> bool:
        return witness(self.graph, turn, set()) is not None

    def forbid(self, turn: Turn) -> None:
        """Takes a turn out that breaks the rule."""
        del self.extra[turn[:2]][turn[2]]

    def cycle(self) -> list[Turn] | None:
        """The turns of a short cycle, the first of them breaking the rule; None: there is no cycle."""
        while True:
            self._goals()
            start = self._any_cycle()
            if start is None:
                return None
            turns = self._shortest(start)
            false = [turn for turn in turns if not self._is_real(turn)]
            if not false:
                return turns
            self._refuted.update(false)

    def why(self, turn: Turn) -> Turns | None:
        """What makes packets take the turn; None: valley-free paths do."""
        return self.extra.get(turn[:2], {}).get(turn[2])

    def _is_real(self, turn: Turn) -> bool:
        if self.why(turn) or turn in self._proven:
            return True
        if witness(self.graph, turn, self.failed) is None:
            return False
        self._proven.add(turn)
        return True

    def _goals(self) -> None:
        self._tails = {
            link
            for link, receivers in self.extra.items()
            if any(breaks_rule(self.graph, (*link, receiver)) for receiver in receivers)
        }
        self._goal = 0
        for sender, _middle in self._tails:
            self._goal |= 1 << sender

    def _following(self, link: Pair) -> Iterator[Pair]:
        graph = self.graph
        sender, middle = link
        extra = self.extra.get(link, {})
        for receiver in graph.near[middle]:
            if {middle, receiver} == self.failed:
                continue
            if receiver not in extra:
                turn = (sender, middle, receiver)
                if not graph.is_used(turn) or turn in self._refuted:
                    continue
            following = (middle, receiver)
            is_up = graph.kind(middle, receiver) == UP
            reached = (graph.switches_from if is_up else graph.switches_below)[receiver]
            if following in self._tails or reached & self._goal:
                yield following

    def _any_cycle(self) -> Turn | None:
        """A turn on a cycle that breaks the rule, by depth-first search from all links before such turns."""
        done: dict[Pair, bool] = {}
        for first in sorted(self._tails):
            if first in done:
                continue
            way, coming = [first], [self._following(first)]
            done[first] = False
            while way:
                link = next(coming[-1], None)
                if link is None:
                    coming.pop()
                    done[way.pop()] = True
                elif link not in done:
                    done[link] = False
                    way.append(link)
                    coming.append(self._following(link))
                elif not done[link]:
                    ring = way[way.index(link) :]
                    turns = [(*one, other[1]) for one, other in zip(ring, [*ring[1:], ring[0]])]
                    return next(turn for turn in turns if breaks_rule(self.graph, turn))
        return None

    def _shortest(self, turn: Turn) -> list[Turn]:
        """The shortest cycle that takes the turn."""
        first, last = turn[1:], turn[:2]
        before: dict[Pair, Pair | None] = {first: None}
        queue = deque([first])
        while last not in before:
            link = queue.popleft()
            for following in self._following(link):
                if following not in before:
                    before[following] = link
                    queue.append(following)
        way: list[Pair] = []
        here: Pair | None = last
        while here is not None:
            way.append(here)
            here = before[here]
        way.append(last)
        way.reverse()
        return [(*one, other[1]) for one, other in zip(way, way[1:])]
