# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The running switch against the intent, field by field.

``drift`` (error) is what is ours and differs. ``drift-unmanaged`` (warning) is somebody else's and contradicts the
intent; it is left alone. What became of the configuration is :mod:`.operational`.
"""

from __future__ import annotations

from ..findings import ERROR, WARNING, Finding
from ..limits import system_limits
from ..model import Device, DevicePort, Fabric
from .buffers import COMPUTED
from .desired import Platform, desired
from .operational import operational
from .plan import differences, in_place_of, target
from .qos import served
from .running import State
from .tables import Leaf, Tables, port_rows, span


def place(leaf: Leaf) -> str:
    """Where in the configuration something is: table, row, field."""
    table, name, field = leaf
    return f"{table}|{name}{' ' + field if field else ''}"


def leaf_text(leaf: Leaf, now: str | None, wanted: str | None) -> str:
    """A difference as a person reads it."""
    return f"{place(leaf)}: {_shown(now)}, wanted {_shown(wanted)}"


def _shown(value: str | None) -> str:
    return "missing" if value is None else f"'{value}'"


def drift(fabric: Fabric, device: Device, state: State, platform: Platform | None = None) -> list[Finding]:
    """Every difference between the switch and the intent."""
    wanted = desired(fabric, device.name, platform)
    found = []
    for leaf, now, then in differences(state.config, target(state.config, wanted)):
        port = next((part for part in leaf[1].split("|") if part.startswith("Ethernet")), "")
        message = f"{_shown(now)}, wanted {_shown(then)}; run the role again, and look for who else configures it"
        found.append(Finding(ERROR, "drift", _path(device, *leaf), message, device.name, port))
    ports = fabric.ports_of(device.name)
    found += _unmanaged(device, ports, state.config, wanted)
    found += operational(device, ports, state)
    return found + system_limits(fabric, device.name)


def _path(device: Device, table: str, name: str, field: str = "") -> str:
    return f"{device.name}:{table}|{name}{' ' + field if field else ''}"


def _unmanaged(device: Device, ports: tuple[DevicePort, ...], config: Tables, wanted: Tables) -> list[Finding]:
    """What is not ours and contradicts the intent."""
    found = []

    def warn(table: str, name: str, field: str, message: str, port: str) -> None:
        path = _path(device, table, name, field)
        found.append(Finding(WARNING, "drift-unmanaged", path, f"{message}; left alone", device.name, port))

    for port in ports:
        mine = {lane.traffic_class for lane in served(port)}
        groups = {port.settings.priority_group(lane) for lane in port.lossless}
        for name, rest, row in port_rows(config.get("QUEUE", {}), port.name):
            scheduler = config.get("SCHEDULER", {}).get(row.get("scheduler", ""), {})
            if scheduler.get("type") == "STRICT" and not mine.intersection(span(rest)):
                warn("QUEUE", name, "scheduler", "strict, before every lane, and of no lane of the intent", port.name)
        for name, rest, row in port_rows(config.get("BUFFER_PG", {}), port.name):
            if _lossless(config, row) and not groups.intersection(span(rest)):
                warn("BUFFER_PG", name, "profile", "lossless headroom for no lane of the intent", port.name)
        if not port.lossless and port.name in config.get("PFC_WD", {}):
            warn("PFC_WD", port.name, "", "a watchdog on a port without a lossless lane", port.name)
        for name in [one[0] for one in port_rows(config.get("PORT_STORM_CONTROL", {}), port.name)]:
            if name not in wanted.get("PORT_STORM_CONTROL", {}):
                warn("PORT_STORM_CONTROL", name, "kbps", "a limit that the intent has not", port.name)
        speed = config.get("PORT", {}).get(port.name, {}).get("speed")
        if speed is not None and speed != str(port.speed_gbps * 1000):
            said = f"{speed} Mb/s, and the link of the intent has {port.speed_gbps} Gb/s"
            warn("PORT", port.name, "speed", said, port.name)
    found += _others(device, {port.name for port in ports}, config, wanted)
    return found


def _lossless(config: Tables, row: dict[str, str]) -> bool:
    profile = row.get("profile", "")
    return profile == COMPUTED or "xoff" in config.get("BUFFER_PROFILE", {}).get(profile, {})


def _others(device: Device, ports: set[str], config: Tables, wanted: Tables) -> list[Finding]:
    """VLANs and ports that the intent does not know."""
    said = []
    replaced = in_place_of(config, wanted)
    for name in config.get("VLAN_MEMBER", {}):
        vlan, divider, port = name.partition("|")
        if port in ports and name not in (*wanted["VLAN_MEMBER"], *replaced):
            said.append(("VLAN_MEMBER", name, port, f"{port} is in {vlan}, which its link in the intent has not"))
        elif port not in ports and vlan in wanted["VLAN"]:
            said.append(("VLAN_MEMBER", name, port, f"{port} is in {vlan}, and no link of the intent names it"))
    for name, row in config.get("PORT_QOS_MAP", {}).items():
        if name != "global" and name not in ports and row.get("pfc_enable"):
            said.append(("PORT_QOS_MAP", name, name, f"PFC for {row['pfc_enable']} on a port that no link names"))
    return [
        Finding(WARNING, "drift-unmanaged", _path(device, table, name), f"{text}; left alone", device.name, port)
        for table, name, port, text in said
    ]
