# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters of an Arista switch, from the JSON of its show commands as ANTA 1.10 reads it, ``anta/tests/interfaces.py``.

EOS counts pauses of all priorities of a port together. Which command tells the drops depends on the chip; what an
output does not have, and a counter for which EOS writes ``-``, is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..pfc import Pause, PfcCounters, PortCounters, Queue

PFC = "show priority-flow-control counters"
ECN = "show qos interfaces ecn counters queue"
QUEUES = "show interfaces counters queue detail"
DROPS = "show interfaces counters queue drops"
COMMANDS = (PFC, ECN, QUEUES, DROPS)
MISSING = (
    "pauses by priority",
    "pause durations",
    "watchdog events as JSON",
    "queue depths and watermarks",
    "priority groups",
    "buffer pools",
)


def counters(outputs: Mapping[str, Any]) -> PfcCounters:
    """From the JSON by command; a command the switch does not have may be missing."""
    pauses = {
        name: Pause(rx_frames=_count(port.get("rxFrames")), tx_frames=_count(port.get("txFrames")))
        for name, port in outputs.get(PFC, {}).get("interfaceCounters", {}).items()
    }
    queues: dict[str, dict[str, dict[str, int | None]]] = {}

    def put(port: str, number: str, key: str, value: int | None) -> None:
        queues.setdefault(port, {}).setdefault(number, {})[key] = value

    for name, port in outputs.get(ECN, {}).get("intfQueueCounters", {}).items():
        for number, value in port.get("queueCounters", {}).items():
            put(name, number, "ecn_marked_packets", _count(value))
    for name, port in outputs.get(QUEUES, {}).get("egressQueueCounters", {}).get("interfaces", {}).items():
        for number, one in _classes(port.get("ucastQueues", {})):
            levels = list(one.get("dropPrecedences", {}).values())
            put(name, number, "tx_packets", _sum(level.get("enqueuedPackets") for level in levels))
            put(name, number, "dropped_packets", _sum(level.get("droppedPackets") for level in levels))
    for name, port in outputs.get(DROPS, {}).get("interfaces", {}).items():
        for number, one in _classes(port):
            sums = [one.get(key, {}).get("countersSum", {}) for key in ("ingressVoqCounters", "egressQueueCounters")]
            put(name, number, "dropped_packets", _sum(part.get("droppedPackets") for part in sums))
    names = sorted({*pauses, *queues})
    return PfcCounters(
        os="eos",
        ports={
            name: PortCounters(
                pfc={"all": pauses[name]} if name in pauses else {},
                queues={number: Queue(**queues[name][number]) for number in sorted(queues.get(name, {}))},
            )
            for name in names
        },
        missing=MISSING,
    )


def _classes(port: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Number and counters of each traffic class, ``TC3``; one of several, ``TC0-2``, has the first's number."""
    for key, one in port.get("trafficClasses", {}).items():
        match = re.fullmatch(r"(?:TC)?(\d+)(?:-\d+)?", key)
        if match:
            yield match.group(1), one


def _count(value: Any) -> int | None:
    """A number, or digits as EOS's ECN counters are; None for a dash."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdigit() else None


def _sum(values: Iterator[Any]) -> int | None:
    known = [number for number in map(_count, values) if number is not None]
    return sum(known) if known else None
