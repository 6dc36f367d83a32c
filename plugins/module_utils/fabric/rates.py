# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What two readings of the counters say of the time between them: frames and packets per second, share of it paused."""

from __future__ import annotations

import dataclasses
from typing import Any

from .pfc import Pause, PfcCounters, PortCounters, PriorityGroup, Queue

# counters that only grow; the rest are states, depths and highest uses
COUNTED = {
    Pause: ("rx_frames", "tx_frames"),
    Queue: ("tx_packets", "dropped_packets", "ecn_marked_packets"),
    PriorityGroup: ("dropped_packets",),
}
PAUSED = ("rx_pause_us", "tx_pause_us")


def rates(before: PfcCounters, after: PfcCounters, seconds: float) -> dict[str, dict[str, Any]]:
    """Port -> the mappings of :class:`PortCounters` with ``*_per_s``, and for a pause ``*_pause_percent`` of the time.

    A rate is None where the system does not tell the counter, and where it went back: it was cleared in between.
    """
    return {
        port: {
            name: {key: _rate(old.get(key), new, seconds) for key, new in getattr(counters, name).items()}
            for name, old in _mappings(before.ports.get(port, PortCounters()))
        }
        for port, counters in after.ports.items()
    }


def _mappings(counters: PortCounters) -> list[tuple[str, Any]]:
    return [(name, getattr(counters, name)) for name in ("pfc", "queues", "priority_groups")]


def _rate(old: Any, new: Any, seconds: float) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for field in dataclasses.fields(new):
        grown = _grown(getattr(old, field.name, None), getattr(new, field.name))
        if field.name in COUNTED[type(new)]:
            found[f"{field.name}_per_s"] = None if grown is None else round(grown / seconds, 3)
        elif field.name in PAUSED:
            found[field.name.replace("_us", "_percent")] = None if grown is None else round(grown / seconds / 1e4, 3)
    return found


def _grown(old: int | None, new: int | None) -> int | None:
    return None if old is None or new is None or new < old else new - old
