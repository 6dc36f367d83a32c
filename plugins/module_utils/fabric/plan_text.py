# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan as text for people: the summary line, then a table of each part."""

from __future__ import annotations

from collections.abc import Iterator

from . import table
from .latency import KINDS
from .planner import Plan, headline


def plan_text(plan: Plan) -> str:
    """The whole plan, a section for each part that has something."""
    return "\n".join(_sections(plan))


def _sections(plan: Plan) -> Iterator[str]:
    yield headline(plan) + "\n"
    yield "Findings\n" + table.findings_text(plan.findings)
    if plan.deadlock.lanes:
        lanes = ", ".join(plan.deadlock.lanes)
        count = len(plan.deadlock.findings)
        said = f"{plan.deadlock.failures} single failures looked at, {count or 'no'} findings"
        yield f"PFC deadlock\nlanes {lanes}: {said}\n"
    if plan.costs:
        costs = [(name, "; ".join(one) or "nothing known from the intent") for name, one in plan.costs.items()]
        yield "What applying it may disrupt\n" + table.text(("switch", "cost"), costs)
    if plan.paths:
        yield _paths(plan)
    if plan.orders:
        yield _orders(plan)
    if plan.buffers:
        yield _buffers(plan)
    if plan.headroom:
        yield _headroom(plan)


def _paths(plan: Plan) -> str:
    headings = ("path", "lane", "bytes", *KINDS, "total", "target", "jitter up to")
    rows = [
        (
            path.name,
            path.lane,
            path.packet_bytes,
            *(round(path.of(kind)) for kind in KINDS),
            round(path.total_ns),
            path.target_ns,
            round(path.jitter_ns),
        )
        for path in plan.paths
    ]
    return "Latency by path, ns\n" + table.text(headings, rows)


def _orders(plan: Plan) -> str:
    rows = [
        (order.name, leg.path, round(leg.behind_ns), round(leg.total_ns), "slowest" if leg is order.slowest else "")
        for order in plan.orders
        for leg in order.legs
    ]
    spreads = "".join(f"{order.name}: first and last leg are {order.spread_ns:.0f} ns apart\n" for order in plan.orders)
    return "Orders of several legs, ns\n" + table.text(("order", "leg", "behind", "there after", ""), rows) + spreads


def _buffers(plan: Plan) -> str:
    headings = ("switch", "ports", "headroom", "reserved in all", "buffer", "left to share", "per port")
    rows = [
        (
            one.device,
            one.ports,
            one.headroom_bytes,
            one.reserved_bytes,
            one.total_bytes,
            one.shared_bytes,
            one.per_port_bytes,
        )
        for one in plan.buffers
    ]
    return "Buffer by switch, bytes\n" + table.text(headings, rows)


def _headroom(plan: Plan) -> str:
    headings = ("port", "Gb/s", "cable m", "MTU", "groups", "xoff", "xon", "size")
    rows = [
        (
            f"{one.device}:{one.port.name}",
            one.port.speed_gbps,
            one.port.cable_m,
            one.port.mtu,
            ", ".join(f"{lane} {group}" for lane, group in one.groups),
            one.headroom.xoff_bytes,
            one.headroom.xon_bytes,
            one.headroom.size_bytes,
        )
        for one in plan.headroom
    ]
    return "Headroom of each lossless priority group, bytes\n" + table.text(headings, rows)
