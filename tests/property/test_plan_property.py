# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any sound intent has a plan, and what the plan says does not hang on how the intent is written down."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.buffers import port_buffers, switch_buffer
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import SPEEDS_GBPS, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.latency import path_latencies
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.plan_text import plan_text
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.planner import make_plan, plain, summary
from tests.property.test_intent_property import intents
from tests.unit.fabric.intents import racks, star

OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "trust": st.sampled_from(["dscp", "pcp"]),
        "mtu": st.integers(1280, 9216),
        "lanes": st.sampled_from(
            [
                {"trading": {"dscp": [27]}},
                {"trading": {"priority": 5}},
                {"trading": {"traffic_class": 5}},
                {"trading": {"lossless": False}},
            ]
        ),
        "ptp": st.sampled_from([{"role": "none"}, {"domain": 24}, {"enabled": False}]),
    },
)
DEVICES = st.dictionaries(st.sampled_from(["leaf1", "leaf2", "spine1", "h1", "h2"]), OVERRIDES)


def differing(devices: dict[str, Any]) -> dict[str, Any]:
    intent = copy.deepcopy(racks(ptp={"role": "boundary"}))
    for name, over in devices.items():
        intent["devices"].setdefault(name, {}).update(over)
    return intent


def told(intent: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    found = make_plan(parse_intent(intent)).findings
    return sorted(((one.severity, one.rule, one.link) for one in found), key=str)


@settings(max_examples=40)
@given(intents())
def test_every_sound_intent_has_a_plan(intent: dict[str, Any]) -> None:
    plan = make_plan(parse_intent(intent))
    document = plain(plan)
    assert json.loads(json.dumps(document)) == document
    assert summary(plan)[0] in plan_text(plan)


@settings(max_examples=60)
@given(DEVICES)
def test_the_ends_of_a_link_may_change_places(devices: dict[str, Any]) -> None:
    intent = differing(devices)
    turned = copy.deepcopy(intent)
    for link in turned["links"]:
        link["a"], link["b"] = link["b"], link["a"]
    assert told(turned) == told(intent)


@settings(max_examples=60)
@given(DEVICES)
def test_a_finding_of_a_link_has_a_difference_behind_it(devices: dict[str, Any]) -> None:
    """Links between devices without overrides have none."""
    fabric = parse_intent(differing(devices))
    for finding in make_plan(fabric).findings:
        if finding.link is not None:
            assert any(devices.get(end.device) for end in fabric.links[finding.link].ends), str(finding)


@given(st.integers(1, 40), st.sampled_from(SPEEDS_GBPS), st.floats(0.5, 2000), st.integers(0, 8))
def test_reserved_and_shared_add_up_and_grow_with_the_ports(hosts: int, speed: int, cable: float, ratio: int) -> None:
    found = []
    for count in (hosts, hosts + 1):
        intent = star(hosts=count, speed_gbps=speed, cable_m=cable, buffers={"shared_headroom_ratio": ratio})
        fabric = parse_intent(intent)
        device, ports = fabric.devices["leaf1"], fabric.ports_of("leaf1")
        buffer = switch_buffer(device, ports, port_buffers(device, ports))
        assert buffer.total_bytes is not None and buffer.shared_bytes is not None
        assert buffer.shared_bytes == max(0, buffer.total_bytes - buffer.reserved_bytes)
        found.append(buffer)
    assert found[0].reserved_bytes < found[1].reserved_bytes
    # of a shared pool the least size may be more than what one port asks for
    assert found[0].headroom_bytes < found[1].headroom_bytes or ratio


@given(st.integers(64, 9234), st.integers(64, 9234), st.floats(0.5, 500))
def test_latency_grows_with_packet_and_cable(small: int, large: int, more_m: float) -> None:
    small, large = sorted((small, large))
    hops = ["h1", "leaf1", "spine1", "leaf2", "h2"]

    def total(size: int, extra_m: float) -> float:
        intent = racks(paths=[{"name": "p", "hops": hops, "lane": "trading", "packet_bytes": size}])
        intent["links"][2]["cable_m"] += extra_m
        (found,) = path_latencies(parse_intent(intent))
        return found.total_ns

    assert total(small, 0) <= total(large, 0) < total(large, more_m)
