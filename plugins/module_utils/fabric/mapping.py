# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The typed fabric as plain data again, every default written out: what a person or another program reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .model import TIERS, Device, Fabric, Link
from .settings import Lane, Settings

TIER_NAMES = {number: name for name, number in TIERS.items()}


def fabric_mapping(fabric: Fabric) -> dict[str, object]:
    """The intent as plain data; ``parse_intent`` of it is equal to ``fabric``."""
    found: dict[str, object] = {"name": fabric.name, "roce_version": fabric.roce_version}
    found.update(settings_mapping(fabric.settings))
    found["vlans"] = {vlan.name: {"id": vlan.vid, "lanes": list(vlan.lanes)} for vlan in fabric.vlans}
    found["links"] = [_link(link) for link in fabric.links]
    found["devices"] = {name: _device(device, fabric) for name, device in fabric.devices.items()}
    found["routing"] = fabric.routing
    found["paths"] = [_without_none(dataclasses.asdict(path)) for path in fabric.paths]
    found["latency"] = {
        "host_stages_ns": dict(fabric.host_stages_ns),
        "orders": {order.name: list(order.legs) for order in fabric.orders},
    }
    return found


def settings_mapping(settings: Settings) -> dict[str, object]:
    """Settings as plain data."""
    return {
        "trust": settings.trust,
        "mtu": dataclasses.asdict(settings.mtu),
        "lanes": {lane.name: lane_mapping(lane) for lane in settings.lanes},
        "watchdog": dataclasses.asdict(settings.watchdog),
        **{
            key: _without_none(dataclasses.asdict(getattr(settings, key)))
            for key in ("storm_control", "lldp", "ptp", "buffers")
        },
    }


def lane_mapping(lane: Lane) -> dict[str, object]:
    """A lane as plain data, without its name."""
    found = _without_none(dataclasses.asdict(lane))
    del found["name"]
    found["dscp"] = list(lane.dscp)
    if lane.ecn is not None:
        found["ecn"] = _without_none(dataclasses.asdict(lane.ecn))
    return found


def _link(link: Link) -> dict[str, object]:
    found: dict[str, object] = {
        "a": str(link.a),
        "b": str(link.b),
        "speed_gbps": link.speed_gbps,
        "cable_m": link.cable_m,
    }
    if link.vlan:
        found["vlan"] = link.vlan
    if link.vlans:
        found["vlans"] = list(link.vlans)
    if link.lanes:
        found["lanes"] = list(link.lanes)
    return found


def _device(device: Device, fabric: Fabric) -> dict[str, object]:
    keys = ("os", "version", "asic", "latency_ns")
    found = _without_none({key: getattr(device, key) for key in keys})
    found.update(tier=TIER_NAMES[device.tier], group=device.group)
    found.update(_difference(settings_mapping(device.settings), settings_mapping(fabric.settings)))
    found["ports"] = {
        port: _difference(settings_mapping(settings), settings_mapping(device.settings))
        for port, settings in device.port_settings.items()
    }
    return found


def _difference(mine: Mapping[str, object], base: Mapping[str, object]) -> dict[str, object]:
    """What laid over ``base`` makes ``mine``; null where a key has to go."""
    found: dict[str, object] = {key: None for key in base if key not in mine}
    for key, value in mine.items():
        other = base.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            inner = _difference(value, other)
            if inner:
                found[key] = inner
        elif value != other:
            found[key] = value
    return found


def _without_none(found: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in found.items() if value is not None}
