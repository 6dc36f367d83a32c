# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the intent to the rows of CONFIG_DB that make a SONiC switch carry its lanes.

Inside the switch the traffic class of a packet is the priority of its lane, its queue the lane's traffic class. Objects
with a name of their own begin with :data:`tables.PREFIX`; the rest are rows of the ports and VLANs that the intent
names, and SONiC's global rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..model import Device, DevicePort, Fabric
from ..reading import IntentError
from .buffers import buffer_tables
from .qos import qos_tables
from .tables import Tables, key

SYSTEM = "sonic"
# chips whose pfc_to_pg_map SONiC's own template (qos_config.j2) sets; on others the orchestration agent refuses it
ASIC_TYPES_WITH_PFC_TO_PG = ("mellanox", "barefoot")
# platforms for which sonic-swss has the scripts that compute buffers (cfgmgr/buffer_headroom_*.lua)
ASIC_TYPES_WITH_DYNAMIC = ("mellanox", "barefoot", "vs")
KBPS_PER_PERCENT_AND_GBPS = 10_000
STORM_KBPS_MAX = 100_000_000
FLEX_COUNTERS = ("PORT", "QUEUE", "PFCWD", "PG_DROP", "PG_WATERMARK", "QUEUE_WATERMARK", "BUFFER_POOL_WATERMARK")
ECN_COUNTERS = "WRED_ECN_QUEUE"


@dataclass(frozen=True)
class Platform:
    """What the switch itself tells: ``asic_type`` of sonic_version.yml, None when not asked; whether it counts ECN."""

    asic_type: str | None = None
    ecn_counters: bool = False

    def pfc_to_pg(self, device: Device) -> bool:
        """Whether pause frames need a map to priority groups; from the intent's chip when the switch was not asked."""
        if self.asic_type is not None:
            return self.asic_type in ASIC_TYPES_WITH_PFC_TO_PG
        return (device.asic or "").startswith("spectrum")


def sonic_device(fabric: Fabric, name: str) -> Device:
    """The device of that name; IntentError when the intent has none, or not a SONiC switch."""
    path = f"fabric.devices.{name}"
    device = fabric.devices.get(name)
    if device is None:
        raise IntentError(path, f"no link of the intent names this device; there are {', '.join(fabric.devices)}")
    if device.os != SYSTEM:
        raise IntentError(f"{path}.os", f"is {device.os or 'missing'}, not {SYSTEM}")
    return device


def desired(fabric: Fabric, name: str, platform: Platform | None = None) -> Tables:
    """Every row that the intent wants on the switch ``name``. IntentError for what community SONiC cannot do."""
    platform = platform or Platform()
    device = sonic_device(fabric, name)
    ports = fabric.ports_of(name)
    _check(device, ports)
    if any(port.lossless for port in ports):
        _check_model(device, platform)
    tables: Tables = {}
    _merge(tables, qos_tables(device, ports, platform.pfc_to_pg(device)))
    _merge(tables, buffer_tables(device, ports))
    _merge(tables, _watchdog(device, ports))
    _merge(tables, _ports(device, ports))
    counters = FLEX_COUNTERS + ((ECN_COUNTERS,) if platform.ecn_counters else ())
    tables["FLEX_COUNTER_TABLE"] = {group: {"FLEX_COUNTER_STATUS": "enable"} for group in counters}
    return {table: tables[table] for table in sorted(tables) if tables[table]}


def _merge(tables: Tables, more: Tables) -> None:
    for table, rows in more.items():
        for name, row in rows.items():
            tables.setdefault(table, {}).setdefault(name, {}).update(row)


def port_path(device: Device, port: str) -> str:
    """Where in the intent the settings of a port are."""
    path = f"fabric.devices.{device.name}"
    return f"{path}.ports.{port}" if port in device.port_settings else path


def _check(device: Device, ports: tuple[DevicePort, ...]) -> None:
    """Refuse what the switch has only once, or not at all."""
    for port in ports:
        path = port_path(device, port.name)
        if port.settings.ptp.role != "none" and port.settings.ptp.enabled:
            said = "community SONiC has no PTP clock; give the role to another switch, or make it none here"
            raise IntentError(f"{path}.ptp.role", f"{port.settings.ptp.role}: {said}")
        for lane in port.lossless:
            if lane.traffic_class != lane.priority:
                said = f"{lane.traffic_class} is not its priority {lane.priority}; SONiC's watchdog watches the queue"
                raise IntentError(f"{path}.lanes.{lane.name}.traffic_class", f"{said} with the number of the pause")
        mine, whole = port.settings, device.settings
        if mine.watchdog.poll_ms != whole.watchdog.poll_ms:
            said = f"{mine.watchdog.poll_ms} is not the switch's {whole.watchdog.poll_ms}; SONiC has one for all ports"
            raise IntentError(f"{path}.watchdog.poll_ms", said)
        dynamic = whole.buffers.model == "dynamic"
        for field in ("alpha_exponent", "lossless_mtu", "small_packet_percent") if dynamic else ():
            if getattr(mine.buffers, field) != getattr(whole.buffers, field):
                said = f"{getattr(mine.buffers, field)} is not the switch's {getattr(whole.buffers, field)}"
                raise IntentError(f"{path}.buffers.{field}", f"{said}; SONiC has one for all ports")


def _check_model(device: Device, platform: Platform) -> None:
    dynamic, known = device.settings.buffers.model == "dynamic", platform.asic_type is not None
    if dynamic and known and platform.asic_type not in ASIC_TYPES_WITH_DYNAMIC:
        said = f"dynamic, and SONiC computes buffers on {', '.join(ASIC_TYPES_WITH_DYNAMIC)} only; this switch is"
        message = f"{said} {platform.asic_type}: take traditional, with total_kb"
        raise IntentError(f"fabric.devices.{device.name}.buffers.model", message)


def _watchdog(device: Device, ports: tuple[DevicePort, ...]) -> Tables:
    rows = {}
    for port in ports:
        if port.lossless:
            watchdog = port.settings.watchdog
            rows[port.name] = {
                "action": watchdog.action,
                "detection_time": str(watchdog.detect_ms),
                "restoration_time": str(watchdog.restore_ms),
            }
    if rows:
        rows["GLOBAL"] = {"POLL_INTERVAL": str(device.settings.watchdog.poll_ms)}
    return {"PFC_WD": rows}


def _ports(device: Device, ports: tuple[DevicePort, ...]) -> Tables:
    """MTU, VLANs, limits for broadcast and unknown unicast, and LLDP of every port."""
    vlans: dict[str, dict[str, str]] = {}
    members: dict[str, dict[str, str]] = {}
    storms: dict[str, dict[str, str]] = {}
    mtus: dict[str, dict[str, str]] = {}
    lldp: dict[str, dict[str, str]] = {}
    for port in ports:
        mtus[port.name] = {"mtu": str(port.mtu)}
        for vlan in port.vlans:
            vlans[f"Vlan{vlan.vid}"] = {"vlanid": str(vlan.vid)}
            members[key(f"Vlan{vlan.vid}", port.name)] = {"tagging_mode": "untagged" if vlan == port.vlan else "tagged"}
        control = port.settings.storm_control
        for kind, percent in (
            ("broadcast", control.broadcast_percent),
            ("unknown-unicast", control.unknown_unicast_percent),
        ):
            if percent is None:
                continue
            kbps = math.ceil(percent * port.speed_gbps * KBPS_PER_PERCENT_AND_GBPS)
            if kbps > STORM_KBPS_MAX:
                said = f"{percent} percent of {port.speed_gbps} Gb/s is {kbps} kb/s, above SONiC's {STORM_KBPS_MAX}"
                path = f"{port_path(device, port.name)}.storm_control.{kind.replace('-', '_')}_percent"
                raise IntentError(path, f"{said}; lower it, or leave it out on {port.name}")
            storms[key(port.name, kind)] = {"kbps": str(kbps)}
        lldp[port.name] = {"enabled": str(port.settings.lldp.enabled).lower()}
    return {
        "PORT": mtus,
        "VLAN": vlans,
        "VLAN_MEMBER": members,
        "PORT_STORM_CONTROL": storms,
        "LLDP": {"GLOBAL": {"enabled": str(device.settings.lldp.enabled).lower()}},
        "LLDP_PORT": lldp,
    }
