# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Classification, queues, ECN and PFC: the QoS tables of CONFIG_DB."""

from __future__ import annotations

from ..model import Device, DevicePort
from ..settings import Lane
from .tables import PREFIX, Row, Tables, key

DSCPS, PRIORITIES = range(64), range(8)


def qos_tables(device: Device, ports: tuple[DevicePort, ...], pfc_to_pg: bool) -> Tables:
    """Maps, schedulers, marking and what binds them to ports. ``pfc_to_pg``: pauses need a map to priority groups."""
    tables: Tables = {}
    maps: dict[str, list[tuple[str, str, Row]]] = {}  # of the same name are the same
    for port in ports:
        row = tables.setdefault("PORT_QOS_MAP", {}).setdefault(port.name, {})
        name = _map_name(device, port)
        if name not in maps:
            maps[name] = _maps(port, pfc_to_pg)
        for table, field, entries in maps[name]:
            tables.setdefault(table, {})[name] = entries
            row[field] = name
        priorities = ",".join(str(number) for number in sorted(lane.priority for lane in port.lossless))
        row["pfc_enable"] = priorities
        row["pfcwd_sw_enable"] = priorities
        for lane in served(port):
            tables.setdefault("QUEUE", {})[key(port.name, lane.traffic_class)] = _queue(device, port, lane, tables)
    return tables


def served(port: DevicePort) -> tuple[Lane, ...]:
    """The lanes of a port, and the default lane where its VLANs do not carry it: what has no lane here goes there."""
    default = port.settings.default_lane
    return port.lanes if default in port.lanes else (*port.lanes, default)


def _suffix(device: Device, port: DevicePort) -> str:
    """Rows are shared by the ports of the switch, but for a port with settings of its own."""
    return f"_{port.name}" if port.name in device.port_settings else ""


def _map_name(device: Device, port: DevicePort) -> str:
    """Named after the priorities of the port's lanes, which is what the maps of two ports can differ in."""
    numbers = "".join(str(number) for number in sorted(lane.priority for lane in port.lanes))
    return f"{PREFIX}{numbers or 'NONE'}{_suffix(device, port)}"


def _maps(port: DevicePort, pfc_to_pg: bool) -> list[tuple[str, str, Row]]:
    """(table, field of PORT_QOS_MAP, entries) of each map; a map without entries cannot exist."""
    settings = port.settings
    default = settings.default_lane

    def here(lane: Lane) -> Lane:
        return lane if lane in port.lanes else default

    by_class = {number: here(settings.lane_of_priority(number)) for number in PRIORITIES}
    if settings.trust == "dscp":
        entries = {str(dscp): str(here(settings.lane_of_dscp(dscp)).priority) for dscp in DSCPS}
        found = [("DSCP_TO_TC_MAP", "dscp_to_tc_map", entries)]
    else:
        entries = {str(number): str(lane.priority) for number, lane in by_class.items()}
        found = [("DOT1P_TO_TC_MAP", "dot1p_to_tc_map", entries)]
    queues = {str(number): str(lane.traffic_class) for number, lane in by_class.items()}
    groups = {str(number): str(settings.priority_group(lane)) for number, lane in by_class.items()}
    found += [
        ("TC_TO_QUEUE_MAP", "tc_to_queue_map", queues),
        ("TC_TO_PRIORITY_GROUP_MAP", "tc_to_pg_map", groups),
    ]
    if port.lossless:
        pauses = {str(lane.priority): str(lane.traffic_class) for lane in port.lossless}
        found.append(("MAP_PFC_PRIORITY_TO_QUEUE", "pfc_to_queue_map", pauses))
        if pfc_to_pg:
            pauses = {str(lane.priority): str(settings.priority_group(lane)) for lane in port.lossless}
            found.append(("PFC_PRIORITY_TO_PRIORITY_GROUP_MAP", "pfc_to_pg_map", pauses))
    return found


def _queue(device: Device, port: DevicePort, lane: Lane, tables: Tables) -> Row:
    """The row of a queue; its scheduler and its marking are put into ``tables``."""
    scheduler = f"{PREFIX}TC{lane.traffic_class}{_suffix(device, port)}"
    row = {"scheduler": scheduler}
    service = {"type": "STRICT"} if lane.strict else {"type": "DWRR", "weight": str(lane.share)}
    tables.setdefault("SCHEDULER", {})[scheduler] = service
    if lane.ecn is not None:
        marks = lane.ecn.at_speed(port.speed_gbps)
        row["wred_profile"] = f"{PREFIX}TC{lane.traffic_class}_{port.speed_gbps}G{_suffix(device, port)}"
        # a packet has the colour green where no policer gave it another
        tables.setdefault("WRED_PROFILE", {})[row["wred_profile"]] = {
            "ecn": "ecn_all",
            "wred_green_enable": "true",
            "green_min_threshold": str(marks.kmin_bytes),
            "green_max_threshold": str(marks.kmax_bytes),
            "green_drop_probability": str(marks.pmax),
        }
    return row
