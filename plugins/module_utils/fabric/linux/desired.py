# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the intent to the state a Linux switch has to have. Pure: same intent, same state."""

from __future__ import annotations

import dataclasses
import re
from math import ceil

from ..model import DevicePort, EcnThresholds, Fabric, Lane
from ..reading import IntentError
from .state import FAMILIES, Bridge, DscpFilter, Egress, Ets, Port, PortVlan, Red, Switch

# linux/if.h: IFNAMSIZ 16 with the final zero
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
ETHERNET_HEADER = 14
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


def desired_switch(fabric: Fabric, device: str, bridge: str = "br0") -> Switch:
    """The state of ``device``; IntentError when the intent does not say it or a Linux switch can not have it."""
    if fabric.trust != "dscp":
        raise IntentError("fabric.trust", f"{fabric.trust} on a Linux switch comes with a later release; use dscp")
    ports = fabric.ports_of(device)
    if not ports:
        known = ", ".join(fabric.devices)
        raise IntentError("fabric.links", f"no link names the device {device!r}; devices there: {known}")
    for port in ports:
        if not INTERFACE.fullmatch(port.name) or port.name == bridge:
            raise IntentError(
                f"fabric.links[{port.link}]", f"port {port.name!r} of {device} can not be a network interface of Linux"
            )
    return Switch(
        bridge=Bridge(name=bridge, mtu=fabric.mtu.switch, up=True),
        ports=tuple(_port(fabric, port, bridge) for port in ports),
    )


def _port(fabric: Fabric, port: DevicePort, bridge: str) -> Port:
    return Port(
        name=port.name,
        mtu=fabric.mtu.switch,
        up=True,
        master=bridge,
        vlans=tuple(sorted(PortVlan(vlan.vid, vlan is port.vlan, vlan is port.vlan) for vlan in port.vlans)),
        egress=egress(fabric, port.speed_gbps),
    )


def egress(fabric: Fabric, speed_gbps: int) -> Egress:
    """The queues of a port of that speed towards its peer."""
    bands = fabric.bands
    for lane in bands:
        if lane.ecn:
            _check_marks(lane, lane.ecn.at_speed(speed_gbps), speed_gbps)
    filters = [
        DscpFilter(family, dscp, band)
        for band, lane in enumerate(bands, start=1)
        for dscp in lane.dscp
        for family in FAMILIES
    ]
    reds = [
        (band, red(lane.ecn.at_speed(speed_gbps), speed_gbps, fabric.mtu.host, nodrop=lane.lossless))
        for band, lane in enumerate(bands, start=1)
        if lane.ecn
    ]
    return Egress(
        ets=Ets(
            bands=len(bands),
            strict=sum(lane.strict for lane in bands),
            quanta=quanta(bands, fabric.mtu.switch),
            priomap=(bands.index(fabric.default_lane),) * 16,
        ),
        reds=tuple(reds),
        filters=tuple(sorted(filters)),
    )


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
