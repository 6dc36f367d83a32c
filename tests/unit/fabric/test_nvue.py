# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Cumulus Linux switch from the intent: its tree, the difference, and a revision's ways to end."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue import tree as trees
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.desired import PREFIX, desired
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.disruption import disruptions
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.plan import NvueError, plan
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.rest import Rest
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.revision import Revisions, go_back
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.session import Options, Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.switch import ConnectionLost
from tests.devices.nvue import Nvue, Refused
from tests.devices.nvue_intent import intent

BRIDGE = "br_default"
ALLOWED = Options(disruptive_allowed=True)
OTHERS = {
    "qos": {
        "mapping": {"theirs": {"trust": "l3"}},
        "pfc": {"theirs": {"switch-priority": {"4": {}}}, "tickwire-0ld": {"tx": "enable"}},
    },
    "interface": {
        "swp1": {"description": "trade1", "link": {"mtu": 1500}},
        "swp9": {"type": "swp", "qos": {"pfc": {"profile": "theirs"}, "mapping": {"profile": "theirs"}}},
        "swp10": {
            "type": "swp",
            "link": {"mtu": 9214},
            "qos": {"pfc": {"profile": "tickwire-0ld"}, "pfc-watchdog": {"state": "enable"}},
        },
    },
    "vrf": {"default": {"router": {"bgp": {"autonomous-system": 65001}}}},
}


def send(nvue: Nvue) -> Callable[[str, str, str | None], tuple[int, str]]:
    """The REST interface without a wire; ``cut_before`` and ``cut_after`` cut it."""

    def cut(cuts: dict[tuple[str, str], int], method: str, path: str) -> None:
        for (one, part), left in cuts.items():
            if left and one == method and part in path:
                cuts[one, part] -= 1
                raise ConnectionLost(f"{method} {path}: connection reset")

    def answer(method: str, path: str, body: str | None) -> tuple[int, str]:
        nvue.requests.append((method, path))
        cut(nvue.cut_before, method, path)
        try:
            found, status = nvue.answer(method, path, json.loads(body) if body else None), 200
        except Refused as error:
            found, status = {"detail": error.detail}, error.status
        cut(nvue.cut_after, method, path)
        return status, json.dumps(found)

    return answer


def revisions(nvue: Nvue) -> Revisions:
    return Revisions(Rest(send(nvue)), timeout_s=20, sleep=lambda seconds: None)


def session(nvue: Nvue, options: Options = ALLOWED, **over: Any) -> Session:
    return Session(revisions(nvue), parse_intent(intent(**over)), "leaf1", options)


@pytest.fixture
def nvue() -> Iterator[Nvue]:
    switch = Nvue(config=OTHERS)
    yield switch
    foreign = [switch.config["qos"]["mapping"].get("theirs"), switch.config["vrf"], switch.config["interface"]["swp9"]]
    theirs = [OTHERS["qos"]["mapping"]["theirs"], OTHERS["vrf"], OTHERS["interface"]["swp9"]]
    assert foreign == theirs, "what is not ours is never touched"


def tree(**over: Any) -> dict[str, Any]:
    return desired(parse_intent(intent(**over)), "leaf1")


def profile(found: dict[str, Any], port: str, kind: str) -> Any:
    name = found["interface"][port]["qos"][kind]["profile"]
    assert name.startswith(PREFIX)
    return found["qos"][kind][name]


def test_what_a_port_gets() -> None:
    found = tree()
    assert found["interface"]["swp1"] == {
        "type": "swp",
        "link": {"mtu": 9214},
        "bridge": {"domain": {"br_default": {"access": 110}}},
        "qos": {**found["interface"]["swp2"]["qos"], "pfc-watchdog": {"state": "enable"}},
        "lldp": {
            "dcbx-pfc-tlv": "enabled",
            "dcbx-ets-config-tlv": "enabled",
            "dcbx-ets-recomm-tlv": "enabled",
            "state": "enabled",
            "application-tlv": {"udp-port": {"4791": {}}},
        },
        # 1 % of 100 Gb/s in frames of 9214 + 42 bytes
        "storm-control": {"broadcast": 13504, "unknown-unicast": 6752},
    }
    assert profile(found, "swp1", "pfc") == {
        "switch-priority": {"3": {}},
        "tx": "enable",
        "rx": "enable",
        "cable-length": 5,
    }
    assert profile(found, "swp1", "congestion-control") == {
        "traffic-class": {
            "3": {
                "ecn": "enable",
                "red": "disable",
                "min-threshold": 400_000,
                "max-threshold": 1_600_000,
                "probability": 20,
            }
        }
    }
    assert profile(found, "swp1", "egress-scheduler")["traffic-class"] == {
        "0": {"mode": "dwrr", "bw-percent": 40},
        "3": {"mode": "dwrr", "bw-percent": 60},
        "6": {"mode": "strict"},
    }
    mapping = profile(found, "swp1", "mapping")
    assert (mapping["trust"], mapping["port-default-sp"], len(mapping["dscp"])) == ("l3", 0, 64)
    assert [code for code, one in mapping["dscp"].items() if one["switch-priority"] == 3] == ["26"]


def test_what_the_switch_gets() -> None:
    found = tree()
    assert found["qos"]["traffic-pool"] == {
        "default-lossy": {"memory-percent": 50},
        "default-lossless": {"memory-percent": 50},
    }
    assert found["qos"]["pfc-watchdog"] == {"polling-interval": 100, "robustness": 2}
    classes = found["qos"]["egress-queue-mapping"]["default-global"]["switch-priority"]
    assert {key: one["traffic-class"] for key, one in classes.items() if one["traffic-class"]} == {"3": 3, "6": 6}
    assert found["system"]["lldp"]["application-tlv"]["udp-port"]["4791"]["priority"] == 3
    assert found["bridge"]["domain"]["br_default"]["vlan"] == {"110": {}, "120": {}}
    assert "service" not in found


def test_a_lane_that_a_port_does_not_carry_is_not_on_it() -> None:
    found = tree()
    storage = found["interface"]["swp3"]
    assert not {"pfc", "pfc-watchdog", "congestion-control"} & storage["qos"].keys()
    assert {one["switch-priority"] for one in profile(found, "swp3", "mapping")["dscp"].values()} == {0}
    assert storage["bridge"]["domain"]["br_default"] == {"access": 120}
    trunk = found["interface"]["swp31s0"]["bridge"]["domain"]["br_default"]
    assert trunk == {"untagged": 110, "vlan": {"120": {}}}
    assert found["interface"]["swp32"]["bridge"]["domain"]["br_default"]["untagged"] == "none"


def test_one_ports_cable_moves_that_port_alone() -> None:
    before, after = tree(), tree(links__0__cable_m=7)
    assert profile(after, "swp1", "pfc")["cable-length"] == 7
    moved = [port for port in before["interface"] if before["interface"][port] != after["interface"][port]]
    assert moved == ["swp1"]


def test_the_words_of_a_version() -> None:
    old = tree(devices__leaf1__version="5.9.2", ptp={"role": "boundary"})
    assert old["service"]["ptp"]["1"] == {"enable": "on", "domain": 0}
    assert old["service"]["lldp"]["application-tlv"]
    assert old["interface"]["swp1"]["lldp"]["dcbx-pfc-tlv"] == "on"
    assert old["interface"]["swp1"]["ptp"] == {"enable": "on", "transport": "ipv4"}
    unsaid = desired(parse_intent(intent(devices__leaf1__version=None)), "leaf1", "5.17.0")
    assert profile(unsaid, "swp1", "pfc")["small-packet-probability"] == 100


@pytest.mark.parametrize(
    ("over", "path"),
    [
        ({"devices__leaf1__version": "4.4"}, "fabric.devices.leaf1.version"),
        ({"devices__leaf1__version": "5.8"}, "fabric.devices.leaf1.version"),
        ({"devices__leaf1__ptp": {"role": "transparent"}}, "fabric.devices.leaf1.ptp.role"),
        ({"watchdog": {"action": "alert"}}, "fabric.devices.leaf1.watchdog.action"),
        (
            {"devices__leaf1__ports": {"swp1": {"watchdog": {"detect_ms": 400}}}},
            "fabric.devices.leaf1.ports.swp1.watchdog",
        ),
        (
            {"devices__leaf1__ports": {"swp1": {"lanes": {"trading": {"traffic_class": 4}}}}},
            "fabric.devices.leaf1.ports.swp1.lanes.trading",
        ),
        (
            {"devices__leaf1__version": "5.10", "devices__leaf1__lldp": {"enabled": False}},
            "fabric.devices.leaf1.ports.swp1.lldp.enabled",
        ),
    ],
)
def test_what_cumulus_can_not_do_is_refused_with_its_path(over: dict[str, Any], path: str) -> None:
    with pytest.raises(IntentError) as caught:
        tree(**over)
    assert caught.value.path == path


def test_a_host_is_no_switch() -> None:
    with pytest.raises(IntentError, match=r"trade1: is no switch of the intent; switches there: leaf1, spine1"):
        desired(parse_intent(intent()), "trade1")


def test_check_mode_writes_nothing(nvue: Nvue) -> None:
    result = session(nvue, Options()).check()
    assert result["changed"]
    assert nvue.writes == []
    assert "nv set interface swp1 link mtu 9214" in result["commands"]
    assert "nv set interface swp1 link mtu 1500\n" in result["diff"][0]["before"]
    assert "nv set interface swp1 link mtu 9214\n" in result["diff"][0]["after"]
    assert "description" not in json.dumps(result["diff"]), "only what changes is shown"


def test_first_run_changes_second_does_not(nvue: Nvue) -> None:
    result = session(nvue).apply()
    assert result["changed"]
    assert result["previous"] == "1"
    assert nvue.config["interface"]["swp1"]["description"] == "trade1"
    assert nvue.startup == nvue.config
    before = len(nvue.writes)
    assert not session(nvue).apply()["changed"]
    assert len(nvue.writes) == before


def test_what_was_ours_and_is_gone_is_unset(nvue: Nvue) -> None:
    session(nvue).apply()
    assert "tickwire-0ld" not in nvue.config["qos"]["pfc"]
    assert nvue.config["interface"]["swp10"]["qos"] == {}
    assert nvue.config["interface"]["swp10"]["link"] == {"mtu": 9214}, "its other settings are not ours"
    names = set(nvue.config["qos"]["pfc"])
    session(nvue, links__0__cable_m=7, links__1__cable_m=7).apply()
    assert len(set(nvue.config["qos"]["pfc"]) - names) == 1
    assert len(names - set(nvue.config["qos"]["pfc"])) == 1


def test_an_access_port_of_before_becomes_a_trunk(nvue: Nvue) -> None:
    session(nvue).apply()
    session(nvue, links__0__vlans=["storage"], links__0__vlan="trading").apply()
    assert nvue.config["interface"]["swp1"]["bridge"]["domain"]["br_default"] == {"untagged": 110, "vlan": {"120": {}}}


def test_saved_later(nvue: Nvue) -> None:
    session(nvue, Options(disruptive_allowed=True, save=False)).apply()
    assert "qos" not in nvue.startup or nvue.startup["qos"] == OTHERS["qos"]
    result = session(nvue).apply()
    assert (result["changed"], result["commands"]) == (True, ["nv config save"])
    assert nvue.startup == nvue.config
    assert not session(nvue).check()["changed"]


@pytest.mark.parametrize("end", ["invalid", "apply_fail", "ignore_fail", "verify_error"])
def test_a_revision_that_fails_leaves_the_switch_as_it_was(nvue: Nvue, end: str) -> None:
    before = copy.deepcopy(nvue.config)
    nvue.ends = [end]
    with pytest.raises(NvueError, match="Unable to reload-or-restart services") as caught:
        session(nvue).apply()
    assert nvue.config == before
    assert nvue.startup == before
    broken = end in ("apply_fail", "ignore_fail")
    assert ("Revision 1, applied before, is applied again" in str(caught.value)) == broken
    assert ("nothing was changed" in str(caught.value)) != broken


def test_a_key_that_nvue_refuses_leaves_the_switch_as_it_was(nvue: Nvue) -> None:
    before = copy.deepcopy(nvue.config)
    run = session(nvue)
    run.change.set["qos"]["pfc-watchdog"]["polling-intervall"] = 100
    with pytest.raises(NvueError, match=r"pfc-watchdog/polling-intervall: unknown key.*nothing was applied"):
        run.apply()
    assert nvue.config == before
    assert [state["state"] for state in nvue.revisions.values()] == ["applied_and_saved", "pending"]
    assert session(nvue).apply()["changed"], "the empty revision it left does not stand in the way"


def test_a_leaf_that_gets_lost_brings_the_former_revision_back(nvue: Nvue) -> None:
    before = copy.deepcopy(nvue.config)
    nvue.loses = ("interface", "swp1", "link", "mtu")
    with pytest.raises(
        NvueError, match=r"differs: nv set interface swp1 link mtu 9214\. Revision 1.* is applied again"
    ):
        session(nvue).apply()
    assert nvue.config == before


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
@pytest.mark.parametrize("call", [("PATCH", "/revision/2"), ("GET", "/revision/2")])
def test_a_drop_while_it_is_applied_is_sat_out(nvue: Nvue, cut: str, call: tuple[str, str]) -> None:
    getattr(nvue, cut)[call] = 2 if call[0] == "GET" else 1
    assert session(nvue).apply()["changed"]
    assert not session(nvue).check()["changed"]


@pytest.mark.parametrize(("cut", "call"), [("cut_before", ("POST", "/revision")), ("cut_after", ("PATCH", "/?rev="))])
def test_a_drop_before_it_is_applied_changes_nothing(nvue: Nvue, cut: str, call: tuple[str, str]) -> None:
    before = copy.deepcopy(nvue.config)
    getattr(nvue, cut)[call] = 1
    with pytest.raises(NvueError, match="connection reset; nothing was applied"):
        session(nvue).apply()
    assert nvue.config == before


def test_a_silent_switch_is_told_and_the_next_run_goes_on(nvue: Nvue) -> None:
    run = session(nvue)
    nvue.cut_before["GET", "/revision/2"] = 1000
    with pytest.raises(NvueError, match=r"silent for 20 s while revision 2 was applied.*whole or not at all"):
        run.apply()
    nvue.cut_before.clear()
    with pytest.raises(NvueError, match=r"revision 2 of another administrator is being applied \(state apply\)"):
        session(nvue).apply()
    nvue.revisions["2"]["state"] = "pending"
    assert session(nvue).apply()["changed"], "a pending revision that holds what we want is ours"


def test_another_administrators_revision(nvue: Nvue) -> None:
    name = nvue.pending({"interface": {"swp1": {"link": {"mtu": 1400}}}})
    before = len(nvue.writes)
    with pytest.raises(NvueError, match=rf"revision {name} of another administrator waits with changes"):
        session(nvue).apply()
    assert len(nvue.writes) == before
    assert session(nvue, Options(disruptive_allowed=True, pending_allowed=True)).apply()["changed"]


def test_disturbances_are_told_and_refused(nvue: Nvue) -> None:
    with pytest.raises(NvueError, match=r"traffic pools carves the packet buffer.*Nothing was changed: give leave"):
        session(nvue, Options()).apply()
    assert nvue.writes == []
    session(nvue).apply()
    quiet = session(nvue, Options(), storm_control={"broadcast_percent": 2})
    assert (quiet.disruptions, quiet.apply()["changed"]) == ([], True)
    clocked = session(nvue, Options(), ptp={"role": "boundary"})
    assert clocked.disruptions == ["PTP on restarts switchd: every port goes down and comes up again"]
    with pytest.raises(NvueError, match="restarts switchd"):
        clocked.apply()
    assert session(nvue, ptp={"role": "boundary"}).apply()["changed"]
    again = session(nvue, Options(), ptp={"role": "boundary", "domain": 5})
    assert again.disruptions == [], "another domain restarts nothing"


def test_the_roce_mode_is_left(nvue: Nvue) -> None:
    nvue.config["qos"]["roce"] = {"state": "enabled", "mode": "lossless"}
    run = session(nvue)
    assert ("qos", "roce") in run.change.unset
    assert "leaving the RoCE mode (lossless) carves" in run.disruptions[0]
    run.apply()
    assert "roce" not in nvue.config["qos"]


def test_pools_of_others_that_leave_no_room_are_refused(nvue: Nvue) -> None:
    nvue.config["qos"]["traffic-pool"] = {"mc-lossy": {"memory-percent": 10}}
    with pytest.raises(NvueError, match=r"110 percent .*mc-lossy 10.*100 at most"):
        session(nvue)


def test_a_switch_of_another_version_is_refused(nvue: Nvue) -> None:
    nvue.version = "5.14"
    with pytest.raises(NvueError, match=r"runs Cumulus Linux 5\.14\.0 and fabric\.devices\.leaf1\.version says 5\.15"):
        session(nvue)
    assert session(nvue, devices__leaf1__version=None).wanted["service"]["lldp"], "unsaid: what the switch runs"


def test_rollback_restores(nvue: Nvue) -> None:
    before = copy.deepcopy(nvue.config)
    previous = session(nvue).apply()["previous"]
    assert go_back(revisions(nvue), previous, save=True, check_mode=True)
    assert nvue.config != before
    assert go_back(revisions(nvue), previous, save=True, check_mode=False)
    assert (nvue.config, nvue.startup) == (before, before)
    assert not go_back(revisions(nvue), previous, save=True, check_mode=False)
    with pytest.raises(NvueError, match="revision 77 is not on the switch, which keeps 1, 2"):
        go_back(revisions(nvue), "77", save=True, check_mode=False)


def test_without_a_former_revision_startup_is_the_way_back(nvue: Nvue) -> None:
    before = copy.deepcopy(nvue.config)
    nvue.revisions["1"]["state"] = "inactive"
    nvue.ends = ["apply_fail"]
    with pytest.raises(NvueError, match="Revision startup, applied before, is applied again"):
        session(nvue).apply()
    assert nvue.config == before
    nvue.revisions["startup"]["state"] = "inactive"
    nvue.startup["system"]["hostname"] = "other"
    writes = len(nvue.writes)
    with pytest.raises(NvueError, match=r"keeps no revision with what is applied.*nothing was changed, save it first"):
        session(nvue).apply()
    assert len(nvue.writes) == writes


def test_a_wrong_password_is_told() -> None:
    with pytest.raises(NvueError, match="answered 401; check user"):
        Rest(lambda method, path, body: (401, "")).config("applied")


KEYS = st.sampled_from(["a", "b", "swp1", "7"])
LEAVES = st.one_of(st.integers(0, 9), st.sampled_from(["on", "off"]), st.just({}))
TREES = st.dictionaries(KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3)), max_size=3)


@given(TREES, TREES)
def test_setting_what_is_missing_gives_what_is_wanted(wanted: dict[str, Any], there: dict[str, Any]) -> None:
    change = trees.Change(tuple(trees.surplus(wanted, there, [(key,) for key in there])), trees.missing(wanted, there))
    after = trees.changed(there, change)
    assert not trees.missing(wanted, after)
    assert not trees.surplus(wanted, after, [(key,) for key in after])
    if wanted == there:
        assert not change


def test_shortened_keys_are_written_out() -> None:
    short = {"interface": {"swp1-2,swp4": {"link": {"mtu": 9214}}, "swp1": {"type": "swp"}, "swp1s0-3": {}}}
    assert trees.expanded(short) == {
        "interface": {
            "swp1": {"link": {"mtu": 9214}, "type": "swp"},
            "swp2": {"link": {"mtu": 9214}},
            "swp4": {"link": {"mtu": 9214}},
            **{f"swp1s{number}": {} for number in range(4)},
        }
    }
    assert trees.expanded({"10.0.0.0/8": {"br_default": "x"}}) == {"10.0.0.0/8": {"br_default": "x"}}


def test_a_quiet_change_disturbs_nothing() -> None:
    found = tree()
    assert disruptions(plan(found, found, BRIDGE), found) == []
