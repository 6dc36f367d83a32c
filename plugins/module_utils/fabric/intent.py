# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the ``fabric`` variable to a :class:`Fabric`, or a refusal that names the path and the reason.

Checks here are those that need nothing but the intent's own text, in time linear in it; what needs arithmetic over the
topology (both ends of a link, headroom, deadlock, ECN before PFC) is the plan's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import reading
from .model import Endpoint, Fabric, Link, Vlan
from .read_devices import DEVICE, read_devices
from .read_paths import read_latency, read_paths
from .read_settings import ROOT, SETTINGS, read_settings
from .reading import IntentError
from .settings import Settings

__all__ = ["Fabric", "IntentError", "parse_intent"]

SPEEDS_GBPS = (1, 10, 25, 40, 50, 100, 200, 400, 800, 1600)
DEFAULT_VLAN = "trading"
CABLE_M_MAX = 10_000
PORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]*")


def parse_intent(intent: object) -> Fabric:
    """The typed fabric of the plain mapping under ``fabric``. Raises IntentError at the first thing that is wrong."""
    found = reading.section(
        intent,
        ROOT,
        ("name", "lanes", "vlans", "links"),
        ("roce_version", *(key for key in SETTINGS if key != "lanes"), "devices", "routing", "paths", "latency"),
    )
    roce_version = reading.choice(found.get("roce_version", 2), f"{ROOT}.roce_version", (1, 2))
    base = {key: found[key] for key in SETTINGS if key in found}
    settings = read_settings(base, ROOT, roce_version)
    vlans = _vlans(found["vlans"], settings)
    links = _links(found["links"], vlans)
    devices = read_devices(found.get("devices", {}), links, base, settings, roce_version)
    paths = read_paths(found.get("paths", []), devices, links, settings)
    routing = reading.choice(found.get("routing", "valley_free"), f"{ROOT}.routing", ("valley_free", "given"))
    if routing == "given" and not paths:
        raise IntentError(f"{ROOT}.routing", "given needs fabric.paths, and there are none")
    stages, orders = read_latency(found.get("latency", {}), paths)
    return Fabric(
        name=reading.name(found["name"], f"{ROOT}.name"),
        roce_version=roce_version,
        settings=settings,
        vlans=vlans,
        links=links,
        devices=devices,
        routing=routing,
        paths=paths,
        orders=orders,
        host_stages_ns=stages,
    )


def _vlans(value: object, settings: Settings) -> tuple[Vlan, ...]:
    path = f"{ROOT}.vlans"
    every = tuple(lane.name for lane in settings.lanes)
    vlans: list[Vlan] = []
    owner: dict[int, str] = {}
    for key, given in reading.mapping(value, path).items():
        here = f"{path}.{key}"
        lanes = every
        if isinstance(given, Mapping):
            section = reading.section(given, here, ("id",), ("lanes",))
            vid = reading.integer(section["id"], f"{here}.id", 1, 4094)
            if "lanes" in section:
                lanes = _lane_names(section["lanes"], f"{here}.lanes", every, f"{ROOT}.lanes")
        else:
            vid = reading.integer(given, here, 1, 4094)
        vlan = Vlan(reading.name(key, here), vid, lanes)
        if vid in owner:
            raise IntentError(here, f"{vid} is already the VLAN of {path}.{owner[vid]}")
        owner[vid] = vlan.name
        vlans.append(vlan)
    if not vlans:
        raise IntentError(path, "is empty; at least the trading VLAN is needed")
    return tuple(vlans)


def _lane_names(value: object, path: str, known: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Names of lanes in the order of ``known``."""
    names = []
    for index, item in enumerate(reading.sequence(value, path)):
        name = reading.text(item, f"{path}[{index}]")
        if name not in known:
            raise IntentError(f"{path}[{index}]", f"{reading.shown(name)} is no lane of {where}: {', '.join(known)}")
        names.append(name)
    return tuple(name for name in known if name in names)


def _links(value: object, vlans: tuple[Vlan, ...]) -> tuple[Link, ...]:
    path = f"{ROOT}.links"
    links: list[Link] = []
    used: dict[Endpoint, str] = {}
    known = {vlan.name: vlan for vlan in vlans}
    carried_by: dict[tuple[str, ...], tuple[str, ...]] = {}
    for index, item in enumerate(reading.sequence(value, path)):
        here = f"{path}[{index}]"
        found = reading.section(item, here, ("a", "b", "speed_gbps", "cable_m"), ("vlan", "vlans", "lanes"))
        ends = {key: _endpoint(found[key], f"{here}.{key}") for key in ("a", "b")}
        if ends["a"].device == ends["b"].device:
            raise IntentError(here, f"both ends are on {ends['a'].device}; a link joins two devices")
        for key, end in ends.items():
            if end in used:
                raise IntentError(f"{here}.{key}", f"{end} is already the end of {used[end]}")
            used[end] = f"{here}.{key}"
        vlan, tagged = _link_vlans(found, here, known)
        names = ((vlan,) if vlan else ()) + tagged
        if names not in carried_by:
            there = {lane for name in names for lane in known[name].lanes}
            every = dict.fromkeys(lane for one in vlans for lane in one.lanes)
            carried_by[names] = tuple(lane for lane in every if lane in there)
        lanes = carried_by[names]
        if "lanes" in found:
            lanes = _lane_names(found["lanes"], f"{here}.lanes", lanes, f"its VLANs ({', '.join(names)})")
        links.append(
            Link(
                a=ends["a"],
                b=ends["b"],
                speed_gbps=reading.choice(found["speed_gbps"], f"{here}.speed_gbps", SPEEDS_GBPS),
                cable_m=_cable_m(found["cable_m"], f"{here}.cable_m"),
                vlan=vlan,
                vlans=tagged,
                lanes=lanes,
            )
        )
    return tuple(links)


def _link_vlans(
    found: Mapping[str, object], path: str, known: Mapping[str, Vlan]
) -> tuple[str | None, tuple[str, ...]]:
    """Name of the untagged VLAN and names of the tagged ones of a link."""

    def name(value: object, here: str, said: str = "") -> str:
        vlan = reading.text(value, here)
        if vlan not in known:
            raise IntentError(here, f"{reading.shown(vlan)}{said} is not in {ROOT}.vlans: {', '.join(known)}")
        return vlan

    tagged: list[str] = []
    if "vlans" in found:
        for index, item in enumerate(reading.sequence(found["vlans"], f"{path}.vlans")):
            vlan = name(item, f"{path}.vlans[{index}]")
            if vlan in tagged or vlan == found.get("vlan"):
                raise IntentError(f"{path}.vlans[{index}]", f"{vlan} is on this link already")
            tagged.append(vlan)
    if "vlan" in found:
        return name(found["vlan"], f"{path}.vlan"), tuple(tagged)
    return (None if tagged else name(DEFAULT_VLAN, f"{path}.vlan", ", the default,")), tuple(tagged)


def _endpoint(value: object, path: str) -> Endpoint:
    device, colon, port = reading.text(value, path).partition(":")
    if not colon or not DEVICE.fullmatch(device) or not PORT.fullmatch(port):
        raise IntentError(path, f'{reading.shown(value)} has to be "device:port", such as "leaf1:Ethernet1/1"')
    return Endpoint(device, port)


def _cable_m(value: object, path: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= CABLE_M_MAX:
        raise IntentError(path, f"{reading.shown(value)} has to be a length in metres above 0, up to {CABLE_M_MAX}")
    return value
