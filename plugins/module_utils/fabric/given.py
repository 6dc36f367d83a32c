# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cyclic buffer dependencies of one lane on the paths that the intent gives, and on what a failure makes of them.

A path that used a link that failed takes the shortest path that is left from its first device to its last, over
switches, the one whose links come first in the intent. A path that has nothing left is cut off.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping

from .graph import adjacency
from .model import Fabric

Hop = tuple[str, str]
Edge = tuple[Hop, Hop]


class GivenPaths:
    """The paths of a lane with their dependencies; parallel links between two devices count as one."""

    def __init__(self, fabric: Fabric, lane: str) -> None:
        self.fabric = fabric
        self.links = adjacency(fabric, lane)
        self.near: dict[str, list[str]] = {}
        for one, other in self.links:
            self.near.setdefault(one, []).append(other)
        switches = {device.name for device in fabric.switches}
        self.switches = {one: [other for other in near if other in switches] for one, near in self.near.items()}
        self.beside = {one: frozenset(near) for one, near in self.near.items()}
        self.paths = {index: path.hops for index, path in enumerate(fabric.paths) if path.lane == lane}
        self.users: dict[Edge, list[int]] = {}
        self.over: dict[frozenset[str], list[int]] = {}
        for index, hops in self.paths.items():
            for edge in self.edges(hops):
                self.users.setdefault(edge, []).append(index)
            for pair in dict.fromkeys(frozenset(hop) for hop in zip(hops, hops[1:])):
                self.over.setdefault(pair, []).append(index)

    def edges(self, hops: tuple[str, ...]) -> list[Edge]:
        """Dependencies of a path: of each link on the next, where both carry the lane."""
        ways = list(zip(hops, hops[1:]))
        found = [(one, other) for one, other in zip(ways, ways[1:]) if one in self.links and other in self.links]
        return list(dict.fromkeys(found))

    def order(self) -> dict[Hop, int] | None:
        """Position of every direction of a link such that each dependency goes forward; None: there is a cycle.

        Among those that could come next, ways up come first and ways down last, so that most of what a failure adds
        goes forward too.
        """
        rank = {}
        for number, (one, other) in enumerate(self.links):
            here, there = self.fabric.devices[one].tier, self.fabric.devices[other].tier
            rank[one, other] = (there < here, there == here, here if there > here else -here, number)
        following = following_of(self.users)
        waits = Counter(after for before, after in self.users)
        ready = [(rank[hop], hop) for hop in self.links if not waits[hop]]
        heapq.heapify(ready)
        found: dict[Hop, int] = {}
        while ready:
            hop = heapq.heappop(ready)[1]
            found[hop] = len(found)
            for after in following.get(hop, ()):
                waits[after] -= 1
                if not waits[after]:
                    heapq.heappush(ready, (rank[after], after))
        return found if len(found) == len(self.links) else None

    def failures(self) -> Iterator[frozenset[str]]:
        """Pairs of devices joined by one link alone that some path uses, in the order of the links."""
        seen = set()
        for (one, other), links in self.links.items():
            pair = frozenset((one, other))
            if pair not in seen and len(links) == 1 and pair in self.over:
                seen.add(pair)
                yield pair

    def rerouted(self, failed: frozenset[str]) -> dict[int, tuple[str, ...] | None]:
        """What each path that used the link becomes; None: it is cut off."""
        cache: dict[Hop, tuple[str, ...] | None] = {}
        found = {}
        for index in self.over[failed]:
            ends = (self.paths[index][0], self.paths[index][-1])
            if ends not in cache:
                cache[ends] = self._shortest(*ends, failed)
            found[index] = cache[ends]
        return found

    def _shortest(self, source: str, target: str, failed: frozenset[str]) -> tuple[str, ...] | None:
        for end in (source, target):
            if not any({end, other} != failed for other in self.near.get(end, ())):
                return None
        before: dict[str, str] = {source: source}
        queue = deque([source])
        while queue and target not in before:
            here = queue.popleft()
            if target in self.beside.get(here, ()) and {here, target} != failed:
                before.setdefault(target, here)
            for other in self.switches.get(here, ()):
                if other not in before and (here not in failed or {here, other} != failed):
                    before[other] = here
                    queue.append(other)
        if target not in before:
            return None
        way = [target]
        while way[-1] != source:
            way.append(before[way[-1]])
        return tuple(reversed(way))

    def after(
        self, changed: Mapping[int, tuple[str, ...] | None], order: Mapping[Hop, int]
    ) -> tuple[list[Edge], dict[Edge, list[int]]]:
        """A cycle after a failure that has ``changed`` paths (empty: none), and the paths by dependency then.

        Only what lies between the dependencies that go backward in ``order`` is looked at: every cycle has one.
        """
        added: dict[Edge, list[int]] = {}
        for index, hops in changed.items():
            for edge in self.edges(hops or ()):
                added.setdefault(edge, []).append(index)
        backward = [edge for edge in added if order[edge[0]] >= order[edge[1]]]
        if not backward:
            return [], {}
        gone = Counter(edge for index in changed for edge in self.edges(self.paths[index]))
        users = {
            edge: [index for index in there if index not in changed]
            for edge, there in self.users.items()
            if len(there) > gone[edge]
        }
        for edge, there in added.items():
            users[edge] = users.get(edge, []) + there
        low = min(order[edge[1]] for edge in backward)
        high = max(order[edge[0]] for edge in backward)
        inside = [edge for edge in users if low <= order[edge[0]] <= high and low <= order[edge[1]] <= high]
        return shortest_cycle(following_of(inside), [edge[1] for edge in backward]), users


def following_of(edges: Iterable[Edge]) -> dict[Hop, list[Hop]]:
    """Direction of a link -> those that it waits for."""
    found: dict[Hop, list[Hop]] = {}
    for before, after in edges:
        found.setdefault(before, []).append(after)
    return found


def knot(edges: Iterable[Edge]) -> list[Hop]:
    """What is left when whatever waits for nothing, or is waited for by nothing, is taken out again and again."""
    left = list(edges)
    count = len(left) + 1
    while len(left) < count:
        count = len(left)
        for here, there in ((0, 1), (1, 0)):
            following: dict[Hop, list[Hop]] = {}
            waits = Counter(edge[there] for edge in left)
            for edge in left:
                following.setdefault(edge[here], []).append(edge[there])
            ready = [hop for hop in following if not waits[hop]]
            gone = set()
            while ready:
                hop = ready.pop()
                gone.add(hop)
                for after in following.get(hop, ()):
                    waits[after] -= 1
                    if not waits[after]:
                        ready.append(after)
            left = [edge for edge in left if edge[0] not in gone and edge[1] not in gone]
    return list(dict.fromkeys(edge[0] for edge in left))


def shortest_cycle(following: Mapping[Hop, list[Hop]], starts: Iterable[Hop]) -> list[Edge]:
    """A shortest cycle through the first of ``starts`` that is on one; empty when none is."""
    for start in starts:
        before: dict[Hop, Hop] = {}
        queue = deque([start])
        while queue and start not in before:
            here = queue.popleft()
            for after in following.get(here, ()):
                if after not in before:
                    before[after] = here
                    queue.append(after)
        if start in before:
            way = [start, before[start]]
            while way[-1] != start:
                way.append(before[way[-1]])
            way.reverse()
            return list(zip(way, way[1:]))
    return []
