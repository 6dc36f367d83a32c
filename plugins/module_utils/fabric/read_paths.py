# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Paths of the intent, and what is said of latency."""

from __future__ import annotations

from collections.abc import Mapping

from . import reading
from .model import Device, Link, Order, Path
from .read_settings import ROOT
from .reading import IntentError
from .settings import Settings


def read_paths(
    value: object, devices: Mapping[str, Device], links: tuple[Link, ...], settings: Settings
) -> tuple[Path, ...]:
    """The paths; every hop is a device and every step a link."""
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


def read_latency(value: object, paths: tuple[Path, ...]) -> tuple[dict[str, int], tuple[Order, ...]]:
    """Stages of a host in ns, and the orders whose legs are paths."""
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
