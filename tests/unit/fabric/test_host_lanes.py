# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host is told what the switch at the other end of its link is told."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings

from ansible_collections.tickwire.fabric.plugins.filter.host_lanes import host_lanes as filtered
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.host_lanes import host_lanes, roce_tos
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.dcb import desired_dcb
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.planner import make_plan
from tests.property.test_intent_property import intents
from tests.unit.fabric.intents import racks, star
from tests.unit.fabric.mistakes import sound

CHECKOUT = Path(__file__).resolve().parents[3]


def inventory(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHECKOUT / f"inventories/{name}/group_vars/all.yml").read_text())["fabric"]
    return found


INTENTS = {"lab": inventory("lab"), "example": inventory("example"), "sound": sound(), "star": star(), "racks": racks()}


def compare_ends(intent: dict[str, Any]) -> int:
    """Compares both ends of every link between a host and a switch; the number of such links."""
    fabric = parse_intent(intent)
    links = 0
    for host in fabric.hosts:
        wanted = host_lanes(fabric, host.name)
        assert list(wanted) == [port.name for port in fabric.ports_of(host.name)]
        for port in fabric.ports_of(host.name):
            if not fabric.devices[port.peer.device].is_switch:
                continue
            links += 1
            there = desired_dcb(next(end for end in fabric.ports_of(port.peer.device) if end.name == port.peer.port))
            here = wanted[port.name]["dcb"]
            # the traffic class behind a priority may be a device's own; all that is on the wire may not
            assert tuple(here["pfc"]) == there.pfc
            assert tuple((entry["dscp"], entry["priority"]) for entry in here["dscp"]) == there.dscp
            here_tc, there_tc = here["prio_tc"], there.prio_tc
            served = [(here["tsa"][here_tc[prio]], here["bw"][here_tc[prio]]) for prio in range(8)]
            assert served == [(there.tsa[there_tc[prio]], there.bw[there_tc[prio]]) for prio in range(8)]
            roce = wanted[port.name].get("roce")
            assert bool(roce) == bool(there.pfc)
            if roce:
                assert roce["priority"] in there.pfc
                assert set(roce.get("ecn", [])) <= set(there.pfc)
                if "tos" in roce and there.dscp:
                    assert dict(there.dscp)[roce["tos"] >> 2] == roce["priority"]
    return links


@pytest.mark.parametrize("name", INTENTS)
def test_both_ends_of_every_link_are_equal(name: str) -> None:
    assert not [found for found in make_plan(parse_intent(INTENTS[name])).findings if found.severity == "error"]
    assert compare_ends(INTENTS[name]) > 0


@settings(max_examples=60)
@given(intents())
def test_both_ends_of_any_sound_intent_are_equal(intent: dict[str, Any]) -> None:
    if not [found for found in make_plan(parse_intent(intent)).findings if found.severity == "error"]:
        compare_ends(intent)


def test_the_trading_host_of_the_lab() -> None:
    found = host_lanes(parse_intent(INTENTS["lab"]), "trade1")
    assert found["fab0"]["mtu"] == 9000
    assert found["fab0"]["dcb"]["pfc"] == [3]
    assert {"dscp": 26, "priority": 3} in found["fab0"]["dcb"]["dscp"]
    assert sum(found["fab0"]["dcb"]["bw"]) == 100
    assert found["fab0"]["dcb"]["headroom_bytes"] > 9000
    # DSCP 26 and ECT(0), as the lane is marked
    assert found["fab0"]["roce"] == {
        "version": 2,
        "priority": 3,
        "tos": 106,
        "cnp": {"priority": 6, "dscp": 48},
        "ecn": [3],
    }


def test_without_marks_the_byte_is_the_dscp_alone() -> None:
    lane = parse_intent(INTENTS["star"]).settings.lane("trading")
    assert roce_tos(lane) == 106
    assert roce_tos(dataclasses.replace(lane, ecn=None)) == 104
    assert roce_tos(dataclasses.replace(lane, dscp=())) is None


def test_version_1_has_no_tos() -> None:
    intent = {**copy.deepcopy(INTENTS["star"]), "roce_version": 1, "trust": "pcp"}
    found = host_lanes(parse_intent(intent), "h0")["e0"]
    assert found["roce"] == {"version": 1, "priority": 3, "cnp": {"priority": 6}}
    assert found["dcb"]["dscp"] == []
    assert found["dcb"]["trust"] == "pcp"


@pytest.mark.parametrize("name", ["leaf1", "nobody"])
def test_no_host_of_the_intent_gets_nothing(name: str) -> None:
    assert host_lanes(parse_intent(INTENTS["star"]), name) == {}


def test_interface_without_a_lossless_lane_has_no_roce() -> None:
    intent = copy.deepcopy(INTENTS["star"])
    intent["links"][1]["lanes"] = ["cnp", "bulk"]
    assert "roce" not in host_lanes(parse_intent(intent), "h1")["e0"]
    assert filtered(intent, "h1", "roce") == {}
    assert list(filtered(intent, "h0", "roce")) == ["e0"]


def test_filter_refuses_with_the_path() -> None:
    assert filtered({}, "h0") == {}
    assert filtered(INTENTS["lab"], "trade1", "mtu") == {"fab0": 9000}
    with pytest.raises(AnsibleFilterError, match="fabric.roce_version"):
        filtered({**INTENTS["star"], "roce_version": 3}, "h0")
    with pytest.raises(AnsibleFilterError, match="part 'qos'"):
        filtered(INTENTS["star"], "h0", "qos")
