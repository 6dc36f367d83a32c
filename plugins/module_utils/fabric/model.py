# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fabric as typed objects: what every switch and every host is rendered from.

Objects are made by ``intent.parse_intent`` and hold only what passed its checks. Units are in the names.
"""

from __future__ import annotations

from dataclasses import dataclass

# ECN thresholds grow with the speed: 100 kB and 400 kB at 25 Gb/s, that is 400/1600 kB at 100 Gb/s, mark
# probability 20 % at kmax (the vendor default of DCQCN as the HPCC paper, SIGCOMM 2019, gives it).
KMIN_KB_PER_GBPS = 4
KMAX_KB_PER_GBPS = 16
DEFAULT_PMAX = 20


@dataclass(frozen=True)
class EcnThresholds:
    """Marking curve of one queue: none below ``kmin_bytes``, up to ``pmax`` percent at ``kmax_bytes``, all above."""

    kmin_bytes: int
    kmax_bytes: int
    pmax: int


@dataclass(frozen=True)
class Ecn:
    """ECN of a lane. ``kmin_kb`` and ``kmax_kb`` (1 kB = 1000 bytes) are both None when they scale with the speed."""

    kmin_kb: int | None = None
    kmax_kb: int | None = None
    pmax: int = DEFAULT_PMAX

    def at_speed(self, speed_gbps: int) -> EcnThresholds:
        """Thresholds in bytes on a port of ``speed_gbps`` Gb/s."""
        kmin_kb = self.kmin_kb if self.kmin_kb is not None else KMIN_KB_PER_GBPS * speed_gbps
        kmax_kb = self.kmax_kb if self.kmax_kb is not None else KMAX_KB_PER_GBPS * speed_gbps
        return EcnThresholds(kmin_kb * 1000, kmax_kb * 1000, self.pmax)


@dataclass(frozen=True)
class Lane:
    """One class of traffic. ``share`` is percent of what strict lanes leave, None on a strict lane."""

    name: str
    dscp: tuple[int, ...]
    priority: int
    lossless: bool = False
    strict: bool = False
    share: int | None = None
    default: bool = False
    ecn: Ecn | None = None


@dataclass(frozen=True)
class Mtu:
    """Largest layer 3 packet in bytes, at the hosts and at the switch ports."""

    host: int = 9000
    switch: int = 9214


@dataclass(frozen=True)
class Watchdog:
    """PFC watchdog: acts after ``detect_ms`` of storm, ends after ``restore_ms`` without pause."""

    detect_ms: int = 200
    restore_ms: int = 400
    action: str = "drop"


@dataclass(frozen=True)
class Vlan:
    """A named VLAN."""

    name: str
    vid: int


@dataclass(frozen=True)
class Endpoint:
    """One end of a link, written ``device:port``."""

    device: str
    port: str

    def __str__(self) -> str:
        return f"{self.device}:{self.port}"


@dataclass(frozen=True)
class Link:
    """A cable of ``cable_m`` metres between two ports at ``speed_gbps`` Gb/s, carrying the VLAN named ``vlan``."""

    a: Endpoint
    b: Endpoint
    speed_gbps: int
    cable_m: float
    vlan: str = "trading"


@dataclass(frozen=True)
class DevicePort:
    """A port of one device, seen from that device. ``link`` is the index in ``fabric.links``."""

    name: str
    link: int
    speed_gbps: int
    cable_m: float
    vlan: Vlan
    peer: Endpoint


@dataclass(frozen=True)
class Fabric:
    """The whole intent."""

    name: str
    roce_version: int
    trust: str
    mtu: Mtu
    lanes: tuple[Lane, ...]
    vlans: tuple[Vlan, ...]
    watchdog: Watchdog
    links: tuple[Link, ...]

    @property
    def default_lane(self) -> Lane:
        """The lane of everything that no DSCP names."""
        return next(lane for lane in self.lanes if lane.default)

    @property
    def bands(self) -> tuple[Lane, ...]:
        """Lanes in order of service: strict ones first, then by priority, high to low."""
        return tuple(sorted(self.lanes, key=lambda lane: (not lane.strict, -lane.priority)))

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device that a link names, in order of appearance."""
        return tuple(dict.fromkeys(end.device for link in self.links for end in (link.a, link.b)))

    def vlan(self, name: str) -> Vlan:
        """The VLAN of that name; KeyError when there is none."""
        for vlan in self.vlans:
            if vlan.name == name:
                return vlan
        raise KeyError(name)

    def ports_of(self, device: str) -> tuple[DevicePort, ...]:
        """The ports of ``device`` in the order of ``fabric.links``; empty when no link names it."""
        found = []
        for index, link in enumerate(self.links):
            for end, peer in ((link.a, link.b), (link.b, link.a)):
                if end.device == device:
                    vlan = self.vlan(link.vlan)
                    found.append(DevicePort(end.port, index, link.speed_gbps, link.cable_m, vlan, peer))
        return tuple(found)

    def to_mapping(self) -> dict[str, object]:
        """The intent as plain data, every default written out; ``parse_intent`` of it is equal to this object."""
        return {
            "name": self.name,
            "roce_version": self.roce_version,
            "trust": self.trust,
            "mtu": {"host": self.mtu.host, "switch": self.mtu.switch},
            "lanes": {lane.name: _lane_mapping(lane) for lane in self.lanes},
            "vlans": {vlan.name: vlan.vid for vlan in self.vlans},
            "watchdog": {
                "detect_ms": self.watchdog.detect_ms,
                "restore_ms": self.watchdog.restore_ms,
                "action": self.watchdog.action,
            },
            "links": [
                {
                    "a": str(link.a),
                    "b": str(link.b),
                    "speed_gbps": link.speed_gbps,
                    "cable_m": link.cable_m,
                    "vlan": link.vlan,
                }
                for link in self.links
            ],
        }


def _lane_mapping(lane: Lane) -> dict[str, object]:
    out: dict[str, object] = {
        "dscp": list(lane.dscp),
        "priority": lane.priority,
        "lossless": lane.lossless,
        "strict": lane.strict,
        "default": lane.default,
    }
    if lane.share is not None:
        out["share"] = lane.share
    if lane.ecn is not None:
        ecn: dict[str, object] = {"pmax": lane.ecn.pmax}
        if lane.ecn.kmin_kb is not None:
            ecn.update(kmin_kb=lane.ecn.kmin_kb, kmax_kb=lane.ecn.kmax_kb)
        out["ecn"] = ecn
    return out
