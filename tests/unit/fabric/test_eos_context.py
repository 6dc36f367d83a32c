"""What EOS cannot have is refused with its path, and the plain data of the template is what the intent says."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.context import context
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from tests.devices.eos_intents import EXAMPLE, rendered

LEAF = "fabric.devices.leaf1"


def changed(way: str, value: Any) -> dict[str, Any]:
    """The example with ``value`` at a path such as ``devices/leaf1/asic``."""
    intent = copy.deepcopy(EXAMPLE)
    here = intent
    *steps, last = way.split("/")
    for step in steps:
        here = here.setdefault(step, {})
    here[last] = value
    return intent


@pytest.mark.parametrize(
    ("way", "value", "path", "says"),
    [
        ("mtu", {"host": 9000, "switch": 9216}, "fabric.mtu.switch", "9216 at leaf1:Ethernet1; EOS takes 9214 at most"),
        (
            "lanes/trading/traffic_class",
            4,
            "fabric.lanes.trading.traffic_class",
            "EOS pauses the traffic class of the",
        ),
        ("watchdog", {"action": "forward"}, "fabric.watchdog.action", "forward is not what EOS can do: drop, alert"),
        ("watchdog", {"poll_ms": 150}, "fabric.watchdog.poll_ms", "at most half of detect_ms and of restore_ms, 100"),
        ("devices/leaf1/watchdog", {"action": "forward"}, f"{LEAF}.watchdog.action", "forward is not what EOS can do"),
        (
            "devices/leaf1",
            {"os": "eos", "asic": "trident3", "ports": {"Ethernet1": {"buffers": {"alpha_exponent": 1}}}},
            f"{LEAF}.ports.Ethernet1.buffers.alpha_exponent",
            "1 differs from the switch's 0; a Trident has one threshold for all ports",
        ),
        (
            "devices/leaf1/ports/Ethernet1",
            {"lanes": {"bulk": {"dscp": [0]}}},
            f"{LEAF}.ports.Ethernet1.lanes.bulk.dscp",
            r"differs from the switch's \(0, 8\); EOS has one map for all ports",
        ),
    ],
)
def test_what_eos_cannot_have_is_refused(way: str, value: Any, path: str, says: str) -> None:
    with pytest.raises(IntentError, match=says) as caught:
        context(parse_intent(changed(way, value)), "leaf1")
    assert caught.value.path == path


def test_a_lossless_lane_in_the_class_of_control_traffic_is_refused() -> None:
    intent = changed("lanes/trading/priority", 7)
    with pytest.raises(IntentError, match="7 is EOS's own control traffic"):
        context(parse_intent(intent), "leaf1")


def test_a_device_that_no_link_names_is_refused() -> None:
    with pytest.raises(IntentError, match="no link names the device 'leaf9'; devices there: leaf1"):
        context(parse_intent(EXAMPLE), "leaf9")


def test_every_dscp_is_mapped_since_eos_maps_24_to_31_to_class_3_itself() -> None:
    maps: Any = context(parse_intent(EXAMPLE), "leaf1")["dscp_map"]
    by_code = {code: one["traffic_class"] for one in maps for code in one["codes"]}
    assert sorted(by_code) == list(range(64))
    assert {code for code, number in by_code.items() if number == 3} == {26}


def test_ports_with_the_same_need_share_a_profile() -> None:
    intent = changed("links", [*EXAMPLE["links"], {**EXAMPLE["links"][0], "a": "leaf1:Ethernet3", "b": "trade2:fab0"}])
    found: Any = context(parse_intent(intent), "leaf1")
    assert [profile["name"] for profile in found["profiles"]] == ["TICKWIRE-25G", "TICKWIRE-25G-2", "TICKWIRE-100G"]
    assert [port["profile"] for port in found["ports"] if port["name"] in ("Ethernet1", "Ethernet3")] == [
        "TICKWIRE-25G"
    ] * 2


def test_a_port_without_the_lossless_lane_pauses_nothing() -> None:
    lines = rendered(EXAMPLE).splitlines()
    profile = lines[lines.index("qos profile TICKWIRE-25G-2") + 1 : lines.index("qos profile TICKWIRE-100G")]
    # the trading lane's DSCP comes to queue 3 here too: without a line of its own that queue would be served first
    assert profile == [
        "   qos trust dscp",
        "   tx-queue 0",
        "      no priority",
        "      bandwidth percent 40",
        "   tx-queue 3",
        "      no priority",
        "      bandwidth percent 60",
        "   tx-queue 6",
        "      priority strict",
    ]


def test_a_strict_lane_below_one_with_a_share_is_refused() -> None:
    with pytest.raises(IntentError, match="1 of a strict lane: on EOS strict lanes need the highest queues") as caught:
        context(parse_intent(changed("lanes/cnp/priority", 1)), "leaf1")
    assert caught.value.path == "fabric.lanes.cnp.traffic_class"


def test_strict_lanes_are_served_by_number() -> None:
    voice = {"dscp": [46], "priority": 5, "strict": True, "traffic_class": 6}
    intent = changed("lanes", {**EXAMPLE["lanes"], "voice": voice})
    intent["lanes"]["cnp"]["traffic_class"] = 5
    with pytest.raises(IntentError, match="6 of a strict lane"):
        context(parse_intent(intent), "leaf1")
    voice["traffic_class"], intent["lanes"]["cnp"]["traffic_class"] = 5, 6
    assert context(parse_intent(intent), "leaf1")["queue_map"] == [0, 3, 5, 6]


def test_priorities_are_mapped_when_they_are_trusted() -> None:
    lines = rendered(changed("trust", "pcp")).splitlines()
    assert [line for line in lines if line.startswith("qos map cos")] == [
        "qos map cos 0 1 2 4 5 7 to traffic-class 0",
        "qos map cos 3 to traffic-class 3",
        "qos map cos 6 to traffic-class 6",
    ]
    assert not [line for line in lines if line.startswith("qos map dscp")]
    assert "   qos trust cos" in lines
