# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rates are what was counted between two readings, and nothing where that is not known."""

from __future__ import annotations

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import (
    Pause,
    PfcCounters,
    PortCounters,
    PriorityGroup,
    Queue,
    WatchdogEvents,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.rates import rates


def reading(pause: Pause, queue: Queue, group: PriorityGroup) -> PfcCounters:
    port = PortCounters({"3": pause}, {"3": WatchdogEvents("operational")}, {"3": queue}, {"3": group})
    return PfcCounters("sonic", {"Ethernet0": port})


def test_per_second_and_percent_of_the_time() -> None:
    before = reading(Pause(100, 10, 1_000_000, None), Queue(5, 0, 7, 9000, 9000), PriorityGroup(1, 2, 3))
    after = reading(Pause(300, 10, 1_500_000, 4), Queue(25, 1, 9, 0, 9000), PriorityGroup(9, 9, 2))
    assert rates(before, after, 2) == {
        "Ethernet0": {
            "pfc": {
                "3": {
                    "rx_frames_per_s": 100.0,
                    "tx_frames_per_s": 0.0,
                    "rx_pause_percent": 25.0,  # half a second of two
                    "tx_pause_percent": None,
                }
            },
            "queues": {"3": {"tx_packets_per_s": 10.0, "dropped_packets_per_s": 0.5, "ecn_marked_packets_per_s": 1.0}},
            "priority_groups": {"3": {"dropped_packets_per_s": None}},  # cleared in between
        }
    }


def test_a_port_that_was_not_there_before_has_no_rate() -> None:
    after = reading(Pause(300), Queue(25), PriorityGroup())
    found = rates(PfcCounters("sonic", {}), after, 1)
    assert found["Ethernet0"]["pfc"]["3"]["rx_frames_per_s"] is None
