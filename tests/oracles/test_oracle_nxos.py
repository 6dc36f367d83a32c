"""The lines for a Nexus against other people's readers: those of cisco.nxos and hier_config.

Nobody's parser knows the QoS lines of NX-OS (genie and ntc-templates have none). For them stand the lines that
Microsoft publishes for the switches of Azure Local, and Cisco's own script for RoCE, which the test switch has to take.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hier_config import HConfig, HConfigChild, Platform, WorkflowRemediation, get_hconfig

from ansible_collections.cisco.nxos.plugins.module_utils.network.nxos.facts.lldp_interfaces import lldp_interfaces
from ansible_collections.cisco.nxos.plugins.module_utils.network.nxos.rm_templates.interfaces import InterfacesTemplate
from ansible_collections.cisco.nxos.plugins.module_utils.network.nxos.rm_templates.l2_interfaces import (
    L2_interfacesTemplate,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from tests.devices.nxapi import Nexus
from tests.devices.nxapi_grammar import HIDDEN
from tests.unit.fabric.nxos_samples import OTHERS, change, intent, rendered

PUBLISHED = """
class-map type qos match-any CNP
  match dscp 48
class-map type qos match-any ROCEv2
  match dscp 24-31
class-map type qos match-any RDMA
  match cos 3
policy-map type qos QOS_CLASSIFICATION
  class ROCEv2
    set qos-group 3
  class CNP
    set qos-group 7
  class class-default
    set qos-group 0
policy-map type network-qos qos_network
  class type network-qos c-8q-nq3
    mtu 9216
    pause pfc-cos 3
  class type network-qos c-8q-nq-default
    mtu 9216
policy-map type queuing QOS_EGRESS_PORT
  class type queuing c-out-8q-q7
    priority level 1
  class type queuing c-out-8q-q3
    bandwidth remaining percent 50
    random-detect minimum-threshold 950 kbytes maximum-threshold 3000 kbytes drop-probability 7 weight 0 ecn
  class type queuing c-out-8q-q-default
    bandwidth remaining percent 50
  class type queuing c-out-8q-q1
    bandwidth remaining percent 0
system qos
  service-policy type network-qos qos_network
interface Ethernet1/1
  priority-flow-control mode on send-tlv
  priority-flow-control watch-dog-interval on
  mtu 9216
  service-policy type qos input QOS_CLASSIFICATION
"""


def ports_of(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[next(number for number, line in enumerate(lines) if line.startswith("interface ")) :]


def test_cisco_nxos_reads_vlans_and_mtu_of_every_port_as_the_intent_has_them() -> None:
    lines = ports_of(rendered(intent()))
    switchports = L2_interfacesTemplate(lines=lines).parse()
    interfaces = InterfacesTemplate(lines=lines).parse()
    ports = parse_intent(intent()).ports_of("leaf1")
    assert sorted(switchports) == sorted(port.name for port in ports)
    for port in ports:
        found, vids = switchports[port.name], sorted(vlan.vid for vlan in port.vlans)
        if port.tagged:
            allowed = found["trunk"]["allowed_vlans"]
            assert found["mode"] == "trunk"
            assert [int(vid) for vid in (allowed.split(",") if isinstance(allowed, str) else allowed)] == vids
        else:
            assert found["mode"] == "access" and [int(found["access"]["vlan"])] == vids
        assert int(interfaces[port.name]["mtu"]) == port.mtu
        assert interfaces[port.name]["mode"] == "layer2"


@pytest.mark.parametrize("enabled", [True, False])
def test_cisco_nxos_reads_lldp_of_a_port_as_the_intent_has_it(enabled: bool) -> None:
    wanted = intent()
    wanted["devices"]["leaf1"]["ports"] = {"Ethernet1/2": {"lldp": {"enabled": enabled, "dcbx": enabled}}}
    facts: dict[str, dict[str, list[dict[str, object]]]] = {"ansible_network_resources": {}}
    lines = "\n".join(line for line in ports_of(rendered(wanted)) if line.startswith("interface ") or "lldp " in line)
    lldp_interfaces.Lldp_interfacesFacts(module=None).populate_facts(None, facts, lines)
    found = {port["name"]: port for port in facts["ansible_network_resources"]["lldp_interfaces"]}
    assert found["Ethernet1/1"] == {"name": "Ethernet1/1", "receive": True, "transmit": True}
    assert found["Ethernet1/2"] == {"name": "Ethernet1/2", "receive": enabled, "transmit": enabled}


def walk(node: HConfig | HConfigChild, depth: int = 0) -> Iterator[str]:
    for child in node.children:
        yield "  " * depth + child.text
        yield from walk(child, depth + 1)


def test_hier_config_reads_the_same_blocks() -> None:
    text = rendered(intent())
    assert list(walk(get_hconfig(Platform.CISCO_NXOS, text))) == text.splitlines()


def test_hier_config_finds_nothing_left_to_add() -> None:
    switch = Nexus(OTHERS)
    change(switch, intent())
    running = get_hconfig(Platform.CISCO_NXOS, switch.running())
    wanted = get_hconfig(Platform.CISCO_NXOS, rendered(intent()))
    left = WorkflowRemediation(running, wanted).remediation_config
    blocks = {child.text for child in wanted.children}
    adds = [line.strip() for line in walk(left) if not line.strip().startswith("no ")]
    assert {line for line in adds if line not in blocks} <= HIDDEN | {"lldp transmit", "lldp receive"}
    # and what it would take away is others'
    gone = [child.text for child in left.children if child.text.startswith("no ")]
    assert not any("TICKWIRE" in line for line in gone)


def test_the_test_switch_takes_what_is_published_for_real_ones() -> None:
    lines = PUBLISHED.strip().splitlines()
    assert Nexus().enter(lines) == (len(lines), "")


@pytest.mark.parametrize(
    "line",
    [
        "bandwidth remaining percent 101",
        "mtu 9217",
        "pause pfc-cos 8",
        "set qos-group 8",
        "priority-flow-control mode maybe",
        "class type network-qos c-8q-nq8",
        "class type queuing c-out-8q-q8",
        "match dscp",
        "storm-control broadcast level 101",
        "interface Ethernet1",
    ],
)
def test_and_refuses_what_they_refuse(line: str) -> None:
    for block in PUBLISHED.strip().split("\n"):
        if not block.startswith(" "):
            taken, said = Nexus(PUBLISHED).enter([block, line])
            assert taken == 1 and said, block
