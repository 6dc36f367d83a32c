# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Linux switch with the whole intent, over a switch in memory: trunks, PCP, broadcast, rates, DCB, the way back."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux import counters, verify
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import desired_switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.running import running_switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.session import Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.state import Switch, SwitchError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.tools import Iproute
from tests.unit.fabric.fake_switch import PATHS, FakeSwitch

PORTS = ["swp1", "swp2", "swp3"]
BEFORE = "var/lib/tickwire/switch/before.json"


def intent(**over: Any) -> dict[str, Any]:
    """Two trading ports and a trunk to another switch; backup travels in the storage VLAN only."""
    return {
        "name": "rack",
        "lanes": {
            "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 50},
            "cnp": {"dscp": [48], "priority": 6, "strict": True},
            "backup": {"dscp": [18], "priority": 2, "share": 20},
            "bulk": {"dscp": [0], "priority": 0, "share": 30, "default": True},
        },
        "vlans": {"trading": {"id": 110, "lanes": ["trading", "cnp", "bulk"]}, "storage": {"id": 120}},
        "mtu": {"host": 9000, "switch": 9000},
        "devices": {"sw1": {"os": "linux"}, "sw2": {"os": "linux"}},
        "links": [
            {"a": "sw1:swp1", "b": "trade1:fab0", "speed_gbps": 10, "cable_m": 1},
            {
                "a": "sw1:swp2",
                "b": "sw2:swp1",
                "speed_gbps": 100,
                "cable_m": 5,
                "vlan": "trading",
                "vlans": ["storage"],
            },
            {"a": "sw1:swp3", "b": "store1:fab0", "speed_gbps": 10, "cable_m": 1, "vlans": ["storage"]},
        ],
        **over,
    }


def desired(rates: dict[str, int] | None = None, **over: Any) -> Switch:
    return desired_switch(parse_intent(intent(**over)), "sw1", "br0", rates)


def session(switch: FakeSwitch, root: Path, rates: dict[str, int] | None = None, **over: Any) -> Session:
    return Session(Iproute(switch.run, PATHS), desired(rates, **over), root, True, "sw1")


def state_of(switch: FakeSwitch) -> Any:
    return copy.deepcopy((switch.links, switch.vlans, switch.qdiscs, switch.filters, switch.ingress, switch.dcb))


def test_a_port_has_the_queues_of_its_lanes_and_the_rest_is_of_the_default_lane() -> None:
    one, two = desired().port("swp1").egress, desired().port("swp2").egress
    assert one.ets and two.ets
    # no backup towards trade1: its DSCP has no filter there, and priomap is the last band
    assert (one.ets.bands, one.ets.priomap) == (3, (2,) * 16)
    assert {match.dscp for match in one.filters} == {0, 26, 48}
    assert (two.ets.bands, {match.dscp for match in two.filters}) == (4, {0, 18, 26, 48})


def test_the_default_lane_has_a_queue_even_where_no_vlan_carries_it() -> None:
    vlans = {"trading": {"id": 110, "lanes": ["trading"]}, "storage": {"id": 120}}
    egress = desired(vlans=vlans).port("swp1").egress
    assert egress.ets and egress.ets.bands == 2 and egress.ets.priomap == (1,) * 16


def test_a_trunk_matches_packets_with_a_tag() -> None:
    kinds = {name: {match.tagged for match in desired().port(name).egress.filters} for name in PORTS}
    assert kinds == {"swp1": {False}, "swp2": {True, False}, "swp3": {True}}
    assert [str(vlan) for vlan in desired().port("swp2").vlans] == ["110 pvid untagged", "120"]


def test_settings_of_a_port_are_that_ports() -> None:
    devices = intent()["devices"]
    devices["sw1"]["ports"] = {"swp1": {"mtu": 1500, "lanes": {"trading": {"ecn": {"kmin_kb": 10, "kmax_kb": 20}}}}}
    switch = desired(devices=devices)
    assert [port.mtu for port in switch.ports] == [1500, 9000, 9000] and switch.bridge and switch.bridge.mtu == 9000
    reds = {port.name: port.egress.reds[0][1].minimum for port in switch.ports}
    assert reds == {"swp1": 10_000, "swp2": 400_000, "swp3": 40_000}


def test_everything_is_configured_once(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    over = {"trust": "pcp", "storm_control": {"broadcast_percent": 1}}
    foretold = session(switch, tmp_path, {"swp1": 1000}, **over).check()
    done = session(switch, tmp_path, {"swp1": 1000}, **over).apply()
    assert foretold["commands"] == done["commands"] and done["findings"] == []
    assert switch.qdiscs["swp1"]["root"]["kind"] == "tbf" and switch.qdiscs["swp1"]["2:1"]["kind"] == "ets"
    switch.writes.clear()
    again = session(switch, tmp_path, {"swp1": 1000}, **over).apply()
    assert not again["changed"] and again["commands"] == [] and switch.writes == []


def test_trusted_pcp_is_a_priority_on_the_way_in_and_a_band_on_the_way_out() -> None:
    port = desired(trust="pcp").port("swp2")
    assert port.ingress.pcp == tuple(range(8)) and port.egress.filters == ()
    # bands: cnp 6, trading 3, backup 2, bulk 0; without a tag the default lane
    assert port.egress.ets and port.egress.ets.priomap == (3,) * 8 + (3, 3, 2, 1, 3, 3, 0, 3)


def test_back_from_trusted_pcp_and_limits_the_hook_goes(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path, trust="pcp", storm_control={"broadcast_percent": 1}).apply()
    assert set(switch.ingress) == set(PORTS)
    session(switch, tmp_path).apply()
    assert switch.ingress == {}


def test_a_limit_changes_in_place_and_strangers_on_the_hook_stay(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path, storm_control={"broadcast_percent": 1}).apply()
    switch.ingress["swp1"][(7, 1)] = {"protocol": "ip", "kind": "flower", "chain": 0, "options": {"keys": {}}}
    found = session(switch, tmp_path, storm_control={"broadcast_percent": 2}).apply()
    assert (7, 1) in switch.ingress["swp1"] and found["drift"] == [
        "swp1 broadcast: at most 100000000 bit/s, wanted at most 200000000 bit/s",
        "swp2 broadcast: at most 1000000000 bit/s, wanted at most 2000000000 bit/s",
        "swp3 broadcast: at most 100000000 bit/s, wanted at most 200000000 bit/s",
    ]
    (left,) = found["findings"]
    assert (left["severity"], left["rule"], left["port"]) == ("warning", "drift-unmanaged", "swp1")
    session(switch, tmp_path).apply()
    assert list(switch.ingress["swp1"]) == [(7, 1)], "no limit is wanted; the hook is not ours alone"


@pytest.mark.parametrize("rates", [{"swp1": 2000}, {}])
def test_a_rate_changes_in_place_or_goes(tmp_path: Path, rates: dict[str, int]) -> None:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path, {"swp1": 1000}).apply()
    switch.writes.clear()
    session(switch, tmp_path, rates).apply()
    assert not session(switch, tmp_path, rates).check()["changed"]
    if rates:
        assert len(switch.writes) == 1 and "tbf rate 2000000000bit" in switch.writes[0], "no packet is lost for it"
    assert ("2:1" in switch.qdiscs["swp1"]) == bool(rates)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"swp9": 10}, "rates_mbps: swp9 is no port of sw1"),
        ({"swp1": 0}, r"rates_mbps\.swp1: 0 has to be a whole number"),
        ({"swp1": "10"}, r"rates_mbps\.swp1: '10' has to be a whole number"),
    ],
)
def test_a_wrong_rate_is_refused(rates: dict[str, Any], said: str) -> None:
    with pytest.raises(IntentError, match=said):
        desired(rates)


def with_dcb(switch: FakeSwitch, *ports: str) -> FakeSwitch:
    for name in ports:
        switch.dcb[name] = {
            "pfc": {"pfc_cap": 8, "macsec_bypass": False, "delay": 0, "prio_pfc": [False] * 8},
            "ets": {"willing": True, "ets_cap": 8, "tc_bw": [0] * 8, "tc_tsa": ["strict"] * 8, "prio_tc": [0] * 8},
            "app": {"dscp_prio": [[10, 1, " "]]},
        }
    return switch


def test_dcb_where_the_driver_has_it(tmp_path: Path) -> None:
    switch = with_dcb(FakeSwitch(PORTS), "swp1")
    done = session(switch, tmp_path).apply()
    here = switch.dcb["swp1"]
    assert [number for number, on in enumerate(here["pfc"]["prio_pfc"]) if on] == [3]
    assert here["ets"]["prio_tc"] == [0, 0, 2, 3, 0, 0, 6, 0] and here["ets"]["willing"] is False
    assert here["ets"]["tc_tsa"][:4] == ["ets", "strict", "ets", "ets"] and here["ets"]["tc_bw"][:4] == [30, 0, 20, 50]
    assert [10, 1, " "] in here["app"]["dscp_prio"], "what is of no lane is left alone"
    assert [26, 3, " "] in here["app"]["dscp_prio"]
    assert [18, 0, " "] in here["app"]["dscp_prio"], "of a lane that the port does not carry: the default's priority"
    assert "dcb pfc set dev swp1 prio-pfc all:off 3:on" in done["commands"]
    assert not session(switch, tmp_path).check()["changed"]
    unit = (tmp_path / "etc/systemd/system/tickwire-switch.service").read_text()
    assert "ExecStart=/usr/sbin/dcb -batch /etc/tickwire/switch/dcb.batch" in unit
    here["pfc"]["prio_pfc"][4] = True
    assert session(switch, tmp_path).apply()["drift"] == ["swp1 dcb pfc: 3 4, wanted 3"]


def test_a_port_without_dcb_is_told_and_not_refused() -> None:
    fabric = parse_intent(intent(storm_control={"unknown_unicast_percent": 1}, ptp={"role": "boundary"}))
    switch = with_dcb(FakeSwitch(PORTS), "swp1")
    running = running_switch(Iproute(switch.run, PATHS), desired_switch(fabric, "sw1"))
    found = [str(one) for one in verify.limits(fabric, "sw1", running)]
    assert all(text.startswith("advice system-limit: ") for text in found)
    assert any("sw1:swp2: its driver has no DCB, so trading has no pause" in text for text in found)
    assert any("fabric.devices.sw1.watchdog: Linux has no PFC watchdog" in text for text in found)
    assert any("unicast" in text for text in found) and any("boundary clock" in text for text in found)


def test_dcb_that_refuses_is_put_back(tmp_path: Path) -> None:
    switch = with_dcb(FakeSwitch(PORTS), "swp1", "swp2")
    before = copy.deepcopy(switch.dcb)
    switch.fail = "ets set dev swp2"
    with pytest.raises(SwitchError, match=r"'dcb ets set dev swp2.*DCB was put back"):
        session(switch, tmp_path).apply()
    assert switch.dcb["swp1"]["pfc"] == before["swp1"]["pfc"]


@pytest.mark.parametrize("fresh", [True, False])
def test_the_way_back_is_exact_and_there_is_one(tmp_path: Path, fresh: bool) -> None:
    switch = with_dcb(FakeSwitch(PORTS), "swp1")
    if not fresh:
        session(switch, tmp_path, {"swp1": 1000}, trust="pcp", storm_control={"broadcast_percent": 1}).apply()
    files = {path: path.read_text() for path in (tmp_path / "etc").rglob("*") if path.is_file()}
    before = state_of(switch)
    vlans = {"trading": {"id": 111, "lanes": ["trading", "cnp", "bulk"]}, "storage": {"id": 120}}
    session(switch, tmp_path, mtu={"host": 1500, "switch": 1500}, vlans=vlans).apply()
    assert state_of(switch) != before
    foretold = session(switch, tmp_path).roll_back(check=True)
    done = session(switch, tmp_path).roll_back(check=False)
    shown = foretold["diff"][0]
    assert foretold["diff"] == done["diff"] and "1500" in shown["before"] and shown["after"] != shown["before"]
    assert "111" in shown["before"] and "111" not in shown["after"], "what goes and not what the intent wants"
    assert foretold["changed"] and done["changed"] and foretold["commands"] == done["commands"]
    left, wanted = state_of(switch), before
    if fresh:  # what nobody told the driver before has no line to take it back
        left[5]["swp1"]["app"], wanted[5]["swp1"]["app"] = {}, {}
    assert left == wanted
    assert {path: path.read_text() for path in (tmp_path / "etc").rglob("*") if path.is_file()} == files
    assert not (tmp_path / BEFORE).exists()
    again = session(switch, tmp_path).roll_back(check=False)
    assert not again["changed"]


def test_no_way_back_is_kept_of_a_run_without_a_change(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path).apply()
    (tmp_path / BEFORE).unlink()
    second = session(switch, tmp_path)
    second.apply()
    assert not second.kept and not (tmp_path / BEFORE).exists()


def test_a_change_that_failed_half_way_can_be_gone_back_from(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    before = state_of(switch)
    switch.fail = "vlan add dev swp2"
    failed = session(switch, tmp_path)
    with pytest.raises(SwitchError):
        failed.apply()
    assert failed.kept and state_of(switch) != before
    session(switch, tmp_path).roll_back(check=False)
    assert state_of(switch) == before


def test_queues_of_others_do_not_come_back_and_that_is_told(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    switch.qdiscs["swp1"] = {"root": {"kind": "netem", "handle": "8001:", "options": {}}}
    session(switch, tmp_path).apply()
    with pytest.raises(SwitchError, match=r"swp1: root qdisc netem 8001:.*kernel's default now, make them again"):
        session(switch, tmp_path).roll_back(check=False)
    assert switch.qdiscs["swp1"] == {} and "br0" not in switch.links


def test_a_broken_snapshot_is_named(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path).apply()
    (tmp_path / BEFORE).write_text('{"version": 99}')
    with pytest.raises(SwitchError, match=r"before\.json is no state of a switch \(version 99, 1 is known\)"):
        session(switch, tmp_path).roll_back(check=False)


def test_what_a_change_disrupts_is_told_beforehand(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path).apply()
    lanes = intent()["lanes"]
    lanes["cnp"] = {"dscp": [48], "priority": 6, "share": 10}
    lanes["bulk"]["share"] = 20
    vlans = {"trading": {"id": 111, "lanes": ["trading", "cnp", "bulk"]}, "storage": {"id": 120}}
    told = session(switch, tmp_path, mtu={"host": 1500, "switch": 1500}, lanes=lanes, vlans=vlans).check()
    assert {
        "swp1 changes its MTU: many drivers take the link down for it, for up to some seconds",
        "swp1 leaves VLAN 110",
        "the queues of swp1 are made anew: what waits in them is lost",
    } <= set(told["disruptions"])
    assert session(switch, tmp_path).check()["disruptions"] == []


CLASSES = [
    {"class": "tbf", "handle": "2:1", "parent": "2:", "leaf": "0x1", "stats": {}},
    {"class": "ets", "handle": "1:1", "root": True, "stats": {"bytes": 0, "packets": 4, "drops": 0, "backlog": 0}},
    {
        "class": "ets",
        "handle": "1:2",
        "root": True,
        "leaf": "0x12",
        "stats": {"packets": 22200, "drops": 0, "backlog": 9},
    },
    {"class": "ets", "handle": "1:3", "root": True, "leaf": "0x13", "stats": {"packets": 73912, "drops": 253}},
]
QDISCS = [
    {"kind": "tbf", "handle": "2:", "root": True},
    {"kind": "red", "handle": "13:", "parent": "1:3", "marked": 10043, "early": 253},
]


def test_counters_are_by_traffic_class_and_pauses_by_priority() -> None:
    outputs = {
        "tc -s -j class show dev swp1": CLASSES,
        "tc -s -j qdisc show dev swp1": QDISCS,
        "dcb -j -s pfc show dev swp1": '{"prio_pfc":[],"requests":[0,0,0,7,0,0,0,0],"indications":[0,0,0,9,0,0,0,0]}',
    }
    found = counters.by_traffic_class(counters.counters(outputs), parse_intent(intent()), "sw1").ports["swp1"]
    assert {name: queue.tx_packets for name, queue in found.queues.items()} == {"6": 4, "3": 22200, "0": 73912}
    assert found.queues["0"].ecn_marked_packets == 10043 and found.queues["3"].depth_bytes == 9
    assert (found.pfc["3"].rx_frames, found.pfc["3"].tx_frames) == (9, 7)


@pytest.mark.parametrize(
    ("text", "pauses"),
    [
        ("     rx_prio3_pause: 5\n     tx_prio3_pause: 6\n", {"3": (5, 6)}),
        ("     rx_priority_3_xoff.nic: 5\n     tx_priority_3_xoff.nic: 6\n", {"3": (5, 6)}),
        ("     rx_pause_prio_3: 5\n     tx_pause_prio_3: 6\n     tx_pause_duration_prio_3: 9\n", {"3": (5, 6)}),
        ("     rx_pause_ctrl_phy: 5\n     tx_pause_ctrl_phy: 6\n", {"all": (5, 6)}),
        ("NIC statistics:\n     rx_drops: 0\n     rx_pause_storm_warning_events: 1\n", {}),
    ],
)
def test_pauses_by_the_names_that_drivers_give_them(text: str, pauses: dict[str, tuple[int, int]]) -> None:
    found = counters.counters({"ethtool -S swp1": text}).ports["swp1"].pfc
    assert {key: (one.rx_frames, one.tx_frames) for key, one in found.items()} == pauses
