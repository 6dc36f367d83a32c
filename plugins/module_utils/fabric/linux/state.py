# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Linux switch is made of, wanted or running.

The queues of a port, from the outside in:

* where the port has a rate of its own, root qdisc ``tbf`` with handle ``2:`` and the next one under it;
* root qdisc ``ets`` with handle ``1:``, one band per lane: strict lanes first, then by priority, high to low;
* under the band of a lane with ECN a ``red`` with handle ``1<band>:``; other bands keep the kernel's FIFO;
* flower filters on ``1:`` which take the DSCP to the band, apart for packets with a VLAN tag where the port sends such;
  what none matches goes where ``priomap`` says.

Where packets come in, on ``clsact``: flower filters which drop too much broadcast, and where the PCP is trusted filters
which make it the priority that ``priomap`` reads, as a bridge does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dcb import Dcb

ROOT_HANDLE = "1:"
SHAPER_HANDLE = "2:"
FAMILIES = ("ip", "ipv6")
PREF = {"ip": 10, "ipv6": 11}
TAGGED_PREF = {"ip": 12, "ipv6": 13}
BROADCAST_PREF, PCP_PREF = 5, 20
# 16 priorities are in priomap: the upper 8 are those that came as PCP
PCP_PRIORITY = 8


class SwitchError(RuntimeError):
    """The switch can not be read or configured; the message says what, why, and what was done so far."""


def band_handle(band: int) -> str:
    """Handle of the qdisc under a band, bands counting from 1."""
    return f"1{band}:"


@dataclass(frozen=True)
class Ets:
    """Options of the root qdisc. ``quanta`` in bytes, for the bands behind the strict ones; ``priomap`` from 0."""

    bands: int
    strict: int
    quanta: tuple[int, ...]
    priomap: tuple[int, ...]

    def __str__(self) -> str:
        quanta = " ".join(str(quantum) for quantum in self.quanta) or "-"
        targets = sorted(set(self.priomap))
        other = str(targets[0] + 1) if len(targets) == 1 else "by priomap " + " ".join(map(str, self.priomap))
        return f"ets, {self.bands} bands, {self.strict} strict, quanta {quanta}, other traffic to band {other}"


@dataclass(frozen=True)
class Red:
    """ECN marking under a band, sizes in bytes. ``ewma`` is log2 of the averaging weight.

    ``avpkt``, ``burst`` and ``bandwidth_gbps`` only go in: the kernel keeps what tc computes from them.
    """

    limit: int
    minimum: int
    maximum: int
    probability: float
    ewma: int
    ecn: bool = True
    nodrop: bool = False
    avpkt: int = field(default=0, compare=False)
    burst: int = field(default=0, compare=False)
    bandwidth_gbps: int = field(default=0, compare=False)

    def __str__(self) -> str:
        flags = " ".join(word for word, on in (("ecn", self.ecn), ("nodrop", self.nodrop)) if on) or "drops"
        return (
            f"red, marks from {self.minimum} to {self.maximum} bytes up to probability {self.probability:g}, "
            f"limit {self.limit}, ewma {self.ewma}, {flags}"
        )


@dataclass(frozen=True, order=True)
class DscpFilter:
    """Packets of ``family`` (ip, ipv6) with ``dscp`` go to ``band``, from 1; ``tagged``: those with a VLAN tag."""

    family: str
    dscp: int
    band: int
    tagged: bool = False

    @property
    def pref(self) -> int:
        return (TAGGED_PREF if self.tagged else PREF)[self.family]


@dataclass(frozen=True)
class Shaper:
    """The rate at which the queues are emptied, in bits per second, and the bytes that may go at once."""

    rate_bps: int
    burst_bytes: int

    def __str__(self) -> str:
        return f"tbf, {self.rate_bps} bit/s, burst {self.burst_bytes}"


@dataclass(frozen=True)
class Ingress:
    """What happens to packets that come in. ``broadcast_bps``: most broadcast in bits per second, None: no limit.

    ``pcp``: the PCP values that become a priority. ``foreign`` names filters that are not ours, which stay. ``frame``
    is the largest frame in bytes: tc drops larger ones as if they were too many.
    """

    broadcast_bps: int | None = None
    pcp: tuple[int, ...] = ()
    foreign: tuple[str, ...] = field(default=(), compare=False)
    frame: int = field(default=0, compare=False)

    def __bool__(self) -> bool:
        return self.broadcast_bps is not None or bool(self.pcp)


@dataclass(frozen=True)
class Egress:
    """The queues of a port. ``foreign`` names what is there and not ours; ``default``: nobody configured queues."""

    ets: Ets | None = None
    reds: tuple[tuple[int, Red], ...] = ()
    filters: tuple[DscpFilter, ...] = ()
    foreign: tuple[str, ...] = ()
    shaper: Shaper | None = None
    root_handle: str = field(default="", compare=False)

    @property
    def default(self) -> bool:
        return self.ets is None and not self.foreign


@dataclass(frozen=True, order=True)
class PortVlan:
    """A VLAN of a bridge port."""

    vid: int
    pvid: bool = True
    untagged: bool = True

    def __str__(self) -> str:
        return " ".join([str(self.vid)] + ["pvid"] * self.pvid + ["untagged"] * self.untagged)


@dataclass(frozen=True)
class Port:
    """A switch port."""

    name: str
    mtu: int
    up: bool
    master: str
    vlans: tuple[PortVlan, ...] = ()
    egress: Egress = Egress()
    ingress: Ingress = Ingress()
    dcb: Dcb | None = None


@dataclass(frozen=True)
class Bridge:
    """The bridge; options as the kernel names them, 0 or 1, and the VLAN for ports that have none (0: none)."""

    name: str
    mtu: int
    up: bool
    vlan_filtering: int = 1
    vlan_default_pvid: int = 0
    stp_state: int = 0
    mcast_snooping: int = 0

    OPTIONS = ("vlan_filtering", "vlan_default_pvid", "stp_state", "mcast_snooping")

    def options(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.OPTIONS}


@dataclass(frozen=True)
class Switch:
    """Bridge (None: not there) and ports. ``unmanaged``: ports in the bridge that no link of the intent names."""

    bridge: Bridge | None
    ports: tuple[Port, ...]
    unmanaged: tuple[str, ...] = field(default=(), compare=False)

    def port(self, name: str) -> Port:
        return next(port for port in self.ports if port.name == name)
