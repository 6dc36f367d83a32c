# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Both ends of every link, and one lossless set."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.consistency import consistency_findings
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import Finding
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from tests.unit.fabric.intents import racks


def found(intent: dict[str, Any]) -> list[Finding]:
    return list(consistency_findings(parse_intent(intent)))


def with_device(name: str, **over: Any) -> dict[str, Any]:
    intent = copy.deepcopy(racks())
    intent["devices"].setdefault(name, {}).update(over)
    return intent


def test_a_sound_fabric_has_no_finding() -> None:
    assert found(racks()) == []


@pytest.mark.parametrize(
    ("device", "over", "expected"),
    [
        (
            "h1",
            {"lanes": {"trading": {"dscp": [27]}}},
            [
                "error dscp-map: fabric.links[0]: lane trading has DSCP 26 at leaf1:Ethernet0 and 27 at h1:e0; packets "
                "change lane on it"
            ],
        ),
        (
            "h2",
            {"lanes": {"trading": {"priority": 4}}},
            [
                "error priority-map: fabric.links[1]: lane trading has priority 4 at h2:e0 and 3 at leaf2:Ethernet0; a "
                "pause would stop another lane; set one",
                "warning queue-map: fabric.links[1]: lane trading is in traffic class and queue 4 at h2:e0 and 3 at "
                "leaf2:Ethernet0; their counters can not be compared; set one",
            ],
        ),
        (
            "h1",
            {"lanes": {"trading": {"traffic_class": 5}}},
            [
                "warning queue-map: fabric.links[0]: lane trading is in traffic class and queue 3 at leaf1:Ethernet0 "
                "and 5 at h1:e0; their counters can not be compared; set one"
            ],
        ),
        (
            "h1",
            {"lanes": {"trading": {"lossless": False}}},
            [
                "error lossless-ends: fabric.links[0]: lane trading is lossless at leaf1:Ethernet0 and not at h1:e0, "
                "which ignores its pauses; set one",
                "error lossless-set: fabric.devices.h1.lanes: lossless here: none; in the fabric: trading; a lane is "
                "lossless everywhere or nowhere",
            ],
        ),
        (
            "h1",
            {"trust": "pcp"},
            [
                "error trust: fabric.links[0]: leaf1:Ethernet0 trusts dscp and h1:e0 pcp; packets change lane on the "
                "way; set one"
            ],
        ),
        (
            "spine1",
            {"mtu": 9100},
            [
                "error mtu: fabric.links[2]: MTU 9214 at leaf1:Ethernet4 and 9100 at spine1:Ethernet0; the smaller "
                "drops what the larger sends; set one",
                "error mtu: fabric.links[4]: MTU 9100 at spine1:Ethernet4 and 9214 at leaf2:Ethernet4; the smaller "
                "drops what the larger sends; set one",
            ],
        ),
        (
            "leaf1",
            {"ports": {"Ethernet0": {"mtu": 1500}}},
            [
                "error mtu: fabric.links[0]: MTU 1500 of leaf1:Ethernet0 is below 9000 of the host's h1:e0; the switch "
                "would drop its packets"
            ],
        ),
        ("h1", {"mtu": 1500}, []),
        (
            "leaf1",
            {"watchdog": {"action": "alert"}},
            [
                "warning watchdog-action: fabric.devices.leaf1.watchdog: action alert only reports a storm of pauses, "
                "which then stops the fabric; set drop or forward"
            ],
        ),
    ],
)
def test_ends_that_differ(device: str, over: dict[str, Any], expected: list[str]) -> None:
    assert [str(finding) for finding in found(with_device(device, **over))] == expected


def test_a_port_of_its_own_lossless_set() -> None:
    intent = with_device("leaf1", ports={"Ethernet4": {"lanes": {"trading": {"lossless": False}}}})
    first, second = found(intent)
    assert (first.rule, first.link, second.rule) == ("lossless-ends", 2, "lossless-set")
    assert (second.path, second.port) == ("fabric.devices.leaf1.ports.Ethernet4.lanes", "Ethernet4")


def test_what_is_said_once_is_told_once_where_it_is_said() -> None:
    """Other settings of a device or a port, another time of the watchdog too, are no second place."""
    intent = with_device("leaf1", latency_ns=1, ports={"Ethernet0": {"watchdog": {"detect_ms": 300}}})
    intent["watchdog"] = {"action": "alert"}
    intent["devices"]["spine1"]["storm_control"] = {"broadcast_percent": 1}
    assert [finding.path for finding in found(intent)] == ["fabric.watchdog"]


def test_maps_of_lanes_that_a_link_does_not_carry_are_not_compared() -> None:
    intent = with_device("h1", lanes={"bulk": {"dscp": [1]}})
    assert [finding.rule for finding in found(intent)] == ["dscp-map"]
    intent["links"][0]["lanes"] = ["trading", "cnp"]
    assert found(intent) == []


def test_the_lossless_set_moves_the_group_of_the_others() -> None:
    intent = with_device("h1", lanes={"trading": {"priority": 0}, "bulk": {"priority": 3}})
    rules = [finding.rule for finding in found(intent)]
    assert rules.count("priority-map") == 2 and "priority-group-map" in rules, "cnp is in group 0 and group 1"


@pytest.mark.parametrize(
    ("fabric", "device", "expected"),
    [
        ({"role": "boundary"}, {}, []),
        ({"role": "boundary"}, {"domain": 24}, ["error ptp-domain"] * 2),
        ({"role": "boundary"}, {"transport": "l2"}, ["error ptp-transport"] * 2),
        ({"role": "boundary"}, {"role": "none", "domain": 24}, ["warning ptp-one-end"] * 2),
        ({"role": "boundary"}, {"enabled": False}, ["warning ptp-one-end"] * 2),
        ({}, {"domain": 24}, []),
    ],
)
def test_clocks(fabric: dict[str, Any], device: dict[str, Any], expected: list[str]) -> None:
    intent = {**with_device("spine1", ptp=device), "ptp": fabric}
    assert [f"{finding.severity} {finding.rule}" for finding in found(intent)] == expected


def test_a_host_in_another_clock_domain() -> None:
    (finding,) = found({**with_device("h1", ptp={"domain": 24}), "ptp": {"role": "boundary"}})
    assert (finding.rule, finding.link) == ("ptp-domain", 0)


def test_a_long_cable_with_a_lossless_lane() -> None:
    intent = racks()
    intent["links"][2]["cable_m"] = 301
    (finding,) = found(intent)
    assert (finding.severity, finding.rule, finding.link) == ("warning", "cable-length", 2)
    intent["links"][2]["lanes"] = ["cnp", "bulk"]
    assert found(intent) == []


def test_cumulus_without_a_version() -> None:
    intent = racks()
    intent["devices"]["spine2"].update(os="cumulus", asic="spectrum4")
    intent["links"][3]["b"] = "spine2:swp1"
    intent["links"][5]["a"] = "spine2:swp2"
    (finding,) = found(intent)
    assert (finding.severity, finding.rule) == ("warning", "version")
    assert finding.path == "fabric.devices.spine2.version"


@pytest.mark.parametrize(
    ("trading", "cnp", "expected"),
    [([26, 48], [46], "error cnp-lossless"), ([26], [46], "advice cnp-lane"), ([26], [48, 46], "")],
)
def test_where_congestion_notifications_go(trading: list[int], cnp: list[int], expected: str) -> None:
    intent = copy.deepcopy(racks())
    intent["lanes"]["trading"]["dscp"] = trading
    intent["lanes"]["cnp"]["dscp"] = cnp
    assert [f"{one.severity} {one.rule}" for one in found(intent)] == ([expected] if expected else [])


def test_a_path_whose_lane_a_link_does_not_carry() -> None:
    intent = racks(paths=[{"name": "order", "hops": ["h1", "leaf1", "spine1", "leaf2", "h2"], "lane": "trading"}])
    assert found(intent) == []
    intent["links"][4]["lanes"] = ["bulk"]
    (finding,) = found(intent)
    assert (finding.severity, finding.rule, finding.path) == ("error", "lane-on-path", "fabric.paths[0].hops[3]")
    intent["links"].append(
        {**intent["links"][4], "a": "spine1:Ethernet12", "b": "leaf2:Ethernet12", "lanes": ["trading"]}
    )
    assert found(intent) == [], "a parallel link carries it"
