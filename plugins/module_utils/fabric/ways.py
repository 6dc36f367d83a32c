# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Single valley-free paths of a lane, found one by one: the proof that hosts use a turn."""

from __future__ import annotations

from collections.abc import Iterator

from .graph import DOWN, UP, LaneGraph, Turn, bits


def witness(graph: LaneGraph, turn: Turn, failed: set[int]) -> tuple[str, ...] | None:
    """A valley-free path from host to host that takes the turn and passes no switch twice; None: there is none."""
    sender, middle, receiver = turn
    if failed in ({sender, middle}, {middle, receiver}):
        return None
    free_before = graph.kind(sender, middle) == DOWN
    free_after = graph.kind(middle, receiver) == UP
    for before, source in ways(graph, sender, free_before, {middle, receiver}, failed):
        for after, target in ways(graph, receiver, free_after, {middle, *before}, failed):
            if source != target or len(graph.hosts[source]) > 1:
                way = [graph.names[number] for number in (*reversed(before), middle, *after)]
                return (graph.hosts[source][0], *way, graph.hosts[target][-1])
    return None


def ways(
    graph: LaneGraph, switch: int, free: bool, blocked: set[int], failed: set[int]
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Valley-free ways from ``switch`` to each class, over switches not ``blocked``; ``free``: it may still go up."""
    for number in bits(graph.attached[switch]):
        yield (switch,), number
    kinds = (graph.downs, graph.peers, graph.ups) if free else (graph.downs,)
    for following in kinds:
        for other in following[switch]:
            if other not in blocked and {switch, other} != failed:
                for way, number in ways(graph, other, following is graph.ups, blocked | {switch}, failed):
                    yield (switch, *way), number
