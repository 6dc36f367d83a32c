"""The plan of a Clos fabric, timed alone: `python -m bench.fabric_plan WHO PODS LEAVES SPINES TOPS HOSTS CABLES`.

WHO is `plan` (everything `fabric_plan` does, from the plain intent to the three files' text), `deadlock` (our PFC
deadlock check) or `networkx` (the published way: write down every path, then look for strongly connected components).
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import fields

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric import deadlock, planner
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.model import Fabric
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.picture import svg
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.plan_text import plan_text
from bench.clos import Size, intent


def plan(size: Size) -> dict[str, float]:
    """The whole plan; seconds and the most memory the process ever had."""
    plain = intent(size)
    started = time.perf_counter()
    fabric = parse_intent(plain)
    parsed = time.perf_counter()
    made = planner.make_plan(fabric)
    planned = time.perf_counter()
    letters = len(plan_text(made)) + len(json.dumps(planner.plain(made), indent=2, sort_keys=True))
    letters += len(svg(fabric, made.findings))
    written = time.perf_counter()
    return {
        "whole_s": written - started,
        "parse_s": parsed - started,
        "plan_s": planned - parsed,
        "write_s": written - planned,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "failures": made.deadlock.failures,
        "findings": len(made.findings),
        "letters": letters,
    }


def ours(size: Size) -> dict[str, float]:
    """Base and every single failure, detours included."""
    fabric = parse_intent(intent(size))
    started = time.perf_counter()
    result = deadlock.check(fabric)
    return {
        "deadlock_ms": (time.perf_counter() - started) * 1e3,
        "failures": result.failures,
        "cycles": len(result.findings),
    }


def networkx_way(size: Size) -> dict[str, float]:
    """Base and every single failure of a link between switches, over valley-free paths, without any detour."""
    import networkx

    fabric = parse_intent(intent(size))
    started = time.perf_counter()
    pairs = {frozenset(end.device for end in link.ends) for link in fabric.links}
    between = [pair for pair in pairs if all(fabric.devices[name].is_switch for name in pair)]
    cycles = 0
    paths = 0
    for failed in [frozenset[str](), *between]:
        graph = networkx.DiGraph()
        for path in valley_free_paths(fabric, pairs - {failed}):
            paths += 1
            hops = list(zip(path, path[1:], strict=False))
            graph.add_edges_from(zip(hops, hops[1:], strict=False))
        cycles += any(len(component) > 1 for component in networkx.strongly_connected_components(graph))
    return {
        "deadlock_ms": (time.perf_counter() - started) * 1e3,
        "failures": len(between),
        "cycles": cycles,
        "paths": paths,
    }


def valley_free_paths(fabric: Fabric, pairs: set[frozenset[str]]) -> Iterator[tuple[str, ...]]:
    """Every valley-free path from leaf to leaf; one host a leaf is enough, its links are in no cycle."""
    near: dict[str, list[str]] = {name: [] for name in fabric.devices}
    for pair in pairs:
        one, other = pair
        near[one].append(other)
        near[other].append(one)
    tier = {name: device.tier for name, device in fabric.devices.items()}

    def onward(way: tuple[str, ...], may_rise: bool) -> Iterator[tuple[str, ...]]:
        here = way[-1]
        if tier[here] == 1 and len(way) > 1:
            yield way
            return
        for other in near[here]:
            rises = tier[other] > tier[here]
            if tier[other] and other not in way and (may_rise or not rises):
                yield from onward((*way, other), rises)

    for name, at in tier.items():
        if at == 1:
            yield from onward((name,), True)


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("who", choices=["plan", "deadlock", "networkx"])
    for one in fields(Size):
        top.add_argument(one.name, type=int)
    args = vars(top.parse_args())
    who = args.pop("who")
    print(json.dumps({"plan": plan, "deadlock": ours, "networkx": networkx_way}[who](Size(**args))))


if __name__ == "__main__":
    main()
