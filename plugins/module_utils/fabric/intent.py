# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the ``fabric`` variable to a :class:`Fabric`, or a refusal that names the path and the reason.

Checks here are those that need nothing but the intent's own text, in time linear in it; what needs arithmetic over the
topology (both ends of a link, headroom, deadlock, ECN before PFC) is the plan's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import reading
from .asic import ASICS
from .model import HOST_TIER, TIERS, Device, Endpoint, Fabric, Link, Order, Path, Vlan
from .read_settings import SETTINGS, overlaid, read_settings
from .reading import IntentError
from .settings import Settings

__all__ = ["Fabric", "IntentError", "parse_intent"]

ROOT = "fabric"
SYSTEMS = ("eos", "nxos", "cumulus", "sonic", "linux")
SPEEDS_GBPS = (1, 10, 25, 40, 50, 100, 200, 400, 800, 1600)
DEFAULT_VLAN = "trading"
CABLE_M_MAX = 10_000
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]*")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.()_+~-]*")
# how each system writes the name of a front port
PORT_NAMES = {
    "eos": re.compile(r"Ethernet\d+(/\d+){0,2}"),
    "nxos": re.compile(r"Ethernet\d+/\d+(/\d+)?"),
    "cumulus": re.compile(r"swp\d+(s\d+)?"),
    "sonic": re.compile(r"Ethernet\d+"),
    "linux": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}"),
}
PORT_EXAMPLES = {"eos": "Ethernet1/1", "nxos": "Ethernet1/1", "cumulus": "swp1", "sonic": "Ethernet0", "linux": "swp1"}


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
    devices = _devices(found.get("devices", {}), links, base, settings, roce_version)
    paths = _paths(found.get("paths", []), devices, links, settings)
    routing = reading.choice(found.get("routing", "valley_free"), f"{ROOT}.routing", ("valley_free", "given"))
    if routing == "given" and not paths:
        raise IntentError(f"{ROOT}.routing", "given needs fabric.paths, and there are none")
    stages, orders = _latency(found.get("latency", {}), paths)
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


def _devices(
    value: object, links: tuple[Link, ...], base: Mapping[str, object], settings: Settings, roce_version: int
) -> dict[str, Device]:
    """Every device that a link names, in order of appearance.

    Switches are those with an ``os``. An intent that names no ``os`` at all leaves it to the links: a device with more
    than one is a (Linux) switch.
    """
    path = f"{ROOT}.devices"
    ports: dict[str, dict[str, int]] = {}
    for index, link in enumerate(links):
        for end in link.ends:
            ports.setdefault(end.device, {})[end.port] = index
    given = reading.mapping(value, path)
    for name in given:
        if name not in ports:
            raise IntentError(f"{path}.{name}", f"no link names this device; devices there: {', '.join(ports)}")
    guess = not any(isinstance(one, Mapping) and "os" in one for one in given.values())
    devices = {}
    for name, there in ports.items():
        os = "linux" if guess and len(there) > 1 else None
        tier = TIERS["leaf"] if os else HOST_TIER
        if name in given:
            devices[name] = _device(name, given[name], f"{path}.{name}", os, there, base, settings, roce_version)
        else:
            devices[name] = Device(name, os, tier, name, settings)
        system = None if guess else devices[name].os
        if system:
            for port, index in there.items():
                if not PORT_NAMES[system].fullmatch(port):
                    said = f"{name}:{port} is no port of {system}, which writes it like {PORT_EXAMPLES[system]}"
                    raise IntentError(f"{ROOT}.links[{index}]", said)
    return devices


def _device(
    name: str,
    value: object,
    path: str,
    os: str | None,
    ports: Mapping[str, int],
    base: Mapping[str, object],
    settings: Settings,
    roce_version: int,
) -> Device:
    keys = ("os", "tier", "group", "version", "asic", "latency_ns", "ports")
    found = reading.section(value, path, (), (*keys, *SETTINGS))
    if "os" in found:
        os = reading.choice(found["os"], f"{path}.os", SYSTEMS)
    if "tier" in found:
        tier = TIERS[reading.choice(found["tier"], f"{path}.tier", tuple(TIERS))]
        if bool(tier) != bool(os):
            said = "a switch has an os and a host has none; correct os or tier"
            raise IntentError(f"{path}.tier", f"{found['tier']} with os {os or 'missing'}: {said}")
    else:
        tier = TIERS["leaf"] if os else HOST_TIER
    over = {key: found[key] for key in SETTINGS if key in found}
    mine = _override(base, over, path)
    own = read_settings(mine, path, roce_version) if over else settings
    port_settings = {}
    for port, given in reading.mapping(found.get("ports", {}), f"{path}.ports").items():
        here = f"{path}.ports.{port}"
        if port not in ports:
            raise IntentError(here, f"no link names this port; ports of {name} there: {', '.join(ports)}")
        section = reading.section(given, here, (), SETTINGS)
        port_settings[port] = read_settings(_override(mine, section, here), here, roce_version)
    group = reading.text(found.get("group", name), f"{path}.group")
    if not DEVICE.fullmatch(group):
        raise IntentError(f"{path}.group", f"{reading.shown(group)} is no name of a group, such as rack1")
    version = None
    if "version" in found:
        version = reading.text(found["version"], f"{path}.version")
        if not VERSION.fullmatch(version):
            raise IntentError(f"{path}.version", f"{reading.shown(version)} is no version, such as '5.15'")
    latency_ns = None
    if "latency_ns" in found:
        latency_ns = reading.integer(found["latency_ns"], f"{path}.latency_ns", 1, 10_000_000)
    return Device(
        name=name,
        os=os,
        tier=tier,
        group=group,
        settings=own,
        version=version,
        asic=reading.choice(found["asic"], f"{path}.asic", tuple(ASICS)) if "asic" in found else None,
        latency_ns=latency_ns,
        port_settings=port_settings,
    )


def _override(base: Mapping[str, object], over: Mapping[str, object], path: str) -> dict[str, object]:
    """``over`` laid over ``base``; an MTU is one number there, since a device is either switch or host."""
    over = dict(over)
    if isinstance(over.get("mtu"), int):
        over["mtu"] = {"host": over["mtu"], "switch": over["mtu"]}
    if "lanes" in over:
        known = reading.mapping(base["lanes"], f"{path}.lanes")
        for name in reading.mapping(over["lanes"], f"{path}.lanes"):
            if name not in known:
                said = f"no lane of {ROOT}.lanes has this name: {', '.join(known)}; lanes are the fabric's"
                raise IntentError(f"{path}.lanes.{name}", said)
    laid = overlaid(base, over)
    return dict(reading.mapping(laid, path))


def _paths(
    value: object, devices: Mapping[str, Device], links: tuple[Link, ...], settings: Settings
) -> tuple[Path, ...]:
    path = f"{ROOT}.paths"
    if not isinstance(value, (list, tuple)):
        raise IntentError(path, f"{reading.shown(value)} has to be a list")
    joined: set[tuple[str, str]] = set()
    if value:
        for link in links:
            joined.update([(link.a.device, link.b.device), (link.b.device, link.a.device)])
    every = tuple(lane.name for lane in settings.lanes)
    paths: list[Path] = []
    names: set[str] = set()
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        found = reading.section(item, here, ("name", "hops", "lane"), ("packet_bytes", "target_ns"))
        name = reading.name(found["name"], f"{here}.name")
        if name in names:
            raise IntentError(f"{here}.name", f"{name} is already the name of another path")
        names.add(name)
        hops = [reading.text(hop, f"{here}.hops") for hop in reading.sequence(found["hops"], f"{here}.hops")]
        if len(hops) < 2:
            raise IntentError(
                f"{here}.hops", f"{hops[0]} alone is no path; name every device from one host to the other"
            )
        for number, hop in enumerate(hops):
            if hop not in devices:
                raise IntentError(f"{here}.hops[{number}]", f"{reading.shown(hop)} is in no link of {ROOT}.links")
            if number and (hops[number - 1], hop) not in joined:
                raise IntentError(f"{here}.hops[{number}]", f"no link joins {hops[number - 1]} and {hop}")
        lane = reading.choice(found["lane"], f"{here}.lane", every)
        target_ns = None
        if "target_ns" in found:
            target_ns = reading.integer(found["target_ns"], f"{here}.target_ns", 1, 10**9)
        size = reading.integer(found.get("packet_bytes", Path.packet_bytes), f"{here}.packet_bytes", 64, 9234)
        paths.append(Path(name, tuple(hops), lane, size, target_ns))
    return tuple(paths)


def _latency(value: object, paths: tuple[Path, ...]) -> tuple[dict[str, int], tuple[Order, ...]]:
    path = f"{ROOT}.latency"
    found = reading.section(value, path, (), ("host_stages_ns", "orders"))
    stages = {
        reading.name(key, f"{path}.host_stages_ns.{key}"): reading.integer(ns, f"{path}.host_stages_ns.{key}", 0, 10**9)
        for key, ns in reading.mapping(found.get("host_stages_ns", {}), f"{path}.host_stages_ns").items()
    }
    known = [one.name for one in paths]
    orders = []
    for name, legs in reading.mapping(found.get("orders", {}), f"{path}.orders").items():
        here = f"{path}.orders.{name}"
        names = [reading.text(leg, here) for leg in reading.sequence(legs, here)]
        for index, leg in enumerate(names):
            if leg not in known:
                said = f"{reading.shown(leg)} is no path of {ROOT}.paths: {', '.join(known) or 'there are none'}"
                raise IntentError(f"{here}[{index}]", said)
        orders.append(Order(reading.name(name, here), tuple(names)))
    return stages, tuple(orders)
