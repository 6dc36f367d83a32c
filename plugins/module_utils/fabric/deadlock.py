# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether pauses can wait for each other in a circle: with every link up, and after any single one has failed.

The lane's packets go only where links carry the lane. With ``routing: valley_free`` hosts use every valley-free path:
up any number of tiers, over to at most one switch of the same tier, down any number of tiers. Hosts without such a
path, and what a failure does, are in :mod:`.reroute`; ``routing: given`` is in :mod:`.given`.

A cycle with every link up is an error. One that takes a failure is a warning: the PFC watchdog drops the lane's packets
until the link is back, and many fabrics in use have such cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .cycles import Lawless, Search, lawless, may_close
from .findings import ADVICE, ERROR, WARNING, Finding
from .given import Edge, GivenPaths, following_of, knot, shortest_cycle
from .graph import NONE, LaneGraph, Pair, hop_text
from .model import Fabric
from .reroute import Detours
from .ways import witness

RULE = "pfc-deadlock"
RULE_AFTER = "pfc-deadlock-after-failure"
RULE_CUT = "path-cut-off"
MOST_TOLD = 20  # cycles of a lane; whoever has more needs another design, not a longer list


@dataclass
class DeadlockResult:
    """``failures`` is the number of single failures looked at, over all lossless lanes."""

    findings: list[Finding] = field(default_factory=list)
    lanes: tuple[str, ...] = ()
    failures: int = 0


def check(fabric: Fabric) -> DeadlockResult:
    """Every lossless lane of the fabric by its routing."""
    result = DeadlockResult(lanes=tuple(lane.name for lane in fabric.lanes if lane.lossless))
    for lane in result.lanes:
        if fabric.routing == "given":
            _check_given(fabric, lane, result)
        else:
            _check_valley_free(fabric, lane, result)
    return result


# --- valley-free paths -----------------------------------------------------------------------------------------------


def _check_valley_free(fabric: Fabric, lane: str, result: DeadlockResult) -> None:
    graph = LaneGraph(fabric, lane)
    detours = Detours(graph)
    found = _base_cycles(graph, detours)
    result.findings += found
    if found:
        return
    known = lawless(graph, detours.base)
    told = 0
    seen: set[frozenset[str]] = set()
    for (one, other), links in graph.links.items():
        pair = frozenset((one, other))
        if pair in seen or len(links) > 1:
            continue
        seen.add(pair)
        result.failures += 1
        finding = _after_failure(graph, detours, known, one, other, links[0])
        if finding:
            result.findings.append(finding)
            told += 1
            if told == MOST_TOLD:
                result.findings.append(_stopped(lane))
                return


def _base_cycles(graph: LaneGraph, detours: Detours) -> list[Finding]:
    """One finding for each turn that has to be forbidden until no cycle is left."""
    found: list[Finding] = []
    if not may_close(graph, detours.base, ()):
        return found
    search = Search(graph, detours.base, NONE)
    while len(found) < MOST_TOLD:
        turns = search.cycle()
        if turns is None:
            return found
        found.append(_valley_finding(search, turns, None))
        search.forbid(turns[0])
    found.append(_stopped(graph.lane))
    return found


def _after_failure(
    graph: LaneGraph, detours: Detours, known: Sequence[Lawless], one: str, other: str, link: int
) -> Finding | None:
    """The finding when the only link between two devices fails, if it closes a cycle."""
    number = graph.number
    if one in number and other in number:
        failed: Pair = (number[one], number[other])
        if not may_close(graph, detours.after(failed), known):
            return None
        search = Search(graph, detours.all_after(failed), failed)
    else:
        host, switch = (other, one) if one in number else (one, other)
        if switch not in number or host in number:
            return None
        kind = graph.class_of[host]
        if host != graph.hosts[kind][0]:
            return None  # as the first one of its class
        new = detours.after_host(kind, number[switch])
        if not may_close(graph, new, known):
            return None
        left = LaneGraph(graph.fabric, graph.lane, link)
        search = Search(left, [*Detours(left).base, *new], NONE)
    turns = search.cycle()
    return _valley_finding(search, turns, link) if turns else None


def _valley_finding(search: Search, turns: Sequence[tuple[int, int, int]], failed: int | None) -> Finding:
    graph = search.graph
    names = [(graph.names[one], graph.names[middle]) for one, middle, _other in turns]
    reasons = dict.fromkeys(group.why for group in map(search.why, turns) if group)
    ways = [witness(graph, turn, search.failed) for turn in turns if not search.why(turn)]
    if ways and ways[0]:
        reasons[f"valley-free paths such as {' - '.join(ways[0])} do the rest"] = None
    sender, middle, receiver = (graph.names[number] for number in turns[0])
    return _finding(graph.fabric, graph.lane, graph.links, names, (sender, middle, receiver), list(reasons), failed)


# --- given paths -----------------------------------------------------------------------------------------------------


def _check_given(fabric: Fabric, lane: str, result: DeadlockResult) -> None:
    given = GivenPaths(fabric, lane)
    order = given.order()
    if order is None:
        result.findings += _given_cycles(given, lane)
        return
    told = 0
    cut: dict[int, int] = {}
    for pair in given.failures():
        one, other = sorted(pair)
        link = given.links[one, other][0]
        result.failures += 1
        changed = given.rerouted(pair)
        for index, hops in changed.items():
            if hops is None:
                cut.setdefault(index, link)
        cycle, users = given.after(changed, order)
        if cycle and told < MOST_TOLD:
            result.findings.append(_given_finding(given, lane, cycle, users, link))
            told += 1
            if told == MOST_TOLD:
                result.findings.append(_stopped(lane))
    if cut:
        result.findings.append(_cut_off(fabric, lane, cut, len(given.paths)))


def _given_cycles(given: GivenPaths, lane: str) -> list[Finding]:
    """One finding for each turn that has to be forbidden until no cycle is left."""
    found: list[Finding] = []
    users = dict(given.users)
    while len(found) < MOST_TOLD:
        cycle = shortest_cycle(following_of(users), knot(users))
        if not cycle:
            return found
        found.append(_given_finding(given, lane, cycle, users, None))
        del users[_least_used(cycle, users)]
    return [*found, _stopped(lane)]


def _least_used(cycle: Iterable[Edge], users: dict[Edge, list[int]]) -> Edge:
    return min(cycle, key=lambda edge: len(users[edge]))


def _given_finding(
    given: GivenPaths, lane: str, cycle: Sequence[Edge], users: dict[Edge, list[int]], failed: int | None
) -> Finding:
    (sender, middle), (_middle, receiver) = _least_used(cycle, users)
    paths = list(dict.fromkeys(users[edge][0] for edge in cycle))
    named = ", ".join(given.fabric.paths[index].name for index in paths)
    hops = [before for before, _after in cycle]
    reasons = [f"path{'s' * (len(paths) > 1)} {named} {'close' if len(paths) > 1 else 'closes'} it"]
    where = f"fabric.paths[{paths[0]}]"
    return _finding(given.fabric, lane, given.links, hops, (sender, middle, receiver), reasons, failed, where)


def _cut_off(fabric: Fabric, lane: str, cut: dict[int, int], count: int) -> Finding:
    shown = ", ".join(f"{fabric.paths[index].name} by fabric.links[{link}]" for index, link in list(cut.items())[:3])
    more = f" and {len(cut) - 3} more" if len(cut) > 3 else ""
    said = f"{len(cut)} of {count} paths of lane {lane} are cut off when one link fails: {shown}{more}"
    first = next(iter(cut))
    return Finding(ADVICE, RULE_CUT, f"fabric.paths[{first}]", said, link=cut[first])


# --- words -----------------------------------------------------------------------------------------------------------


def _finding(
    fabric: Fabric,
    lane: str,
    links: dict[tuple[str, str], list[int]],
    hops: Sequence[tuple[str, str]],
    turn: tuple[str, str, str],
    reasons: Sequence[str],
    failed: int | None,
    where: str = "fabric.links",
) -> Finding:
    sender, middle, receiver = turn
    out = links[middle, receiver][0]
    ring = ", ".join(hop_text(fabric, links[hop][0], hop[0]) for hop in hops)
    when = "" if failed is None else f"when the link {hop_text(fabric, failed, fabric.links[failed].a.device)} fails, "
    every = "fabric.links" + ", ".join(f"[{index}]" for index in links[middle, receiver])
    said = (
        f"{when}lane {lane} can stop for good: each of these waits for the next and the last for the first: {ring};"
        f" {'; '.join(reasons)}. Next: forbid {middle} to send packets from {sender} on to {receiver},"
        f" or leave {every} out of the lane,"
        f" or give packets a second lossless priority at that turn"
    )
    port = next(end.port for end in fabric.links[out].ends if end.device == middle)
    if failed is None:
        return Finding(ERROR, RULE, where, said, device=middle, port=port, link=out)
    return Finding(WARNING, RULE_AFTER, f"fabric.links[{failed}]", said, device=middle, port=port, link=failed)


def _stopped(lane: str) -> Finding:
    said = f"lane {lane} has {MOST_TOLD} cycles; no further ones were looked for. Next: break these and plan again"
    return Finding(WARNING, RULE_AFTER, "fabric.links", said)
