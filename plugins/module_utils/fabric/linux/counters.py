# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters of a Linux switch: queues from tc, pauses from DCB or, for the whole port, from the driver's statistics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..model import Fabric
from ..pfc import Pause, PfcCounters, PortCounters, Queue
from .desired import bands_of
from .state import ROOT_HANDLE

COMMANDS = (
    "tc -s -j class show dev {port}",
    "tc -s -j qdisc show dev {port}",
    "dcb -j -s pfc show dev {port}",
    "ethtool -S {port}",
)
MISSING = ("watchdog", "priority_groups", "pools", "rx_pause_us", "tx_pause_us", "watermark_bytes")
# how drivers call the frames: mlx5 rx_prio3_pause, ice and i40e rx_priority_3_xoff.nic, mlxsw rx_pause_prio_3
PRIORITY = re.compile(r"([rt]x)_(?:prio(?:rity)?_?(\d)_(?:pause|xoff)|pause_prio_(\d))(?:\.nic)?")
# those of the whole port: rx_pause_ctrl_phy, rx_flow_control_xoff, rx_pause
PLAIN = re.compile(r"([rt]x)_(?:pause(?:_ctrl_phy|_frames?)?|flow_control_xoff)")


def counters(outputs: Mapping[str, Any]) -> PfcCounters:
    """From command -> output, JSON or its text; a command that was not read is missing. Queues are named by band."""
    ports = {command.rsplit(" ", 1)[1] for command in outputs}
    return PfcCounters(
        os="linux",
        ports={port: _port(outputs, port) for port in sorted(ports)},
        missing=MISSING,
    )


def by_traffic_class(found: PfcCounters, fabric: Fabric, device: str) -> PfcCounters:
    """The same with the intent's traffic classes in the place of the bands."""
    classes = {
        port.name: {str(band): str(lane.traffic_class) for band, lane in enumerate(bands_of(port), start=1)}
        for port in fabric.ports_of(device)
    }
    ports = {
        name: PortCounters(
            pfc=port.pfc,
            queues={classes[name][band]: queue for band, queue in port.queues.items() if band in classes[name]},
        )
        for name, port in found.ports.items()
        if name in classes
    }
    return PfcCounters(found.os, ports, found.pools, found.missing)


def _port(outputs: Mapping[str, Any], port: str) -> PortCounters:
    classes, qdiscs, dcb = (_json(outputs.get(command.format(port=port))) for command in COMMANDS[:3])
    pauses = _pauses(dcb[0]) if dcb else _driver_pauses(str(outputs.get(COMMANDS[3].format(port=port)) or ""))
    marked = {item.get("parent"): item.get("marked") for item in qdiscs if item.get("kind") == "red"}
    queues = {}
    for item in classes:
        major, colon, minor = item.get("handle", "").partition(":")
        if item.get("class") != "ets" or major + colon != ROOT_HANDLE:
            continue
        stats = item.get("stats", {})
        queues[str(int(minor, 16))] = Queue(
            tx_packets=stats.get("packets"),
            dropped_packets=stats.get("drops"),
            ecn_marked_packets=marked.get(item["handle"]),
            depth_bytes=stats.get("backlog"),
        )
    return PortCounters(pfc=pauses, queues=queues)


def _json(output: Any) -> list[dict[str, Any]]:
    found = json.loads(output) if isinstance(output, str) and output.strip() else output
    if isinstance(found, dict):
        return [found]
    return [item for item in found if item] if isinstance(found, list) else []


def _pauses(dcb: Mapping[str, Any]) -> dict[str, Pause]:
    """``requests`` are pauses sent, ``indications`` pauses received (include/uapi/linux/dcbnl.h, struct ieee_pfc)."""
    sent, received = dcb.get("requests", []), dcb.get("indications", [])
    return {str(number): Pause(rx_frames=rx, tx_frames=tx) for number, (rx, tx) in enumerate(zip(received, sent))}


def _driver_pauses(text: str) -> dict[str, Pause]:
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        name, colon, value = line.strip().partition(":")
        match, plain = PRIORITY.fullmatch(name), PLAIN.fullmatch(name)
        if not colon or not value.strip().isdigit():
            continue
        if match:
            found.setdefault(match[2] or match[3], {})[f"{match[1]}_frames"] = int(value)
        elif plain:
            found.setdefault("all", {})[f"{plain[1]}_frames"] = int(value)
    return {key: Pause(**values) for key, values in sorted(found.items())}
