# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a fabric: everything that the intent alone proves or refutes, no device needed.

Time and memory are linear in links, ports and the summed length of the paths looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import findings as findings_module
from .buffers import PortBuffer, SwitchBuffer, buffer_findings, port_buffers, switch_buffer
from .consistency import consistency_findings
from .costs import change_costs
from .deadlock import DeadlockResult
from .deadlock import check as check_deadlock
from .findings import ERROR, SEVERITIES, Finding, worst_first
from .latency import (
    KINDS,
    OrderLatency,
    PathLatency,
    latency_findings,
    order_latencies,
    path_latencies,
)
from .marks import mark_findings
from .model import Fabric
from .possible import system_findings

SUMMARY_FINDINGS = 30  # lines of the summary; all are in the outputs
MOST_NAMED = 5  # devices that a line names


@dataclass(frozen=True)
class Plan:
    """Findings, worst first, of all parts; headroom of the switch ports with lossless lanes; and the rest by part.

    ``costs``: switch -> what applying the intent disrupts there, for all that is known without asking it.
    """

    fabric: Fabric
    findings: tuple[Finding, ...]
    headroom: tuple[PortBuffer, ...]
    buffers: tuple[SwitchBuffer, ...]
    paths: tuple[PathLatency, ...]
    orders: tuple[OrderLatency, ...]
    deadlock: DeadlockResult
    costs: dict[str, tuple[str, ...]]


def make_plan(fabric: Fabric) -> Plan:
    """The plan of a parsed intent."""
    found: list[Finding] = [*consistency_findings(fabric), *system_findings(fabric)]
    headroom: list[PortBuffer] = []
    buffers: list[SwitchBuffer] = []
    for device in fabric.switches:
        ports = fabric.ports_of(device.name)
        lossless = port_buffers(device, ports)
        buffer = switch_buffer(device, ports, lossless)
        headroom.extend(lossless)
        buffers.append(buffer)
        found.extend(buffer_findings(device, buffer))
        found.extend(mark_findings(fabric, device, ports, buffer))
    paths = path_latencies(fabric)
    orders = order_latencies(fabric, paths)
    found.extend(latency_findings(fabric, paths, orders))
    pauses = check_deadlock(fabric)
    found.extend(pauses.findings)
    return Plan(
        fabric=fabric,
        findings=tuple(worst_first(merged(found))),
        headroom=tuple(headroom),
        buffers=tuple(buffers),
        paths=paths,
        orders=orders,
        deadlock=pauses,
        costs={device.name: tuple(change_costs(device)) for device in fabric.switches},
    )


def merged(found: Iterable[Finding]) -> list[Finding]:
    """Findings below an error that say the same of several devices become one, at the first, that counts them."""
    kept: list[Finding] = []
    first: dict[tuple[str, str, str], int] = {}
    devices: dict[tuple[str, str, str], list[str]] = {}
    for finding in found:
        key = (finding.severity, finding.rule, finding.message)
        if finding.severity == ERROR or not finding.device:
            kept.append(finding)
        elif key in first:
            devices[key].append(finding.device)
        else:
            first[key] = len(kept)
            devices[key] = []
            kept.append(finding)
    for key, others in devices.items():
        if others:
            index = first[key]
            kept[index] = dataclasses.replace(kept[index], message=f"{key[2]} (also at {_some(others)})")
    return kept


def at_least(plan: Plan, severity: str) -> list[Finding]:
    """The findings of that severity or worse; none for ``never``."""
    if severity not in SEVERITIES:
        return []
    return [one for one in plan.findings if SEVERITIES.index(one.severity) <= SEVERITIES.index(severity)]


def headline(plan: Plan) -> str:
    """One line: what was planned, and how many findings of each severity."""
    counts = {severity: sum(1 for one in plan.findings if one.severity == severity) for severity in SEVERITIES}
    said = ", ".join(f"{count} {name}{_plural(name, count)}" for name, count in counts.items())
    fabric = plan.fabric
    return f"Plan of {fabric.name}: {len(fabric.switches)} switches, {len(fabric.links)} links: {said}"


def summary(plan: Plan) -> list[str]:
    """Lines for a person: the headline, the worst findings, what applying the intent costs."""
    lines = [headline(plan), *(str(finding) for finding in plan.findings[:SUMMARY_FINDINGS])]
    if len(plan.findings) > SUMMARY_FINDINGS:
        lines.append(f"... and {len(plan.findings) - SUMMARY_FINDINGS} findings more")
    where: dict[str, list[str]] = {}
    for name, costs in plan.costs.items():
        for cost in costs:
            where.setdefault(cost, []).append(name)
    return lines + [f"{_some(names)}: {cost}" for cost, names in where.items()]


def _some(names: Sequence[str]) -> str:
    """A few names, and how many more."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _plural(name: str, count: int) -> str:
    return "" if count == 1 or name == "advice" else "s"


def plain(plan: Plan) -> dict[str, object]:
    """The plan as plain data, for JSON and a module's result. Bytes, ns (one decimal), metres, Gb/s."""
    return {
        "fabric": plan.fabric.name,
        "findings": findings_module.plain(plan.findings),
        "headroom": [_headroom(one) for one in plan.headroom],
        "buffers": [{**dataclasses.asdict(one), "per_port_bytes": one.per_port_bytes} for one in plan.buffers],
        "latency": {
            "paths": [_path(path) for path in plan.paths],
            "orders": [_order(order) for order in plan.orders],
        },
        "deadlock": {
            "lanes": list(plan.deadlock.lanes),
            "failures": plan.deadlock.failures,
            "findings": findings_module.plain(plan.deadlock.findings),
        },
        "costs": {name: list(costs) for name, costs in plan.costs.items()},
    }


def _headroom(one: PortBuffer) -> dict[str, object]:
    return {
        "device": one.device,
        "port": one.port.name,
        "peer": str(one.port.peer),
        "speed_gbps": one.port.speed_gbps,
        "cable_m": one.port.cable_m,
        "mtu": one.port.mtu,
        "priority_groups": dict(one.groups),
        **dataclasses.asdict(one.headroom),
    }


def _path(path: PathLatency) -> dict[str, object]:
    return {
        "name": path.name,
        "lane": path.lane,
        "packet_bytes": path.packet_bytes,
        "total_ns": round(path.total_ns, 1),
        **{f"{kind}_ns": round(path.of(kind), 1) for kind in KINDS},
        "jitter_ns": round(path.jitter_ns, 1),
        "target_ns": path.target_ns,
        "parts": [{"kind": part.kind, "where": part.where, "ns": round(part.ns, 1)} for part in path.parts],
    }


def _order(order: OrderLatency) -> dict[str, object]:
    return {
        "name": order.name,
        "slowest": order.slowest.path,
        "total_ns": round(order.slowest.total_ns, 1),
        "spread_ns": round(order.spread_ns, 1),
        "legs": [
            {"path": leg.path, "behind_ns": round(leg.behind_ns, 1), "total_ns": round(leg.total_ns, 1)}
            for leg in order.legs
        ],
    }
