# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be set for the whole fabric and overridden per device and per port: lanes, watchdog, buffers and the rest.

Units are in the names; 1 kB is 1000 bytes.
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
    """ECN of a lane. ``kmin_kb`` and ``kmax_kb`` are both None when they scale with the speed."""

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
    """One class of traffic. ``share`` is percent of what strict lanes leave, None on a strict lane.

    ``priority`` is the PCP on the wire, the switch priority inside, and what a pause frame names; ``traffic_class`` the
    traffic class and egress queue.
    """

    name: str
    dscp: tuple[int, ...]
    priority: int
    lossless: bool = False
    strict: bool = False
    share: int | None = None
    default: bool = False
    ecn: Ecn | None = None
    traffic_class: int = 0


@dataclass(frozen=True)
class Mtu:
    """Largest layer 3 packet in bytes, at the hosts and at the switch ports."""

    host: int = 9000
    switch: int = 9214


@dataclass(frozen=True)
class Watchdog:
    """PFC watchdog: looks every ``poll_ms``, acts after ``detect_ms`` of storm, ends ``restore_ms`` after it."""

    detect_ms: int = 200
    restore_ms: int = 400
    action: str = "drop"
    poll_ms: int = 100


@dataclass(frozen=True)
class StormControl:
    """Most broadcast and unknown unicast that a port takes in, percent of its speed; None: no limit.

    Multicast is not here: market data is multicast.
    """

    broadcast_percent: float | None = None
    unknown_unicast_percent: float | None = None


@dataclass(frozen=True)
class Lldp:
    """LLDP on the ports, and whether it tells the neighbour PFC and ETS (DCBX); we never take them from it."""

    enabled: bool = True
    dcbx: bool = True


@dataclass(frozen=True)
class Ptp:
    """What a switch is for PTP: none, boundary, transparent. ``enabled`` is for a port; ``source`` an IPv4 address."""

    role: str = "none"
    domain: int = 0
    transport: str = "ipv4"
    source: str | None = None
    enabled: bool = True


@dataclass(frozen=True)
class Buffers:
    """Packet buffer of a switch. ``total_kb`` None: that of the ASIC.

    ``alpha_exponent`` n lets one lossless queue take 2**n times what is free of the shared pool. ``lossless_percent``
    of the pool is for lossless lanes where a system divides it. ``shared_headroom_ratio`` 0: each port has its own
    headroom, else one pool oversubscribed by it. ``model`` is SONiC's. ``small_packet_percent`` of the lossless
    packets, of ``lossless_mtu`` bytes at most, are small and fill cells badly: 100 is the worst case.
    ``explicit_headroom``: NX-OS is told the headroom of each port, instead of carving it itself.
    ``serdes_lanes`` None: 8 from 400 Gb/s on, else 4 or fewer.
    """

    total_kb: int | None = None
    alpha_exponent: int = 0
    lossless_percent: int = 50
    shared_headroom_ratio: int = 0
    model: str = "dynamic"
    small_packet_percent: int = 100
    lossless_mtu: int = 1024
    gearbox_ns: int = 0
    serdes_lanes: int | None = None
    explicit_headroom: bool = False


@dataclass(frozen=True)
class Settings:
    """Everything that has a value for the fabric, a device or a port."""

    trust: str
    mtu: Mtu
    lanes: tuple[Lane, ...]
    watchdog: Watchdog
    storm_control: StormControl
    lldp: Lldp
    ptp: Ptp
    buffers: Buffers

    @property
    def default_lane(self) -> Lane:
        """The lane of everything that no DSCP names."""
        return next(lane for lane in self.lanes if lane.default)

    @property
    def bands(self) -> tuple[Lane, ...]:
        """Lanes in order of service: strict ones first, then by priority, high to low."""
        return tuple(sorted(self.lanes, key=lambda lane: (not lane.strict, -lane.priority)))

    @property
    def lossless(self) -> tuple[Lane, ...]:
        return tuple(lane for lane in self.lanes if lane.lossless)

    def lane(self, name: str) -> Lane:
        """The lane of that name; KeyError when there is none."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise KeyError(name)

    def lane_of_dscp(self, dscp: int) -> Lane:
        """The lane a packet with that DSCP is in."""
        return next((lane for lane in self.lanes if dscp in lane.dscp), self.default_lane)

    def lane_of_priority(self, priority: int) -> Lane:
        """The lane a packet with that PCP is in."""
        return next((lane for lane in self.lanes if lane.priority == priority), self.default_lane)

    def priority_group(self, lane: Lane) -> int:
        """Ingress buffer of a lane: one of its own when it is lossless, else the first that no lossless lane has."""
        taken = {other.priority for other in self.lanes if other.lossless}
        return lane.priority if lane.lossless else next(group for group in range(8) if group not in taken)
