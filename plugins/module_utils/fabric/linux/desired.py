# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the intent to the state a Linux switch has to have. Pure: same intent, same state."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from math import ceil

from ..model import DevicePort, EcnThresholds, Fabric, Lane
from ..reading import IntentError
from .dcb import desired_dcb
from .state import (
    FAMILIES,
    PCP_PRIORITY,
    Bridge,
    DscpFilter,
    Egress,
    Ets,
    Ingress,
    Port,
    PortVlan,
    Red,
    Shaper,
    Switch,
)

# linux/if.h: IFNAMSIZ 16 with the final zero
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
ETHERNET_HEADER = 14
KIB = 1024
# path MTUs of InfiniBand, and what RoCEv2 puts around: IPv4 20, UDP 8, BTH 12, RETH 16, ICRC 4
IB_MTUS = (4096, 2048, 1024, 512, 256)
ROCE_HEADERS = 60
LIMIT_IN_KMAX = 4
# tc-red(8) takes the bandwidth in 32 bits of bytes per second: 34.3 Gb/s
RED_GBPS_MAX = 32
# include/net/red.h: the averages are kept in 32 bits, shifted left by the weight
RED_BITS = 31
RED_SLOPE = 2**31
RED_FAST = 32
NO_WEIGHT = 32
# tc keeps the probability in 32 bits: 1 would wrap to 0
RED_PROBABILITY_MAX = 0.9999


def desired_switch(
    fabric: Fabric, device: str, bridge: str = "br0", rates_mbps: Mapping[str, int] | None = None
) -> Switch:
    """The state of ``device``; IntentError when the intent does not say it or a Linux switch can not have it.

    ``rates_mbps``: ports whose queues are emptied at so many Mbit/s.
    """
    ports = fabric.ports_of(device)
    if not ports:
        known = ", ".join(fabric.devices)
        raise IntentError("fabric.links", f"no link names the device {device!r}; devices there: {known}")
    if fabric.devices[device].settings.ptp.role == "transparent":
        said = "transparent: a bridge of Linux corrects no PTP packets; say boundary, which the role ptp makes, or none"
        raise IntentError(f"fabric.devices.{device}.ptp.role", said)
    for port in ports:
        if not INTERFACE.fullmatch(port.name) or port.name == bridge:
            raise IntentError(
                f"fabric.links[{port.link}]", f"port {port.name!r} of {device} can not be a network interface of Linux"
            )
        if port.settings.trust != ports[0].settings.trust:
            raise IntentError(
                f"fabric.devices.{device}.ports.{port.name}.trust",
                f"{port.settings.trust}, and {ports[0].settings.trust} on {ports[0].name}; the queues of a Linux "
                "switch go by one of them on all its ports",
            )
    rates = dict(rates_mbps or {})
    for name, rate in rates.items():
        if name not in {port.name for port in ports}:
            raise IntentError("rates_mbps", f"{name} is no port of {device}; those of the intent have a rate")
        if not isinstance(rate, int) or rate < 1:
            raise IntentError(f"rates_mbps.{name}", f"{rate!r} has to be a whole number of Mbit/s, 1 or more")
    return Switch(
        bridge=Bridge(name=bridge, mtu=max(port.mtu for port in ports), up=True),
        ports=tuple(_port(port, bridge, rates.get(port.name)) for port in ports),
    )


def _port(port: DevicePort, bridge: str, rate_mbps: int | None) -> Port:
    return Port(
        name=port.name,
        mtu=port.mtu,
        up=True,
        master=bridge,
        vlans=tuple(sorted(PortVlan(vlan.vid, vlan is port.vlan, vlan is port.vlan) for vlan in port.vlans)),
        egress=egress(port, rate_mbps),
        ingress=_ingress(port),
        dcb=desired_dcb(port),
    )


def _ingress(port: DevicePort) -> Ingress:
    percent = port.settings.storm_control.broadcast_percent
    return Ingress(
        broadcast_bps=None if percent is None else max(8, int(percent * port.speed_gbps * 10**7) // 8 * 8),
        pcp=tuple(range(8)) if port.settings.trust == "pcp" else (),
        frame=port.mtu + 2 * ETHERNET_HEADER,
    )


def bands_of(port: DevicePort) -> tuple[Lane, ...]:
    """The lanes that have a queue on a port, in order of service: its own, and the default one for everything else."""
    return tuple(lane for lane in port.settings.bands if lane.default or lane in port.lanes)


def egress(port: DevicePort, rate_mbps: int | None = None) -> Egress:
    """The queues of a port towards its peer. What is of a lane that the port has not goes to the default lane."""
    bands = bands_of(port)
    speed_gbps = port.speed_gbps
    for lane in bands:
        if lane.ecn:
            _check_marks(lane, lane.ecn.at_speed(speed_gbps), speed_gbps)
    kinds = (True,) * bool(port.tagged) + (False,) * bool(port.vlan)
    filters = [
        DscpFilter(family, dscp, band, tagged)
        for band, lane in enumerate(bands, start=1)
        for dscp in lane.dscp
        for family in FAMILIES
        for tagged in kinds
        if port.settings.trust == "dscp"
    ]
    reds = [
        (band, red(lane.ecn.at_speed(speed_gbps), speed_gbps, port.settings.mtu.host, nodrop=lane.lossless))
        for band, lane in enumerate(bands, start=1)
        if lane.ecn
    ]
    return Egress(
        ets=Ets(
            bands=len(bands),
            strict=sum(lane.strict for lane in bands),
            quanta=quanta(bands, port.mtu),
            priomap=_priomap(port, bands),
        ),
        reds=tuple(reds),
        filters=tuple(sorted(filters)),
        shaper=shaper(rate_mbps, port.mtu) if rate_mbps else None,
    )


def _priomap(port: DevicePort, bands: tuple[Lane, ...]) -> tuple[int, ...]:
    """Priority to band, from 0: what nobody classified is of the default lane; the upper half is PCP."""
    other = next(index for index, lane in enumerate(bands) if lane.default)
    if port.settings.trust == "dscp":
        return (other,) * 16
    of_pcp = {lane.priority: index for index, lane in enumerate(bands)}
    return (other,) * PCP_PRIORITY + tuple(of_pcp.get(pcp, other) for pcp in range(8))


def shaper(rate_mbps: int, mtu: int) -> Shaper:
    """At least a full frame at once, or it would be dropped; and what passes in a millisecond, for coarse timers.

    In whole KiB, because tc keeps the burst as a time and tells it rounded.
    """
    rate_bps = rate_mbps * 10**6
    return Shaper(rate_bps, ceil(max(mtu + 2 * ETHERNET_HEADER, rate_bps // 8 // 1000) / KIB) * KIB)


def _check_marks(lane: Lane, marks: EcnThresholds, speed_gbps: int) -> None:
    """tc keeps pmax/(kmax - kmin) as a power of two down to 2**-31."""
    most = RED_SLOPE * marks.pmax // 100
    if marks.kmax_bytes - marks.kmin_bytes >= most:
        raise IntentError(
            f"fabric.lanes.{lane.name}.ecn",
            f"kmin_kb {marks.kmin_bytes // 1000} and kmax_kb {marks.kmax_bytes // 1000} at {speed_gbps} Gb/s are too "
            f"far apart for a Linux switch, {most // 1000} at most with pmax {marks.pmax}; raise it or lower kmax_kb",
        )


def quanta(bands: tuple[Lane, ...], mtu: int) -> tuple[int, ...]:
    """Bytes per round of the lanes that are not strict, in the ratio of their shares.

    The smallest share gets one full frame (``mtu`` plus Ethernet header), so that every band can send in every round
    (deficit round robin, Shreedhar and Varghese 1995) and no band sends longer at a stretch than the ratio needs.
    """
    shares = [lane.share for lane in bands if lane.share is not None]
    frame = mtu + ETHERNET_HEADER
    return tuple(share * frame // min(shares) for share in shares)


def red(marks: EcnThresholds, speed_gbps: int, host_mtu: int, nodrop: bool) -> Red:
    """RED of a lane with ECN, by the rules of tc-red(8).

    * ``limit`` a few times ``max``: 4 of it.
    * ``avpkt`` the packets that fill the queue: the largest RoCE path MTU within the hosts' MTU, but at least
      ``min/32`` (DCQCN wants the queue as it is, not a slow average) and at most ``min/2`` (or no average would do).
    * ``burst`` = (min + min + max) / (3 * avpkt), rounded up; less where the kernel's 32 bits would overflow.
    * ``nodrop`` on a lossless lane: packets that can not be marked are queued, not dropped.
    """
    low, high = marks.kmin_bytes, marks.kmax_bytes
    avpkt = min(max(roce_mtu(host_mtu), ceil(low / RED_FAST)), low // 2)
    burst = ceil((2 * low + high) / (3 * avpkt))
    while high.bit_length() + ewma_log(low, burst, avpkt) > RED_BITS:
        burst = max(burst // 2, ceil(low / avpkt))
    ewma = ewma_log(low, burst, avpkt)
    return Red(
        limit=LIMIT_IN_KMAX * high,
        minimum=low,
        maximum=high,
        probability=min(marks.pmax / 100, RED_PROBABILITY_MAX),
        ewma=ewma,
        nodrop=nodrop,
        avpkt=avpkt,
        burst=burst,
        bandwidth_gbps=min(speed_gbps, RED_GBPS_MAX),
    )


def roce_mtu(host_mtu: int) -> int:
    """Largest RoCE path MTU in bytes that fits into packets of ``host_mtu`` bytes."""
    return next((mtu for mtu in IB_MTUS if mtu + ROCE_HEADERS <= host_mtu), IB_MTUS[-1])


def ewma_log(minimum: int, burst: int, avpkt: int) -> int:
    """log2 of RED's averaging weight as tc chooses it, for the comparison with what the kernel runs.

    The largest weight W = 2**-n with which a burst of that many packets into an empty queue keeps the average below
    ``minimum`` (Floyd and Jacobson 1993, section 6): burst + 1 - minimum/avpkt <= (1 - (1 - W)**burst) / W.
    NO_WEIGHT when no weight does.
    """
    wanted = burst + 1 - minimum / avpkt
    for log in range(1, NO_WEIGHT):
        weight = 0.5**log
        if wanted <= (1 - (1 - weight) ** burst) / weight:
            return log
    return NO_WEIGHT


def rebuilt(running: Red, speed_gbps: int) -> Red:
    """A red that was read, with an ``avpkt`` and ``burst`` from which tc makes the same ``ewma`` again."""
    marks = EcnThresholds(running.minimum, running.maximum, 100)
    for mtu in IB_MTUS:
        ours = red(marks, speed_gbps, mtu + ROCE_HEADERS, running.nodrop)
        if ours.ewma == running.ewma:
            break
    else:
        # somebody else's numbers: many small packets, so that no weight falls between two bursts
        avpkt = max(1, running.minimum // RED_FAST)
        burst = ceil(running.minimum / avpkt)
        while ewma_log(running.minimum, burst, avpkt) < running.ewma:
            burst += max(1, burst // RED_FAST)
        ours = dataclasses.replace(ours, avpkt=avpkt, burst=burst)
    return dataclasses.replace(
        running, avpkt=ours.avpkt, burst=ours.burst, bandwidth_gbps=min(speed_gbps, RED_GBPS_MAX)
    )
