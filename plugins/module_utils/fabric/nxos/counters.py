# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters of NX-OS in the shape of :mod:`..pfc`.

Field names are those of the ``show queuing`` grammar in the NX-OS 9.3 command reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..pfc import Pause, PfcCounters, PortCounters, Queue, WatchdogEvents
from . import outputs
from .outputs import PFC, QUEUING, WATCHDOG, Row, number

# to be read with `| json`; of several answers only the first may be empty, cisco.nxos stumbles over another one
COMMANDS = (WATCHDOG, QUEUING, PFC)
# what NX-OS does not tell here: how long pauses lasted, and the highest use of headroom, shared buffer and pools
MISSING = (
    "pfc.rx_pause_us",
    "pfc.tx_pause_us",
    "priority_groups.shared_watermark_bytes",
    "priority_groups.headroom_watermark_bytes",
    "queues.watermark_bytes",
    "pools",
)
SHUT_STATES = ("shut", "shutdown", "wait-to-restore")


def counters(found: Mapping[str, object]) -> PfcCounters:
    """Counters of every port, from command -> its JSON output. Commands that are not there count nothing."""
    pauses = outputs.ports(found.get(PFC), "pfc_interface")
    queuing = outputs.ports(found.get(QUEUING), "queuing_interface")
    watchdog = outputs.ports(found.get(WATCHDOG), "queuing_interface")
    names = [name for name in dict.fromkeys([*pauses, *queuing, *watchdog]) if name]
    return PfcCounters(
        os="nxos",
        ports={
            name: PortCounters(
                pfc=_pauses(pauses.get(name, []), queuing.get(name, [])),
                watchdog=_watchdog(watchdog.get(name, [])),
                queues=_queues(queuing.get(name, [])),
            )
            for name in names
        },
        missing=MISSING,
    )


def _pauses(total: list[Row], queuing: list[Row]) -> dict[str, Pause]:
    """By priority where ``show queuing interface`` has them, and ``all`` from the port's own counters."""
    found = {}
    for row in outputs.rows(_tables(queuing), "pfc_stats"):
        priority = number(row.get("cos"))
        if priority is not None:
            found[str(priority)] = Pause(
                rx_frames=number(row.get("rx-pause-count")), tx_frames=number(row.get("tx-pause-count"))
            )
    for row in total:
        found["all"] = Pause(rx_frames=number(row.get("rx-stats")), tx_frames=number(row.get("tx-stats")))
    return found


def _tables(found: list[Row]) -> list[object]:
    """The tables within rows, without the rows' own values."""
    return [value for row in found for value in row.values()]


def _queues(queuing: list[Row]) -> dict[str, Queue]:
    found = {}
    for row in outputs.rows(_tables(queuing), "qosgrp_egress_stats"):
        group = number(row.get("eq-qosgrp"))
        if group is None:  # those of the processor and of mirroring
            continue
        packets, depth = _values(row, "pkts"), _values(row, "byts")
        # two words for it, by release
        drops = [packets[kind] for kind in ("dropped", "wred/afd & tail drop") if kind in packets]
        found[str(group)] = Queue(
            tx_packets=packets.get("tx"),
            dropped_packets=sum(drops) if drops else None,
            ecn_marked_packets=packets.get("ecn"),
            depth_bytes=depth.get("q depth"),
        )
    return found


def _values(row: Row, units: str) -> dict[str, int]:
    """Kind of count -> unicast, out-of-band and multicast together."""
    found: dict[str, int] = {}
    for entry in outputs.rows(_tables([row]), "qosgrp_egress_stats_entry"):
        if str(entry.get("eq-stat-units", "")).strip().lower() == units:
            parts = [
                number(entry.get(key)) for key in ("eq-uc-stat-value", "eq-oobfc-uc-stat-value", "eq-mc-stat-value")
            ]
            known = [part for part in parts if part is not None]
            if known:
                kind = str(entry.get("eq-stat-type", "")).strip().lower()
                found[kind] = found.get(kind, 0) + sum(known)
    return found


def _watchdog(found: list[Row]) -> dict[str, WatchdogEvents]:
    """By priority, of the queues that pause."""
    events = {}
    for row in outputs.rows(_tables(found), "qosgrp_stats"):
        priority = number(row.get("pfc-cos"))
        if priority is None or str(row.get("pfc-configured", "")).strip().lower() not in ("yes", "true", "1"):
            continue
        entries = list(outputs.rows(_tables([row]), "qosgrp_stats_entry"))
        state = str(row.get("eq-qosgrp-state", "")).strip().lower()
        events[str(priority)] = WatchdogEvents(
            state=("stormed" if state in SHUT_STATES else "operational") if state else None,
            detected=_sum(entries, ("q-shutdown",)),
            restored=_sum(entries, ("q-restored",)),
            dropped_packets=_sum(entries, ("q-aggr-pkt-dropped", "q-ing-aggr-pkt-dropped")),
        )
    return events


def _sum(entries: list[Row], keys: tuple[str, ...]) -> int | None:
    known = [value for entry in entries for key in keys if (value := number(entry.get(key))) is not None]
    return sum(known) if known else None
