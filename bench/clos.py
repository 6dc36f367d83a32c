"""The plan of a Clos fabric, timed alone: `python -m bench.clos WHO PODS LEAVES SPINES TOPS HOSTS CABLES`.

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
from dataclasses import astuple, dataclass, fields
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric import deadlock, planner
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.model import Fabric
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.picture import svg
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.plan_text import plan_text


@dataclass(frozen=True)
class Size:
    """``pods`` of ``leaves``, each with ``hosts``, and of ``spines``; for each spine of a pod a plane of ``tops``.

    ``cables`` join a spine with each switch of its plane.
    """

    pods: int
    leaves: int
    spines: int
    tops: int
    hosts: int
    cables: int

    @property
    def arguments(self) -> list[str]:
        return [str(number) for number in astuple(self)]

    @property
    def text(self) -> str:
        switches = self.pods * (self.leaves + self.spines) + self.spines * self.tops
        return f"{switches:,} switches, {self.pods * self.leaves * self.hosts:,} hosts"


FULL = Size(pods=16, leaves=50, spines=10, tops=4, hosts=40, cables=4)
SMALL = Size(pods=3, leaves=6, spines=3, tops=2, hosts=4, cables=1)  # every path written down takes seconds


def intent(size: Size) -> dict[str, Any]:
    """The plain intent: 100 Gb/s to the hosts, 400 Gb/s between switches, one lossless lane."""
    ports: dict[str, int] = {}
    links: list[dict[str, Any]] = []
    devices: dict[str, dict[str, str]] = {}

    def end(device: str, is_host: bool = False) -> str:
        ports[device] = ports.get(device, -1) + 1
        return f"{device}:ens{ports[device]}" if is_host else f"{device}:Ethernet{8 * ports[device]}"

    for plane in range(size.spines):
        for top in range(size.tops):
            devices[f"top{plane}-{top}"] = {"os": "sonic", "tier": "super_spine", "group": f"plane{plane}"}
    for pod in range(size.pods):
        for spine in range(size.spines):
            name = f"spine{pod}-{spine}"
            devices[name] = {"os": "sonic", "tier": "spine", "group": f"pod{pod}"}
            for top in range(size.tops):
                for _cable in range(size.cables):
                    far = end(f"top{spine}-{top}")
                    links.append({"a": end(name), "b": far, "speed_gbps": 400, "cable_m": 100})
        for leaf in range(size.leaves):
            name = f"leaf{pod}-{leaf}"
            devices[name] = {"os": "sonic", "tier": "leaf"}
            for spine in range(size.spines):
                far = end(f"spine{pod}-{spine}")
                links.append({"a": end(name), "b": far, "speed_gbps": 400, "cable_m": 30})
            for host in range(size.hosts):
                far = end(f"host{pod}-{leaf}-{host}", is_host=True)
                links.append({"a": end(name), "b": far, "speed_gbps": 100, "cable_m": 3})
    return {
        "name": "clos",
        "lanes": {
            "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
            "cnp": {"dscp": [48], "priority": 6, "strict": True},
            "bulk": {"dscp": [0], "priority": 0, "share": 40, "default": True},
        },
        "vlans": {"trading": 110},
        "devices": {name: {**device, "asic": "spectrum4"} for name, device in devices.items()},
        "links": links,
    }


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
