# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any sound intent makes a CONFIG_DB that SONiC's YANG models take, by a patch that changes nothing of anybody else."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.desired import Platform, desired
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.plan import applied, patch, target
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.running import State
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.tables import RANGED, span
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.verify import drift
from tests.devices.sonic_switch import factory_config
from tests.devices.sonic_tools import changed
from tests.devices.sonic_yang import violations

SPEEDS = [1, 10, 25, 40, 50, 100]
PLATFORMS = st.sampled_from([None, Platform("mellanox", True), Platform("barefoot"), Platform("vs")])


@st.composite
def intents(draw: st.DrawFn) -> dict[str, Any]:
    """Sound intents with a SONiC switch leaf1 that has one to four ports."""
    count = draw(st.integers(1, 4))
    priorities = draw(st.lists(st.integers(0, 7), min_size=count + 1, max_size=count + 1, unique=True))
    dscps = draw(st.lists(st.integers(0, 63), min_size=count + 1, max_size=count + 5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(1, 99), min_size=count - 1, max_size=count - 1, unique=True)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    lanes: dict[str, Any] = {}
    for index in range(count):
        lane: dict[str, Any] = {"dscp": [dscps[index]], "priority": priorities[index], "share": shares[index]}
        lane["lossless"] = draw(st.booleans())
        if draw(st.booleans()):
            low = draw(st.integers(1, 20_000))
            lane["ecn"] = {"kmin_kb": low, "kmax_kb": low + draw(st.integers(1, 20_000)), "pmax": 20}
        lanes[f"lane{index}"] = lane
    lanes["lane0"]["dscp"] += dscps[count + 1 :]
    lanes[f"lane{draw(st.integers(0, count - 1))}"]["default"] = True
    lanes["cnp"] = {"dscp": [dscps[count]], "priority": priorities[count], "strict": True}
    names = list(lanes)
    model = draw(st.sampled_from(["dynamic", "traditional"]))
    poll = draw(st.integers(100, 1000))
    ports = {}
    for number in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            ports[f"Ethernet{number * 4}"] = {
                "trust": draw(st.sampled_from(["dscp", "pcp"])),
                "watchdog": {"action": draw(st.sampled_from(["drop", "forward", "alert"]))},
            }
    links: list[dict[str, Any]] = [
        {
            "a": f"leaf1:Ethernet{number * 4}",
            "b": f"host{number}:fab0",
            "speed_gbps": draw(st.sampled_from(SPEEDS)),
            "cable_m": draw(st.one_of(st.integers(1, 300), st.floats(0.1, 300))),
            **draw(st.sampled_from([{"vlan": "trading"}, {"vlans": ["trading", "storage"]}, {"vlan": "storage"}])),
        }
        for number in range(max(1, len(ports), draw(st.integers(1, 4))))
    ]
    there = {link["a"].partition(":")[2] for link in links}
    vids = draw(st.lists(st.integers(1, 4094), min_size=2, max_size=2, unique=True))
    return {
        "name": "ldn1",
        "lanes": lanes,
        "vlans": {
            "trading": {"id": vids[0], "lanes": draw(st.lists(st.sampled_from(names), min_size=1, unique=True))},
            "storage": vids[1],
        },
        "watchdog": {"poll_ms": poll, "detect_ms": draw(st.integers(poll, 5000)), "restore_ms": 60_000},
        "buffers": {
            "model": model,
            "total_kb": 500_000,
            "shared_headroom_ratio": draw(st.integers(0, 8)),
            "alpha_exponent": draw(st.integers(-7, 3)),
            "small_packet_percent": draw(st.integers(0, 100)),
        },
        "storm_control": draw(st.sampled_from([{}, {"broadcast_percent": 0.5}, {"unknown_unicast_percent": 100}])),
        "devices": {
            "leaf1": {
                "os": "sonic",
                **draw(st.sampled_from([{}, {"asic": "spectrum3"}, {"asic": "generic"}])),
                "ports": {port: over for port, over in ports.items() if port in there},
            }
        },
        "links": links,
    }


@given(intent=intents(), platform=PLATFORMS)
@settings(max_examples=60)
def test_every_intent_makes_a_configuration_that_yang_takes(intent: dict[str, Any], platform: Platform | None) -> None:
    before = factory_config()
    wanted = desired(parse_intent(intent), "leaf1", platform)
    after = target(before, wanted)
    assert violations(before) == []
    assert violations(after) == []
    operations = patch(before, after)
    assert changed(before, operations) == after == applied(before, operations)
    assert target(after, wanted) == after
    for table, rows in wanted.items():
        for name, row in rows.items():
            assert row.items() <= after[table][name].items()
    for port, row in wanted["PORT_QOS_MAP"].items():
        assert ("dscp_to_tc_map" in row) == ("dscp_to_tc_map" in after["PORT_QOS_MAP"][port])


@given(intent=intents(), other=intents())
@settings(max_examples=50)
def test_another_intent_leaves_nothing_of_the_first_and_all_of_others(
    intent: dict[str, Any], other: dict[str, Any]
) -> None:
    factory = factory_config()
    former = desired(parse_intent(intent), "leaf1")
    first = target(factory, former)
    wanted = desired(parse_intent(other), "leaf1")
    second = target(first, wanted)
    assert violations(second) == []
    for table in ("SCHEDULER", "WRED_PROFILE", "DSCP_TO_TC_MAP", "BUFFER_PROFILE", "TC_TO_QUEUE_MAP"):
        ours = {name for name in second.get(table, {}) if name.startswith("TICKWIRE_")}
        assert ours == set(wanted.get(table, {}))
        for name, row in factory.get(table, {}).items():
            assert second[table][name] == row
    for table in ("PFC_WD", "BUFFER_PG", "BUFFER_QUEUE", "QUEUE"):
        assert not {*former.get(table, {})} - {*wanted.get(table, {}), "GLOBAL"} & {*second.get(table, {})}, table
    assert second["NTP_SERVER"] == factory["NTP_SERVER"]
    for name, row in factory["PORT_QOS_MAP"].items():
        if name not in {*wanted["PORT"], *former["PORT"]}:
            assert second["PORT_QOS_MAP"][name] == row


@given(intent=intents())
@settings(max_examples=30)
def test_a_queue_or_group_that_is_not_ours_keeps_its_row_when_a_range_is_split(intent: dict[str, Any]) -> None:
    def numbers(table: dict[str, Any]) -> dict[tuple[str, int], Any]:
        return {
            (name.partition("|")[0], number): row
            for name, row in table.items()
            for number in span(name.partition("|")[2])
        }

    before = factory_config()
    wanted = desired(parse_intent(intent), "leaf1")
    after = target(before, wanted)
    for table in RANGED:
        ours = numbers(wanted.get(table, {}))
        assert {**numbers(before[table]), **ours} == numbers(after[table])


@given(intent=intents())
@settings(max_examples=30)
def test_after_the_change_nothing_of_ours_differs(intent: dict[str, Any]) -> None:
    fabric = parse_intent(intent)
    before = factory_config()
    device = fabric.devices["leaf1"]
    after = target(before, desired(fabric, "leaf1"))
    assert any(finding.rule == "drift" for finding in drift(fabric, device, State(before)))
    assert not [finding for finding in drift(fabric, device, State(after)) if finding.severity == "error"]


WORDS = st.text("aB~/01|", max_size=4)
TABLES = st.dictionaries(
    WORDS.filter(len), st.dictionaries(WORDS.filter(len), st.dictionaries(WORDS.filter(len), WORDS)), max_size=3
)


@given(TABLES, TABLES)
@settings(max_examples=80)
def test_a_patch_leads_from_any_configuration_to_any_other(before: Any, after: Any) -> None:
    operations = patch(before, after)
    assert changed(before, operations) == after == applied(before, operations)
    assert (operations == []) == (before == after)
