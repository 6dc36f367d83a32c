# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading what iproute2 6.1 and 6.15 printed on a real switch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.compare import drift, without_dcb
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import desired_switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.plan import plan
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.running import (
    dscp_filters,
    port_vlans,
    running_switch,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.state import (
    PortVlan,
    Switch,
    SwitchError,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.tools import TOOLS, Iproute

ROOT = Path(__file__).parents[3]
VERSIONS = ["6.1.0", "6.15.0"]


def lab() -> Switch:
    intent = yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text())["fabric"]
    del intent["lanes"]["bulk"]["ecn"]  # what was recorded had none there
    return desired_switch(parse_intent(intent), "sw1")


def recorded(version: str, state: str) -> Iproute:
    found = json.loads((ROOT / f"tests/fixtures/tc/iproute2_{version}_{state}.json").read_text())
    assert version in found["tool"]

    def run(argv: Sequence[str], data: str) -> tuple[int, str, str]:
        output = found["output"][" ".join(argv)]
        return 0, "" if output is None else json.dumps(output), ""

    return Iproute(run, {tool: tool for tool in TOOLS})


@pytest.mark.parametrize("version", VERSIONS)
def test_configured_is_what_the_intent_says(version: str) -> None:
    running = running_switch(recorded(version, "configured"), lab())
    assert running == without_dcb(lab(), running), "no port of it has DCB"
    assert drift(without_dcb(lab(), running), running) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_fresh_is_all_default(version: str) -> None:
    running = running_switch(recorded(version, "fresh"), lab())
    assert running.bridge is None
    assert all(port.egress.default and not port.vlans and not port.master and port.up for port in running.ports)
    assert plan(lab(), running).ip[0].startswith("link add name br0 type bridge vlan_filtering 1")


@pytest.mark.parametrize("version", VERSIONS)
def test_foreign_queues_are_named(version: str) -> None:
    running = running_switch(recorded(version, "foreign"), lab())
    assert running.port("swp1").egress.foreign == ("qdisc netem 13: under 1:3", "filter ip pref 10 flower 2")
    assert running.port("swp2").egress.foreign == ("root qdisc netem 8001:",)
    assert {name for name, lines in plan(lab(), running).queues} == {"swp1", "swp2"}


def test_vlan_ranges_and_tagged_members() -> None:
    entries: list[dict[str, Any]] = [{"vlan": 110, "flags": ["PVID", "Egress Untagged"]}, {"vlan": 200, "vlanEnd": 202}]
    assert port_vlans(entries) == (
        PortVlan(110),
        PortVlan(200, False, False),
        PortVlan(201, False, False),
        PortVlan(202, False, False),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "u32"},
        {"pref": 49152},
        {"chain": 1},
        {"options": {"classid": "2:2"}},
        {"options": {"actions": [{"kind": "gact"}]}},
        {"options": {"keys": {"ip_tos_mask": "ff"}}},
        {"options": {"keys": {"dst_port": 4791}}},
        {"options": {"keys": {"eth_type": "8906"}}},
    ],
)
def test_a_filter_that_differs_in_one_thing_is_not_ours(change: dict) -> None:
    keys = {"eth_type": "ipv4", "ip_tos": 104, "ip_tos_mask": "fc"}
    options = {"handle": 27, "classid": "1:2", "keys": keys}
    entry = {"protocol": "ip", "pref": 10, "kind": "flower", "chain": 0, "options": options}
    ours, others = dscp_filters([entry])
    assert len(ours) == 1 and not others
    more = change.get("options", {})
    changed = {**entry, **change, "options": {**options, **more, "keys": {**keys, **more.get("keys", {})}}}
    ours, others = dscp_filters([changed])
    assert not ours and len(others) == 1


def test_a_tool_that_fails_or_prints_no_json_is_named() -> None:
    def failing(argv: Sequence[str], data: str) -> tuple[int, str, str]:
        return 255, "", "RTNETLINK answers: Operation not permitted\n"

    def old(argv: Sequence[str], data: str) -> tuple[int, str, str]:
        return 0, "qdisc noqueue 0: dev lo", ""

    paths = {tool: f"/usr/sbin/{tool}" for tool in TOOLS}
    with pytest.raises(SwitchError, match="'/usr/sbin/tc -j qdisc show' failed with 255: RTNETLINK answers: Operation"):
        Iproute(failing, paths).read("tc", "qdisc", "show")
    with pytest.raises(SwitchError, match="printed no JSON.*iproute2 6.1 or newer is needed"):
        Iproute(old, paths).read("tc", "qdisc", "show")
