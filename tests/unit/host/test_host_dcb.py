# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DCB of a host on recorded output: set by the difference, read back, given back, refused with everything as before."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils import dcb as tool
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.host_lanes import host_lanes
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb import rivals
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.apply import apply_dcb, reapply
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.running import Tool
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.wanted import parse_interfaces
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import dcb as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.fabric.intents import star
from tests.unit.host.fake_dcb import FakeDcb, recorded
from tests.unit.host.host_tree import Host

LANES = host_lanes(parse_intent(star()), "h0")["e0"]["dcb"]
EXTRA = {
    "prio_buffer": [0, 0, 0, 1, 0, 0, 0, 0],
    "buffers": [{"buffer": 0, "size_bytes": 65536}, {"buffer": 1, "size_bytes": 65536}],
    "maxrate": [{"tc": 0, "mbps": 1000}],
}


@pytest.fixture
def dcb(host: Host) -> FakeDcb:
    for name in ("e0", "e1"):
        host.write(f"sys/class/net/{name}/mtu", "9000\n")
    host.write("usr/sbin/dcb", "")
    host.write("usr/sbin/ethtool", "")
    return FakeDcb("e0")


@pytest.fixture
def system(host: Host, dcb: FakeDcb) -> System:
    return System(host.root, dcb.run)


def test_lanes_are_set_read_back_and_given_back(system: System, dcb: FakeDcb, host: Host) -> None:
    fresh = copy.deepcopy(dcb.nics["e0"])
    wanted = {"e0": {**LANES, **EXTRA}}
    document = {"dcb": wanted}
    assert part.drift(system, document, False)
    tree = host.tree()
    foretold = apply_dcb(System(host.root, dcb.run_reads_only), wanted, True, True)
    assert host.tree() == tree
    assert dcb.nics["e0"] == fresh

    result = apply_dcb(system, wanted, True, False)
    assert result.changed
    assert result.after == foretold.after
    assert dcb.nics["e0"] == recorded("iproute2_6.15.0_lanes")
    assert part.drift(system, document, False) == []
    assert "e0 pfc pfc: [3]\n" in result.text("after")
    assert "e0 pfc pfc: []\n" in result.text("before")

    dcb.writes.clear()
    assert not apply_dcb(system, wanted, True, False).changed
    assert not apply_dcb(system, {"e0": LANES}, True, True).unsupported
    assert dcb.writes == []

    assert set(apply_dcb(system, {"e0": LANES}, True, False).after["e0"]) == {
        *("buffer prio_buffer", "buffer size 0", "buffer size 1", "maxrate tc 0")
    }
    apply_dcb(system, {}, False, False)
    assert dcb.nics["e0"] == fresh
    assert not host.root.joinpath("var/lib/tickwire/host-before.json").exists()


def test_dscp_map_is_never_flushed_and_others_stay(system: System, dcb: FakeDcb) -> None:
    dcb.nics["e0"]["app"] = {"dscp_prio": [[26, 1, " "], [26, 2, " "], [34, 5, " "]]}
    wanted = {"e0": {"dscp": [{"dscp": 26, "priority": 3}]}}
    apply_dcb(system, wanted, True, False)
    assert dcb.nics["e0"]["app"] == {"dscp_prio": [[26, 3, " "], [34, 5, " "]]}
    assert dcb.writes == ["app replace dev e0 dscp-prio 26:3"]
    apply_dcb(system, {}, False, False)
    assert dcb.nics["e0"]["app"] == {"dscp_prio": [[26, 1, " "], [26, 2, " "], [34, 5, " "]]}


def test_refusal_puts_everything_back(system: System, dcb: FakeDcb, host: Host) -> None:
    fresh = copy.deepcopy(dcb.nics["e0"])
    dcb.refuse["buffer set"] = "Attribute write: Invalid argument"
    with pytest.raises(HostError, match="dcb buffer of e0 .*Invalid argument"):
        apply_dcb(system, {"e0": {**LANES, **EXTRA}}, True, False)
    assert dcb.nics["e0"] == fresh
    assert not host.root.joinpath("var/lib/tickwire/host-before.json").exists()


def test_what_the_driver_does_not_keep_is_an_error(system: System, dcb: FakeDcb) -> None:
    dcb.ignore.add("pfc")
    with pytest.raises(HostError, match=r"dcb pfc pfc of e0 '\[3\]': it was set and reads \[\]"):
        apply_dcb(system, {"e0": LANES}, False, False)
    assert dcb.nics["e0"] == recorded("iproute2_6.15.0_fresh")


def test_global_pause_is_named(system: System, dcb: FakeDcb) -> None:
    dcb.pause["e0"] = {"autonegotiate": False, "rx": True, "tx": True}
    dcb.refuse["pfc set"] = "Attribute write: Invalid argument"
    with pytest.raises(HostError, match=r"global pause is on \(rx, tx\)"):
        apply_dcb(system, {"e0": LANES}, False, False)
    assert [one.item for one in part.drift(system, {"dcb": {"e0": {"pfc": [0]}}}, False)][-1] == "global pause of e0"


def test_interface_without_dcb_is_reported_or_refused(system: System, dcb: FakeDcb, host: Host) -> None:
    result = apply_dcb(system, {"e1": LANES}, False, False)
    assert not result.changed
    assert "Operation not supported" in result.unsupported["e1"]["pfc"]
    with pytest.raises(HostError, match="dcb ets, pfc, app 'e1'"):
        apply_dcb(system, {"e1": LANES}, True, False)
    document = {"dcb": {"e1": LANES}}
    part.check(system, document)
    with pytest.raises(HostError, match="dcb ets 'e1'"):
        part.check(system, {**document, "dcb_required": "always"})
    # e1 of this tree is no hardware; an emulated NIC is excused as well, a real one is not
    assert part.drift(system, document, False) == []
    device = host.root / "sys/class/net/e1/device"
    device.mkdir()
    for driver, faults in (("virtio_net", 0), ("mlx5_core", 3)):
        bus = host.root / "sys/bus/drivers" / driver
        bus.mkdir(parents=True)
        (device / "driver").unlink(missing_ok=True)
        (device / "driver").symlink_to(bus)
        assert len(part.drift(system, document, False)) == faults, driver
    assert part.drift(system, {**document, "dcb_required": "never"}, False) == []
    assert part.running(system, document)["dcb"]["e1"]["unsupported"].keys() == {
        "dcbx",
        "ets",
        "pfc",
        "app",
        "apptrust",
    }


def test_missing_program_and_missing_interface_are_named(system: System, host: Host) -> None:
    with pytest.raises(HostError, match="interface 'e9': this host has e0, e1"):
        apply_dcb(system, {"e9": LANES}, False, False)
    assert [str(one) for one in part.drift(system, {"dcb": {"e9": LANES}}, False)] == [
        "interface e9: wanted 'there', found 'missing'"
    ]
    (host.root / "usr/sbin/dcb").unlink()
    assert "no program dcb" in apply_dcb(system, {"e0": LANES}, False, False).unsupported["e0"]["pfc"]


def test_interface_that_is_gone_is_forgotten(system: System, host: Host) -> None:
    apply_dcb(system, {"e0": LANES}, False, False)
    (host.root / "sys/class/net/e0/mtu").unlink()
    (host.root / "sys/class/net/e0").rmdir()
    assert not apply_dcb(system, {}, False, False).changed
    assert not host.root.joinpath("var/lib/tickwire/host-before.json").exists()


def test_agent_sets_again_what_others_changed(system: System, dcb: FakeDcb) -> None:
    document = {"dcb": {"e0": LANES}}
    apply_dcb(system, document["dcb"], False, False)
    dcb.writes.clear()
    assert reapply(system, document, "e0") == []
    assert reapply(system, document, "other") == []
    assert reapply(system, {}, "e0") == []
    assert dcb.writes == []
    dcb.nics["e0"]["pfc"]["prio_pfc"][4] = True
    assert reapply(system, document, "e0") == ["dcb pfc pfc of e0: [3, 4] -> [3]"]
    apply_dcb(system, {}, False, False)
    assert dcb.nics["e0"]["pfc"] == recorded("iproute2_6.15.0_fresh")["pfc"], (
        "former values are those of the first time"
    )


def test_firmware_and_agents_that_compete_are_found(system: System, dcb: FakeDcb, host: Host) -> None:
    dcb.nics["e0"]["dcbx"] = {"ieee": True}
    dcb.flags["e0"] = {"fw-lldp-agent": "on", "vf-true-promisc-support": "off"}
    dcb.nics["e0"]["app"] = {"dscp_prio": [[34, 3, " "]]}
    host.write("proc/812/comm", "lldpad\n")
    host.write("etc/lldpd.d/dcbx.conf", "configure lldp custom-tlv oui 00,80,c2 subtype 11 oui-info 08,08\n")
    found = part.running(system, {"dcb": {"e0": LANES}})["dcb_findings"]
    for what in (
        "lldpad runs",
        "subtype 11",
        "firmware has DCB",
        "fw-lldp-agent on",
        "dscp 34 is mapped",
    ):
        assert [one for one in found if what in one], what
    assert rivals.stop_firmware_agents(system, "e0") == ["fw-lldp-agent"]
    assert rivals.firmware_agents(system, "e0") == {}
    assert rivals.stop_firmware_agents(system, "e0") == []


def test_host_takes_dcbx_from_the_firmware(system: System, dcb: FakeDcb) -> None:
    dcb.nics["e0"]["dcbx"] = {"ieee": True}
    apply_dcb(system, {"e0": {"pfc": [3]}}, False, False)
    assert dcb.writes[0] == "dcbx set dev e0 host ieee"
    assert dcb.nics["e0"]["dcbx"] == {"host": True, "ieee": True}


def test_link_that_is_up_is_not_disturbed_without_leave(system: System, dcb: FakeDcb, host: Host) -> None:
    host.write("sys/class/net/e0/carrier", "1\n")
    with pytest.raises(HostError, match="allow it by bounce_allowed"):
        apply_dcb(system, {"e0": LANES}, False, False)
    assert dcb.nics["e0"] == recorded("iproute2_6.15.0_fresh")
    document = {"dcb": {"e0": LANES}}
    assert [line.split(" of ")[0] for line in reapply(system, document, "e0")] == [
        *("dcb app dscp 0", "dcb app dscp 26", "dcb app dscp 48", "dcb apptrust order"),
    ]
    assert part.drift(system, document, False), "what was left is told"
    assert apply_dcb(system, {"e0": LANES}, False, False, bounce_allowed=True).changed
    assert part.drift(system, document, False) == []
    dcb.nics["e0"]["pfc"]["prio_pfc"][4] = True
    assert reapply(system, {**document, "bounce_allowed": True}, "e0") == ["dcb pfc pfc of e0: [3, 4] -> [3]"]


def test_small_buffer_is_a_finding(system: System, dcb: FakeDcb) -> None:
    wanted = {"e0": {**LANES, **EXTRA, "headroom_bytes": 65537}}
    apply_dcb(system, wanted, False, False)
    said = "e0: the buffer of priority 3 has 65536 bytes, and its pauses need 65537"
    assert part.running(system, {"dcb": wanted})["dcb_findings"][0].startswith(said)


def test_capacity_of_the_driver_is_named(system: System, dcb: FakeDcb) -> None:
    dcb.nics["e0"]["ets"]["ets_cap"] = 4
    with pytest.raises(HostError, match="its driver has 4 traffic classes, 0 to 3"):
        apply_dcb(system, {"e0": {**LANES, "prio_tc": [0, 0, 0, 3, 0, 0, 6, 0]}}, False, False)
    dcb.nics["e0"]["pfc"]["pfc_cap"] = 1
    with pytest.raises(HostError, match="its driver pauses 1 priorities at most"):
        apply_dcb(system, {"e0": {"pfc": [3, 4]}}, False, False)


@pytest.mark.parametrize(("version", "kept"), [("5.15.0", 100_000), ("6.15.0", 100_000), ("6.18.0", 12_500_000)])
def test_rates_of_each_version(system: System, dcb: FakeDcb, version: str, kept: int) -> None:
    """Before 6.18 dcb writes bytes per second where the kernel keeps kbit/s; 100 Mbit/s are 100 000 kbit/s."""
    dcb.version = version
    wanted = {"e0": {"maxrate": [{"tc": 2, "mbps": 100}]}}
    apply_dcb(system, wanted, False, False)
    assert dcb.nics["e0"]["maxrate"]["tc_maxrate"][2] == kept
    assert part.drift(system, {"dcb": wanted}, False) == []


def test_old_dcb_has_no_apptrust(system: System, dcb: FakeDcb) -> None:
    dcb.version = "5.15.0"
    result = apply_dcb(system, {"e0": LANES}, True, False)
    assert list(result.unsupported["e0"]) == ["apptrust"]
    assert part.drift(system, {"dcb": {"e0": LANES}}, False) == []


@pytest.mark.parametrize("state", ["fresh", "lanes"])
def test_versions_read_the_same(host: Host, dcb: FakeDcb, state: str) -> None:
    """6.15 adds a blank to every entry of app, 6.1 has no apptrust: what is read is the same."""
    groups = ("dcbx", "ets", "pfc", "app", "buffer", "maxrate")
    found = []
    for version in ("6.1.0", "6.15.0"):
        dcb.version = version
        dcb.nics["e0"] = recorded(f"iproute2_{version}_{state}")
        found.append(Tool(System(host.root, dcb.run)).read("e0", groups))
    assert found[0] == found[1]
    assert found[0].state["pfc"] == {"pfc": [3] if state == "lanes" else []}
    assert found[0].unsupported == {}


@pytest.mark.parametrize("version", ["5.4", "6.1", "6.14.2"])
def test_global_pause_that_is_off_is_no_drift_with_any_ethtool(system: System, dcb: FakeDcb, version: str) -> None:
    """Before 6.2 the JSON of ethtool -a calls everything true."""
    dcb.ethtool_version = version
    dcb.pause["e0"] = {"autonegotiate": False, "rx": False, "tx": False}
    apply_dcb(system, {"e0": {"pfc": [0]}}, True, False, True)
    assert part.drift(system, {"dcb": {"e0": {"pfc": [0]}}}, False) == []
    dcb.pause["e0"]["tx"] = True
    assert [one.found for one in part.drift(system, {"dcb": {"e0": {"pfc": [0]}}}, False)] == ["tx"]


@pytest.mark.parametrize("way", ["refused", "ignored", "taken"])
def test_dcb_that_the_firmware_had_is_given_back_last_and_a_driver_that_keeps_it_is_no_failure(
    system: System, dcb: FakeDcb, host: Host, way: str
) -> None:
    """mlx5 starts with the firmware in charge, goes to the host, and refuses every mode without the host but 0."""
    dcb.nics["e0"]["dcbx"] = {"cee": True, "ieee": True}
    fresh = copy.deepcopy(dcb.nics["e0"])
    assert apply_dcb(system, {"e0": LANES}, True, False, True).findings == []
    assert dcb.nics["e0"]["dcbx"] == {"host": True, "cee": True, "ieee": True}
    if way == "refused":
        dcb.refuse["dcbx set dev e0 cee"] = "Attribute write: Invalid argument"
    elif way == "ignored":
        dcb.ignore.add("dcbx")
    dcb.writes.clear()
    result = apply_dcb(system, {}, False, False, True)
    assert result.changed
    assert len(dcb.writes) > 1
    assert (dcb.writes[-1] == "dcbx set dev e0 cee ieee") is (way != "refused")
    now = {**dcb.nics["e0"], "dcbx": fresh["dcbx"]}
    assert now == fresh
    assert [line for line in result.findings if "does not give DCB back" in line] == result.findings
    assert bool(result.findings) is (way != "taken")
    assert "var/lib/tickwire/host-before.json" not in host.tree()
    assert not apply_dcb(system, {}, False, False).changed


def test_a_share_that_a_driver_shows_of_a_strict_class_is_no_difference(system: System, dcb: FakeDcb) -> None:
    """mlx5 shows 100 there (drivers/net/ethernet/mellanox/mlx5/core/en_dcbnl.c)."""
    dcb.strict_bw = 100
    fresh = copy.deepcopy(dcb.nics["e0"])
    assert "strict" in LANES["tsa"] and "ets" in LANES["tsa"]
    assert apply_dcb(system, {"e0": LANES}, True, False, True).changed
    assert 100 in dcb.nics["e0"]["ets"]["tc_bw"]
    assert part.drift(system, {"dcb": {"e0": LANES}}, False) == []
    assert not apply_dcb(system, {"e0": LANES}, True, False).changed
    dcb.nics["e0"]["ets"]["tc_bw"][LANES["tsa"].index("ets")] += 1
    assert [one.item for one in part.drift(system, {"dcb": {"e0": LANES}}, False)] == ["dcb ets bw of e0"]
    apply_dcb(system, {}, False, False, True)
    assert dcb.nics["e0"]["ets"]["tc_tsa"] == fresh["ets"]["tc_tsa"]


def test_a_process_that_ends_while_it_is_looked_at_is_passed_over(
    system: System, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("proc/7/comm", "gone\n")
    host.write("proc/8/comm", "lldpad\n")
    read = Path.read_text

    def end(path: Path, *args: Any, **kwargs: Any) -> str:
        if path.parts[-2] == "7":
            raise ProcessLookupError(3, "No such process")
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", end)
    assert ["lldpad runs" in str(one) for one in rivals.host_findings(system)] == [True]


def test_silent_refusal_names_global_pause(system: System, dcb: FakeDcb) -> None:
    """dcb of 6.1 exits with 0 when the driver refuses."""
    dcb.ignore.add("pfc")
    dcb.pause["e0"] = {"rx": True, "tx": False}
    with pytest.raises(HostError, match=r"global pause is on \(rx\)"):
        apply_dcb(system, {"e0": LANES}, False, False)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Attribute read: Operation not supported", tool.NotSupported),
        ("Attribute not found: Success", tool.NotSupported),
        ("Attribute not found: No such file or directory", tool.NotSupported),
        ('Object "apptrust" is unknown, try "dcb help".', tool.NotSupported),
        # 5.15: the errno of the kernel as an unsigned byte, 256 - 95 and 256 - 22
        ("Error when attempting to set attribute: Unknown error 161\nAttribute write: Success", tool.NotSupported),
        ("Error when attempting to set attribute: Unknown error 234\nAttribute write: Success", tool.DcbError),
        ("Attribute write: Invalid argument", tool.DcbError),
        ("Attribute read: No such device", tool.DcbError),
    ],
)
def test_what_dcb_says_when_it_fails(said: str, kind: type[Exception]) -> None:
    with pytest.raises(tool.DcbError) as caught:
        tool.show(lambda dummy: (1, "", said), "dcb", "pfc", "e0")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("given_value", "said"),
    [
        ({"pfc": [8]}, "dcb.e0.pfc '8'"),
        ({"pfc": "3"}, "dcb.e0.pfc '3'"),
        ({"bw": [50]}, "eight values"),
        ({"tsa": ["wrr"] * 8}, "one of strict, ets"),
        ({"tsa": ["ets"] * 8, "bw": [10] * 8}, "100 percent"),
        ({"dscp": [{"dscp": 26, "priority": 3}, {"dscp": 26, "priority": 4}]}, "twice"),
        ({"trust": "port"}, "one of dscp, pcp"),
        ({"qos": 1}, "no such key"),
        ([], "dictionary"),
    ],
)
def test_wrong_wants_are_named(given_value: Any, said: str) -> None:
    if given_value == []:
        given_value = ["pfc"]
    with pytest.raises(HostError, match=said):
        parse_interfaces({"e0": given_value})


STATES = st.fixed_dictionaries(
    {},
    optional={
        "pfc": st.lists(st.integers(0, 7), unique=True),
        "prio_tc": st.lists(st.integers(0, 7), min_size=8, max_size=8),
        "dscp": st.dictionaries(st.integers(0, 63), st.integers(0, 7), max_size=5).map(
            lambda found: [{"dscp": dscp, "priority": priority} for dscp, priority in found.items()]
        ),
        "trust": st.sampled_from(["dscp", "pcp"]),
    },
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STATES, min_size=1, max_size=4), STATES)
def test_any_way_through_states_ends_where_it_began(
    system: System, dcb: FakeDcb, ways: list[dict[str, Any]], before: dict[str, Any]
) -> None:
    """Whatever is wanted one after the other: each is reached, repeats nothing, and the last removal gives all back."""
    dcb.nics["e0"] = recorded("iproute2_6.15.0_fresh")
    entries = [[entry["dscp"], entry["priority"], " "] for entry in before.get("dscp", [])]
    dcb.nics["e0"]["app"] = {"dscp_prio": sorted(entries)} if entries else {}
    fresh = copy.deepcopy(dcb.nics["e0"])
    for wanted in ways:
        apply_dcb(system, {"e0": wanted}, True, False)
        assert part.drift(system, {"dcb": {"e0": wanted}}, False) == []
        assert not apply_dcb(system, {"e0": wanted}, True, False).changed
    apply_dcb(system, {}, False, False)
    assert dcb.nics["e0"] == fresh
