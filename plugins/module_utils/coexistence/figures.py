# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From rounds to figures: loss over all rounds of a kind, the median round's percentiles, and one against the other.

The median over rounds takes out the round in which the machine itself stalled; the kinds of rounds take turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..stats import percentile

# no load; a load below what the bottleneck can carry; as much as it takes
IDLE, BUSY, LOADED = "idle", "busy", "loaded"


@dataclass(frozen=True)
class Round:
    """``sent`` probes, ``answered`` of them in time; round trips of those with all stamps; what the load brought."""

    kind: str
    round_trips_ns: tuple[int, ...]
    sent: int
    answered: int
    ce_packets: int
    load_mbps: float


def figures(rounds: Sequence[Round]) -> dict[str, object]:
    """``idle``, ``busy`` (None without such rounds) and ``loaded``, and what the gates judge.

    ``loss`` in probes while loaded and busy, ``p99_ratio`` loaded to idle, ``p99_busy_ratio`` loaded to busy,
    ``ecn_marks``, ``load_mbps``. Ratios and percentiles are None where no probe came back.
    """
    found = {kind: _of([one for one in rounds if one.kind == kind]) for kind in (IDLE, BUSY, LOADED)}
    idle, busy, loaded = found.values()
    if not loaded or not idle:
        raise ValueError("figures need idle and loaded rounds")
    return {
        **found,
        "loss": loaded["lost"] + (busy or {}).get("lost", 0),
        "p99_ratio": _ratio(loaded, idle),
        "p99_busy_ratio": _ratio(loaded, busy),
        "ecn_marks": loaded["ce_packets"],
        "load_mbps": loaded["load_mbps"],
    }


def _ratio(above: Mapping[str, Any], below: Mapping[str, Any] | None) -> float | None:
    if not below or not above["p99_us"] or not below["p99_us"]:
        return None
    return round(above["p99_us"] / below["p99_us"], 3)


def _of(rounds: Sequence[Round]) -> dict[str, Any] | None:
    if not rounds:
        return None
    stamped = [sorted(one.round_trips_ns) for one in rounds if one.round_trips_ns]

    def median(percent: int) -> float | None:
        return statistics.median(percentile(one, percent) for one in stamped) / 1000 if stamped else None

    return {
        "rounds": len(rounds),
        "sent": sum(one.sent for one in rounds),
        "lost": sum(one.sent - one.answered for one in rounds),
        "unstamped": sum(one.answered - len(one.round_trips_ns) for one in rounds),
        "median_us": median(50),
        "p99_us": median(99),
        "max_us": max((one[-1] for one in stamped), default=0) / 1000 if stamped else None,
        "ce_packets": sum(one.ce_packets for one in rounds),
        "load_mbps": statistics.median(one.load_mbps for one in rounds),
    }
