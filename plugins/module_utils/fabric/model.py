# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fabric as typed objects: what every switch and every host is rendered from.

Objects are made by ``intent.parse_intent`` and hold only what passed its checks. Units are in the names. What a device
has in the end, overrides included, is ``settings``: of the fabric, of a device, of a port (:mod:`.settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .settings import Ecn, EcnThresholds, Lane, Mtu, Settings, Watchdog

__all__ = ["Ecn", "EcnThresholds", "Lane", "Mtu", "Settings", "Watchdog"]

HOST_TIER = 0
TIERS = {"host": HOST_TIER, "leaf": 1, "spine": 2, "super_spine": 3}


@dataclass(frozen=True)
class Vlan:
    """A named VLAN and the names of the lanes that travel in it, in the order of the intent's lanes."""

    name: str
    vid: int
    lanes: tuple[str, ...]


@dataclass(frozen=True)
class Endpoint:
    """One end of a link, written ``device:port``."""

    device: str
    port: str

    def __str__(self) -> str:
        return f"{self.device}:{self.port}"


@dataclass(frozen=True)
class Link:
    """A cable of ``cable_m`` metres between two ports at ``speed_gbps`` Gb/s.

    ``vlan`` is the name of the untagged VLAN, None on a trunk; ``vlans`` names the tagged ones. ``lanes`` names the
    lanes that the link carries: those of its VLANs, or fewer.
    """

    a: Endpoint
    b: Endpoint
    speed_gbps: int
    cable_m: float
    vlan: str | None
    vlans: tuple[str, ...]
    lanes: tuple[str, ...]

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        return (self.a, self.b)


@dataclass(frozen=True)
class Device:
    """A switch or a host. ``os`` is None on a host; ``tier`` 0 is a host, 1 a leaf, 2 a spine, 3 above that.

    ``group`` names the switches that stand in for each other: a rollout takes one group at a time. ``latency_ns`` is
    what a packet needs from port to port; None: that of the ASIC. ``port_settings`` has the ports with overrides only.
    """

    name: str
    os: str | None
    tier: int
    group: str
    settings: Settings
    version: str | None = None
    asic: str | None = None
    latency_ns: int | None = None
    port_settings: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def is_switch(self) -> bool:
        return self.os is not None

    def at(self, port: str) -> Settings:
        """The settings of one port."""
        return self.port_settings.get(port, self.settings)

    def mtu_at(self, port: str) -> int:
        """Largest layer 3 packet of a port in bytes."""
        mtu = self.at(port).mtu
        return mtu.switch if self.is_switch else mtu.host


@dataclass(frozen=True)
class DevicePort:
    """A port of one device, seen from that device. ``link`` is the index in ``fabric.links``.

    ``lanes`` are the lanes of this port in order of service: ``settings.bands`` without those that its VLANs do not
    carry.
    """

    name: str
    link: int
    speed_gbps: int
    cable_m: float
    vlan: Vlan | None
    tagged: tuple[Vlan, ...]
    peer: Endpoint
    mtu: int
    settings: Settings
    lanes: tuple[Lane, ...]

    @property
    def vlans(self) -> tuple[Vlan, ...]:
        """Untagged, then tagged."""
        return ((self.vlan,) if self.vlan else ()) + self.tagged

    @property
    def lossless(self) -> tuple[Lane, ...]:
        """Lanes for which this port sends and obeys pauses."""
        return tuple(lane for lane in self.lanes if lane.lossless)


@dataclass(frozen=True)
class Path:
    """A way of a lane's packets, device by device, ``packet_bytes`` each on the wire; ``target_ns`` None: no target."""

    name: str
    hops: tuple[str, ...]
    lane: str
    packet_bytes: int = 128
    target_ns: int | None = None


@dataclass(frozen=True)
class Order:
    """An order whose legs leave together on the paths named."""

    name: str
    legs: tuple[str, ...]


@dataclass(frozen=True)
class Fabric:
    """The whole intent."""

    name: str
    roce_version: int
    settings: Settings
    vlans: tuple[Vlan, ...]
    links: tuple[Link, ...]
    devices: Mapping[str, Device]
    routing: str = "valley_free"
    paths: tuple[Path, ...] = ()
    orders: tuple[Order, ...] = ()
    host_stages_ns: Mapping[str, int] = field(default_factory=dict)

    @property
    def trust(self) -> str:
        return self.settings.trust

    @property
    def mtu(self) -> Mtu:
        return self.settings.mtu

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return self.settings.lanes

    @property
    def watchdog(self) -> Watchdog:
        return self.settings.watchdog

    @property
    def default_lane(self) -> Lane:
        return self.settings.default_lane

    @property
    def bands(self) -> tuple[Lane, ...]:
        return self.settings.bands

    @property
    def switches(self) -> tuple[Device, ...]:
        """Every switch, in order of appearance."""
        return tuple(device for device in self.devices.values() if device.is_switch)

    @property
    def hosts(self) -> tuple[Device, ...]:
        """Every device that is no switch, in order of appearance."""
        return tuple(device for device in self.devices.values() if not device.is_switch)

    @cached_property
    def _vlans_by_name(self) -> Mapping[str, Vlan]:
        return {vlan.name: vlan for vlan in self.vlans}

    def vlan(self, name: str) -> Vlan:
        """The VLAN of that name; KeyError when there is none."""
        return self._vlans_by_name[name]

    @cached_property
    def links_of(self) -> Mapping[str, tuple[tuple[int, Endpoint, Endpoint], ...]]:
        """Device -> (index of the link, own end, other end), in the order of ``links``."""
        found: dict[str, list[tuple[int, Endpoint, Endpoint]]] = {name: [] for name in self.devices}
        for index, link in enumerate(self.links):
            found[link.a.device].append((index, link.a, link.b))
            found[link.b.device].append((index, link.b, link.a))
        return {name: tuple(ends) for name, ends in found.items()}

    def ports_of(self, device: str) -> tuple[DevicePort, ...]:
        """The ports of ``device`` in the order of ``fabric.links``; empty when no link names it."""
        return tuple(self._port(index, end, peer) for index, end, peer in self.links_of.get(device, ()))

    def _port(self, index: int, end: Endpoint, peer: Endpoint) -> DevicePort:
        link, device = self.links[index], self.devices[end.device]
        settings = device.at(end.port)
        return DevicePort(
            name=end.port,
            link=index,
            speed_gbps=link.speed_gbps,
            cable_m=link.cable_m,
            vlan=self.vlan(link.vlan) if link.vlan else None,
            tagged=tuple(self.vlan(name) for name in link.vlans),
            peer=peer,
            mtu=device.mtu_at(end.port),
            settings=settings,
            lanes=tuple(lane for lane in settings.bands if lane.name in link.lanes),
        )
