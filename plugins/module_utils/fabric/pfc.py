# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters of pauses, watchdog, queues and buffers in one shape for every switch system.

A value is None where a system does not tell it. Counters count from boot or the last clearing, as the system does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pause:
    """Pause frames of one priority (key ``all`` where a system counts them together), and time spent paused in µs."""

    rx_frames: int | None = None
    tx_frames: int | None = None
    rx_pause_us: int | None = None
    tx_pause_us: int | None = None


@dataclass(frozen=True)
class WatchdogEvents:
    """``state`` operational or stormed; how often a storm was detected and restored; packets dropped meanwhile."""

    state: str | None = None
    detected: int | None = None
    restored: int | None = None
    dropped_packets: int | None = None


@dataclass(frozen=True)
class Queue:
    """An egress queue by traffic class."""

    tx_packets: int | None = None
    dropped_packets: int | None = None
    ecn_marked_packets: int | None = None
    depth_bytes: int | None = None
    watermark_bytes: int | None = None


@dataclass(frozen=True)
class PriorityGroup:
    """An ingress buffer: highest use of the shared part and of the headroom, packets dropped for want of buffer."""

    shared_watermark_bytes: int | None = None
    headroom_watermark_bytes: int | None = None
    dropped_packets: int | None = None


@dataclass(frozen=True)
class PortCounters:
    """Of one port, keys as strings: priorities, traffic classes, priority groups."""

    pfc: Mapping[str, Pause] = field(default_factory=dict)
    watchdog: Mapping[str, WatchdogEvents] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    priority_groups: Mapping[str, PriorityGroup] = field(default_factory=dict)


@dataclass(frozen=True)
class PfcCounters:
    """Of one switch. ``pools``: buffer pool -> highest use in bytes. ``missing``: what this system does not tell."""

    os: str
    ports: Mapping[str, PortCounters]
    pools: Mapping[str, int | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def plain(counters: PfcCounters) -> dict[str, object]:
    """The counters as plain data."""
    return {**dataclasses.asdict(counters), "missing": list(counters.missing)}
