# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration of a Cumulus Linux switch from the intent, as the tree that NVUE sets. Pure.

Explicit profiles, not ``qos roce``: that mode knows one lossless priority (3) and one for CNP (6), puts PFC on every
port and marks traffic class 0 too, so neither the lanes of the intent nor "PFC only where the lane is" could be said.
It is unset where it is found, for it fills the ``default-global`` profiles and takes the buffer for pools of its own
(Cumulus Linux user guide, "RDMA over Converged Ethernet").

What NVUE has as profiles for a port gets a name from its content, so that one port's change moves that port alone.
Switch priority to traffic class, the traffic pools and the watchdog's times exist once per switch. A port without a
marking lane keeps ``default-global``, by which NVUE marks traffic class 0 from 150000 bytes on.

No ``xoff-threshold``, ``xon-threshold`` or ``port-buffer``: the switch derives them from the cable length, NVIDIA asks
to leave them to it, and its documents take xon once as a limit and once as a distance from xoff (user guide, "Priority
Flow Control"). A queue with a storm of pauses is dropped until one polling interval goes by without a pause:
``restore_ms`` has no counterpart.
"""

from __future__ import annotations

import hashlib
import json
from math import ceil
from typing import Any

from ..model import Device, DevicePort, Fabric, Lane
from ..reading import IntentError
from ..settings import Settings, Watchdog
from .dialect import DEFAULT_VERSION, Dialect, dialect

BRIDGE = "br_default"
PREFIX = "tickwire-"
# the kinds of profile that a port refers to
PROFILES = ("mapping", "pfc", "congestion-control", "egress-scheduler")
ROCE_UDP_PORT = "4791"
ROBUSTNESS_MAX = 1000
POLL_MS_MIN = 100
# preamble, frame check sequence, gap between frames, Ethernet header and one tag
FRAME_OVERHEAD_BYTES = 8 + 4 + 12 + 14 + 4


def desired(fabric: Fabric, device: str, version: str | None = None, bridge: str = BRIDGE) -> dict[str, Any]:
    """The tree to set on ``device``. ``version``: what the switch says of itself, for an intent that does not.

    IntentError when Cumulus Linux can not have what the intent says.
    """
    switch, path = fabric.devices.get(device), f"fabric.devices.{device}"
    if switch is None or not switch.is_switch:
        names = ", ".join(one.name for one in fabric.switches)
        raise IntentError(path, f"is no switch of the intent; switches there: {names}")
    words = dialect(switch.version or version or DEFAULT_VERSION, f"{path}.version")
    ports = fabric.ports_of(device)
    _check(switch, ports, words)
    tree: dict[str, Any] = {"qos": _switch_wide(switch, ports), "interface": {}}
    vids = sorted({vlan.vid for port in ports for vlan in port.vlans})
    tree["bridge"] = {"domain": {bridge: {"vlan": {str(vid): {} for vid in vids}}}}
    for port in ports:
        profiles = _profiles(port, words)
        for kind, content in profiles.items():
            tree["qos"].setdefault(kind, {})[_name(content)] = content
        tree["interface"][port.name] = _interface(fabric, port, profiles, words, bridge)
    lane = _roce_lane(fabric, switch.settings, ports)
    if lane:
        tree[words.lldp] = {"lldp": {"application-tlv": {"udp-port": {ROCE_UDP_PORT: {"priority": lane.priority}}}}}
    if switch.settings.ptp.role == "boundary":
        ptp = {words.switch_key: words.switch(True), "domain": switch.settings.ptp.domain}
        tree.setdefault("service", {})["ptp"] = {"1": ptp}
    return tree


def _check(device: Device, ports: tuple[DevicePort, ...], words: Dialect) -> None:
    """What the intent may say and Cumulus Linux can not do."""
    path, settings = f"fabric.devices.{device.name}", device.settings
    if settings.ptp.role == "transparent":
        raise IntentError(f"{path}.ptp.role", "Cumulus Linux is a boundary clock; say boundary or none")
    if settings.watchdog.action != "drop" and any(port.lossless for port in ports):
        said = f"the watchdog of Cumulus Linux only drops, {settings.watchdog.action} it can not; say drop"
        raise IntentError(f"{path}.watchdog.action", said)
    classes = {lane.name: (lane.priority, lane.traffic_class) for lane in settings.lanes}
    for port in ports:
        here = f"{path}.ports.{port.name}"
        for lane in port.settings.lanes:
            if (lane.priority, lane.traffic_class) != classes[lane.name]:
                said = "Cumulus Linux has one map from priority to traffic class for all ports; set it for the device"
                raise IntentError(f"{here}.lanes.{lane.name}", said)
        if port.settings.watchdog != settings.watchdog:
            raise IntentError(f"{here}.watchdog", "Cumulus Linux has one watchdog for all ports; set it for the device")
        if not port.settings.lldp.enabled and not words.lldp_per_port:
            raise IntentError(f"{here}.lldp.enabled", "LLDP is on until Cumulus Linux 5.11; say true or upgrade")


def _switch_wide(device: Device, ports: tuple[DevicePort, ...]) -> dict[str, Any]:
    settings = device.settings
    classes = {str(number): settings.lane_of_priority(number).traffic_class for number in range(8)}
    found: dict[str, Any] = {
        "egress-queue-mapping": {
            "default-global": {"switch-priority": {key: {"traffic-class": tc} for key, tc in classes.items()}}
        }
    }
    if any(port.lossless for port in ports):
        lossless = settings.buffers.lossless_percent
        # the lossy pool has the whole buffer until it is made smaller: both, before PFC
        found["traffic-pool"] = {
            "default-lossy": {"memory-percent": 100 - lossless},
            "default-lossless": {"memory-percent": lossless},
        }
        found["pfc-watchdog"] = watchdog(settings.watchdog)
    return found


def watchdog(wanted: Watchdog) -> dict[str, Any]:
    """Polling interval in ms and number of polls whose product is ``detect_ms``, polling as often as asked or less.

    The interval is 100 to 5000 ms; a single poll after ``detect_ms`` is always possible.
    """
    most = min(wanted.detect_ms // max(wanted.poll_ms, POLL_MS_MIN), ROBUSTNESS_MAX)
    robustness = next(count for count in range(most, 0, -1) if wanted.detect_ms % count == 0)
    return {"polling-interval": wanted.detect_ms // robustness, "robustness": robustness}


def _profiles(port: DevicePort, words: Dialect) -> dict[str, dict[str, Any]]:
    """Kind -> content; no ``pfc`` where no lane is lossless, no ``congestion-control`` where none has ECN."""
    settings = port.settings
    found: dict[str, dict[str, Any]] = {
        "mapping": _mapping(port),
        "egress-scheduler": {"traffic-class": _scheduler(settings)},
    }
    marks = {}
    for lane in port.lanes:
        if lane.ecn:
            ecn = lane.ecn.at_speed(port.speed_gbps)
            marks[str(lane.traffic_class)] = {
                "ecn": "enable",
                "red": "disable",
                "min-threshold": ecn.kmin_bytes,
                "max-threshold": ecn.kmax_bytes,
                "probability": ecn.pmax,
            }
    if marks:
        found["congestion-control"] = {"traffic-class": marks}
    if port.lossless:
        pfc: dict[str, Any] = {
            "switch-priority": {str(lane.priority): {} for lane in port.lossless},
            "tx": "enable",
            "rx": "enable",
            "cable-length": ceil(port.cable_m),
        }
        if words.small_packets:
            pfc["small-packet-probability"] = settings.buffers.small_packet_percent
        found["pfc"] = pfc
    return found


def _mapping(port: DevicePort) -> dict[str, Any]:
    """All 64 DSCPs or all 8 PCPs, those of lanes that this port does not carry to the default lane."""
    settings, default = port.settings, port.settings.default_lane.priority
    carried = {lane.name for lane in port.lanes}

    def priority(lane: Lane) -> dict[str, int]:
        return {"switch-priority": lane.priority if lane.name in carried else default}

    found: dict[str, Any] = {"port-default-sp": default}
    if settings.trust == "dscp":
        found.update(trust="l3", dscp={str(code): priority(settings.lane_of_dscp(code)) for code in range(64)})
    else:
        found.update(trust="l2", pcp={str(code): priority(settings.lane_of_priority(code)) for code in range(8)})
    return found


def _scheduler(settings: Settings) -> dict[str, Any]:
    return {
        str(lane.traffic_class): {"mode": "strict"} if lane.strict else {"mode": "dwrr", "bw-percent": lane.share}
        for lane in sorted(settings.lanes, key=lambda one: one.traffic_class)
    }


def _interface(
    fabric: Fabric, port: DevicePort, profiles: dict[str, dict[str, Any]], words: Dialect, bridge: str
) -> dict[str, Any]:
    settings = port.settings
    qos: dict[str, Any] = {kind: {"profile": _name(content)} for kind, content in profiles.items()}
    if port.lossless:
        qos["pfc-watchdog"] = {"state": "enable"}
    member: dict[str, Any] = {}
    if port.vlan and not port.tagged:
        member["access"] = port.vlan.vid
    else:
        member["untagged"] = port.vlan.vid if port.vlan else "none"
        member["vlan"] = {str(vlan.vid): {} for vlan in port.tagged}
    dcbx = words.switch(settings.lldp.dcbx)
    lldp: dict[str, Any] = {key: dcbx for key in ("dcbx-pfc-tlv", "dcbx-ets-config-tlv", "dcbx-ets-recomm-tlv")}
    if words.lldp_per_port:
        lldp["state"] = "enabled" if settings.lldp.enabled else "disabled"
    if settings.lldp.dcbx and port.lossless and fabric.roce_version == 2:
        lldp["application-tlv"] = {"udp-port": {ROCE_UDP_PORT: {}}}
    found: dict[str, Any] = {
        "type": "swp",
        "link": {"mtu": port.mtu},
        "bridge": {"domain": {bridge: member}},
        "qos": qos,
        "lldp": lldp,
    }
    storm = _storm_control(port, words)
    if storm:
        found["storm-control"] = storm
    if settings.ptp.role == "boundary" and settings.ptp.enabled:
        transport = "ipv4" if settings.ptp.transport == "ipv4" else "802.3"
        found["ptp"] = {words.switch_key: words.switch(True), "transport": transport}
    return found


def _storm_control(port: DevicePort, words: Dialect) -> dict[str, int]:
    """Packets per second. NVUE counts packets, the intent limits bandwidth: it holds for the largest frames too."""
    limits = {
        "broadcast": port.settings.storm_control.broadcast_percent,
        "unknown-unicast": port.settings.storm_control.unknown_unicast_percent,
    }
    frame_bits = 8 * (port.mtu + FRAME_OVERHEAD_BYTES)
    most = words.storm_pps_max
    return {
        key: min(max(int(port.speed_gbps * 10**9 * percent / 100 / frame_bits), 1), most)
        for key, percent in limits.items()
        if percent is not None
    }


def _roce_lane(fabric: Fabric, settings: Settings, ports: tuple[DevicePort, ...]) -> Lane | None:
    """The lane whose priority LLDP tells for RoCE version 2: the first lossless one of a port that speaks DCBX."""
    carried = {lane.name for port in ports if port.settings.lldp.dcbx for lane in port.lossless}
    lanes = [lane for lane in settings.lanes if lane.name in carried]
    return lanes[0] if lanes and fabric.roce_version == 2 else None


def _name(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:8]
