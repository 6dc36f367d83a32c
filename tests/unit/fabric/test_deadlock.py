# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PFC deadlock: the published examples, and every verdict against plain enumeration of all paths of small fabrics."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
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


# Each of these once told a wrong step from a right one: hosts left alone by the failure, a switch that has packets for
# a host only from hosts of its own, a pair that loses its valley-free path though one end is cut off below the link.
ALONE = "S1-T0 L0-S0 S0-S1 L0-S1 S1-T0 S0-h0 S1-h1 S1-h2 L0-h2 S0-h3"
OWN = "L0-L1 L2-S1 L2-S0 S0-S1 L0-S0 S0-S1 L0-S1 L0-S1 S0-S1 L0-h0 L2-h0 L0-h1"
BELOW = "S0-S1 L1-S2 S1-S2 L1-S2 L1-S0 L0-S1 S1-S2 S0-S1 L1-h0 S1-h0 S2-h1 L0-h1 S0-h2 L1-h3"
BESIDE = "L0-L2 L2-S2 L2-S0 S0-S1 S1-S2 S1-S2 L0-L1 S0-h0 L0-h1 S2-h2 L1-h3 S1-h3"


@given(small_fabrics())
@example((ALONE, ""))
@example((OWN, ""))
@example((BELOW, ""))
@example((BESIDE, ""))
@settings(max_examples=250)
def test_verdicts_are_those_of_plain_enumeration(links: tuple[str, str]) -> None:
    made = fabric(links[0], not_in_lane=links[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlock, "MOST_TOLD", 1000)
        assert verdict(made) == plain_verdict(made)


# --- published examples ----------------------------------------------------------------------------------------------

CLOS = "L1-h1 L2-h2 L3-h3 L1-S1 L1-S2 L2-S1 L2-S2 L3-S1 L3-S2"
FLAT = "L1-h1 L2-h2 L3-h3 L4-h4 "


def test_a_clos_of_two_tiers_has_no_cycle_even_after_a_failure() -> None:
    result = deadlock.check(fabric(CLOS))
    assert (result.findings, result.failures, result.lanes) == ([], 9, ("trading",))


def test_two_bounces_close_the_published_cycle() -> None:
    """L2 -> S2 -> L3 bounced and S2 -> L1 -> S1 bounced: (S1,L2) (L2,S2) (S2,L1) (L1,S1)."""
    up_and_down = ("h1 L1 S1 L2 h2", "h2 L2 S2 L1 h1")
    assert deadlock.check(fabric(CLOS, up_and_down)).findings[0].rule == "path-cut-off"
    bounced = ("h1 L1 S1 L2 S2 L3 h3", "h3 L3 S2 L1 S1 L2 h2")
    (found,) = deadlock.check(fabric(CLOS, (*up_and_down, *bounced))).findings
    assert (found.severity, found.rule, found.path) == ("error", "pfc-deadlock", "fabric.paths[0]")
    said = found.message
    for hop in ("S1:p5 -> L2:p5", "L2:p6 -> S2:p6", "S2:p4 -> L1:p4", "L1:p3 -> S1:p3"):
        assert hop in said
    assert re.search(r"paths p[0-3](, p[0-3]){2,3} close it", said)
    assert "forbid" in said and "out of the lane" in said and "second lossless priority" in said


@pytest.mark.parametrize(("size", "base"), [(3, False), (4, True), (5, True)])
def test_rings_of_peers(size: int, base: bool) -> None:
    """Three of one tier are neighbours and need one hop; from four on some need two, and those close the ring."""
    ring = " ".join(f"L{number}-L{number % size + 1}" for number in range(1, size + 1))
    homes = " ".join(f"L{number}-h{number}" for number in range(1, size + 1))
    findings = deadlock.check(fabric(f"{ring} {homes}")).findings
    assert [one.rule for one in findings if one.rule == "pfc-deadlock"] == ["pfc-deadlock"] * (2 if base else 0)
    assert base or findings == [], "a broken ring is a line"


def test_forbidding_every_turn_that_is_told_leaves_no_cycle() -> None:
    """The base findings of a ring name one turn for each way round."""
    findings = deadlock.check(fabric("L1-L2 L2-L3 L3-L4 L4-L1 " + FLAT)).findings
    assert len(findings) == 2
    for one in findings:
        assert one.device and one.port and one.link is not None
        assert "have no valley-free path between them" in one.message


def test_ring_of_given_paths() -> None:
    ring = "L1-L2 L2-L3 L3-L1 L1-h1 L2-h2 L3-h3"
    round_about = ("h1 L1 L2 L3 h3", "h2 L2 L3 L1 h1", "h3 L3 L1 L2 h2")
    (found,) = deadlock.check(fabric(ring, round_about)).findings
    assert found.rule == "pfc-deadlock" and "paths p0, p1, p2 close it" in found.message
    two = deadlock.check(fabric(ring, round_about[:2])).findings
    assert {one.rule for one in two} == {"path-cut-off"}


def test_a_given_path_that_comes_back_is_a_cycle_alone() -> None:
    (found,) = deadlock.check(fabric("L1-h1 L1-L2 L2-L3 L3-L1", ("h1 L1 L2 L3 L1 L2",))).findings
    assert found.rule == "pfc-deadlock" and "path p0 closes it" in found.message


def test_a_failure_that_closes_a_ring_of_given_paths() -> None:
    """p3 avoids the ring until L5 is lost; then it takes L1 -> L2 -> L3, the turn that the others leave open."""
    ring = "L1-L2 L2-L3 L3-L4 L4-L1 L1-L5 L5-L3 " + FLAT
    paths = ("h2 L2 L3 L4 h4", "h3 L3 L4 L1 h1", "h4 L4 L1 L2 h2", "h1 L1 L5 L3 h3")
    found = [one for one in deadlock.check(fabric(ring, paths)).findings if one.rule == "pfc-deadlock-after-failure"]
    assert [(one.severity, one.path, one.link) for one in found] == [
        ("warning", "fabric.links[4]", 4),
        ("warning", "fabric.links[5]", 5),
    ]
    said = found[0].message
    assert said.startswith("when the link L1:p4 -> L5:p4 fails, lane trading can stop for good")
    assert "p3" in said and "forbid" in said


def test_two_leaves_without_a_common_spine_need_a_valley() -> None:
    """S1 -> L2 -> S2 is the only way from h1 to h3, and acyclic; a second such valley the other way round is not."""
    assert deadlock.check(fabric("L1-h1 L2-h2 L2-h9 L3-h3 L1-S1 L2-S1 L2-S2 L3-S2")).findings == []
    crossed = "L1-h1 L2-h2 L3-h3 L4-h4 L1-S1 L2-S1 L2-S2 L3-S2 L3-S3 L4-S3 L4-S4 L1-S4"
    assert {one.rule for one in deadlock.check(fabric(crossed)).findings} == {"pfc-deadlock"}


def test_spines_meshed_with_all_super_spines_deadlock_after_a_failure() -> None:
    """A leaf's bounce meets paths which go over the top and back into the pod; planes of super spines have none."""
    pod = "L1-h1 L2-h2 L3-h3 L1-S1 L1-S2 L2-S1 L2-S2 L3-S3 L3-S4 "
    mesh = deadlock.check(fabric(pod + "S1-T1 S2-T1 S3-T1 S4-T1 S1-T2 S2-T2 S3-T2 S4-T2")).findings
    assert {one.rule for one in mesh} == {"pfc-deadlock-after-failure"}
    assert "has lost its link to" in mesh[0].message and "valley-free paths such as" in mesh[0].message
    assert deadlock.check(fabric(pod + "S1-T1 S2-T2 S3-T1 S4-T2")).findings == []


def test_a_link_out_of_the_lane_breaks_the_ring() -> None:
    assert deadlock.check(fabric("L1-L2 L2-L3 L3-L4 " + FLAT, not_in_lane="L4-L1")).findings == []


def test_a_parallel_link_takes_over() -> None:
    single = "L1-h1 L2-h2 L3-h3 L1-S1 L1-S2 L2-S1 L2-S2 L3-S3 L3-S4 S1-T1 S2-T1 S3-T1 S4-T1"
    assert deadlock.check(fabric(single)).findings
    assert deadlock.check(fabric(f"{single} {single.replace('L1-h1 L2-h2 L3-h3 ', '')}")).findings == []


def test_more_cycles_than_are_told() -> None:
    leaves = " ".join(f"L{number}-h{number} L{number}-S1 L{number}-S2" for number in range(20))
    findings = deadlock.check(fabric(f"{leaves} S1-T1 S2-T1 S3-T1 L99-S3 L99-h99")).findings
    assert len(findings) == deadlock.MOST_TOLD + 1
    assert "no further ones were looked for" in findings[-1].message


# --- given paths, against a plain rebuild for each failure -----------------------------------------------------------


def plain_given(made: Fabric) -> tuple[bool, set[frozenset[str]]]:
    """As ``plain_verdict``: every failure's paths written down anew."""
    near: dict[str, list[str]] = {name: [] for name in made.devices}
    count: dict[frozenset[str], int] = {}
    for link in made.links:
        ends = frozenset((link.a.device, link.b.device))
        if ends not in count:
            near[link.a.device].append(link.b.device)
            near[link.b.device].append(link.a.device)
        count[ends] = count.get(ends, 0) + 1
    paths = [path.hops for path in made.paths]

    def cyclic(ways: list[tuple[str, ...]]) -> bool:
        hops = [list(zip(way, way[1:], strict=False)) for way in ways]
        return is_cyclic({edge for way in hops for edge in zip(way, way[1:], strict=False)})

    def way_round(source: str, target: str, failed: frozenset[str]) -> tuple[str, ...]:
        queue, seen = deque([(source,)]), {source}
        while queue:
            way = queue.popleft()
            if way[-1] == target:
                return way
            if way[-1] != source and not made.devices[way[-1]].is_switch:
                continue
            for other in near[way[-1]]:
                if other not in seen and {other, way[-1]} != failed:
                    seen.add(other)
                    queue.append((*way, other))
        return ()

    if cyclic(paths):
        return True, set()
    found = set()
    for failed in [ends for ends, links in count.items() if links == 1]:
        used = [failed in [frozenset(hop) for hop in zip(way, way[1:], strict=False)] for way in paths]
        after = [way_round(way[0], way[-1], failed) if hit else way for way, hit in zip(paths, used, strict=True)]
        if cyclic(after):
            found.add(failed)
    return False, found


@st.composite
def given_paths(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """Four to six switches in a ring with chords, a host each, and random walks between hosts that never turn back."""
    size = draw(st.integers(4, 6))
    chords = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1])
    pairs = [(number, (number + 1) % size) for number in range(size)] + draw(st.lists(chords, max_size=3))
    near: dict[int, list[int]] = {number: [] for number in range(size)}
    for one, other in pairs:
        near[one].append(other)
        near[other].append(one)
    paths = []
    for _number in range(draw(st.integers(2, 6))):
        way = [draw(st.integers(0, size - 1))]
        for _step in range(draw(st.integers(1, 3))):
            onward = [other for other in near[way[-1]] if other not in way]
            if onward:
                way.append(draw(st.sampled_from(onward)))
        paths.append(" ".join([f"h{way[0]}", *(f"L{one}" for one in way), f"h{way[-1]}"]))
    homes = [f"L{number}-h{number}" for number in range(size)]
    return " ".join([*(f"L{one}-L{other}" for one, other in pairs), *homes]), tuple(paths)


@given(given_paths())
@settings(max_examples=250)
def test_verdicts_on_given_paths_are_those_of_a_plain_rebuild(drawn: tuple[str, tuple[str, ...]]) -> None:
    made = fabric(*drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlock, "MOST_TOLD", 1000)
        assert verdict(made) == plain_given(made)
