# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of the configuration: APPL_DB, STATE_DB and COUNTERS_DB against the intent.

An absent row says nothing where a platform does not have it; a row that contradicts the intent is a finding.
"""

from __future__ import annotations

from ..findings import ERROR, WARNING, Finding
from ..headroom import port_headroom
from ..model import Device, DevicePort
from ..settings import Lane
from .running import State

US_PER_MS = 1000


def operational(device: Device, ports: tuple[DevicePort, ...], state: State) -> list[Finding]:
    """Findings of every port of the intent."""
    found: list[Finding] = []
    for port in ports:
        found += _port(device, port, state)
        for lane in port.lossless:
            found += _watchdog(device, port, lane, state)
            found += _headroom(device, port, lane, state)
        found += _headroom_limit(device, port, state)
    return found


def _finding(severity: str, rule: str, device: Device, port: DevicePort, what: str, message: str) -> Finding:
    path = f"{device.name}:{port.name} {what}"
    return Finding(severity, rule, path, message, device.name, port.name, port.link)


def _port(device: Device, port: DevicePort, state: State) -> list[Finding]:
    row = state.appl.get(f"PORT_TABLE:{port.name}", {})
    found = []
    if row.get("mtu", str(port.mtu)) != str(port.mtu):
        said = f"{row['mtu']} in use, wanted {port.mtu}; look at the port's log in swss"
        found.append(_finding(ERROR, "drift", device, port, "mtu", said))
    if row.get("oper_status", "up") != "up":
        said = f"the link to {port.peer} is {row['oper_status']}; look at the cable and at the other end"
        found.append(_finding(WARNING, "link-down", device, port, "oper_status", said))
    neighbour = state.appl.get(f"LLDP_ENTRY_TABLE:{port.name}", {}).get("lldp_rem_sys_name", "")
    if neighbour and neighbour.partition(".")[0] != port.peer.device.partition(".")[0]:
        said = f"LLDP says that {neighbour} is there, the intent says {port.peer}; correct the cable or the intent"
        found.append(_finding(WARNING, "cabling", device, port, "neighbour", said))
    return found


def _watchdog(device: Device, port: DevicePort, lane: Lane, state: State) -> list[Finding]:
    queue = f"{port.name}:{lane.traffic_class}"
    oid = state.counters.get("COUNTERS_QUEUE_NAME_MAP", {}).get(queue)
    if oid is None:
        return []
    row = state.counters.get(f"COUNTERS:{oid}", {})
    what = f"watchdog of queue {lane.traffic_class}"
    status = row.get("PFC_WD_STATUS")
    if status is None:
        said = "does not run; look at 'pfcwd show config' and at FLEX_COUNTER_TABLE|PFCWD"
        return [_finding(ERROR, "watchdog", device, port, what, said)]
    found = []
    storm = state.appl.get(f"PFC_WD_TABLE_INSTORM:{port.name}", {}).get(str(lane.traffic_class))
    if status == "stormed" or storm == "storm":
        said = f"says stormed: {port.peer} pauses without end; find out why before anything else"
        found.append(_finding(ERROR, "storm", device, port, what, said))
    for field, wanted_ms in (
        ("PFC_WD_DETECTION_TIME", port.settings.watchdog.detect_ms),
        ("PFC_WD_RESTORATION_TIME", port.settings.watchdog.restore_ms),
    ):
        value = row.get(field)
        if value is not None and value != str(wanted_ms * US_PER_MS):
            said = f"{field} is {value} us, wanted {wanted_ms * US_PER_MS}"
            found.append(_finding(ERROR, "watchdog", device, port, what, said))
    return found


def _headroom(device: Device, port: DevicePort, lane: Lane, state: State) -> list[Finding]:
    """The headroom that the buffer manager computed, which must not be less than the intent's own."""
    group = port.settings.priority_group(lane)
    profile = state.appl.get(f"BUFFER_PG_TABLE:{port.name}:{group}", {}).get("profile")
    if profile is None:
        return []
    has = state.appl.get(f"BUFFER_PROFILE_TABLE:{profile}", {}).get("xoff", "")
    needs = port_headroom(device, port).xoff_bytes
    if not has.isdigit() or int(has) >= needs:
        return []
    said = f"{profile} has {has} bytes for what arrives after a pause; {port.cable_m} m at {port.speed_gbps} Gb/s and"
    message = f"{said} MTU {port.mtu} need {needs}; check cable, MTU and chip of the intent"
    return [_finding(WARNING, "headroom", device, port, f"priority group {group}", message)]


def _headroom_limit(device: Device, port: DevicePort, state: State) -> list[Finding]:
    limit = state.state.get(f"BUFFER_MAX_PARAM_TABLE|{port.name}", {}).get("max_headroom_size", "")
    total = port_headroom(device, port).size_bytes * len(port.lossless) if port.lossless else 0
    if not limit.isdigit() or total <= int(limit):
        return []
    said = f"{len(port.lossless)} lossless lanes need {total} bytes, the port can have {limit}; fewer or shorter"
    return [_finding(ERROR, "headroom", device, port, "max_headroom_size", said)]
