# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows of CONFIG_DB from an intent: values, what differs by platform and buffer model, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import PriorityGroup, Queue, WatchdogEvents
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.counters import from_hashes
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.desired import Platform, desired
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.plan import target
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.tables import Tables

INTENT: dict[str, Any] = {
    "name": "ldn1",
    "lanes": {
        "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
        "cnp": {"dscp": [48], "priority": 6, "strict": True},
        "bulk": {"dscp": [0], "priority": 0, "share": 40, "default": True},
    },
    "vlans": {"trading": 110, "storage": {"id": 120, "lanes": ["bulk"]}},
    "devices": {"leaf1": {"os": "sonic", "asic": "spectrum2", "ports": {}}},
    "links": [
        {"a": "leaf1:Ethernet0", "b": "trade1:ens4", "speed_gbps": 100, "cable_m": 4.5},
        {"a": "leaf1:Ethernet4", "b": "store1:ens4", "speed_gbps": 100, "cable_m": 5, "vlan": "storage"},
        {"a": "leaf1:Ethernet8", "b": "spine1:Ethernet0", "speed_gbps": 100, "cable_m": 5, "vlans": ["trading"]},
    ],
}


def rows(platform: Platform | None = None, leaf: dict[str, Any] | None = None, **changes: Any) -> Tables:
    intent = copy.deepcopy({**INTENT, **changes})
    intent["devices"]["leaf1"].update(leaf or {})
    return desired(parse_intent(intent), "leaf1", platform)


def test_classification_and_service() -> None:
    found = rows()
    assert found["PORT_QOS_MAP"]["Ethernet0"] == {
        "dscp_to_tc_map": "TICKWIRE_036",
        "tc_to_queue_map": "TICKWIRE_036",
        "tc_to_pg_map": "TICKWIRE_036",
        "pfc_to_queue_map": "TICKWIRE_036",
        "pfc_to_pg_map": "TICKWIRE_036",
        "pfc_enable": "3",
        "pfcwd_sw_enable": "3",
    }
    assert found["PORT_QOS_MAP"]["Ethernet4"]["pfc_enable"] == ""
    classes = found["DSCP_TO_TC_MAP"]
    assert {dscp: number for dscp, number in classes["TICKWIRE_036"].items() if number != "0"} == {"26": "3", "48": "6"}
    assert len(classes["TICKWIRE_036"]) == 64
    assert set(classes["TICKWIRE_0"].values()) == {"0"}
    assert found["TC_TO_PRIORITY_GROUP_MAP"]["TICKWIRE_036"]["3"] == "3"
    assert found["TC_TO_PRIORITY_GROUP_MAP"]["TICKWIRE_036"]["6"] == "0"
    assert found["MAP_PFC_PRIORITY_TO_QUEUE"] == {"TICKWIRE_036": {"3": "3"}}
    assert found["SCHEDULER"] == {
        "TICKWIRE_TC3": {"type": "DWRR", "weight": "60"},
        "TICKWIRE_TC6": {"type": "STRICT"},
        "TICKWIRE_TC0": {"type": "DWRR", "weight": "40"},
    }
    assert found["QUEUE"]["Ethernet0|3"] == {"scheduler": "TICKWIRE_TC3", "wred_profile": "TICKWIRE_TC3_100G"}
    assert found["QUEUE"]["Ethernet0|6"] == {"scheduler": "TICKWIRE_TC6"}
    assert found["WRED_PROFILE"]["TICKWIRE_TC3_100G"]["green_min_threshold"] == "400000"
    assert found["WRED_PROFILE"]["TICKWIRE_TC3_100G"]["green_max_threshold"] == "1600000"


def test_ports_vlans_and_watchdog() -> None:
    found = rows(mtu={"host": 9000, "switch": 9214}, storm_control={"broadcast_percent": 0.5})
    assert found["PORT"]["Ethernet0"] == {"mtu": "9214"}
    assert found["VLAN_MEMBER"]["Vlan110|Ethernet8"] == {"tagging_mode": "tagged"}
    assert found["VLAN_MEMBER"]["Vlan120|Ethernet4"] == {"tagging_mode": "untagged"}
    assert found["PFC_WD"]["Ethernet0"] == {"action": "drop", "detection_time": "200", "restoration_time": "400"}
    assert set(found["PFC_WD"]) == {"GLOBAL", "Ethernet0", "Ethernet8"}
    assert found["PORT_STORM_CONTROL"]["Ethernet0|broadcast"] == {"kbps": "500000"}
    assert found["LLDP"] == {"GLOBAL": {"enabled": "true"}}


def test_buffers_that_the_switch_computes() -> None:
    found = rows(buffers={"shared_headroom_ratio": 2, "alpha_exponent": -3})
    assert found["DEVICE_METADATA"] == {"localhost": {"buffer_model": "dynamic"}}
    assert found["BUFFER_PG"] == {"Ethernet0|3": {"profile": "NULL"}, "Ethernet8|3": {"profile": "NULL"}}
    assert found["CABLE_LENGTH"]["AZURE"] == {"Ethernet0": "5m", "Ethernet4": "5m", "Ethernet8": "5m"}
    assert found["DEFAULT_LOSSLESS_BUFFER_PARAMETER"]["AZURE"] == {
        "default_dynamic_th": "-3",
        "over_subscribe_ratio": "2",
    }
    assert all("size" not in pool for pool in found["BUFFER_POOL"].values())


def test_buffers_of_our_own_have_the_headroom_of_the_formula() -> None:
    found = rows(buffers={"model": "traditional", "total_kb": 42_000, "small_packet_percent": 100})
    # xoff and xon of SONiC's own script for Spectrum-2, 100 Gb/s, 5 m, MTU 9214
    assert found["BUFFER_PROFILE"]["TICKWIRE_PG_100G_5m_9214"] == {
        "pool": "ingress_lossless_pool",
        "size": "129024",
        "xon": "19456",
        "xoff": "109568",
        "dynamic_th": "0",
    }
    assert found["BUFFER_PG"]["Ethernet0|3"] == {"profile": "TICKWIRE_PG_100G_5m_9214"}
    # buffer_pool_mellanox.lua: management, and per port a lossy and a management group and a mirror buffer
    system = 256 * 1024 + 3 * (2 * 19_456 + 10 * 1024)
    assert found["BUFFER_POOL"]["ingress_lossless_pool"]["size"] == str(42_000_000 - 2 * 129_024 - system)
    assert found["BUFFER_POOL"]["egress_lossless_pool"]["size"] == "42000000"
    shared = rows(buffers={"model": "traditional", "total_kb": 42_000, "shared_headroom_ratio": 2})["BUFFER_POOL"]
    private = 10 * 1024
    assert shared["ingress_lossless_pool"]["xoff"] == str(109_568 - private)
    alone = 2 * (19_456 + private)
    assert shared["ingress_lossless_pool"]["size"] == str(42_000_000 - alone - (109_568 - private) - system)


def test_the_dynamic_model_keeps_no_size_of_the_traditional_one() -> None:
    fixed = rows(buffers={"model": "traditional", "total_kb": 42_000, "shared_headroom_ratio": 2})
    computed = rows(buffers={"model": "dynamic"})
    assert target(fixed, computed)["BUFFER_POOL"] == computed["BUFFER_POOL"]
    own = copy.deepcopy(computed)
    own["BUFFER_POOL"]["ingress_lossless_pool"]["percentage"] = "80"
    assert target(own, computed)["BUFFER_POOL"]["ingress_lossless_pool"]["percentage"] == "80"


def test_the_map_of_pauses_to_groups_is_for_the_chips_that_take_it() -> None:
    def has_it(found: Tables) -> bool:
        bound = "pfc_to_pg_map" in found["PORT_QOS_MAP"]["Ethernet0"]
        assert bound == ("PFC_PRIORITY_TO_PRIORITY_GROUP_MAP" in found)
        return bound

    assert has_it(rows())
    assert not has_it(rows(leaf={"asic": "generic"}))
    assert has_it(rows(Platform("barefoot"), {"asic": "generic"}))
    assert not has_it(rows(Platform("vs"), {"asic": "generic"}))


def test_ecn_is_counted_where_the_switch_can() -> None:
    assert "WRED_ECN_QUEUE" not in rows()["FLEX_COUNTER_TABLE"]
    assert rows(Platform("vs", ecn_counters=True))["FLEX_COUNTER_TABLE"]["WRED_ECN_QUEUE"] == {
        "FLEX_COUNTER_STATUS": "enable"
    }


def test_a_port_that_trusts_the_pcp_has_maps_of_its_own() -> None:
    found = rows(leaf={"ports": {"Ethernet0": {"trust": "pcp"}}})
    row = found["PORT_QOS_MAP"]["Ethernet0"]
    assert "dscp_to_tc_map" not in row
    assert row["dot1p_to_tc_map"] == "TICKWIRE_036_Ethernet0"
    assert found["DOT1P_TO_TC_MAP"]["TICKWIRE_036_Ethernet0"]["3"] == "3"
    assert found["PORT_QOS_MAP"]["Ethernet8"]["dscp_to_tc_map"] == "TICKWIRE_036"


@pytest.mark.parametrize(
    ("leaf", "changes", "message"),
    [
        (
            {"ptp": {"role": "boundary"}},
            {},
            "fabric.devices.leaf1.ptp.role: boundary: community SONiC has no PTP clock",
        ),
        ({"os": "eos"}, {"links": [{**INTENT["links"][0], "a": "leaf1:Ethernet1"}]}, "devices.leaf1.os: is eos"),
        (
            {},
            {"lanes": {**INTENT["lanes"], "trading": {**INTENT["lanes"]["trading"], "traffic_class": 4}}},
            "fabric.devices.leaf1.lanes.trading.traffic_class: 4 is not its priority 3",
        ),
        (
            {"ports": {"Ethernet8": {"watchdog": {"poll_ms": 150}}}},
            {},
            "fabric.devices.leaf1.ports.Ethernet8.watchdog.poll_ms: 150 is not the switch's 100",
        ),
        (
            {"ports": {"Ethernet8": {"buffers": {"alpha_exponent": 1}}}},
            {},
            "fabric.devices.leaf1.ports.Ethernet8.buffers.alpha_exponent: 1 is not the switch's 0",
        ),
        ({"asic": "generic", "buffers": {"model": "traditional"}}, {}, "leaf1.buffers.total_kb: is missing"),
        (
            {"buffers": {"model": "traditional", "total_kb": 200}},
            {},
            "buffers.total_kb: 200000 bytes are not more than",
        ),
        (
            {"storm_control": {"unknown_unicast_percent": 50}},
            {"links": [{**INTENT["links"][0], "speed_gbps": 400}]},
            "fabric.devices.leaf1.storm_control.unknown_unicast_percent: 50 percent of 400 Gb/s is 200000000 kb/s",
        ),
    ],
)
def test_what_community_sonic_cannot_have_is_refused_with_its_path(
    leaf: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(IntentError) as refused:
        rows(leaf=leaf, **changes)
    assert message in str(refused.value)


def test_buffers_are_computed_only_where_sonic_can() -> None:
    with pytest.raises(IntentError, match=r"buffers.model: dynamic, .* this switch is broadcom: take traditional"):
        rows(Platform("broadcom"))
    assert rows(Platform("broadcom"), buffers={"model": "traditional", "total_kb": 42_000})["BUFFER_POOL"]


def test_a_device_that_no_link_names_is_refused() -> None:
    with pytest.raises(IntentError, match=r"fabric.devices.leaf9: no link of the intent names this device"):
        desired(parse_intent(INTENT), "leaf9")


def test_counters_with_the_names_of_sonics_own_test_data() -> None:
    # names and values as in tests/mock_tables/counters_db.json and tests/pfcwd_input of sonic-utilities
    hashes = {
        "COUNTERS_PORT_NAME_MAP": {"Ethernet0": "oid:0x1000000000012"},
        "COUNTERS_QUEUE_NAME_MAP": {"Ethernet0:3": "oid:0x1500000000035a", "Ethernet0:10": "oid:0x15000000000363"},
        "COUNTERS_PG_NAME_MAP": {"Ethernet0:3": "oid:0x1a000000000352"},
        "COUNTERS_BUFFER_POOL_NAME_MAP": {"ingress_lossless_pool": "oid:0x18000000000b66"},
        "COUNTERS:oid:0x1000000000012": {
            "SAI_PORT_STAT_PFC_3_RX_PKTS": "203",
            "SAI_PORT_STAT_PFC_3_TX_PKTS": "213",
            "EST_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US": "71",
        },
        "COUNTERS:oid:0x1500000000035a": {
            "SAI_QUEUE_STAT_PACKETS": "11",
            "SAI_QUEUE_STAT_DROPPED_PACKETS": "36",
            "SAI_QUEUE_STAT_WRED_ECN_MARKED_PACKETS": "12",
            "SAI_QUEUE_STAT_SHARED_WATERMARK_BYTES": "15",
            "PFC_WD_STATUS": "stormed",
            "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": "1",
            "PFC_WD_QUEUE_STATS_DEADLOCK_RESTORED": "0",
            "PFC_WD_QUEUE_STATS_TX_DROPPED_PACKETS": "300",
            "PFC_WD_QUEUE_STATS_RX_DROPPED_PACKETS": "300",
        },
        "COUNTERS:oid:0x1a000000000352": {"SAI_INGRESS_PRIORITY_GROUP_STAT_DROPPED_PACKETS": "0"},
        "PERSISTENT_WATERMARKS:oid:0x1a000000000352": {
            "SAI_INGRESS_PRIORITY_GROUP_STAT_SHARED_WATERMARK_BYTES": "603",
            "SAI_INGRESS_PRIORITY_GROUP_STAT_XOFF_ROOM_WATERMARK_BYTES": "503",
        },
        "COUNTERS:oid:0x18000000000b66": {"SAI_BUFFER_POOL_STAT_WATERMARK_BYTES": "3000"},
    }
    found = from_hashes(hashes)
    port = found.ports["Ethernet0"]
    assert list(port.pfc) == ["3"]
    assert (port.pfc["3"].rx_frames, port.pfc["3"].tx_frames, port.pfc["3"].rx_pause_us) == (203, 213, 71)
    assert port.watchdog == {"3": WatchdogEvents("stormed", 1, 0, 600)}
    assert list(port.queues) == ["3", "10"]
    assert port.queues["3"] == Queue(11, 36, 12, None, 15)
    assert port.priority_groups == {"3": PriorityGroup(603, 503, 0)}
    assert found.pools == {"ingress_lossless_pool": 3000}
