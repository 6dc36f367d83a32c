"""Reading a Nexus back: findings field by field, and counters, from answers as the 9.3 command reference names them."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos import counters, outputs, running, verify
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.context import context
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import Pause, Queue, WatchdogEvents
from tests.devices.nxapi import Nexus
from tests.unit.fabric.nxos_samples import OTHERS, change, findings, intent, rendered


def module(name: str, rows: object) -> dict[str, object]:
    return {"TABLE_module": {"ROW_module": {"mod_num": "1", f"TABLE_{name}": {f"ROW_{name}": rows}}}}


def of(text: str, **more: object) -> list[str]:
    """Findings of a running configuration, and of answers by name."""
    names = {"pfc": outputs.PFC, "queuing": outputs.QUEUING, "watchdog": outputs.WATCHDOG}
    state = {verify.RUNNING: text, **{names[key]: value for key, value in more.items()}}
    return [str(one) for one in verify.drift(parse_intent(intent()), "leaf1", state)]


def test_the_template_says_what_the_context_says() -> None:
    wanted = context(parse_intent(intent()), "leaf1")
    found = running.read(rendered(intent()), wanted["ports"])
    assert {key: found[key] for key in found} == {key: wanted[key] for key in found}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("match dscp 48", "match dscp 46,48", "classes TICKWIRE-cnp dscp: [46, 48], wanted [48]"),
        ("set qos-group 6", "set qos-group 5", "classifiers TICKWIRE-IN TICKWIRE-cnp: 5, wanted 6"),
        ("pause pfc-cos 3", "pause pfc-cos 4", "network_qos classes c-8q-nq3 pause_cos: 4, wanted 3"),
        ("    pause pfc-cos 3\n", "", "network_qos classes c-8q-nq3 pause_cos: missing, wanted 3"),
        ("percent 60", "percent 59", "schedulers TICKWIRE-OUT-100G c-out-8q-q3 percent: 59, wanted 60"),
        ("priority level 2", "priority level 3", "c-out-8q-q6 level: 3, wanted 2"),
        (
            "threshold 400000 bytes maximum",
            "threshold 500000 bytes maximum",
            "ecn minimum_bytes: 500000, wanted 400000",
        ),
        ("weight 0 ecn", "weight 0", "c-out-8q-q3 ecn: random-detect"),
        (
            "type network-qos TICKWIRE-NETWORK\ninterface",
            "type network-qos OTHER\ninterface",
            "network_qos name: OTHER",
        ),
        ("fixed-restore multiplier 4", "fixed-restore multiplier 9", "watchdog fixed_restore_multiplier: 9, wanted 4"),
        ("watch-dog-interval on\npriority", "watch-dog-interval off\npriority", "watchdog: missing"),
        ("ptp source 10.0.0.1", "ptp source 10.0.0.2", "ptp source: 10.0.0.2, wanted 10.0.0.1"),
        ("feature lldp\n", "", "feature lldp: missing, wanted enabled"),
        ("system jumbomtu 9214", "system jumbomtu 9000", "system jumbomtu: 9000, wanted 9214"),
        ("  name trading", "  name old", "vlans 110: old, wanted trading"),
        ("mode on send-tlv", "mode auto", "leaf1:Ethernet1/1 pfc: auto, wanted on"),
        ("mode on send-tlv", "mode on", "leaf1:Ethernet1/1 send_tlv: False, wanted True"),
        ("allowed vlan 110,120", "allowed vlan 110,120-130", "Ethernet1/49 allowed_vlans: [110, 120, 121"),
        ("access vlan 120", "access vlan 110", "Ethernet1/2 access_vlan: 110, wanted 120"),
        ("  lldp transmit", "  no lldp transmit", "Ethernet1/1 lldp: False, wanted True"),
        ("broadcast level 1.00", "broadcast level 2", "Ethernet1/1 broadcast_percent: 2.00, wanted 1.00"),
        ("  mtu 9214\n  storm", "  mtu 1500\n  storm", "Ethernet1/1 mtu: 1500, wanted 9214"),
        ("  switchport\n", "  no switchport\n", "Ethernet1/1 mode: missing, wanted access"),
        ("output TICKWIRE-OUT-25G", "output OTHER", "Ethernet1/2 scheduler: OTHER, wanted TICKWIRE-OUT-25G"),
        ("  ptp\n", "", "Ethernet1/1 ptp: False, wanted True"),
    ],
)
def test_each_field_that_differs_is_found(old: str, new: str, said: str) -> None:
    text = rendered(intent())
    assert old in text and of(text) == []
    first = of(text.replace(old, new, 1) if old != "system jumbomtu 9214" else text.replace(old, new))
    assert any(one.startswith("error drift: leaf1") and said in one for one in first), first


def test_the_working_state_counts_too() -> None:
    text = rendered(intent())
    rows = [
        {"if_name_str": "Ethernet1/1", "admin": "Auto", "oper": "Off", "rx-stats": "0", "tx-stats": "0"},
        {"if_name_str": "Eth1/49", "admin": "On", "oper": "On (18)", "rx-stats": "0", "tx-stats": "0"},
        {"if_name_str": "Ethernet1/2", "admin": "Off", "oper": "Off", "rx-stats": "0", "tx-stats": "0"},
    ]
    assert of(text, pfc=module("pfc_interface", rows)) == [
        "error drift: leaf1:Ethernet1/1 pfc admin: auto, wanted on; run the role again",
        "warning drift: leaf1:Ethernet1/1 pfc oper: off, wanted on: no pause is sent or obeyed; look whether the "
        "port is up",
        "error drift: leaf1:Ethernet1/49 pfc priorities: 0x18, wanted 0x8; run the role again",
    ]
    # one row is a mapping, and what cisco.nxos left as text is read too
    one = module("pfc_interface", {**rows[1], "oper": "On (8)"})
    assert of(text, pfc=one) == [] == of(text, pfc=json.dumps(one))
    queues = [{"qosgrp": "3", "bandwidth": "50"}, {"qosgrp": "6", "bandwidth": "-"}, {"qosgrp": "0", "bandwidth": "40"}]
    egress = {"dir": "Egress", "if_name_str": "Ethernet1/1", "TABLE_qosgrp_cfg": {"ROW_qosgrp_cfg": queues}}
    ingress = {"dir": "Ingress", "if_name_str": "Ethernet1/1", "TABLE_qosgrp_cfg": {"ROW_qosgrp_cfg": queues}}
    assert of(text, queuing=module("queuing_interface", [egress, ingress])) == [
        "error drift: leaf1:Ethernet1/1 queue 3 bandwidth: 50, wanted 60; run the role again"
    ]
    assert of(text, watchdog=module("queuing_interface", {"if_name_str": "Ethernet1/1", "wd-status": "Off"})) == [
        "error drift: leaf1:Ethernet1/1 watchdog: off, wanted on; run the role again"
    ]


def test_counters_have_the_shape_of_every_system() -> None:
    queuing = {
        "dir": "Egress",
        "if_name_str": "Ethernet1/1",
        "TABLE_qosgrp_egress_stats": {
            "ROW_qosgrp_egress_stats": [
                {
                    "eq-qosgrp": "3",
                    "TABLE_qosgrp_egress_stats_entry": {
                        "ROW_qosgrp_egress_stats_entry": [
                            entry("Tx", "Pkts", "1000", "0", "5"),
                            entry("Tx", "Byts", "64000", "0", "320"),
                            entry("WRED/AFD & Tail Drop", "Pkts", "7", "0", "1"),
                            entry("ECN", "Pkts", "42", "0", "0"),
                            entry("Q Depth", "Byts", "208", "0", "0"),
                        ]
                    },
                },
                {"eq-qosgrp": "CONTROL QOS GROUP", "TABLE_qosgrp_egress_stats_entry": {}},
            ]
        },
        "tx-ppp": "10",
        "rx-ppp": "20",
        "TABLE_pfc_stats": {
            "ROW_pfc_stats": {"cos": "3", "tx-pause-count": "10", "rx-pause-count": "20", "tx-pause-state": "Inactive"}
        },
    }
    stats = {"q-stat-type": "Stats", "q-shutdown": "2", "q-restored": "1", "q-aggr-pkt-dropped": "300"}
    watchdog = {
        "if_name_str": "Ethernet1/1",
        "wd-status": "On",
        "TABLE_qosgrp_stats": {
            "ROW_qosgrp_stats": [
                {
                    "eq-qosgrp": "3",
                    "eq-qosgrp-state": "Shutdown",
                    "pfc-configured": "Yes",
                    "pfc-cos": "3",
                    "TABLE_qosgrp_stats_entry": {"ROW_qosgrp_stats_entry": stats},
                },
                {"eq-qosgrp": "0", "eq-qosgrp-state": "Active", "pfc-configured": "No", "pfc-cos": "0"},
            ]
        },
    }
    pfc = {"if_name_str": "Ethernet1/1", "admin": "On", "oper": "On (8)", "rx-stats": "21", "tx-stats": "11"}
    found = counters.counters(
        {
            outputs.PFC: module("pfc_interface", pfc),
            outputs.QUEUING: module("queuing_interface", queuing),
            outputs.WATCHDOG: module("queuing_interface", watchdog),
        }
    )
    port = found.ports["Ethernet1/1"]
    assert port.pfc == {"3": Pause(rx_frames=20, tx_frames=10), "all": Pause(rx_frames=21, tx_frames=11)}
    assert port.queues == {"3": Queue(tx_packets=1005, dropped_packets=8, ecn_marked_packets=42, depth_bytes=208)}
    assert port.watchdog == {"3": WatchdogEvents("stormed", detected=2, restored=1, dropped_packets=300)}
    assert "pools" in found.missing


def entry(kind: str, units: str, unicast: str, out_of_band: str, multicast: str) -> dict[str, str]:
    return {
        "eq-stat-type": kind,
        "eq-stat-units": units,
        "eq-uc-stat-value": unicast,
        "eq-oobfc-uc-stat-value": out_of_band,
        "eq-mc-stat-value": multicast,
    }


def test_counters_of_a_switch_that_answers_nothing_are_none() -> None:
    assert counters.counters({}).ports == {}
    assert counters.counters({command: "" for command in counters.COMMANDS}).ports == {}


def test_counters_of_the_test_switch() -> None:
    switch = Nexus(OTHERS, pauses={"Ethernet1/1": (9, 4)})
    change(switch, intent())
    found = counters.counters({command: switch.execute(command, True) for command in counters.COMMANDS})
    assert found.ports["Ethernet1/1"].pfc["all"] == Pause(rx_frames=9, tx_frames=4)
    assert [one for one in findings(switch, intent()) if one.startswith("error")] == []
