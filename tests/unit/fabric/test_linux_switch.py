# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Linux switch over a switch in memory: plan, apply, check mode, put back, boot."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.boot import boot_files, escape
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import desired_switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.session import Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.state import Switch, SwitchError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.tools import Iproute
from tests.unit.fabric.fake_switch import PATHS, FakeSwitch

ROOT = Path(__file__).parents[3]
PORTS = ["swp1", "swp2"]


def lab_intent() -> dict[str, Any]:
    """The lab's, with ECN on one lane only: two kinds of bands."""
    intent = yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())["fabric"]
    del intent["lanes"]["bulk"]["ecn"]
    return intent


def desired(intent: dict[str, Any] | None = None) -> Switch:
    return desired_switch(parse_intent(intent or lab_intent()), "sw1")


def session(switch: FakeSwitch, root: Path, intent: dict[str, Any] | None = None, persist: bool = True) -> Session:
    return Session(Iproute(switch.run, PATHS), desired(intent), root, persist)


@pytest.fixture
def configured(tmp_path: Path) -> FakeSwitch:
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path).apply()
    switch.writes.clear()
    return switch


def test_desired_state_of_the_lab_is_what_the_contract_says() -> None:
    port = desired().port("swp2")
    assert (port.mtu, port.master, str(port.vlans[0])) == (9000, "br0", "110 pvid untagged")
    egress = port.egress
    # cnp strict first, then trading (priority 3), then bulk (priority 0), which takes everything else
    assert egress.ets and (egress.ets.bands, egress.ets.strict, egress.ets.quanta) == (3, 1, (9014, 9014))
    assert egress.ets.priomap == (2,) * 16
    assert [(match.family, match.dscp, match.band) for match in egress.filters] == [
        ("ip", 0, 3),
        ("ip", 26, 2),
        ("ip", 48, 1),
        ("ipv6", 0, 3),
        ("ipv6", 26, 2),
        ("ipv6", 48, 1),
    ]
    ((band, red),) = egress.reds
    assert band == 2
    assert (red.minimum, red.maximum, red.limit, red.probability) == (400_000, 1_600_000, 6_400_000, 0.2)
    assert red.ecn and red.nodrop
    assert red.burst * 3 * red.avpkt >= 2 * red.minimum + red.maximum


def test_quanta_follow_the_shares_and_the_smallest_is_a_frame() -> None:
    intent = lab_intent()
    intent["lanes"]["trading"]["share"] = 80
    intent["lanes"]["bulk"]["share"] = 20
    ets = desired(intent).port("swp1").egress.ets
    assert ets and ets.quanta == (4 * 9014, 9014)


def test_first_run_configures_and_second_changes_nothing(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    first = session(switch, tmp_path).apply()
    assert first["changed"] and first["drift"] and first["diff"]
    assert switch.links["br0"]["bridge"] == {
        "vlan_filtering": 1,
        "vlan_default_pvid": 0,
        "stp_state": 0,
        "mcast_snooping": 0,
    }
    assert switch.vlans["swp1"] == {110: ["PVID", "Egress Untagged"]}
    assert switch.qdiscs["swp1"]["1:2"]["options"]["min"] == 400_000
    switch.writes.clear()
    second = session(switch, tmp_path).apply()
    assert (second["changed"], second["commands"], second["drift"], second["diff"]) == (False, [], [], [])
    assert switch.writes == []
    assert second["state"]["ports"]["swp2"]["dscp"]["ip 26"] == 2  # type: ignore[index]


def test_check_mode_writes_nothing_and_foretells_the_commands(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    foretold = session(switch, tmp_path).check()
    assert switch.writes == [] and list(tmp_path.iterdir()) == []
    done = session(switch, tmp_path).apply()
    assert foretold["changed"]
    assert foretold["commands"] == done["commands"] == switch.writes
    assert foretold["files"] == done["files"]


def test_only_the_differing_port_is_touched(configured: FakeSwitch, tmp_path: Path) -> None:
    configured.qdiscs["swp2"]["1:2"]["options"]["max"] = 1_700_000
    result = session(configured, tmp_path).apply()
    assert result["drift"] == [
        "swp2 band 2: red, marks from 400000 to 1700000 bytes up to probability 0.2, limit 6400000, ewma 6, ecn nodrop,"
        " wanted red, marks from 400000 to 1600000 bytes up to probability 0.2, limit 6400000, ewma 6, ecn nodrop"
    ]
    assert len(configured.writes) == 1 and "dev swp2 parent 1:2 handle 12: red" in configured.writes[0]


@pytest.mark.parametrize("option", ["ecn", "nodrop", "harddrop", "min", "limit", "ewma"])
def test_every_option_of_red_counts(configured: FakeSwitch, tmp_path: Path, option: str) -> None:
    options = configured.qdiscs["swp1"]["1:2"]["options"]
    options[option] = not options[option] if isinstance(options[option], bool) else options[option] + 1
    assert session(configured, tmp_path).apply()["drift"]
    assert not session(configured, tmp_path).check()["changed"]


def test_shares_change_in_place(configured: FakeSwitch, tmp_path: Path) -> None:
    intent = lab_intent()
    intent["lanes"]["trading"]["share"], intent["lanes"]["bulk"]["share"] = 75, 25
    session(configured, tmp_path, intent).apply()
    assert [line.split(" ets ")[0] for line in configured.writes] == [
        "tc qdisc replace dev swp1 root handle 1:",
        "tc qdisc replace dev swp2 root handle 1:",
    ]


def test_a_netem_root_is_named_and_replaced(configured: FakeSwitch, tmp_path: Path) -> None:
    for handle in ("8001:", "1:"):  # tc qdisc replace dev swp2 root [handle 1:] netem delay 20ms
        configured.qdiscs["swp2"] = {"root": {"kind": "netem", "handle": handle, "options": {}}}
        configured.filters["swp2"] = {}
        result = session(configured, tmp_path).apply()
        assert f"swp2 not ours 1: root qdisc netem {handle}, wanted nothing" in result["drift"]  # type: ignore[operator]
        assert not session(configured, tmp_path).check()["changed"]
    assert all("swp1" not in line for line in configured.writes)


def test_a_foreign_child_or_filter_is_drift(configured: FakeSwitch, tmp_path: Path) -> None:
    configured.qdiscs["swp1"]["1:3"] = {"kind": "netem", "handle": "13:", "options": {}}
    stranger = copy.deepcopy(next(iter(configured.filters["swp2"].values())))
    stranger["options"]["keys"]["dst_port"] = 4791
    configured.filters["swp2"][(10, 99)] = stranger
    result = session(configured, tmp_path).apply()
    assert result["drift"] == [
        "swp1 not ours 1: qdisc netem 13: under 1:3, wanted nothing",
        "swp2 not ours 1: filter ip pref 10 flower 1, wanted nothing",
    ]
    assert not session(configured, tmp_path).check()["changed"]


def test_a_wrong_vlan_goes(configured: FakeSwitch, tmp_path: Path) -> None:
    configured.vlans["swp1"][1] = ["Egress Untagged"]
    session(configured, tmp_path).apply()
    assert configured.writes == ["bridge vlan del dev swp1 vid 1"]


def test_an_existing_bridge_with_default_pvid_is_taken_over(tmp_path: Path) -> None:
    switch = FakeSwitch([*PORTS, "swp3"])
    for line in ("link add name br0 type bridge", "link set dev swp1 master br0", "link set dev swp3 master br0"):
        switch._ip(line.split())
    result = session(switch, tmp_path).apply()
    assert switch.vlans["swp1"] == {110: ["PVID", "Egress Untagged"]}
    assert result["unmanaged"] == ["swp3"]
    assert not session(switch, tmp_path).check()["changed"]


def test_a_vlan_named_by_the_link(tmp_path: Path) -> None:
    intent = lab_intent()
    intent["links"][1]["vlan"] = "storage"
    switch = FakeSwitch(PORTS)
    session(switch, tmp_path, intent).apply()
    assert list(switch.vlans["swp1"]) == [110] and list(switch.vlans["swp2"]) == [120]


@pytest.mark.parametrize("refused", ["classid 1:2", "handle 12: red", "root handle 1: ets"])
def test_a_refused_line_puts_the_former_queues_back(configured: FakeSwitch, tmp_path: Path, refused: str) -> None:
    before = copy.deepcopy((configured.qdiscs, configured.filters))
    intent = lab_intent()
    intent["lanes"]["trading"]["ecn"]["kmax_kb"] = 2000
    intent["lanes"]["trading"]["dscp"] = [34]
    intent["lanes"]["trading"]["share"], intent["lanes"]["bulk"]["share"] = 60, 40
    configured.fail = refused
    with pytest.raises(SwitchError, match=r"failed: Error: RTNETLINK.*former queues of swp1 were put back") as error:
        session(configured, tmp_path, intent).apply()
    assert "Nothing was changed before it" in str(error.value)
    assert (configured.qdiscs, configured.filters) == before


def test_a_refused_line_on_a_fresh_port_leaves_the_default(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    switch.fail = "dev swp2 parent 1:2 handle 12: red"
    with pytest.raises(SwitchError, match="former queues of swp2 were put back") as error:
        session(switch, tmp_path).apply()
    assert switch.qdiscs["swp2"] == {} and "1:2" in switch.qdiscs["swp1"]
    assert "ip link add name br0" in str(error.value), "what had worked is named"
    assert not (tmp_path / "etc/tickwire").exists(), "no boot may start what did not work"


def test_queues_which_did_not_come_back_are_told(configured: FakeSwitch, tmp_path: Path) -> None:
    intent = lab_intent()
    intent["lanes"]["trading"]["ecn"]["kmax_kb"] = 2000
    configured.fail, configured.fail_times = "handle 12: red", 2
    with pytest.raises(
        SwitchError, match="swp1 could not be put back: 'tc qdisc replace dev swp1 parent 1:2.*tc qdisc show"
    ):
        session(configured, tmp_path, intent).apply()


def test_putting_back_is_read_back(configured: FakeSwitch, tmp_path: Path) -> None:
    class Forgetful(FakeSwitch):
        def _filter(self, name: str, words: list[str]) -> None:
            """Says yes and does nothing."""

    intent = lab_intent()
    intent["lanes"]["trading"]["ecn"]["kmax_kb"] = 2000
    configured.fail = "handle 12: red"
    configured.__class__ = Forgetful
    with pytest.raises(SwitchError, match="the former queues of swp1 could not be put back; look at"):
        session(configured, tmp_path, intent).apply()


def test_a_port_of_another_bridge_leaves_its_vlans_there(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    switch._ip("link add name br9 type bridge".split())
    switch._ip("link set dev swp1 master br9".split())
    switch.vlans["swp1"] = {5: [], 110: ["PVID", "Egress Untagged"]}
    commands = session(switch, tmp_path).check()["commands"]
    assert "bridge vlan add dev swp1 vid 110 pvid untagged" in commands  # type: ignore[operator]
    assert "vlan del" not in str(commands)
    assert session(switch, tmp_path).apply()["commands"] == commands
    assert not session(switch, tmp_path).check()["changed"]


def test_foreign_queues_which_can_not_be_put_back_are_named(configured: FakeSwitch, tmp_path: Path) -> None:
    configured.qdiscs["swp2"] = {"root": {"kind": "netem", "handle": "8001:", "options": {}}}
    configured.fail = "classid 1:2"
    with pytest.raises(SwitchError, match="netem 8001:.*can not be put back"):
        session(configured, tmp_path).apply()


@pytest.mark.parametrize(
    ("refused", "untouched"), [("master br0", "VLANs and queues were not"), ("vlan add dev swp2", "queues were not")]
)
def test_a_refused_line_before_the_queues_says_what_stays(tmp_path: Path, refused: str, untouched: str) -> None:
    switch = FakeSwitch(PORTS)
    switch.fail = refused
    with pytest.raises(SwitchError, match=untouched) as error:
        session(switch, tmp_path).apply()
    said = str(error.value)
    assert all(line in said for line in switch.writes if not line.startswith("networkctl"))


def test_somebody_else_configuring_the_ports_is_told(tmp_path: Path) -> None:
    class Meddler(FakeSwitch):
        def _show_links(self) -> list[dict[str, Any]]:
            self.links["swp1"]["master"] = ""
            return super()._show_links()

    with pytest.raises(SwitchError, match=r"swp1 bridge: none, wanted br0.*systemd-networkd"):
        session(Meddler(PORTS), tmp_path).apply()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"links": ["swp1"]}, "port swp2 of fabric.links is not on this machine, which has swp1"),
        ({"max_mtu": 1500}, "port swp1 can not carry fabric.mtu.switch 9000: its driver allows 1500"),
        ({"bridge": True}, "br0 exists and is no bridge"),
    ],
)
def test_preflight_refuses(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    switch = FakeSwitch(change.get("links", PORTS), max_mtu=change.get("max_mtu", 9216))
    if change.get("bridge"):
        switch.links["br0"] = {"mtu": 1500, "up": True, "master": ""}
    with pytest.raises(SwitchError, match=said):
        session(switch, tmp_path)
    assert switch.writes == []


def test_intent_that_a_linux_switch_can_not_have() -> None:
    with pytest.raises(IntentError, match=r"fabric\.links: no link names the device 'sw9'; devices there: sw1, exch1"):
        desired_switch(parse_intent(lab_intent()), "sw9")
    intent = lab_intent()
    intent["devices"]["sw1"]["ptp"] = {"role": "transparent"}
    with pytest.raises(
        IntentError, match=r"fabric\.devices\.sw1\.ptp\.role: transparent: a bridge of Linux corrects no"
    ):
        desired(intent)
    intent = lab_intent()
    intent["devices"]["sw1"]["ports"] = {"swp2": {"trust": "pcp"}}
    with pytest.raises(IntentError, match=r"fabric\.devices\.sw1\.ports\.swp2\.trust: pcp, and dscp on swp1"):
        desired(intent)
    intent = lab_intent()
    intent["lanes"]["trading"]["ecn"] = {"kmin_kb": 1, "kmax_kb": 100_000, "pmax": 1}
    with pytest.raises(
        IntentError, match=r"fabric\.lanes\.trading\.ecn: kmin_kb 1 and kmax_kb 100000 at 10 Gb/s are too"
    ):
        desired(intent)
    intent = lab_intent()
    intent["links"][0]["a"] = "sw1:Ethernet1/1"
    with pytest.raises(IntentError, match=r"fabric\.links\[0\]: sw1:Ethernet1/1 is no port of linux"):
        desired(intent)


def test_boot_files_rebuild_the_switch_from_nothing_and_over_anything(tmp_path: Path) -> None:
    files = boot_files(desired(), {tool: path for tool, path in PATHS.items() if tool != "dcb"})

    def start(switch: FakeSwitch) -> None:
        """What tickwire-switch.service does."""
        unit = files["etc/systemd/system/tickwire-switch.service"]
        for line in unit.splitlines():
            verb, equals, command = line.partition("=")
            if verb not in ("ExecStartPre", "ExecStart"):
                continue
            words = command.lstrip("-").split()
            if words[-2] == "-batch":
                data = files[words[-1].lstrip("/")]
                texts = data.splitlines() if "-force" in words else [data]
            else:
                texts = [" ".join(words[1:])]
            for text in texts:
                rc, out, err = switch.run([words[0], "-batch", "-"], text)
                assert rc == 0 or command.startswith("-"), f"{command}: {err}"

    switch = FakeSwitch(PORTS)
    start(switch)
    assert not session(switch, tmp_path, persist=False).check()["changed"]
    switch.qdiscs["swp2"] = {"root": {"kind": "netem", "handle": "1:", "options": {}}}
    start(switch)
    assert not session(switch, tmp_path, persist=False).check()["changed"]


def test_boot_files_on_disk(tmp_path: Path) -> None:
    switch = FakeSwitch(PORTS)
    (tmp_path / "run/systemd/netif/links").mkdir(parents=True)
    (tmp_path / "run/dbus").mkdir()
    (tmp_path / "run/dbus/system_bus_socket").touch()
    (tmp_path / "run/systemd/system").mkdir()
    session(switch, tmp_path).apply()
    assert switch.writes[0] == "networkctl reload", "before a port joins the bridge"
    assert switch.writes[-1] == "systemctl daemon-reload", "after the unit is there"
    unit = tmp_path / "etc/systemd/system/multi-user.target.wants/tickwire-switch.service"
    assert unit.is_symlink() and "ExecStart=" in unit.read_text()
    network = tmp_path / "etc/systemd/network/00-tickwire-switch.network"
    assert "Name=swp1 swp2 br0\n" in network.read_text() and "Unmanaged=yes" in network.read_text()
    batch = tmp_path / "etc/tickwire/switch/tc.batch"
    assert batch.stat().st_mode & 0o777 == 0o644
    batch.write_text("edited\n")
    switch.writes.clear()
    result = session(switch, tmp_path).apply()
    assert result["changed"] and result["files"] == ["/etc/tickwire/switch/tc.batch"] and switch.writes == []
    assert "edited" in str(result["diff"])
    assert not session(switch, tmp_path, persist=False).check()["changed"]


def test_a_disabled_unit_is_enabled_again(configured: FakeSwitch, tmp_path: Path) -> None:
    unit = tmp_path / "etc/systemd/system/multi-user.target.wants/tickwire-switch.service"
    unit.unlink()
    foretold = session(configured, tmp_path).check()
    assert foretold["changed"] and foretold["files"] == [f"/{unit.relative_to(tmp_path)}"] and not unit.exists()
    session(configured, tmp_path).apply()
    assert unit.exists() and not session(configured, tmp_path).check()["changed"]


def test_unit_names_are_escaped() -> None:
    assert escape("swp1") == "swp1"
    assert escape("eth-0.5") == "eth\\x2d0.5"
