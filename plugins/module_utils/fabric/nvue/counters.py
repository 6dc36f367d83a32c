# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters of a Cumulus Linux switch from the JSON of NVUE.

Fields by the user guide ("Quality of Service", "RDMA over Converged Ethernet"). ``counters qos`` is per priority,
group and class; ``qos roce counters`` exists in RoCE mode only and adds watermarks. Spectrum counts the pause duration
in microseconds, as its register PPCNT does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..pfc import Pause, PfcCounters, PortCounters, PriorityGroup, Queue, WatchdogEvents
from .tree import at
from .values import number

# paths below /nvue_v1/, each for every port
COMMANDS = (
    "interface/{port}/counters/qos",
    "interface/{port}/qos/pfc-watchdog",
    "interface/{port}/qos/roce/counters",
    "interface/{port}/qos/roce/status/pool-map",
)
COMMAND = re.compile(r"interface/([^/]+)/(.+)")
STATES = {"ok": "operational", "deadlock": "stormed"}
MISSING = (
    "watchdog.restored",
    "watchdog.dropped_packets",
    "priority_groups.headroom_watermark_bytes",
    "queues.ecn_marked_packets without RoCE mode",
)


def counters(outputs: Mapping[str, Any]) -> PfcCounters:
    """``outputs``: a command of :data:`COMMANDS` with the port in it -> its answer, as text or as data."""
    ports: dict[str, dict[str, Any]] = {}
    for command, answer in outputs.items():
        match = COMMAND.fullmatch(command)
        if match:
            found = json.loads(answer or "{}") if isinstance(answer, str) else answer
            ports.setdefault(match.group(1), {})[match.group(2)] = found if isinstance(found, (Mapping, list)) else {}
    pools: dict[str, int | None] = {}
    for answers in ports.values():
        for key, pool in _rows(answers.get("qos/roce/status/pool-map"), ""):
            name, most = str(pool.get("name", key)), number(pool.get("max-usage"))
            pools[name] = max(filter(None, (pools.get(name), most)), default=most)
    return PfcCounters("cumulus", {port: _port(found) for port, found in ports.items()}, pools, MISSING)


def _port(answers: Mapping[str, Any]) -> PortCounters:
    qos = answers.get("counters/qos") or {}
    roce = answers.get("qos/roce/counters") or {}
    dog = answers.get("qos/pfc-watchdog") or {}
    return PortCounters(
        pfc=_pauses(qos, roce),
        watchdog={key: _events(row) for key, row in _rows(dog.get("status"), "traffic-class")},
        queues=_queues(qos, roce),
        priority_groups={
            key: PriorityGroup(dropped_packets=number(row.get("rx-buffer-discards")))
            for key, row in _rows(qos.get("ingress-buffer-stats"), "priority-group")
        }
        or _roce_groups(roce),
    )


def _rows(table: Any, label: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of a table that is a mapping by key, or a list of rows that name their key."""
    if isinstance(table, Mapping):
        pairs = list(table.items())
    else:
        pairs = [(str(index), row) for index, row in enumerate(table or ())]
    for key, row in pairs:
        if isinstance(row, Mapping):
            yield str(row.get(label, key)), row


def _pauses(qos: Mapping[str, Any], roce: Mapping[str, Any]) -> dict[str, Pause]:
    found = {
        key: Pause(
            rx_frames=number(row.get("rx-pause-frames")),
            tx_frames=number(row.get("tx-pause-frames")),
            rx_pause_us=number(row.get("rx-pause-duration")),
            tx_pause_us=number(row.get("tx-pause-duration")),
        )
        for key, row in _rows(qos.get("pfc-stats"), "switch-priority")
    }
    rx, tx = (at(roce, (f"{way}-stats", f"{way}-pfc-stats")) for way in ("rx", "tx"))
    if not found and (rx or tx):
        pause = [number((one or {}).get(key)) for key in ("pause-packets", "pause-duration") for one in (rx, tx)]
        found["all"] = Pause(*pause)
    return found


def _events(row: Mapping[str, Any]) -> WatchdogEvents:
    said = str(row.get("status", ""))
    return WatchdogEvents(
        state=STATES.get(said.lower(), said.lower() or None), detected=number(row.get("deadlock-count"))
    )


def _queues(qos: Mapping[str, Any], roce: Mapping[str, Any]) -> dict[str, Queue]:
    """By traffic class; the RoCE counters name none, and are told as ``roce`` and ``cnp``."""
    found = {
        key: Queue(tx_packets=number(row.get("tx-frames")), dropped_packets=number(row.get("tx-uc-buffer-discards")))
        for key, row in _rows(qos.get("egress-queue-stats"), "traffic-class")
    }
    marked = number(at(roce, ("tx-stats", "tx-ecn-stats", "ecn-marked-packets")))
    for name in ("roce", "cnp"):
        row = at(roce, ("tx-stats", f"tx-{name}-stats"))
        if row:
            found[name] = Queue(
                tx_packets=number(row.get(f"{name}-packets")),
                dropped_packets=number(row.get("unicast-no-buffer-discard")),
                ecn_marked_packets=marked if name == "roce" else None,
                depth_bytes=number(row.get("tc-usage")),
                watermark_bytes=number(row.get("tc-max-usage")),
            )
    return found


def _roce_groups(roce: Mapping[str, Any]) -> dict[str, PriorityGroup]:
    row = at(roce, ("rx-stats", "rx-roce-stats"))
    if not row:
        return {}
    return {
        "roce": PriorityGroup(
            shared_watermark_bytes=number(row.get("pg-max-usage")),
            dropped_packets=number(row.get("no-buffer-discard")),
        )
    }
