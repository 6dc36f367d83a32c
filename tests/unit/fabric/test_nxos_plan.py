"""The difference to a Nexus: what is sent, in which order, what is left alone, and what it interrupts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.filter.nxos_plan import nxos_plan
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos import tree
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.disruption import disruptions
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.plan import plan
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.reading import IntentError
from tests.devices.nxapi import Nexus
from tests.devices.nxapi_grammar import HIDDEN
from tests.unit.fabric.nxos_samples import OTHERS, change, findings, intent, rendered


def block(text: str, line: str) -> list[str]:
    return list(tree.parse(text)[line])


def others(switch: Nexus) -> dict[str, Any]:
    """What is not ours on a switch."""
    top = tree.parse(switch.running())
    ours = (
        "TICKWIRE-",
        "interface Ethernet1/1",
        "interface Ethernet1/2",
        "interface Ethernet1/49",
        "vlan 1",
        "system ",
    )
    return {line: inner for line, inner in top.items() if not any(word in line for word in ours)}


def test_a_new_switch_gets_everything_and_then_nothing() -> None:
    switch = Nexus(OTHERS)
    before = others(switch)
    assert change(switch, intent())
    assert change(switch, intent()) == []
    assert before.items() <= others(switch).items()
    errors = [one for one in findings(switch, intent()) if one.startswith("error")]
    assert errors == []


def test_what_others_configured_against_the_intent_is_told() -> None:
    switch = Nexus(OTHERS)
    change(switch, intent())
    assert findings(switch, intent()) == [
        "warning drift-unmanaged: leaf1:Ethernet1/40: `priority-flow-control mode on` on a port that no link of the "
        "intent names; it is left alone, correct it or the intent"
    ]
    switch.enter(["interface Ethernet1/1", "shutdown", "interface Ethernet1/2", "channel-group 7 mode active"])
    said = findings(switch, intent())
    assert any("leaf1:Ethernet1/1: `shutdown`" in one for one in said)
    assert any("leaf1:Ethernet1/2: `channel-group 7 mode active`" in one for one in said)


def test_what_the_filter_tells_has_nothing_of_what_stays() -> None:
    secret = "username admin password 5 $5$abcdef role network-admin"
    found = nxos_plan(f"{secret}\n{OTHERS}", rendered(intent()))
    assert "mtu 9214" in found["after"] and "mtu 9214" not in found["before"]
    assert secret not in str(found)


def test_only_the_difference_is_sent() -> None:
    switch = Nexus(OTHERS)
    change(switch, intent())
    switch.enter(["interface Ethernet1/2", "mtu 1500", "no lldp transmit", "storm-control broadcast level 5"])
    assert change(switch, intent()) == [
        "interface Ethernet1/2",
        "mtu 9214",
        "storm-control broadcast level 1.00",
        "lldp transmit",
    ]


def test_a_port_is_never_a_trunk_of_all_vlans() -> None:
    switch = Nexus(OTHERS)
    access = intent()
    trunk = copy.deepcopy(access)
    link = next(one for one in trunk["links"] if one["a"] == "leaf1:Ethernet1/1")
    link.update(vlan="trading", vlans=["storage"])
    for before, after in ((access, trunk), (trunk, access)):
        change(switch, before)
        commands = change(switch, after)
        mode = next(index for index, one in enumerate(commands) if one.startswith("switchport mode "))
        vlans = [index for index, one in enumerate(commands) if "switchport trunk allowed vlan" in one]
        assert len(vlans) == 1
        assert (vlans[0] < mode) is (after is trunk), commands


def test_old_lines_of_ours_are_taken_away_and_policies_after_what_refers_to_them() -> None:
    switch = Nexus(OTHERS)
    old = intent()
    old["lanes"]["telemetry"] = {"dscp": [8], "priority": 1, "share": 10}
    old["lanes"]["bulk"]["share"] = 30
    old["links"].append({"a": "leaf1:Ethernet1/3", "b": "trade2:ens4", "speed_gbps": 10, "cable_m": 5})
    change(switch, old)
    new = intent()
    del new["storm_control"]
    new["links"].append({"a": "leaf1:Ethernet1/3", "b": "trade2:ens4", "speed_gbps": 25, "cable_m": 5})
    sent = change(switch, new)
    assert sent[-2:] == [
        "no policy-map type queuing TICKWIRE-OUT-10G",
        "no class-map type qos match-any TICKWIRE-telemetry",
    ]
    assert "no storm-control broadcast level 1.00" in sent
    assert "TICKWIRE-OUT-10G" not in switch.running() and "telemetry" not in switch.running()
    assert change(switch, new) == []


def test_a_policy_of_ours_on_a_port_of_others_stays() -> None:
    switch = Nexus(OTHERS)
    change(switch, intent())
    less = intent()
    less["links"].pop(1)
    first = plan(rendered(less), switch.running())
    assert set(first.in_use) == {"TICKWIRE-IN-2", "TICKWIRE-OUT-25G"}
    change(switch, less)
    assert "service-policy type queuing output TICKWIRE-OUT-25G" in block(switch.running(), "interface Ethernet1/2")
    assert any("leaf1:Ethernet1/2: `service-policy" in one for one in findings(switch, less))


def test_without_a_clock_in_the_intent_somebody_elses_stays() -> None:
    switch = Nexus("feature ptp\nptp source 10.9.9.9\ninterface Ethernet1/1\n  ptp\n")
    without = intent()
    del without["devices"]["leaf1"]["ptp"]
    change(switch, without)
    assert "ptp" in block(switch.running(), "interface Ethernet1/1")
    assert "ptp source 10.9.9.9" in switch.running()


def test_another_spelling_is_the_same() -> None:
    switch = Nexus(OTHERS)
    change(switch, intent())
    text = switch.running().replace("match dscp 24,25,26", "match dscp cs3,25,af31").replace("110,120", "110, 120")
    text = text.replace("level 1.00", "level 1").replace("\nvlan 110\n", "\nvlan 1,110-120\nvlan 110\n")
    assert plan(rendered(intent()), text).commands == ()


def test_a_list_of_vlans_over_two_lines_is_one_list() -> None:
    shown = (
        "interface Ethernet1/1\n  switchport trunk allowed vlan 1-3,7\n  switchport trunk allowed vlan add 9,12-13\n"
    )
    assert tree.parse(shown) == tree.parse("interface Ethernet1/1\n  switchport trunk allowed vlan 1,2,3,7,9,12,13\n")


def test_a_banner_and_comments_are_no_configuration() -> None:
    text = "!Time: now\nbanner motd @\ninterface Ethernet1/1\n  mtu 1\n@\nhostname x\n"
    assert tree.parse(text) == {"hostname x": {}}


def test_what_it_interrupts_is_told() -> None:
    switch = Nexus(OTHERS + "interface Ethernet1/2\n  ip address 10.1.1.1/24\n")
    first = disruptions(plan(rendered(intent()), switch.running()))
    assert [one.split(":")[0] for one in first] == [
        "network-qos of the system changes",
        "Ethernet1/2 is a routed port (ip address 10.1.1.1/24)",
    ]
    change(switch, intent())
    other = intent()
    other["lanes"]["trading"]["ecn"] = {"kmin_kb": 100, "kmax_kb": 400}
    assert disruptions(plan(rendered(other), switch.running())) == []
    other["lanes"]["trading"]["lossless"] = False
    assert len(disruptions(plan(rendered(other), switch.running()))) == 1


@st.composite
def intents(draw: st.DrawFn) -> dict[str, Any]:
    found = intent()
    shares = draw(st.lists(st.integers(1, 97), min_size=2, max_size=2).filter(lambda two: sum(two) < 100))
    lanes = found["lanes"]
    lanes["trading"]["share"], lanes["bulk"]["share"] = shares
    lanes["extra"] = {"dscp": [10, 12], "priority": 4, "share": 100 - sum(shares)}
    lanes["trading"]["dscp"] = draw(st.sampled_from([[26], [24, 26], [30]]))
    lanes["trading"]["lossless"] = draw(st.booleans())
    lanes["extra"]["lossless"] = draw(st.booleans())
    lanes["extra"]["traffic_class"] = draw(st.sampled_from([1, 4, 5, 7]))
    if draw(st.booleans()):
        lanes["cnp"] = {"dscp": [48], "priority": 6, "strict": True, "traffic_class": draw(st.sampled_from([2, 6]))}
    else:
        del lanes["cnp"]
        found["vlans"]["storage"]["lanes"] = ["bulk", "extra"]
    device = found["devices"]["leaf1"]
    device["mtu"] = draw(st.sampled_from([1500, 9000, 9214, 9216]))
    device["buffers"] = {"explicit_headroom": draw(st.booleans())}
    device["ports"] = {"Ethernet1/1": {"watchdog": {"detect_ms": draw(st.sampled_from([200, 500]))}}}
    found["trust"] = draw(st.sampled_from(["dscp", "pcp"]))
    found["lldp"] = draw(st.sampled_from([{}, {"dcbx": False}, {"enabled": False}]))
    if draw(st.booleans()):
        del found["storm_control"]
    found["links"][0]["vlans" if draw(st.booleans()) else "vlan"] = "trading"
    if "vlans" in found["links"][0]:
        found["links"][0]["vlans"] = ["trading"]
    for index in sorted(draw(st.sets(st.sampled_from([1, 2]))), reverse=True):
        found["links"].pop(index)
    return found


@settings(max_examples=8, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(intents(), intents())
def test_any_switch_takes_any_change_line_by_line(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The switch refuses a line that comes too early or too late: that it takes them all proves the order."""
    switch = Nexus(OTHERS)
    try:
        texts = rendered(first), rendered(second)
    except IntentError:
        assume(False)
    assert all(texts)
    before = others(switch)
    for found in (first, second, first):
        planned = plan(rendered(found), switch.running())
        change(switch, copy.deepcopy(found))
        # the plan foresaw what the switch has now
        assert set(tree.parse(planned.after)) ^ set(tree.parse(switch.running())) <= HIDDEN
        assert plan(rendered(found), switch.running()).commands == ()
        assert [one for one in findings(switch, found) if one.startswith("error")] == []
        assert before.items() <= others(switch).items()


@pytest.mark.parametrize("device", ["leaf1"])
def test_global_lines_come_before_any_block(device: str) -> None:
    """After a block, a line that both know would be the block's."""
    lines = rendered(intent(), device).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(" ")) - 1
    blocks = ("vlan", "class-map", "policy-map", "system qos", "interface", " ")
    assert all(line.startswith(blocks) for line in lines[first:])
