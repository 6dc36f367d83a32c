# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any two readings: a storm exactly when its conditions hold, and what a system does not tell accuses nobody."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import (
    Pause,
    PfcCounters,
    PortCounters,
    PriorityGroup,
    Queue,
    WatchdogEvents,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.storm import Watch, pause_shares, storm_findings

WATCH = Watch(port="p1", lane="trading", priority="3", queue="3", group="3", xoff_bytes=1000)
COUNT = st.one_of(st.none(), st.integers(0, 3), st.integers(0, 2_000_000))
STATES = st.sampled_from([None, "operational", "stormed"])


def port(draw: st.DrawFn) -> PortCounters:
    return PortCounters(
        pfc={"3": draw(st.builds(Pause, COUNT, COUNT, COUNT, COUNT))},
        watchdog={"3": draw(st.builds(WatchdogEvents, STATES, COUNT, COUNT, COUNT))},
        queues={"3": draw(st.builds(Queue, COUNT, COUNT, COUNT, COUNT, COUNT))},
        priority_groups={"3": draw(st.builds(PriorityGroup, COUNT, COUNT, COUNT))},
    )


@st.composite
def readings(draw: st.DrawFn) -> PfcCounters:
    return PfcCounters("any", {name: port(draw) for name in draw(st.sampled_from([["p1"], ["p1", "p2"], ["p2"], []]))})


@given(readings(), readings(), st.floats(0.001, 1000))
@settings(max_examples=300)
def test_a_finding_has_its_cause_in_the_readings(before: PfcCounters, after: PfcCounters, seconds: float) -> None:
    old, new = before.ports.get("p1", PortCounters()), after.ports.get("p1", PortCounters())
    shares = pause_shares(before, after, seconds)
    assert all(0 <= share <= 1 for share in shares.values())
    found = storm_findings("sw", [WATCH], before, after, seconds)
    rules = {finding.rule for finding in found}
    queue = new.queues.get("3", Queue())
    own = [finding for finding in found if finding.rule == "storm" and "queue" in finding.path]
    sent_before = old.queues.get("3", Queue()).tx_packets
    if own:
        assert queue.depth_bytes and queue.tx_packets == sent_before is not None
        assert shares.get(("p1", "3"), 1.0) > 0.99
    elif queue.depth_bytes and sent_before is not None and queue.tx_packets == sent_before:
        assert shares.get(("p1", "3"), 0.0) <= 0.99
    stormed = [name for name, one in after.ports.items() if one.watchdog["3"].state == "stormed"]
    assert {finding.port for finding in found if "watchdog" in finding.path and finding.rule == "storm"} == set(stormed)
    if "lossless-drop" in rules:
        assert any(
            (get(new) or 0) > (get(old) or 0)
            for get in (
                lambda one: one.queues.get("3", Queue()).dropped_packets,
                lambda one: one.priority_groups.get("3", PriorityGroup()).dropped_packets,
            )
        )
    if "ecn-too-late" in rules:
        assert (new.pfc["3"].tx_frames or 0) > (old.pfc["3"].tx_frames or 0)


@given(readings(), st.floats(0.001, 1000))
@settings(max_examples=100)
def test_the_same_reading_twice_is_never_a_drop_nor_a_rise(reading: PfcCounters, seconds: float) -> None:
    found = storm_findings("sw", [WATCH], reading, reading, seconds, shares_before={("p1", "3"): 0.0})
    assert {finding.rule for finding in found} <= {"storm", "headroom-watermark", "watchdog-open", "not-counted"}
    assert all("watchdog" in finding.path for finding in found if finding.rule == "storm")


@given(readings(), readings())
@settings(max_examples=100)
def test_a_system_that_tells_nothing_is_accused_of_nothing(before: PfcCounters, after: PfcCounters) -> None:
    silent = dataclasses.replace(after, ports=dict.fromkeys(after.ports, PortCounters()))
    found = {finding.rule for finding in storm_findings("sw", [WATCH], before, silent, 1.0)}
    assert found == (set() if WATCH.port in silent.ports else {"not-counted"}), "its silence is told, and nothing else"
