# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headroom and pools: the buffer tables of CONFIG_DB, for SONiC's two buffer models.

With ``dynamic`` the switch computes headroom from speed, cable and MTU itself, and the pools from what is left. With
``traditional`` every size is ours: headroom from the same formula, the pools from the buffer of the switch.
"""

from __future__ import annotations

import dataclasses
import math

from ..asic import asic_of
from ..headroom import Headroom, port_headroom
from ..model import Device, DevicePort
from ..reading import IntentError
from .tables import PREFIX, Row, Tables, key

# the names that SONiC's buffer manager and its scripts look for
INGRESS_POOL, EGRESS_POOL = "ingress_lossless_pool", "egress_lossless_pool"
GLOBAL = "AZURE"
EGRESS_PROFILE = f"{PREFIX}EGRESS_LOSSLESS"
COMPUTED = "NULL"
# an egress queue of a lossless lane may take all of the pool: the ingress side decides when to pause
EGRESS_ALPHA_EXPONENT = 7


def buffer_tables(device: Device, ports: tuple[DevicePort, ...]) -> Tables:
    """Pools, profiles, priority groups and queues of the lossless lanes; empty where no port has any."""
    if not any(port.lossless for port in ports):
        return {}
    dynamic = device.settings.buffers.model == "dynamic"
    tables = _dynamic(device) if dynamic else {}
    tables["DEVICE_METADATA"] = {"localhost": {"buffer_model": device.settings.buffers.model}}
    tables["CABLE_LENGTH"] = {GLOBAL: {port.name: f"{whole_metres(port)}m" for port in ports}}
    tables["BUFFER_PROFILE"] = {
        EGRESS_PROFILE: {"pool": EGRESS_POOL, "size": "0", "dynamic_th": str(EGRESS_ALPHA_EXPONENT)}
    }
    groups: dict[str, Row] = {}
    queues: dict[str, Row] = {}
    reserved_bytes = xoff_bytes = 0
    for port in ports:
        profile = COMPUTED
        if port.lossless and not dynamic:
            headroom = sonic_headroom(device, port)
            profile = _profile_name(device, port)
            tables["BUFFER_PROFILE"][profile] = _profile(headroom, port)
            reserved_bytes += headroom.size_bytes * len(port.lossless)
            xoff_bytes += headroom.xoff_bytes * len(port.lossless)
        for lane in port.lossless:
            groups[key(port.name, port.settings.priority_group(lane))] = {"profile": profile}
            queues[key(port.name, lane.traffic_class)] = {"profile": EGRESS_PROFILE}
    tables["BUFFER_PG"], tables["BUFFER_QUEUE"] = groups, queues
    if not dynamic:
        tables["BUFFER_POOL"] = _pools(device, reserved_bytes, xoff_bytes)
    return tables


def whole_metres(port: DevicePort) -> int:
    """The length of the cable rounded up: SONiC has whole metres, and more headroom is never wrong."""
    return math.ceil(port.cable_m)


def sonic_headroom(device: Device, port: DevicePort) -> Headroom:
    """Headroom of a lossless priority group with the cable in whole metres."""
    return port_headroom(device, dataclasses.replace(port, cable_m=whole_metres(port)))


def _dynamic(device: Device) -> Tables:
    buffers = device.settings.buffers
    parameter = {"default_dynamic_th": str(buffers.alpha_exponent)}
    if buffers.shared_headroom_ratio:
        parameter["over_subscribe_ratio"] = str(buffers.shared_headroom_ratio)
    return {
        # without a size, which the switch computes
        "BUFFER_POOL": {
            INGRESS_POOL: {"type": "ingress", "mode": "dynamic"},
            EGRESS_POOL: {"type": "egress", "mode": "dynamic"},
        },
        "LOSSLESS_TRAFFIC_PATTERN": {
            GLOBAL: {"mtu": str(buffers.lossless_mtu), "small_packet_percentage": str(buffers.small_packet_percent)}
        },
        "DEFAULT_LOSSLESS_BUFFER_PARAMETER": {GLOBAL: parameter},
    }


def _profile_name(device: Device, port: DevicePort) -> str:
    if port.name in device.port_settings:
        return f"{PREFIX}PG_{port.name}"
    return f"{PREFIX}PG_{port.speed_gbps}G_{whole_metres(port)}m_{port.mtu}"


def _profile(headroom: Headroom, port: DevicePort) -> Row:
    return {
        "pool": INGRESS_POOL,
        "size": str(headroom.size_bytes),
        "xon": str(headroom.xon_bytes),
        "xoff": str(headroom.xoff_bytes),
        "dynamic_th": str(port.settings.buffers.alpha_exponent),
    }


def _pools(device: Device, reserved_bytes: int, xoff_bytes: int) -> dict[str, Row]:
    """Pools of the traditional model: what the priority groups do not have for themselves is shared."""
    path = f"fabric.devices.{device.name}.buffers.total_kb"
    total_kb = device.settings.buffers.total_kb or asic_of(device).buffer_kb
    if total_kb is None:
        said = "is missing; SONiC's traditional model sizes its pools by it. Give it, or take model dynamic"
        raise IntentError(path, said)
    total_bytes = total_kb * 1000
    ratio = device.settings.buffers.shared_headroom_ratio
    shared_headroom = math.ceil(xoff_bytes / ratio) if ratio else 0
    left = total_bytes - reserved_bytes - shared_headroom
    if left <= 0:
        said = f"{total_kb} kB is less than the headroom of all ports, {reserved_bytes + shared_headroom} bytes"
        raise IntentError(path, f"{said}; fewer lossless ports, shorter cables, or a shared_headroom_ratio")
    ingress = {"type": "ingress", "mode": "dynamic", "size": str(left)}
    if ratio:
        ingress["xoff"] = str(shared_headroom)
    return {INGRESS_POOL: ingress, EGRESS_POOL: {"type": "egress", "mode": "dynamic", "size": str(total_bytes)}}
