# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pauses, watchdog, queues and watermarks from COUNTERS_DB, with the names of SAI and of SONiC's watchdog."""

from __future__ import annotations

from collections.abc import Mapping

from ..pfc import Pause, PfcCounters, PortCounters, PriorityGroup, Queue, WatchdogEvents
from .commands import Hashes, parse_hashes, read_command
from .running import COUNTERS_PATTERNS

COMMANDS = (read_command("COUNTERS_DB", *COUNTERS_PATTERNS),)
PORT, QUEUE, GROUP = "SAI_PORT_STAT_PFC_", "SAI_QUEUE_STAT_", "SAI_INGRESS_PRIORITY_GROUP_STAT_"
# not in SONiC: how long we had others pause
MISSING = ("tx_pause_us",)


def counters(outputs: Mapping[str, str]) -> PfcCounters:
    """From command -> what it printed."""
    return from_hashes(parse_hashes(outputs[COMMANDS[0]], "sonic-db-cli COUNTERS_DB"))


def from_hashes(found: Hashes) -> PfcCounters:
    """From the hashes of COUNTERS_DB by key."""
    queues = _by_port(found, "COUNTERS_QUEUE_NAME_MAP")
    groups = _by_port(found, "COUNTERS_PG_NAME_MAP")
    ports = {}
    for port, oid in found.get("COUNTERS_PORT_NAME_MAP", {}).items():
        row = _row(found, oid)
        mine = {index: _row(found, queue) for index, queue in queues.get(port, {}).items()}
        ports[port] = PortCounters(
            pfc={str(number): _pause(row, number) for number in range(8) if f"{PORT}{number}_RX_PKTS" in row},
            watchdog={index: _watchdog(queue) for index, queue in mine.items() if "PFC_WD_STATUS" in queue},
            queues={index: _queue(queue) for index, queue in mine.items()},
            priority_groups={index: _group(_row(found, group)) for index, group in groups.get(port, {}).items()},
        )
    pools = found.get("COUNTERS_BUFFER_POOL_NAME_MAP", {})
    return PfcCounters(
        os="sonic",
        ports=ports,
        pools={name: _number(_row(found, oid), "SAI_BUFFER_POOL_STAT_WATERMARK_BYTES") for name, oid in pools.items()},
        missing=MISSING,
    )


def _by_port(found: Hashes, name: str) -> dict[str, dict[str, str]]:
    """A map ``Ethernet0:3`` -> oid as port -> index -> oid, indices in order."""
    ports: dict[str, dict[str, str]] = {}
    rows = [(*one.partition(":")[::2], oid) for one, oid in found.get(name, {}).items()]
    for port, index, oid in sorted((row for row in rows if row[1].isdigit()), key=lambda row: (row[0], int(row[1]))):
        ports.setdefault(port, {})[index] = oid
    return ports


def _row(found: Hashes, oid: str) -> dict[str, str]:
    """Of one object: its counters, and over them its watermarks since they were last cleared by a person."""
    return {**found.get(f"COUNTERS:{oid}", {}), **found.get(f"PERSISTENT_WATERMARKS:{oid}", {})}


def _number(row: Mapping[str, str], *fields: str) -> int | None:
    """The first of the fields that is a number."""
    for field in fields:
        value = row.get(field, "")
        if value.isdigit():
            return int(value)
    return None


def _pause(row: Mapping[str, str], number: int) -> Pause:
    return Pause(
        rx_frames=_number(row, f"{PORT}{number}_RX_PKTS"),
        tx_frames=_number(row, f"{PORT}{number}_TX_PKTS"),
        # where the chip does not count the time, the watchdog's plugin estimates it
        rx_pause_us=_number(
            row,
            f"{PORT}{number}_RX_PAUSE_DURATION_US",
            f"EST_PORT_STAT_PFC_{number}_RX_PAUSE_DURATION_US",
        ),
    )


def _watchdog(row: Mapping[str, str]) -> WatchdogEvents:
    dropped = [_number(row, f"PFC_WD_QUEUE_STATS_{way}_DROPPED_PACKETS") for way in ("TX", "RX")]
    known = [number for number in dropped if number is not None]
    return WatchdogEvents(
        state=row["PFC_WD_STATUS"],
        detected=_number(row, "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED"),
        restored=_number(row, "PFC_WD_QUEUE_STATS_DEADLOCK_RESTORED"),
        dropped_packets=sum(known) if known else None,
    )


def _queue(row: Mapping[str, str]) -> Queue:
    return Queue(
        tx_packets=_number(row, f"{QUEUE}PACKETS"),
        dropped_packets=_number(row, f"{QUEUE}DROPPED_PACKETS"),
        ecn_marked_packets=_number(row, f"{QUEUE}WRED_ECN_MARKED_PACKETS"),
        depth_bytes=_number(row, f"{QUEUE}CURR_OCCUPANCY_BYTES"),
        watermark_bytes=_number(row, f"{QUEUE}SHARED_WATERMARK_BYTES"),
    )


def _group(row: Mapping[str, str]) -> PriorityGroup:
    return PriorityGroup(
        shared_watermark_bytes=_number(row, f"{GROUP}SHARED_WATERMARK_BYTES"),
        headroom_watermark_bytes=_number(row, f"{GROUP}XOFF_ROOM_WATERMARK_BYTES"),
        dropped_packets=_number(row, f"{GROUP}DROPPED_PACKETS"),
    )
