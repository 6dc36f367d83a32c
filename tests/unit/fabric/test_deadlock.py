# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PFC deadlock: the published examples, and every verdict against plain enumeration of all paths of small fabrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric import deadlock
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import Fabric, parse_intent

LANES = {
    "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
    "bulk": {"dscp": [0], "priority": 0, "share": 40, "default": True},
}
TIERS = {"L": "leaf", "S": "spine", "T": "super_spine"}
Hop = tuple[str, str]


def fabric(joined: str, paths: tuple[str, ...] = (), not_in_lane: str = "") -> Fabric:
    """A fabric of links written ``L1-S1 L1-h1``: the first letter is the tier, h a host; twice means two links."""
    links = []
    for number, pair in enumerate([*joined.split(), *not_in_lane.split()]):
        one, other = pair.split("-")
        link: dict[str, Any] = {"a": f"{one}:p{number}", "b": f"{other}:p{number}", "speed_gbps": 100, "cable_m": 3}
        if number >= len(joined.split()):
            link["lanes"] = ["bulk"]
        links.append(link)
    names = dict.fromkeys(name for pair in f"{joined} {not_in_lane}".split() for name in pair.split("-"))
    intent: dict[str, Any] = {
        "name": "test",
        "lanes": LANES,
        "vlans": {"trading": 110},
        "links": links,
        "devices": {name: {"os": "linux", "tier": TIERS[name[0]]} for name in names if name[0] in TIERS},
    }
    if paths:
        intent["routing"] = "given"
        intent["paths"] = [
            {"name": f"p{number}", "hops": hops.split(), "lane": "trading"} for number, hops in enumerate(paths)
        ]
    return parse_intent(intent)


# --- the oracle: every path, one by one ------------------------------------------------------------------------------


class Plain:
    """All simple paths of a fabric, and the dependencies of the whole rule book of the module's docstrings."""

    def __init__(self, made: Fabric, failed: frozenset[str] = frozenset()) -> None:
        self.tier = {name: device.tier for name, device in made.devices.items()}
        self.near: dict[str, set[str]] = {name: set() for name in made.devices}
        for link in made.links:
            ends = {link.a.device, link.b.device}
            if "trading" in link.lanes and ends != failed:
                self.near[link.a.device].add(link.b.device)
                self.near[link.b.device].add(link.a.device)
        self.hosts = [name for name, tier in self.tier.items() if tier == 0 and self.near[name]]

    def valley_free(self, here: str, came: int, way: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Ways from the last of ``way`` to any host; ``came``: 1 from below, 0 over or down."""
        for other in sorted(self.near[here]):
            if other in way:
                continue
            step = (self.tier[other] > self.tier[here]) - (self.tier[other] < self.tier[here])
            if step >= 0 and not came:
                continue
            if self.tier[other] == 0:
                yield (*way, other)
            else:
                yield from self.valley_free(other, int(step > 0), (*way, other))

    def base_paths(self) -> list[tuple[str, ...]]:
        return [path for host in self.hosts for path in self.valley_free(host, 1, (host,)) if len(path) > 2]

    def shortest(self, source: str, target: str) -> list[tuple[str, ...]]:
        """All shortest paths over switches."""
        best: list[tuple[str, ...]] = []
        queue: deque[tuple[str, ...]] = deque([(source,)])
        while queue:
            way = queue.popleft()
            if best and len(way) >= len(best[0]):
                break
            for other in self.near[way[-1]]:
                if other == target:
                    best.append((*way, other))
                elif other not in way and self.tier[other]:
                    queue.append((*way, other))
        return [way for way in best if len(way) == len(best[0])]

    def lacking(self) -> list[tuple[str, ...]]:
        """Shortest paths of the pairs without a valley-free one."""
        joined = {(path[0], path[-1]) for path in self.base_paths()}
        return [
            path
            for one in self.hosts
            for other in self.hosts
            if one != other and (one, other) not in joined
            for path in self.shortest(one, other)
        ]

    def bounced(self, base: Plain, failed: frozenset[str]) -> Iterator[tuple[str, ...]]:
        """Ways on which a switch sends round what it would have sent down or over the link that failed."""
        for path in base.base_paths():
            for before, here, lost in zip(path, path[1:], path[2:], strict=False):
                if {here, lost} != failed or self.tier[lost] > self.tier[here]:
                    continue
                came = int(self.tier[before] < self.tier[here])
                if any(way[-1] == path[-1] for way in self.valley_free(here, came, (here,))):
                    continue
                for way in self.shortest(here, lost):
                    if way[1] != before:
                        yield (before, *way, *path[path.index(lost) + 1 :])


def edges(paths: Any) -> set[tuple[Hop, Hop]]:
    found = set()
    for path in paths:
        hops = list(zip(path, path[1:], strict=False))
        found |= {(one, other) for one, other in zip(hops, hops[1:], strict=False) if one[0] != other[1]}
    return found


def is_cyclic(graph: set[tuple[Hop, Hop]]) -> bool:
    """Whether taking out what waits for nothing, again and again, leaves something."""
    while graph:
        waiting = {one for one, _other in graph}
        left = {(one, other) for one, other in graph if other in waiting}
        if left == graph:
            return True
        graph = left
    return False


def plain_verdict(made: Fabric) -> tuple[bool, set[frozenset[str]]]:
    """Whether the base has a cycle, and if not, the pairs of devices whose link's failure makes one."""
    base = Plain(made)
    if is_cyclic(edges(base.base_paths()) | edges(base.lacking())):
        return True, set()
    count: dict[frozenset[str], int] = {}
    for link in made.links:
        if "trading" in link.lanes:
            pair = frozenset((link.a.device, link.b.device))
            count[pair] = count.get(pair, 0) + 1
    found = set()
    for failed, links in count.items():
        if links == 1:
            after = Plain(made, failed)
            graph = edges(after.base_paths()) | edges(after.lacking()) | edges(after.bounced(base, failed))
            if is_cyclic(graph):
                found.add(first_alike(base, failed))
    return False, found


def first_alike(base: Plain, failed: frozenset[str]) -> frozenset[str]:
    """Of hosts with the same switches only the first is told."""
    for host in base.hosts:
        for other in failed & set(base.hosts):
            if base.near[host] == base.near[other]:
                return failed - {other} | {host}
    return failed


def verdict(made: Fabric) -> tuple[bool, set[frozenset[str]]]:
    findings = deadlock.check(made).findings
    after = [one for one in findings if one.rule == "pfc-deadlock-after-failure"]
    pairs = {frozenset(end.device for end in made.links[one.link].ends) for one in after if one.link is not None}
    return any(one.rule == "pfc-deadlock" for one in findings), pairs


@st.composite
def small_fabrics(draw: st.DrawFn) -> tuple[str, str]:
    """Two to six switches on one to three tiers, any links between them, two to four hosts with one or two links."""
    switches = [
        f"{tier}{number}"
        for tier, most in (("L", 3), ("S", 3), ("T", 1))
        for number in range(draw(st.integers(int(tier == "L"), most)))
    ]
    pairs = [f"{one}-{other}" for place, one in enumerate(switches) for other in switches[place + 1 :]]
    joined = draw(st.lists(st.sampled_from(pairs), max_size=9)) if pairs else []
    homes = st.lists(st.sampled_from(switches), min_size=1, max_size=2)
    hosts = [f"{home}-h{number}" for number in range(draw(st.integers(2, 4))) for home in draw(homes)]
    outside = draw(st.lists(st.sampled_from(pairs), max_size=2)) if pairs else []
    return " ".join(joined + hosts), " ".join(outside)


@given(small_fabrics())
@settings(max_examples=250, deadline=None)
def test_verdicts_are_those_of_plain_enumeration(links: tuple[str, str]) -> None:
    made = fabric(links[0], not_in_lane=links[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlock, "MOST_TOLD", 1000)
        assert verdict(made) == plain_verdict(made)
