# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headroom and pools: the buffer tables of CONFIG_DB, for SONiC's two buffer models.

With ``dynamic`` the switch computes headroom from speed, cable and MTU itself, and the pools from what is left. With
``traditional`` every size is ours: headroom from the same formula, the pools from the buffer of the switch.
"""

from __future__ import annotations

import math

from ..buffers import port_buffers, switch_buffer
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
    for port in ports:
        profile = COMPUTED
        if port.lossless and not dynamic:
            profile = _profile_name(device, port)
            tables["BUFFER_PROFILE"][profile] = _profile(port_headroom(device, port), port)
        for lane in port.lossless:
            groups[key(port.name, port.settings.priority_group(lane))] = {"profile": profile}
            queues[key(port.name, lane.traffic_class)] = {"profile": EGRESS_PROFILE}
    tables["BUFFER_PG"], tables["BUFFER_QUEUE"] = groups, queues
    if not dynamic:
        tables["BUFFER_POOL"] = _pools(device, ports)
    return tables


def whole_metres(port: DevicePort) -> int:
    """The length of the cable rounded up: SONiC has whole metres, and more headroom is never wrong."""
    return math.ceil(port.cable_m)


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


def _pools(device: Device, ports: tuple[DevicePort, ...]) -> dict[str, Row]:
    """Pools of the traditional model: what neither the priority groups nor the system have for themselves is shared."""
    path = f"fabric.devices.{device.name}.buffers.total_kb"
    buffer = switch_buffer(device, ports, port_buffers(device, ports))
    if buffer.total_bytes is None:
        said = "is missing; SONiC's traditional model sizes its pools by it. Give it, or take model dynamic"
        raise IntentError(path, said)
    if not buffer.shared_bytes:
        said = f"{buffer.total_bytes} bytes are not more than the {buffer.reserved_bytes} that headroom and system take"
        raise IntentError(path, f"{said}; fewer lossless ports, shorter cables, or a shared_headroom_ratio")
    ingress = {"type": "ingress", "mode": "dynamic", "size": str(buffer.shared_bytes)}
    if buffer.shared_headroom_bytes:
        ingress["xoff"] = str(buffer.shared_headroom_bytes)
    egress = {"type": "egress", "mode": "dynamic", "size": str(buffer.total_bytes)}
    return {INGRESS_POOL: ingress, EGRESS_POOL: egress}
