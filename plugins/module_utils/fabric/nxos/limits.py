# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Nexus 9000 can not have: refused with the path in the intent, before any device is contacted."""

from __future__ import annotations

import re
from math import ceil

from ..model import Device, DevicePort, Fabric
from ..reading import IntentError
from ..settings import Settings, Watchdog

# names of class-maps and policy-maps have at most 40 characters; ours begin with a prefix and may end in -99
NAME_MAX = 40
PREFIX = "TICKWIRE-"
LANE_NAME_MAX = NAME_MAX - len(PREFIX) - len("-99")
# "MTU on L2 interfaces can only be set to default or system-jumboMTU", which is 1500 to 9216
MTU_DEFAULT = 1500
SHUTDOWN_MULTIPLIERS = (1, 10)
RESTORE_MULTIPLIERS = (0, 100)
INTERFACE_MULTIPLIERS = (0, 40)
# `priority-flow-control mode on send-tlv` came with 9.3
SEND_TLV_SINCE = (9, 3)


def where(fabric: Fabric, device: Device, port: str | None = None) -> str:
    """The path of the settings that a port, or the device, has: the innermost override."""
    if port is not None and port in device.port_settings:
        return f"fabric.devices.{device.name}.ports.{port}"
    return f"fabric.devices.{device.name}" if device.settings is not fabric.settings else "fabric"


def check(fabric: Fabric, device: Device, ports: tuple[DevicePort, ...]) -> None:
    """IntentError at the first thing of the intent that NX-OS can not have on this device."""
    if not ports:
        raise IntentError("fabric.links", f"no link names the device {device.name!r}; there is nothing to configure")
    _global(fabric, device)
    _watchdog(device.settings.watchdog, device.settings.watchdog, where(fabric, device), is_device=True)
    for port in ports:
        path = where(fabric, device, port.name)
        _lanes(port.settings, path)
        ptp = port.settings.ptp
        if ptp.role == "boundary" and ptp.enabled and ptp.transport != "ipv4":
            raise IntentError(f"{path}.ptp.transport", f"{ptp.transport}: PTP of NX-OS goes over ipv4")
        if port.settings is not device.settings:
            _watchdog(port.settings.watchdog, device.settings.watchdog, path, is_device=False)
        if port.mtu < MTU_DEFAULT:
            raise IntentError(f"{path}.mtu", f"{port.mtu} is below {MTU_DEFAULT}, the smallest of a port of NX-OS")
    jumbo = {port.mtu: port.name for port in ports if port.mtu != MTU_DEFAULT}
    if len(jumbo) > 1:
        said = ", ".join(f"{mtu} on {name}" for mtu, name in jumbo.items())
        last = where(fabric, device, list(jumbo.values())[-1])
        raise IntentError(
            f"{last}.mtu", f"{said}: a switching port of NX-OS has {MTU_DEFAULT} or the system's jumbomtu"
        )
    _pauses(fabric, device, ports)


def version(device: Device) -> tuple[int, int] | None:
    """Major and minor of the release, such as (10, 3); None when the intent does not say."""
    found = re.match(r"(\d+)\.(\d+)", device.version or "")
    return (int(found.group(1)), int(found.group(2))) if found else None


def _global(fabric: Fabric, device: Device) -> None:
    path = where(fabric, device)
    ptp = device.settings.ptp
    if ptp.role == "transparent":
        raise IntentError(f"{path}.ptp.role", "transparent: a Nexus 9000 is a boundary clock or none")
    if ptp.role == "boundary" and ptp.source is None:
        raise IntentError(f"{path}.ptp.source", "is missing; NX-OS needs the IPv4 address PTP packets come from")
    release = version(device)
    if device.settings.lldp.dcbx and release is not None and release < SEND_TLV_SINCE:
        said = f"NX-OS {device.version} can not tell the neighbour its PFC with mode on; set it to false or take 9.3"
        raise IntentError(f"{path}.lldp.dcbx", said)


def _lanes(settings: Settings, path: str) -> None:
    for lane in settings.lanes:
        here = f"{path}.lanes.{lane.name}"
        if len(lane.name) > LANE_NAME_MAX:
            raise IntentError(here, f"is longer than {LANE_NAME_MAX} characters, too long for a class-map of NX-OS")
        if lane.default and lane.traffic_class != 0:
            said = f"{lane.traffic_class}: what no class names is in qos-group 0 of NX-OS; the default lane needs it"
            raise IntentError(f"{here}.traffic_class", said)
        if lane.default and lane.lossless:
            raise IntentError(f"{here}.lossless", "the default class of NX-OS, qos-group 0, can not be no-drop")
    strict = [lane for lane in settings.bands if lane.strict]
    groups = [lane.traffic_class for lane in strict]
    if groups and groups != list(range(groups[0], groups[0] - len(groups), -1)):
        said = ", ".join(f"{lane.name} in {lane.traffic_class}" for lane in strict)
        raise IntentError(
            f"{path}.lanes.{strict[-1].name}.traffic_class",
            f"the strict lanes ({said}) need queues side by side, the first served in the highest; correct it",
        )
    above = [lane for lane in settings.lanes if not lane.strict and groups and lane.traffic_class > groups[-1]]
    if above:
        said = f"{groups[-1]} of a strict lane is below {above[0].traffic_class} of {above[0].name}, which has a share"
        raise IntentError(
            f"{path}.lanes.{strict[-1].name}.traffic_class", f"{said}; NX-OS gives priority to the highest queues only"
        )


def _watchdog(mine: Watchdog, base: Watchdog, path: str, is_device: bool) -> None:
    path = f"{path}.watchdog"
    if mine.action == "forward":
        raise IntentError(f"{path}.action", "forward: the watchdog of NX-OS drops, or only tells (alert)")
    if not is_device:
        for key in ("poll_ms", "restore_ms"):
            if getattr(mine, key) != getattr(base, key):
                said = f"NX-OS has one for the switch, {getattr(base, key)}; a port has its own detect_ms only"
                raise IntentError(f"{path}.{key}", f"{getattr(mine, key)}: {said}")
    limits = [("detect_ms", SHUTDOWN_MULTIPLIERS if is_device else INTERFACE_MULTIPLIERS)]
    limits.append(("restore_ms", RESTORE_MULTIPLIERS))
    for key, (low, high) in limits:
        times = polls(getattr(mine, key), mine.poll_ms)
        if not low <= times <= high:
            said = f"{getattr(mine, key)} is {times} times poll_ms {mine.poll_ms}; NX-OS can have {low} to {high} times"
            raise IntentError(f"{path}.{key}", said)


def _pauses(fabric: Fabric, device: Device, ports: tuple[DevicePort, ...]) -> None:
    """network-qos is one for the whole switch: a queue pauses one priority on every port."""
    seen: dict[int, tuple[int, str]] = {}
    for port in ports:
        for lane in port.lossless:
            priority, first = seen.setdefault(lane.traffic_class, (lane.priority, port.name))
            if priority != lane.priority:
                raise IntentError(
                    f"{where(fabric, device, port.name)}.lanes.{lane.name}.priority",
                    f"{lane.priority} on {port.name} and {priority} on {first}: a queue of NX-OS pauses one priority "
                    "on every port of the switch",
                )


def polls(time_ms: int, poll_ms: int) -> int:
    """A time in looks of the watchdog, not shorter than asked for."""
    return ceil(time_ms / poll_ms)
