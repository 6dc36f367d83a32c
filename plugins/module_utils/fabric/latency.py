# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Latency arithmetic: what a packet of a path needs from its first bit on the wire to its last bit at the end.

A switch cuts through: it has to read the header only, 64 bytes at the speed the packet comes in, and sends on while the
rest still arrives. It stores and forwards the whole packet where the next link is faster, since it would run dry, and
where it is a Linux machine. The last link costs the whole packet. Light in a cable takes 198 000 km/s, as for the
headroom. The budget is that of empty queues; ``jitter_ns`` tells apart what one largest frame of another lane, just
begun, adds at each port that sends (no lane can interrupt it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .asic import SLOWEST_NS, asic_of
from .findings import ADVICE, ERROR, WARNING, Finding
from .headroom import LIGHT_IN_CABLE_M_PER_S
from .marks import FRAME_OVERHEAD_BYTES
from .model import Device, Fabric, Link, Path

HEADER_BYTES = 64
BETWEEN_FRAMES_BYTES = 20  # the gap between two frames, and the preamble of the second
KINDS = SERIALISATION, PROPAGATION, SWITCH, HOST = "serialisation", "propagation", "switch", "host"


@dataclass(frozen=True)
class Part:
    """Time of one kind at one place: a link ``leaf1:Ethernet1/1 -> trade1:ens4``, a switch, or a stage of the host."""

    kind: str
    where: str
    ns: float


@dataclass(frozen=True)
class PathLatency:
    """Budget of one path in ns, by part in order; ``first_ns`` is how long a packet keeps its first link busy."""

    name: str
    lane: str
    packet_bytes: int
    parts: tuple[Part, ...]
    jitter_ns: float
    target_ns: int | None
    first_link: str
    first_ns: float

    @property
    def total_ns(self) -> float:
        return sum(part.ns for part in self.parts)

    def of(self, kind: str) -> float:
        """Sum of the parts of one kind."""
        return sum(part.ns for part in self.parts if part.kind == kind)


@dataclass(frozen=True)
class LegLatency:
    """One leg of an order: it waits ``behind_ns`` for legs on the same first link, and is there after ``total_ns``."""

    path: str
    behind_ns: float
    total_ns: float


@dataclass(frozen=True)
class OrderLatency:
    """What an order of several legs sees: the slowest leg, and how far apart first and last arrive."""

    name: str
    legs: tuple[LegLatency, ...]

    @property
    def slowest(self) -> LegLatency:
        return max(self.legs, key=lambda leg: leg.total_ns)

    @property
    def spread_ns(self) -> float:
        return self.slowest.total_ns - min(leg.total_ns for leg in self.legs)


def serialisation_ns(size_bytes: int, speed_gbps: int) -> float:
    """Time of ``size_bytes`` on a wire of ``speed_gbps``."""
    return size_bytes * 8 / speed_gbps


def propagation_ns(cable_m: float) -> float:
    """Time of light in ``cable_m`` metres of cable."""
    return cable_m / LIGHT_IN_CABLE_M_PER_S * 1e9


def path_latencies(fabric: Fabric) -> tuple[PathLatency, ...]:
    """The budget of each path of the intent, in its order; of parallel links the one that takes longest."""
    if not fabric.paths:
        return ()
    between: dict[tuple[str, str], list[Link]] = {}
    for link in fabric.links:
        for one, other in (link.ends, link.ends[::-1]):
            between.setdefault((one.device, other.device), []).append(link)
    return tuple(_budget(fabric, path, _way(path, between)) for path in fabric.paths)


def order_latencies(fabric: Fabric, paths: tuple[PathLatency, ...]) -> tuple[OrderLatency, ...]:
    """Each order, whose legs leave together, in the order told; those on one first link go one behind the other."""
    budgets = {path.name: path for path in paths}
    orders = []
    for order in fabric.orders:
        busy_ns: dict[str, float] = {}
        legs = []
        for name in order.legs:
            path = budgets[name]
            behind = busy_ns.get(path.first_link, 0.0)
            busy_ns[path.first_link] = behind + path.first_ns
            legs.append(LegLatency(name, behind, behind + path.total_ns))
        orders.append(OrderLatency(order.name, tuple(legs)))
    return tuple(orders)


def latency_findings(
    fabric: Fabric, paths: tuple[PathLatency, ...], orders: tuple[OrderLatency, ...]
) -> Iterator[Finding]:
    """A budget over its target is an error, over it with jitter or behind other legs a warning."""
    for index, path in enumerate(paths):
        if path.target_ns is None:
            continue
        where = f"fabric.paths[{index}].target_ns"
        parts = ", ".join(f"{kind} {path.of(kind):.0f}" for kind in KINDS)
        if path.total_ns > path.target_ns:
            said = f"path {path.name} takes {path.total_ns:.0f} ns ({parts}), above its target of {path.target_ns} ns"
            yield Finding(ERROR, "latency-target", where, said)
        elif path.total_ns + path.jitter_ns > path.target_ns:
            said = (
                f"path {path.name} takes {path.total_ns:.0f} ns ({parts}) and up to {path.jitter_ns:.0f} ns more "
                f"behind a frame of another lane at each port, above its target of {path.target_ns} ns"
            )
            yield Finding(WARNING, "latency-jitter", where, said)
    targets = {path.name: path.target_ns for path in paths}
    for order in orders:
        for number, leg in enumerate(order.legs):
            target = targets[leg.path]
            if target is not None and leg.total_ns - leg.behind_ns <= target < leg.total_ns:
                said = (
                    f"leg {leg.path} of order {order.name} waits {leg.behind_ns:.0f} ns for the legs before it and is "
                    f"there after {leg.total_ns:.0f} ns, above its target of {target} ns; send it first or elsewhere"
                )
                yield Finding(WARNING, "latency-leg", f"fabric.latency.orders.{order.name}[{number}]", said)
    if fabric.paths:
        used = {hop for path in fabric.paths for hop in path.hops}
        for device in fabric.switches:
            if device.name in used and device.latency_ns is None and asic_of(device).latency_ns is None:
                chip = device.asic or "generic"
                said = (
                    f"latency of the chip {chip} is not public; the paths count with {SLOWEST_NS} ns, the longest that "
                    "is; give latency_ns of the device"
                )
                yield Finding(ADVICE, "latency-unknown", f"fabric.devices.{device.name}", said, device.name)


def _way(path: Path, between: dict[tuple[str, str], list[Link]]) -> list[Link]:
    """The link of each hop."""
    way = []
    for hop in zip(path.hops, path.hops[1:]):
        links = between[hop]
        carrying = [link for link in links if path.lane in link.lanes] or links
        way.append(max(carrying, key=lambda link: _link_ns(link, path.packet_bytes)))
    return way


def _link_ns(link: Link, size_bytes: int) -> float:
    return serialisation_ns(size_bytes, link.speed_gbps) + propagation_ns(link.cable_m)


def _budget(fabric: Fabric, path: Path, way: list[Link]) -> PathLatency:
    parts: list[Part] = []
    jitter = 0.0
    for number, link in enumerate(way):
        sender, receiver = (fabric.devices[name] for name in path.hops[number : number + 2])
        near, far = link.ends if link.a.device == sender.name else link.ends[::-1]
        cable = f"{near} -> {far}"
        following = way[number + 1] if number + 1 < len(way) else None
        whole = following is None or _stores(receiver, link, following)
        size = path.packet_bytes if whole else min(HEADER_BYTES, path.packet_bytes)
        parts.append(Part(PROPAGATION, cable, propagation_ns(link.cable_m)))
        parts.append(Part(SERIALISATION, cable, serialisation_ns(size, link.speed_gbps)))
        if following is not None:
            if receiver.is_switch:
                parts.append(Part(SWITCH, receiver.name, latency_ns(receiver)))
            else:
                parts.extend(_host(fabric, receiver.name))
        jitter += _blocking_ns(sender, near.port, link, path.lane)
    if not any(part.kind == HOST for part in parts):
        parts.extend(_host(fabric, path.hops[-1]))
    first = way[0]
    near, far = first.ends if first.a.device == path.hops[0] else first.ends[::-1]
    return PathLatency(
        path.name,
        path.lane,
        path.packet_bytes,
        tuple(parts),
        jitter,
        path.target_ns,
        f"{near} -> {far}",
        serialisation_ns(path.packet_bytes, first.speed_gbps),
    )


def latency_ns(device: Device) -> int:
    """Port to port: what the device says, else what its chip does, else the longest that is known."""
    return device.latency_ns or asic_of(device).latency_ns or SLOWEST_NS


def _stores(device: Device, incoming: Link, outgoing: Link) -> bool:
    """Whether the device has the whole packet before it sends the first bit."""
    return not device.is_switch or device.os == "linux" or outgoing.speed_gbps > incoming.speed_gbps


def _host(fabric: Fabric, name: str) -> list[Part]:
    """The stages of a host: of each between two links, else once at the end of the path."""
    return [Part(HOST, f"{name} {stage}", float(ns)) for stage, ns in fabric.host_stages_ns.items()]


def _blocking_ns(sender: Device, port: str, link: Link, lane: str) -> float:
    """One largest frame of another lane of the link, just begun, and what has to be between it and the next one."""
    if not any(name != lane for name in link.lanes):
        return 0.0
    return serialisation_ns(sender.mtu_at(port) + FRAME_OVERHEAD_BYTES + BETWEEN_FRAMES_BYTES, link.speed_gbps)
