# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A configuration of the runtime in the lane of the intent: what it is given, and what of its own is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.filter.host_lanes import host_lanes
from ansible_collections.tickwire.fabric.plugins.filter.runtime_lane import FilterModule, runtime_lane

ROOT = Path(__file__).resolve().parents[3]
LAB = yaml.safe_load((ROOT / "inventories/lab/group_vars/all.yml").read_text(encoding="utf-8"))["fabric"]
LANE = host_lanes(LAB, "trade1")["fab0"]
OVER_VERBS = {"feed": {"transport": "verbs"}, "orders": {"transport": "verbs"}}
TRANSPORTS = st.sampled_from(["auto", "socket", "verbs"])
SIDES = st.fixed_dictionaries({}, optional={"transport": TRANSPORTS, "port": st.just(1)})
CONFIGS = st.fixed_dictionaries(
    {"feed": SIDES, "orders": SIDES}, optional={"rdma": st.sampled_from([{}, {"interface": "10.110.0.1"}])}
)


@pytest.mark.parametrize(
    ("component", "config", "given"),
    [
        # sockets take the DSCP; whether packets may be marked is their own affair
        ("engine", {"feed": {}, "orders": {}}, {"orders": {"tos": 104}}),
        ("engine", OVER_VERBS, {"orders": {"tos": 106}, "verbs": {"roce_version": 2, "mtu": 4096}}),
        (
            "engine",
            {"feed": {"transport": "verbs"}, "orders": {}},  # the hybrid is the default
            {"orders": {"tos": 106}, "verbs": {"roce_version": 2, "mtu": 4096}},
        ),
        (
            "engine",
            {"feed": {"transport": "verbs"}, "orders": {"transport": "socket"}},
            {"orders": {"tos": 104}, "verbs": {"roce_version": 2, "mtu": 4096}},
        ),
        ("exchange", {"feed": {}}, {"feed": {"tos": 104}}),
        (
            "exchange",
            {"feed": {}, "rdma": {"interface": "10.110.0.1"}},
            {"feed": {"tos": 104}, "rdma": {"roce_version": 2, "mtu": 4096, "tos": 106, "priority": 3}},
        ),
    ],
)
def test_what_the_lab_gives(component: str, config: dict[str, Any], given: dict[str, Any]) -> None:
    before = copy.deepcopy(config)
    found = runtime_lane(config, component, LANE)
    assert found["differences"] == []
    wanted = {section: {**config.get(section, {}), **given.get(section, {})} for section in {*config, *given}}
    assert found["config"] == wanted
    assert config == before


@pytest.mark.parametrize(
    ("component", "config", "difference"),
    [
        ("engine", {"orders": {"tos": 0}}, "orders.tos is 0, the intent's lane has 104"),
        ("engine", {"orders": {"tos": "104"}}, "orders.tos is '104', the intent's lane has 104"),
        ("engine", {**OVER_VERBS, "verbs": {"roce_version": 1}}, "verbs.roce_version is 1, the intent's lane has 2"),
        ("engine", {**OVER_VERBS, "verbs": {"mtu": 1024}}, "verbs.mtu is 1024, the intent's lane has 4096"),
        ("exchange", {"feed": {"tos": 72}}, "feed.tos is 72, the intent's lane has 104"),
        ("exchange", {"rdma": {"interface": "10.110.0.1", "tos": 0}}, "rdma.tos is 0, the intent's lane has 106"),
    ],
)
def test_what_is_otherwise(component: str, config: dict[str, Any], difference: str) -> None:
    assert runtime_lane(config, component, LANE)["differences"] == [difference]


@given(config=CONFIGS, component=st.sampled_from(["engine", "exchange"]))
def test_what_was_given_does_not_differ(config: dict[str, Any], component: str) -> None:
    once = runtime_lane(config, component, LANE)
    assert once["differences"] == []
    assert runtime_lane(once["config"], component, LANE) == once
    assert runtime_lane(config, component, {}) == {"config": config, "differences": []}


def test_the_ecn_bits_are_the_configurations_affair() -> None:
    for tos in (104, 105, 106, 107):
        config = {**OVER_VERBS, "orders": {"transport": "verbs", "tos": tos}}
        found = runtime_lane(config, "engine", LANE)
        assert (found["config"]["orders"]["tos"], found["differences"]) == (tos, [])


def test_version_1_and_a_small_mtu() -> None:
    """RoCE v1 has no ToS; an interface of 1500 has a path MTU of 1024."""
    intent = {**copy.deepcopy(LAB), "roce_version": 1, "trust": "pcp", "mtu": {"host": 1500, "switch": 9000}}
    found = runtime_lane(OVER_VERBS, "engine", host_lanes(intent, "trade1")["fab0"])
    assert found["config"] == {**OVER_VERBS, "verbs": {"roce_version": 1, "mtu": 1024}}


def test_what_is_no_mapping_and_what_is_no_component() -> None:
    for config, component, lane in ([], "engine", {}), ({}, "engine", None), ({}, "switch", {}):
        with pytest.raises(AnsibleFilterError, match="runtime_lane: "):
            runtime_lane(config, component, lane)
    assert FilterModule().filters() == {"runtime_lane": runtime_lane}
