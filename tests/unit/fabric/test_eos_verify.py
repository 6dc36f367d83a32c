"""Drift of an Arista switch: every field of ours that differs, and what contradicts the intent without being ours."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.verify import COMMANDS, RUNNING, drift
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from tests.devices.eapi import EosSwitch
from tests.devices.eos_grammar import GRAMMAR
from tests.devices.eos_intents import EXAMPLE, Direct, rendered
from tests.devices.state import Position

ECN = "random-detect ecn minimum-threshold 9 kbytes maximum-threshold 10 kbytes max-mark-probability 1 weight 0"


def found(*lines: str, intent: dict[str, Any] = EXAMPLE, l2_mtu: int = 9214) -> list[str]:
    """Severity, path and message's begin after ``lines`` were entered on a switch that was as the intent says."""
    switch = EosSwitch(rendered(intent))
    switch.l2_mtu = l2_mtu
    position = Position(GRAMMAR)
    for line in lines:
        switch.running.enter(position, line)
    way = Direct(switch)
    state: dict[str, Any] = {command: way.read(command) for command in COMMANDS}
    state[RUNNING] = way.run([RUNNING])[0]
    findings = drift(parse_intent(intent), "leaf1", state)
    return [f"{one.severity} {one.path}: {one.message.partition(';')[0]}" for one in findings]


def test_a_switch_as_the_intent_says_has_no_finding() -> None:
    assert found() == []


def test_a_switching_port_may_take_larger_frames_than_its_line_says_and_not_smaller_ones() -> None:
    assert found(intent={**EXAMPLE, "mtu": {"host": 9000, "switch": 9100}}) == []
    assert found(l2_mtu=9194)[0] == "error leaf1:Ethernet1 mtu: is 9194, wanted 9214"


def test_other_maps_of_a_traffic_class_are_no_drift() -> None:
    assert found("qos map traffic-class 3 to dscp 56", "qos map traffic-class 3 to mc-tx-queue 1") == []


def test_a_chip_with_queues_of_unicast_apart_has_its_word_for_the_map() -> None:
    intent = {**EXAMPLE, "devices": {"leaf1": {**EXAMPLE["devices"]["leaf1"], "asic": "tomahawk3"}}}
    assert "qos map traffic-class 3 to uc-tx-queue 3\n" in rendered(intent)
    assert found(intent=intent) == []
    drifted = found("qos map traffic-class 3 to uc-tx-queue 1", intent=intent)
    assert drifted == ["error leaf1:map traffic-class 3: is tx-queue 1, wanted tx-queue 3"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["qos map dscp 26 to traffic-class 0"], "map dscp 26: is traffic-class 0, wanted traffic-class 3"),
        (["qos map traffic-class 3 to tx-queue 1"], "map traffic-class 3: is tx-queue 1, wanted tx-queue 3"),
        (["no lldp run"], "lldp run: is no, wanted yes"),
        (["ptp domain 1"], "ptp domain: is 1, wanted 24"),
        (["no ptp source ip"], "ptp source: is nothing, wanted 192.0.2.1"),
        (
            ["priority-flow-control pause watchdog default timeout 1.00"],
            "watchdog timeout: is 1, wanted 0.2",
        ),
        (["priority-flow-control pause watchdog action notify-only"], "watchdog action: is notify-only, wanted drop"),
        (["vlan 110", "name other"], "vlan 110 name: is other, wanted trading"),
        (["interface Ethernet1", "mtu 9000"], "Ethernet1 mtu: is 9000, wanted 9214"),
        (["interface Ethernet1", "switchport access vlan 120"], "Ethernet1 untagged vlan: is 120, wanted 110"),
        (
            ["interface Ethernet49/1", "switchport trunk allowed vlan 110-112"],
            "tagged vlans: is 110,111,112, wanted 110,120",
        ),
        (["interface Ethernet1", "no service-profile"], "Ethernet1 service-profile: is nothing, wanted TICKWIRE-25G"),
        (["interface Ethernet2", "lldp transmit", "lldp receive"], "Ethernet2 lldp: is on, wanted off"),
        (["interface Ethernet1", "no dcbx mode"], "Ethernet1 dcbx: is off, wanted ieee"),
        (["interface Ethernet1", "no ptp enable"], "Ethernet1 ptp: is off, wanted ipv4"),
        (["interface Ethernet1", "no storm-control broadcast level"], "storm-control broadcast: is off, wanted 1.5"),
        (["qos profile TICKWIRE-25G", "qos trust cos"], "TICKWIRE-25G trust: is cos, wanted dscp"),
        (["qos profile TICKWIRE-25G", "no priority-flow-control priority 3"], "priority 3: is nothing, wanted no-drop"),
        (
            ["qos profile TICKWIRE-25G", "priority-flow-control priority 0 no-drop"],
            "priority 0: is no-drop, wanted nothing",
        ),
        (
            ["qos profile TICKWIRE-25G", "tx-queue 3", "bandwidth percent 9"],
            "scheduling: is 9 percent, wanted 60 percent",
        ),
        (["qos profile TICKWIRE-25G", "tx-queue 3", "no random-detect ecn count"], "ecn count: is nothing, wanted yes"),
        (
            [
                "qos profile TICKWIRE-25G",
                "tx-queue 3",
                ECN,
            ],
            "ecn: is 9000 to 10000 bytes, 1 percent, wanted 100000 to 400000 bytes, 20 percent",
        ),
    ],
)
def test_each_field_of_ours_that_differs_is_an_error(lines: list[str], says: str) -> None:
    told = found(*lines)
    assert len(told) == 1
    assert told[0].startswith("error leaf1:")
    assert says in told[0]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["interface Ethernet9", "switchport access vlan 110"], "Ethernet9: is in VLAN 110 of the intent"),
        (["interface Ethernet9", "service-profile TICKWIRE-25G"], "Ethernet9: has the profile TICKWIRE-25G"),
        (["interface Ethernet9", "priority-flow-control priority 5 no-drop"], "Ethernet9: pauses priority 5"),
        (
            ["qos profile X", "priority-flow-control priority 4 no-drop", "interface Ethernet9", "service-profile X"],
            "Ethernet9: pauses priority 4 by profile X",
        ),
        (["interface Ethernet1", "qos trust cos"], "Ethernet1: 'qos trust cos' at the port goes before its profile"),
        (["interface Ethernet1", "shutdown"], "Ethernet1: is shut down"),
    ],
)
def test_what_is_not_ours_and_contradicts_the_intent_is_a_warning(lines: list[str], says: str) -> None:
    told = found(*lines)
    assert len(told) == 1
    assert told[0].startswith("warning leaf1:")
    assert says in told[0]


def test_what_is_not_ours_and_contradicts_nothing_is_no_finding() -> None:
    assert (
        found("hostname x", "interface Ethernet9", "description spare", "priority-flow-control priority 3 no-drop")
        == []
    )
