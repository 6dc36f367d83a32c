# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the intent to the plain data of which the template ``eos.j2`` makes the lines of an Arista switch.

Every number is worked out here; the template only writes. Ranges are those of EOS and of the AVD schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..headroom import port_headroom
from ..model import Device, DevicePort, Fabric
from ..reading import IntentError
from ..settings import Lane, Settings, Watchdog

PREFIX = "TICKWIRE"
MTU_MAX = 9214
# EOS User Manual, Quality of Service: "Trident and Tomahawk" have queues for unicast apart, "Trident II" has not
SPLIT_QUEUES = ("trident3", "tomahawk")
# EOS has one queue for control traffic whose traffic class can not be mapped
CONTROL_CLASS = 7
TRUST = {"dscp": "dscp", "pcp": "cos"}
WATCHDOG_ACTION = {"drop": "drop", "alert": "notify-only"}
PTP_MODE = {"boundary": "boundary", "transparent": "e2etransparent"}
PTP_TRANSPORT = {"ipv4": "ipv4", "l2": "layer2"}


def context(fabric: Fabric, device: str) -> dict[str, object]:
    """Plain data for the template; IntentError when EOS can not have what the intent says."""
    ports = fabric.ports_of(device)
    if not ports:
        known = ", ".join(fabric.devices)
        raise IntentError("fabric.links", f"no link names the device {device!r}; devices there: {known}")
    switch = fabric.devices[device]
    _check(fabric, switch, ports)
    settings = switch.settings
    profiles, profile_of = _profiles(ports, settings.watchdog)
    trusts = [trust for trust in TRUST if any(port.settings.trust == trust for port in ports)]
    lossless = any(port.lossless for port in ports)
    vlans = {vlan.vid: vlan.name for port in ports for vlan in port.vlans}
    return {
        "name": device,
        "queue": "uc-tx-queue" if (switch.asic or "").startswith(SPLIT_QUEUES) else "tx-queue",
        "dscp_map": _by_class([settings.lane_of_dscp(dscp) for dscp in range(64)]) if "dscp" in trusts else [],
        "cos_map": _by_class([settings.lane_of_priority(cos) for cos in range(8)]) if "pcp" in trusts else [],
        "queue_map": sorted({lane.traffic_class for lane in settings.lanes} - {CONTROL_CLASS}),
        "watchdog": _watchdog(settings.watchdog) if lossless else None,
        "ptp": _ptp(settings),
        "lldp": any(port.settings.lldp.enabled for port in ports),
        "trident": _trident(switch, ports) if lossless and _is_trident(switch) else None,
        "profiles": profiles,
        "vlans": [{"id": vid, "name": vlans[vid]} for vid in sorted(vlans)],
        "ports": [_port(port, profile_of[port.name], settings.ptp.role != "none") for port in ports],
    }


def seconds(milliseconds: int) -> str:
    """As EOS takes them: 200 ms is 0.2."""
    return f"{milliseconds / 1000:g}"


def _is_trident(switch: Device) -> bool:
    return (switch.asic or "").startswith("trident")


def _check(fabric: Fabric, switch: Device, ports: Sequence[DevicePort]) -> None:
    for port in ports:
        lanes = f"{_where(fabric, switch, port, 'lanes')}.lanes"
        if port.mtu > MTU_MAX:
            said = f"{port.mtu} at {switch.name}:{port.name}; EOS takes {MTU_MAX} at most"
            raise IntentError(f"{_where(fabric, switch, port, 'mtu')}.mtu.switch", said)
        for lane in port.lossless:
            if lane.traffic_class != lane.priority:
                raise IntentError(
                    f"{lanes}.{lane.name}.traffic_class",
                    f"{lane.traffic_class} with priority {lane.priority}: EOS pauses the traffic class of the same "
                    f"number; make it {lane.priority}",
                )
            if lane.traffic_class == CONTROL_CLASS:
                said = f"{CONTROL_CLASS} is EOS's own control traffic; take another one for a lossless lane"
                raise IntentError(f"{lanes}.{lane.name}.priority", said)
        _check_order(port.settings, lanes)
        mine, whole = (one.settings.buffers.alpha_exponent for one in (port, switch))
        if port.lossless and _is_trident(switch) and mine != whole:
            said = f"{mine} differs from the switch's {whole}; a Trident has one threshold for all ports"
            raise IntentError(f"{_where(fabric, switch, port, 'buffers')}.buffers.alpha_exponent", said)
        if port.lossless:
            _check_watchdog(port.settings.watchdog, f"{_where(fabric, switch, port, 'watchdog')}.watchdog")
        # the maps are the switch's, not a port's
        lanes_here = {lane.name: lane for lane in port.settings.lanes}
        for lane in switch.settings.lanes:
            for key in ("dscp", "priority", "traffic_class"):
                here, theirs = getattr(lanes_here.get(lane.name), key, None), getattr(lane, key)
                if here != theirs:
                    said = f"{here} differs from the switch's {theirs}; EOS has one map for all ports"
                    raise IntentError(f"{lanes}.{lane.name}.{key}", said)


def _check_order(settings: Settings, path: str) -> None:
    """EOS User Manual, ``priority`` of a tx-queue: round robin of a queue is round robin of all lower ones too.

    Among strict queues the higher one goes first.
    """
    shared = [lane.traffic_class for lane in settings.lanes if not lane.strict]
    first = CONTROL_CLASS + 1
    for lane in settings.bands:
        if lane.strict and (lane.traffic_class >= first or any(lane.traffic_class < other for other in shared)):
            said = (
                f"{lane.traffic_class} of a strict lane: on EOS strict lanes need the highest queues, the first served "
                f"in the highest; lanes with a share have {', '.join(map(str, sorted(shared)))}"
            )
            raise IntentError(f"{path}.{lane.name}.traffic_class", said)
        first = lane.traffic_class


def _where(fabric: Fabric, switch: Device, port: DevicePort, key: str) -> str:
    """The path of the mapping that gives ``port`` this key of its settings."""
    if getattr(port.settings, key) != getattr(switch.settings, key):
        return f"fabric.devices.{switch.name}.ports.{port.name}"
    if getattr(switch.settings, key) != getattr(fabric.settings, key):
        return f"fabric.devices.{switch.name}"
    return "fabric"


def _check_watchdog(watchdog: Watchdog, path: str) -> None:
    if watchdog.action not in WATCHDOG_ACTION:
        known = ", ".join(WATCHDOG_ACTION)
        raise IntentError(f"{path}.action", f"{watchdog.action} is not what EOS can do: {known}")
    most = min(watchdog.detect_ms, watchdog.restore_ms) // 2
    if watchdog.poll_ms > most:
        said = f"{watchdog.poll_ms}; EOS wants at most half of detect_ms and of restore_ms, {most}"
        raise IntentError(f"{path}.poll_ms", said)


def _by_class(lanes: Sequence[Lane]) -> list[dict[str, object]]:
    """Codes grouped by the traffic class of their lane; the index in ``lanes`` is the code."""
    codes: dict[int, list[int]] = {}
    for code, lane in enumerate(lanes):
        codes.setdefault(lane.traffic_class, []).append(code)
    return [{"traffic_class": number, "codes": codes[number]} for number in sorted(codes)]


def _watchdog(watchdog: Watchdog) -> dict[str, object]:
    return {
        "timeout": seconds(watchdog.detect_ms),
        "recovery_time": seconds(watchdog.restore_ms),
        "polling_interval": seconds(watchdog.poll_ms),
        "action": WATCHDOG_ACTION[watchdog.action],
    }


def _ptp(settings: Settings) -> dict[str, object] | None:
    ptp = settings.ptp
    if ptp.role == "none":
        return None
    return {"mode": PTP_MODE[ptp.role], "domain": ptp.domain, "source": ptp.source}


def _trident(switch: Device, ports: Sequence[DevicePort]) -> dict[str, object]:
    """The buffer of a Trident is set for the whole switch: the headroom of the port that needs most.

    A headroom pool that is oversubscribed has the headroom of all lossless lanes of all ports divided by the ratio.
    """
    needs = [port_headroom(switch, port) for port in ports if port.lossless]
    exponent, ratio = switch.settings.buffers.alpha_exponent, switch.settings.buffers.shared_headroom_ratio
    every = sum(port_headroom(switch, port).xoff_bytes * len(port.lossless) for port in ports)
    return {
        "name": PREFIX,
        "headroom_bytes": max(need.xoff_bytes for need in needs),
        "resume_bytes": max(need.xon_bytes for need in needs),
        "threshold": str(2**exponent) if exponent >= 0 else f"1/{2**-exponent}",
        "pool_bytes": -(-every // ratio) if ratio else None,
    }


def _profiles(ports: Sequence[DevicePort], default: Watchdog) -> tuple[list[dict[str, object]], dict[str, str]]:
    """One profile per distinct need, named by speed, and the profile of each port."""
    made: list[dict[str, object]] = []
    name_of: dict[str, str] = {}
    for port in ports:
        body = _profile(port, default)
        for profile in made:
            if {key: value for key, value in profile.items() if key != "name"} == body:
                break
        else:
            stem = f"{PREFIX}-{port.speed_gbps}G"
            same = sum(f"{profile['name']}-".startswith(f"{stem}-") for profile in made)
            profile = {"name": f"{stem}-{same + 1}" if same else stem, **body}
            made.append(profile)
        name_of[port.name] = str(profile["name"])
    return made, name_of


def _profile(port: DevicePort, default: Watchdog) -> dict[str, object]:
    watchdog = port.settings.watchdog
    return {
        "trust": TRUST[port.settings.trust],
        "no_drop": sorted(lane.priority for lane in port.lossless),
        "watchdog": _watchdog(watchdog) if port.lossless and watchdog != default else None,
        # the queues of all lanes: the map of DSCPs is the switch's, so packets of a lane that the port does not carry
        # come to its queue all the same, and EOS serves a queue of which nothing is said strictly
        "queues": [_queue(lane, port) for lane in sorted(port.settings.lanes, key=lambda lane: lane.traffic_class)],
    }


def _queue(lane: Lane, port: DevicePort) -> dict[str, object]:
    marks = lane.ecn.at_speed(port.speed_gbps) if lane.ecn and lane in port.lanes else None
    return {
        "id": lane.traffic_class,
        "percent": lane.share,
        "ecn": {"minimum": marks.kmin_bytes, "maximum": marks.kmax_bytes, "probability": marks.pmax} if marks else None,
    }


def _port(port: DevicePort, profile: str, clock: bool) -> dict[str, object]:
    settings = port.settings
    storm = {
        "broadcast": settings.storm_control.broadcast_percent,
        "unknown-unicast": settings.storm_control.unknown_unicast_percent,
    }
    return {
        "name": port.name,
        "mtu": port.mtu,
        "profile": profile,
        "trunk": bool(port.tagged),
        "untagged": port.vlan.vid if port.vlan else None,
        "vlans": sorted(vlan.vid for vlan in port.vlans),
        "lldp": settings.lldp.enabled,
        "dcbx": settings.lldp.dcbx,
        "ptp_transport": PTP_TRANSPORT[settings.ptp.transport] if clock and settings.ptp.enabled else None,
        "storm": [{"kind": kind, "level": f"{level:g}"} for kind, level in storm.items() if level is not None],
    }
