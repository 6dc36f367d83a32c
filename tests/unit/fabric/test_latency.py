# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Latency by part, checked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.latency import (
    OrderLatency,
    PathLatency,
    latency_findings,
    order_latencies,
    path_latencies,
)
from tests.unit.fabric.intents import racks

ORDER = {"name": "order", "hops": ["h1", "leaf1", "spine1", "leaf2", "h2"], "lane": "trading", "packet_bytes": 128}
METRE_NS = 1e9 / 198_000_000


def budget(path: dict[str, Any], **more: Any) -> PathLatency:
    (found,) = path_latencies(parse_intent(fast(paths=[path], **more)))
    return found


def fast(latency_ns: int = 400, **more: Any) -> dict[str, Any]:
    intent = racks(**more)
    for name in ("leaf1", "leaf2", "spine1", "spine2"):
        intent["devices"][name]["latency_ns"] = latency_ns
    return intent


def test_by_part() -> None:
    """The leaf stores the whole packet before the faster uplink; spine and second leaf read the header only."""
    found = budget(ORDER)
    ns = [part.ns for part in found.parts if part.kind == "serialisation"]
    assert ns == [128 * 8 / 25, 64 * 8 / 100, 64 * 8 / 100, 128 * 8 / 25]
    assert found.of("propagation") == pytest.approx(44 * METRE_NS)
    assert found.of("switch") == 1200 and found.of("host") == 0
    assert found.total_ns == pytest.approx(sum(ns) + 44 * METRE_NS + 1200)
    assert [part.where for part in found.parts if part.kind == "switch"] == ["leaf1", "spine1", "leaf2"]
    assert found.parts[0].where == "h1:e0 -> leaf1:Ethernet0"


def test_the_jitter_is_a_frame_of_another_lane_at_each_sender() -> None:
    found = budget(ORDER)
    # header, tag and FCS; gap and preamble
    host, switch = (9000 + 22 + 20) * 8, (9214 + 22 + 20) * 8
    assert found.jitter_ns == pytest.approx(host / 25 + switch / 100 * 2 + switch / 25)


def test_alone_on_its_links_a_lane_has_no_jitter() -> None:
    intent = fast(paths=[ORDER])
    for link in intent["links"]:
        link["lanes"] = ["trading"]
    assert path_latencies(parse_intent(intent))[0].jitter_ns == 0


def test_a_packet_of_a_header_costs_the_same_at_each_hop() -> None:
    found = budget({**ORDER, "packet_bytes": 64})
    assert found.of("serialisation") == pytest.approx(64 * 8 * (2 / 25 + 2 / 100))


def test_a_linux_switch_stores_and_forwards() -> None:
    intent = fast(paths=[ORDER])
    intent["devices"]["spine1"].update(os="linux", asic="generic")
    (found,) = path_latencies(parse_intent(intent))
    assert found.of("serialisation") == pytest.approx(128 * 8 * (2 / 25 + 1 / 100) + 64 * 8 / 100)


def test_latency_of_the_chip_and_of_none() -> None:
    intent = fast(paths=[ORDER])
    del intent["devices"]["leaf1"]["latency_ns"]
    del intent["devices"]["spine1"]["latency_ns"]
    intent["devices"]["spine1"]["asic"] = "spectrum2"
    fabric = parse_intent(intent)
    (found,) = paths = path_latencies(fabric)
    assert [part.ns for part in found.parts if part.kind == "switch"] == [800, 300, 400]
    (finding,) = latency_findings(fabric, paths, ())
    assert (finding.severity, finding.rule, finding.device) == ("advice", "latency-unknown", "leaf1")
    assert "count with 800 ns" in finding.message


def test_host_stages_once_at_the_end_or_at_each_host_between() -> None:
    stages = {"nic_rx": 300, "decode": 40}
    found = budget(ORDER, latency={"host_stages_ns": stages})
    assert [(part.where, part.ns) for part in found.parts if part.kind == "host"] == [
        ("h2 nic_rx", 300),
        ("h2 decode", 40),
    ]
    there_and_back = {**ORDER, "hops": [*ORDER["hops"], "leaf2", "spine2", "leaf1", "h1"]}
    found = budget(there_and_back, latency={"host_stages_ns": stages})
    assert found.of("host") == 340 and found.of("switch") == 2400


def test_the_worst_of_parallel_links_that_carry_the_lane() -> None:
    intent = fast(paths=[ORDER])
    intent["links"].append({"a": "spine1:Ethernet12", "b": "leaf1:Ethernet12", "speed_gbps": 100, "cable_m": 90})
    (found,) = path_latencies(parse_intent(intent))
    assert found.of("propagation") == pytest.approx(114 * METRE_NS)
    intent["links"][-1]["lanes"] = ["bulk"]
    (found,) = path_latencies(parse_intent(intent))
    assert found.of("propagation") == pytest.approx(44 * METRE_NS)


@pytest.mark.parametrize(
    ("target_ns", "expected"), [(1514, "error latency-target"), (1515, "warning latency-jitter"), (20_000, "")]
)
def test_targets(target_ns: int, expected: str) -> None:
    """81.92 + 10.24 + 222.2 + 1200 is 1514.4 ns; 7.3 us more behind other lanes."""
    fabric = parse_intent(fast(paths=[{**ORDER, "target_ns": target_ns}]))
    found = list(latency_findings(fabric, path_latencies(fabric), ()))
    assert [f"{one.severity} {one.rule}" for one in found] == ([expected] if expected else [])
    if expected:
        assert found[0].path == "fabric.paths[0].target_ns"
        assert "(serialisation 92, propagation 222, switch 1200, host 0)" in found[0].message


def legs(**target: int) -> tuple[OrderLatency, list[str]]:
    paths = [
        {**ORDER, "name": "near", "hops": ["h1", "leaf1", "spine1"]},
        {**ORDER, "name": "far", **target},
        {**ORDER, "name": "back", "hops": ORDER["hops"][::-1]},
        {**ORDER, "name": "third"},
    ]
    fabric = parse_intent(fast(paths=paths, latency={"orders": {"spread": ["near", "far", "back", "third"]}}))
    budgets = path_latencies(fabric)
    orders = order_latencies(fabric, budgets)
    return orders[0], [str(finding) for finding in latency_findings(fabric, budgets, orders)]


def test_legs_on_one_first_link_wait_for_each_other() -> None:
    order, _found = legs()
    near, far, back, third = order.legs
    assert (near.behind_ns, far.behind_ns, back.behind_ns, third.behind_ns) == (0, 40.96, 0, 2 * 40.96)
    assert far.total_ns == pytest.approx(back.total_ns + 128 * 8 / 25), (
        "the same way, and back leaves from another host"
    )
    assert order.slowest is third and order.spread_ns == pytest.approx(third.total_ns - near.total_ns)


def test_a_leg_that_waits_beyond_its_target() -> None:
    _order, found = legs(target_ns=20_000)
    assert found == []
    _order, found = legs(target_ns=1520)
    assert [one.split(": ")[1] for one in found if "latency-leg" in one] == ["fabric.latency.orders.spread[1]"]
