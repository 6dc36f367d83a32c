# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storms, rising pauses, drops, headroom and late marks from two readings."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import (
    Pause,
    PfcCounters,
    PortCounters,
    PriorityGroup,
    Queue,
    WatchdogEvents,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.storm import (
    Thresholds,
    Watch,
    pause_shares,
    storm_findings,
    watches,
)

WATCH = Watch(port="p1", lane="trading", priority="3", queue="3", group="3", xoff_bytes=100_000)
INTENT = {
    "name": "f",
    "lanes": {
        "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 50},
        "bulk": {"dscp": [0], "priority": 0, "share": 50, "default": True},
    },
    "vlans": {"trading": 110, "storage": {"id": 120, "lanes": ["bulk"]}},
    "devices": {"leaf1": {"os": "sonic", "asic": "spectrum2"}},
    "links": [
        {"a": "leaf1:Ethernet0", "b": "h1:ens1", "speed_gbps": 100, "cable_m": 5},
        {"a": "leaf1:Ethernet4", "b": "h2:ens1", "speed_gbps": 100, "cable_m": 5, "vlan": "storage"},
    ],
}


def reading(**changes: Any) -> PfcCounters:
    """A quiet port p1 with these values changed, by field name."""

    def made(kind: Any, **values: Any) -> Any:
        fields = {field.name for field in dataclasses.fields(kind)}
        return kind(**{**values, **{name: value for name, value in changes.items() if name in fields}})

    return PfcCounters(
        os="sonic",
        ports={
            "p1": PortCounters(
                pfc={"3": made(Pause, rx_frames=0, tx_frames=0, rx_pause_us=0)},
                watchdog={"3": made(WatchdogEvents, state="operational", detected=0, restored=0)},
                queues={"3": made(Queue, tx_packets=100, dropped_packets=0, ecn_marked_packets=0, depth_bytes=0)},
                priority_groups={"3": made(PriorityGroup, headroom_watermark_bytes=0)},
            )
        },
    )


def rules(before: PfcCounters, after: PfcCounters, seconds: float = 1.0, **options: Any) -> set[tuple[str, str]]:
    found = storm_findings("leaf1", [WATCH], before, after, seconds, **options)
    return {(finding.severity, finding.rule) for finding in found}


def test_a_quiet_port_has_no_findings() -> None:
    assert rules(reading(), reading()) == set()


def test_a_port_of_which_nothing_is_counted_is_no_quiet_one() -> None:
    nothing = PfcCounters(os="sonic", ports={})
    assert rules(nothing, nothing) == {("warning", "not-counted")}


@pytest.mark.parametrize(
    ("after", "stormy"),
    [
        ({"rx_pause_us": 1_000_000, "depth_bytes": 4096}, True),
        ({"rx_pause_us": 990_001, "depth_bytes": 1}, True),
        ({"rx_pause_us": 990_000, "depth_bytes": 1}, False),
        ({"rx_pause_us": 1_000_000, "depth_bytes": 0}, False),
        ({"rx_pause_us": 1_000_000, "depth_bytes": 4096, "tx_packets": 101}, False),
        ({"rx_pause_us": 1_000_000, "depth_bytes": None}, False),
        ({"rx_pause_us": None, "rx_frames": 9, "depth_bytes": 4096}, True),
        ({"rx_pause_us": None, "rx_frames": 0, "depth_bytes": 4096}, False),
        ({"rx_pause_us": None, "rx_frames": 9, "depth_bytes": 4096, "tx_packets": 101}, False),
    ],
)
def test_a_storm_is_what_the_watchdog_of_sonic_calls_one(after: dict[str, Any], stormy: bool) -> None:
    assert (("error", "storm") in rules(reading(), reading(**after))) == stormy


def test_a_storm_by_the_switchs_own_watchdog() -> None:
    assert rules(reading(), reading(state="stormed", detected=1)) == {("error", "storm")}
    assert rules(reading(), reading(detected=2, restored=1)) == {("warning", "watchdog-open")}
    assert rules(reading(), reading(detected=2, restored=2)) == set()


def test_a_rising_share_needs_the_readings_before() -> None:
    before, after = reading(), reading(rx_pause_us=40_000)
    assert pause_shares(before, after, 1.0) == {("p1", "3"): 0.04}
    assert rules(before, after) == set()
    assert rules(before, after, shares_before={("p1", "3"): 0.02}) == {("warning", "pause-share-rising")}
    assert rules(before, after, shares_before={("p1", "3"): 0.03}) == set()
    assert rules(before, after, shares_before={("p1", "3"): 0.0}) == {("warning", "pause-share-rising")}
    assert rules(before, reading(rx_pause_us=9_000), shares_before={("p1", "3"): 0.0}) == set()
    assert rules(before, after, thresholds=Thresholds(pause_share=0.04)) == {("warning", "pause-share")}


def test_drops_headroom_and_late_marks() -> None:
    assert rules(reading(), reading(dropped_packets=1)) == {("error", "lossless-drop")}
    assert rules(reading(dropped_packets=5), reading(dropped_packets=5)) == set()
    assert rules(reading(), reading(headroom_watermark_bytes=79_999)) == set()
    assert rules(reading(), reading(headroom_watermark_bytes=80_000)) == {("warning", "headroom-watermark")}
    assert rules(reading(), reading(headroom_watermark_bytes=100_000)) == {("error", "headroom-watermark")}
    assert rules(reading(), reading(tx_frames=3)) == {("warning", "ecn-too-late")}
    assert rules(reading(), reading(tx_frames=3, ecn_marked_packets=1)) == set()
    assert rules(reading(), reading(tx_frames=3, ecn_marked_packets=None)) == set()


def test_marks_count_on_every_port_of_the_switch() -> None:
    marking = PortCounters(queues={"3": Queue(ecn_marked_packets=7)})
    silent = PortCounters(queues={"3": Queue(ecn_marked_packets=0)})
    before, after = reading(), reading(tx_frames=3)
    before = dataclasses.replace(before, ports={"p0": silent, **before.ports, "p2": silent})
    after = dataclasses.replace(after, ports={"p0": marking, **after.ports, "p2": silent})
    assert rules(before, after) == set()
    assert rules(after, after) == set()


def test_counters_that_went_back_say_so_and_nothing_else() -> None:
    before = reading(rx_pause_us=5_000_000, rx_frames=50, tx_frames=9, tx_packets=900, dropped_packets=4)
    assert rules(before, reading(depth_bytes=10)) == {("advice", "counters-cleared")}


def test_readings_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="later than the first"):
        storm_findings("leaf1", [WATCH], reading(), reading(), 0)


def test_the_lossless_lanes_of_an_intent_are_watched_where_they_are() -> None:
    found = watches(parse_intent(INTENT), "leaf1")
    assert found == (Watch("Ethernet0", "trading", "3", "3", "3", xoff_bytes=109_568, link=0),)
