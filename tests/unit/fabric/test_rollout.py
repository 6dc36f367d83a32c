# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order of a rollout: from the core outwards, redundancy group by redundancy group."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import Fabric, IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.rollout import rollout_order


def fabric(devices: dict[str, dict]) -> Fabric:
    """Switches in a row, a host at the first."""
    names = list(devices)
    links = [{"a": f"{names[0]}:Ethernet9/1", "b": "host:nic", "speed_gbps": 25, "cable_m": 1}]
    links += [
        {"a": f"{a}:Ethernet1/1", "b": f"{b}:Ethernet2/1", "speed_gbps": 25, "cable_m": 1}
        for a, b in itertools.pairwise(names)
    ]
    given_devices = {name: {"os": "eos", **one} for name, one in devices.items()}
    return parse_intent(
        {
            "name": "f",
            "lanes": {"bulk": {"dscp": [0], "priority": 0, "share": 100, "default": True}},
            "vlans": {"trading": 1},
            "links": links,
            "devices": given_devices,
        }
    )


def test_core_first_and_groups_together() -> None:
    found = fabric(
        {
            "leaf1": {"group": "rack1"},
            "leaf2": {"group": "rack2"},
            "leaf3": {"group": "rack1"},
            "spine1": {"tier": "spine", "group": "a"},
            "spine2": {"tier": "spine", "group": "b"},
            "core1": {"tier": "super_spine"},
        }
    )
    names = ["leaf3", "leaf2", "leaf1", "spine2", "spine1", "core1"]
    assert rollout_order(found, names) == ["core1", "spine1", "spine2", "leaf1", "leaf3", "leaf2"]
    assert rollout_order(found, ["leaf2", "spine2"]) == ["spine2", "leaf2"]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["leaf", "spine", "super_spine"]), st.sampled_from("abc")), min_size=1, max_size=8
    )
)
def test_every_switch_once_and_no_group_is_interrupted(kinds: list[tuple[str, str]]) -> None:
    # a group's name has its tier, so that a group is of one tier
    devices = {f"s{index}": {"tier": tier, "group": f"{tier}-{group}"} for index, (tier, group) in enumerate(kinds)}
    found = fabric(devices)
    order = rollout_order(found, devices)
    assert sorted(order) == sorted(devices)
    tiers = [found.devices[name].tier for name in order]
    assert tiers == sorted(tiers, reverse=True)
    groups = [found.devices[name].group for name in order]
    assert sum(a != b for a, b in itertools.pairwise(groups)) == len(set(groups)) - 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("leaf9", "no link names this switch of the inventory; switches there: leaf1"), ("host", "has no os")],
)
def test_a_switch_that_the_intent_does_not_have_is_refused(name: str, said: str) -> None:
    with pytest.raises(IntentError, match=said) as caught:
        rollout_order(fabric({"leaf1": {}}), [name])
    assert caught.value.path == f"fabric.devices.{name}"
