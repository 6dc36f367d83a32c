# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Overrides per device and per port, VLANs that carry some lanes, trunks, paths and orders."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.mapping import fabric_mapping
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.model import Mtu
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.settings import Ecn, Ptp

BASE: dict[str, Any] = {
    "name": "ldn1",
    "lanes": {
        "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
        "cnp": {"dscp": [48], "priority": 6, "strict": True},
        "bulk": {"dscp": [0, 8], "priority": 0, "share": 40, "default": True},
    },
    "vlans": {"trading": 110, "storage": {"id": 120, "lanes": ["bulk", "cnp"]}},
    "devices": {
        "leaf1": {"os": "eos", "group": "rack1", "ports": {"Ethernet3": {}}},
        "spine1": {"os": "sonic", "tier": "spine", "version": "202311", "asic": "spectrum3", "latency_ns": 450},
    },
    "links": [
        {"a": "leaf1:Ethernet1", "b": "trade1:ens4", "speed_gbps": 100, "cable_m": 5},
        {"a": "leaf1:Ethernet2", "b": "store1:ens4", "speed_gbps": 25, "cable_m": 0.5, "vlan": "storage"},
        {
            "a": "leaf1:Ethernet3",
            "b": "spine1:Ethernet0",
            "speed_gbps": 400,
            "cable_m": 30,
            "vlans": ["storage", "trading"],
        },
    ],
    "paths": [{"name": "up", "hops": ["trade1", "leaf1", "spine1"], "lane": "trading", "target_ns": 5000}],
    "latency": {"host_stages_ns": {"nic_rx": 300}, "orders": {"pair": ["up", "up"]}},
}


def intent(path: str = "", value: object = None) -> dict[str, Any]:
    """BASE with the value at a path such as ``devices/leaf1/lanes``."""
    found = copy.deepcopy(BASE)
    here: Any = found
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in way:
        here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
    if path:
        here[last] = value
    return found


def test_devices_have_what_they_say() -> None:
    fabric = parse_intent(BASE)
    leaf, spine, host = (fabric.devices[name] for name in ("leaf1", "spine1", "trade1"))
    assert (leaf.os, leaf.tier, leaf.group, leaf.version, leaf.asic) == ("eos", 1, "rack1", None, None)
    assert (spine.os, spine.tier, spine.group, spine.version, spine.latency_ns) == ("sonic", 2, "spine1", "202311", 450)
    assert (host.os, host.tier, host.is_switch) == (None, 0, False)
    assert [device.name for device in fabric.switches] == ["leaf1", "spine1"]
    assert [device.name for device in fabric.hosts] == ["trade1", "store1"]
    assert fabric.orders[0].legs == ("up", "up") and fabric.host_stages_ns == {"nic_rx": 300}


def test_a_vlan_says_which_lanes_its_ports_have() -> None:
    trade, store, up = parse_intent(BASE).ports_of("leaf1")
    assert [lane.name for lane in trade.lanes] == ["cnp", "trading", "bulk"]
    assert [lane.name for lane in store.lanes] == ["cnp", "bulk"] and store.lossless == ()
    assert up.vlan is None and [vlan.vid for vlan in up.tagged] == [120, 110]
    assert [lane.name for lane in up.lossless] == ["trading"]


def test_a_link_may_carry_fewer_lanes_than_its_vlans() -> None:
    trade = parse_intent(intent("links/0/lanes", ["bulk"])).ports_of("leaf1")[0]
    assert [lane.name for lane in trade.lanes] == ["bulk"]


def test_an_override_is_for_its_device_and_a_port_s_for_its_port() -> None:
    given = intent("devices/leaf1/lanes", {"trading": {"ecn": {"kmin_kb": 10, "kmax_kb": 20}}})
    given["devices"]["leaf1"]["ports"]["Ethernet3"] = {
        "lanes": {"trading": {"ecn": {"pmax": 5}}},
        "ptp": {"enabled": False},
    }
    given["devices"]["leaf1"]["ptp"] = {"role": "boundary", "domain": 24}
    fabric = parse_intent(given)
    leaf = fabric.devices["leaf1"]
    assert leaf.settings.lane("trading").ecn == Ecn(10, 20, 20)
    assert leaf.at("Ethernet3").lane("trading").ecn == Ecn(10, 20, 5), "laid over the device's, not the fabric's"
    assert leaf.settings.ptp == Ptp("boundary", 24) and leaf.at("Ethernet3").ptp == Ptp("boundary", 24, enabled=False)
    assert fabric.devices["spine1"].settings is fabric.settings
    assert fabric.settings.lane("trading").ecn == Ecn()


def test_null_takes_a_key_away() -> None:
    lane = {"share": None, "strict": True, "lossless": False, "ecn": None}
    given = intent("devices/spine1/lanes", {"trading": lane, "bulk": {"share": 100}})
    trading = parse_intent(given).devices["spine1"].settings.lane("trading")
    assert (trading.strict, trading.share, trading.ecn) == (True, None, None)


def test_the_mtu_of_a_device_is_one_number() -> None:
    fabric = parse_intent({**intent("devices/store1", {"mtu": 1500}), "mtu": {"host": 9000, "switch": 9214}})
    assert fabric.devices["store1"].settings.mtu == Mtu(1500, 1500)
    assert [fabric.devices[name].mtu_at("x") for name in ("store1", "trade1", "leaf1")] == [1500, 9000, 9214]


def test_priority_groups() -> None:
    settings = parse_intent(BASE).settings
    assert [settings.priority_group(lane) for lane in settings.lanes] == [3, 0, 0]
    given = intent(
        "lanes",
        {
            "only": {"dscp": [0], "priority": 0, "lossless": True, "share": 99, "default": True},
            "rest": {"dscp": [1], "priority": 1, "share": 1},
        },
    )
    given["vlans"], given["links"], given["devices"] = {"trading": 110}, given["links"][:1], {}
    del given["paths"], given["latency"]
    settings = parse_intent(given).settings
    assert [settings.priority_group(lane) for lane in settings.lanes] == [0, 1], "a lossless lane has its group alone"


def test_round_trip() -> None:
    given = intent("devices/leaf1/lanes", {"trading": {"ecn": {"kmin_kb": 10, "kmax_kb": 20}}})
    given["devices"]["leaf1"]["ports"]["Ethernet3"] = {
        "lanes": {"trading": {"ecn": None, "lossless": False}},
        "mtu": 9100,
        "storm_control": {"broadcast_percent": 0.5},
        "buffers": {"alpha_exponent": -1},
    }
    given["devices"]["spine1"]["lldp"] = {"enabled": False}
    fabric = parse_intent(given)
    assert parse_intent(fabric_mapping(fabric)) == fabric
    assert fabric_mapping(parse_intent(fabric_mapping(fabric))) == fabric_mapping(fabric)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "devices/leaf9",
            {"os": "eos"},
            "fabric.devices.leaf9: no link names this device; devices there: leaf1, trade1",
        ),
        ("devices/leaf1/os", "ios", "fabric.devices.leaf1.os: 'ios' is none of eos, nxos"),
        ("devices/leaf1/tier", "host", "fabric.devices.leaf1.tier: host with os eos: a switch has an os"),
        ("devices/leaf1/group", "a b", "fabric.devices.leaf1.group: 'a b' is no name of a group"),
        ("devices/leaf1/asic", "spectrum9", "fabric.devices.leaf1.asic: 'spectrum9' is none of spectrum1"),
        ("devices/leaf1/version", 5.15, "fabric.devices.leaf1.version: 5.15 has to be a string"),
        ("devices/leaf1/latency_ns", 0, "fabric.devices.leaf1.latency_ns: 0 is outside 1..10000000"),
        (
            "devices/leaf1/lanes",
            {"voice": {}},
            "fabric.devices.leaf1.lanes.voice: no lane of fabric.lanes has this name",
        ),
        ("devices/leaf1/lanes", {"bulk": {"share": 41}}, "fabric.devices.leaf1.lanes: the shares of the lanes"),
        (
            "devices/leaf1/ports/Ethernet9",
            {},
            "fabric.devices.leaf1.ports.Ethernet9: no link names this port; ports of leaf1",
        ),
        ("devices/leaf1/ports/Ethernet3", {"mtu": 1}, "fabric.devices.leaf1.ports.Ethernet3.mtu.host: 1 is outside"),
        *(
            (
                "devices/leaf1/ports/Ethernet3",
                {section: {key: value}},
                f"fabric.devices.leaf1.ports.Ethernet3.{section}.{key}: {value}, and {whole} for the device, which has",
            )
            for section, key, value, whole in (
                ("ptp", "role", "transparent", "none"),
                ("ptp", "domain", 5, 0),
                ("ptp", "source", "192.0.2.9", None),
                ("buffers", "total_kb", 9000, None),
                ("buffers", "lossless_percent", 30, 50),
                ("buffers", "shared_headroom_ratio", 2, 0),
                ("buffers", "model", "traditional", "dynamic"),
            )
        ),
        ("links/0/a", "leaf1:swp1", "fabric.links[0]: leaf1:swp1 is no port of eos, which writes it like Ethernet1/1"),
        (
            "links/1/lanes",
            ["trading"],
            "fabric.links[1].lanes[0]: 'trading' is no lane of its VLANs (storage): cnp, bulk",
        ),
        ("links/2/vlans", ["trading", "trading"], "fabric.links[2].vlans[1]: trading is on this link already"),
        ("links/2/vlans", ["market"], "fabric.links[2].vlans[0]: 'market' is not in fabric.vlans"),
        ("vlans/storage/lanes", ["voice"], "fabric.vlans.storage.lanes[0]: 'voice' is no lane of fabric.lanes"),
        ("vlans/storage/id", 110, "fabric.vlans.storage: 110 is already the VLAN of fabric.vlans.trading"),
        ("lanes/cnp/traffic_class", 3, "fabric.lanes.cnp.traffic_class: 3 belongs to fabric.lanes.trading already"),
        ("watchdog", {"detect_ms": 200, "poll_ms": 300}, "fabric.watchdog.detect_ms: 200 is below poll_ms 300"),
        ("lldp", {"enabled": False, "dcbx": True}, "fabric.lldp.dcbx: true with enabled: false; DCBX travels in LLDP"),
        ("ptp", {"source": "leaf1"}, "fabric.ptp.source: 'leaf1' has to be an IPv4 address"),
        (
            "storm_control",
            {"broadcast_percent": 0},
            "fabric.storm_control.broadcast_percent: 0 has to be a number above 0",
        ),
        ("buffers", {"alpha_exponent": 9}, "fabric.buffers.alpha_exponent: 9 is outside -7..3"),
        (
            "buffers",
            {"explicit_headroom": "yes"},
            "fabric.buffers.explicit_headroom: 'yes' has to be true or false",
        ),
        ("routing", "ospf", "fabric.routing: 'ospf' is none of valley_free, given"),
        ("paths", {}, "fabric.paths: {} has to be a list"),
        ("paths/0/hops", ["trade1"], "fabric.paths[0].hops: trade1 alone is no path"),
        ("paths/0/hops", ["trade1", "spine1"], "fabric.paths[0].hops[1]: no link joins trade1 and spine1"),
        ("paths/0/hops", ["trade1", "leaf9"], "fabric.paths[0].hops[1]: 'leaf9' is in no link of fabric.links"),
        ("paths/0/lane", "voice", "fabric.paths[0].lane: 'voice' is none of trading, cnp, bulk"),
        ("latency/orders/pair", ["down"], "fabric.latency.orders.pair[0]: 'down' is no path of fabric.paths: up"),
    ],
)
def test_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(IntentError) as caught:
        parse_intent(intent(path, value))
    assert str(caught.value).startswith(message)


def test_given_routing_needs_paths() -> None:
    given = {**BASE, "routing": "given", "paths": [], "latency": {}}
    with pytest.raises(IntentError, match="fabric.routing: given needs fabric.paths, and there are none"):
        parse_intent(given)
