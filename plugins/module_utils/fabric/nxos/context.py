# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the intent to what NX-OS calls it, as plain data: the template writes it, and the proof compares with it.

qos-group n leaves through queue n (c-out-8q-qn) and is class c-8q-nqn of network-qos, for the whole switch. Everything
else is given to each port of the intent and to no other: a classifier, a scheduler, and pauses.
"""

from __future__ import annotations

from ..headroom import port_headroom
from ..model import Device, DevicePort, Fabric
from ..reading import IntentError
from ..settings import Lane, Settings
from .limits import MTU_DEFAULT, PREFIX, check, polls

NETWORK = f"{PREFIX}NETWORK"
QUEUES = 8


def context(fabric: Fabric, device: str) -> dict[str, object]:
    """The configuration of ``device`` as plain data; IntentError when the intent or NX-OS can not have it.

    Percent of bandwidth, thresholds in bytes, times in looks of the watchdog (``interval_ms``). None: not configured.
    """
    if device not in fabric.devices:
        raise IntentError("fabric.links", f"no link names the device {device!r}; there are {', '.join(fabric.devices)}")
    switch, ports = fabric.devices[device], fabric.ports_of(device)
    check(fabric, switch, ports)
    named = _Named()
    port_data = {port.name: _port(switch, port, named) for port in ports}
    mtu = max(port.mtu for port in ports)
    settings = switch.settings
    vlans = sorted({vlan for port in ports for vlan in port.vlans}, key=lambda vlan: vlan.vid)
    boundary = settings.ptp.role == "boundary"
    return {
        "device": device,
        "features": [
            name
            for name, wanted in (("lldp", any(port["lldp"] for port in port_data.values())), ("ptp", boundary))
            if wanted
        ],
        "jumbomtu": mtu if mtu != MTU_DEFAULT else None,
        "vlans": {str(vlan.vid): vlan.name for vlan in vlans},
        "watchdog": _watchdog(settings) if any(port.lossless for port in ports) else None,
        "ptp": {"source": settings.ptp.source, "domain": settings.ptp.domain} if boundary else None,
        "classes": named.tables["class"],
        "classifiers": named.tables["IN"],
        "network_qos": _network_qos(settings, ports, mtu),
        "schedulers": named.tables["OUT"],
        "pause_buffers": named.tables["PAUSE"],
        "ports": port_data,
    }


class _Named:
    """Names for what ports share: the same content has the same name, the first of a kind without a number."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, object]] = {"class": {}, "IN": {}, "OUT": {}, "PAUSE": {}}

    def name(self, table: str, stem: str, content: object) -> str:
        number = 1
        while True:
            name = PREFIX + stem + (f"-{number}" if number > 1 else "")
            if self.tables[table].setdefault(name, content) == content:
                return name
            number += 1


def _watchdog(settings: Settings) -> dict[str, int]:
    watchdog = settings.watchdog
    return {
        "interval_ms": watchdog.poll_ms,
        "shutdown_multiplier": polls(watchdog.detect_ms, watchdog.poll_ms),
        "auto_restore_multiplier": 0,
        "fixed_restore_multiplier": polls(watchdog.restore_ms, watchdog.poll_ms),
    }


def _network_qos(settings: Settings, ports: tuple[DevicePort, ...], mtu: int) -> dict[str, object]:
    pauses = {lane.traffic_class: lane.priority for port in ports for lane in port.lossless}
    groups = sorted({lane.traffic_class for port in ports for lane in port.settings.lanes}, reverse=True)
    return {
        "name": NETWORK,
        "classes": {f"c-8q-nq{group or '-default'}": {"mtu": mtu, "pause_cos": pauses.get(group)} for group in groups},
    }


def _port(device: Device, port: DevicePort, named: _Named) -> dict[str, object]:
    settings = port.settings
    lossless = bool(port.lossless)
    own_detect = settings.watchdog.detect_ms != device.settings.watchdog.detect_ms
    storm = settings.storm_control
    return {
        "pfc": "on" if lossless else "off",
        "send_tlv": lossless and settings.lldp.dcbx,
        "watchdog": lossless,
        "watchdog_alert_only": lossless and settings.watchdog.action == "alert",
        "watchdog_multiplier": (
            polls(settings.watchdog.detect_ms, settings.watchdog.poll_ms) if lossless and own_detect else None
        ),
        "mode": "trunk" if port.tagged else "access",
        "access_vlan": port.vlan.vid if port.vlan and not port.tagged else None,
        "native_vlan": port.vlan.vid if port.vlan and port.tagged else None,
        "allowed_vlans": sorted(vlan.vid for vlan in port.vlans) if port.tagged else None,
        "mtu": port.mtu,
        "broadcast_percent": _percent(storm.broadcast_percent),
        "unicast_percent": _percent(storm.unknown_unicast_percent),
        "classifier": _classifier(port, named),
        "scheduler": _scheduler(port, named),
        "pause_buffer": _pause_buffer(device, port, named),
        "lldp": settings.lldp.enabled,
        # None: the intent has no clock here, and somebody else's is left alone
        "ptp": settings.ptp.enabled if device.settings.ptp.role == "boundary" else None,
    }


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _classifier(port: DevicePort, named: _Named) -> str:
    """The policy that gives packets coming in their qos-group. What no class names is in group 0, the default lane."""
    classes: dict[str, int] = {}
    for lane in port.lanes:
        if not lane.default:
            by_dscp = port.settings.trust == "dscp"
            match = {"dscp": sorted(lane.dscp)} if by_dscp else {"cos": [lane.priority]}
            classes[named.name("class", lane.name, match)] = lane.traffic_class
    return named.name("IN", "IN", classes)


def _scheduler(port: DevicePort, named: _Named) -> str:
    """The egress queues: strict lanes by level, the others by share, and nothing for a queue without a lane.

    Priority belongs to "the higher numbered QoS groups", "next to each other" (Cisco Nexus 9000 QoS guide, Queuing and
    Scheduling): queues without a lane above the first strict one keep it, as queue 7 has it by default.
    """
    lanes = {lane.traffic_class: lane for lane in port.settings.lanes}
    last = min((lane.traffic_class for lane in port.settings.lanes if lane.strict), default=QUEUES)
    queues = {
        f"c-out-8q-q{group or '-default'}": _queue(
            lanes.get(group), port.speed_gbps, QUEUES - group if group >= last else None
        )
        for group in reversed(range(QUEUES))
    }
    return named.name("OUT", f"OUT-{port.speed_gbps}G", queues)


def _queue(lane: Lane | None, speed_gbps: int, level: int | None) -> dict[str, object]:
    ecn = None
    if lane is not None and lane.ecn is not None:
        marks = lane.ecn.at_speed(speed_gbps)
        ecn = {"minimum_bytes": marks.kmin_bytes, "maximum_bytes": marks.kmax_bytes, "probability": marks.pmax}
    share = lane.share if lane and lane.share is not None else 0
    return {"level": level, "percent": None if level else share, "ecn": ecn}


def _pause_buffer(device: Device, port: DevicePort, named: _Named) -> str | None:
    """Ingress buffer of each lossless queue, where the intent wants it said: the pause leaves xoff free above it."""
    if not port.settings.buffers.explicit_headroom or not port.lossless:
        return None
    room = port_headroom(device, port)
    sizes = {
        "buffer_bytes": room.xoff_bytes + room.xon_bytes,
        "pause_bytes": room.xon_bytes,
        "resume_bytes": room.xon_bytes,
    }
    queues = {f"c-in-q{lane.traffic_class}": sizes for lane in port.lossless}
    return named.name("PAUSE", f"PAUSE-{port.speed_gbps}G", queues)
