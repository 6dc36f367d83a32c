# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECN before PFC: a queue has to mark before its ports pause, or the senders are stopped before they are told.

A port's lossless priority group pauses at what the dynamic pool lets it have: with ``alpha`` = 2**n and ``shared``
bytes in the pool, a group alone reaches ``xoff`` = shared * alpha / (1 + alpha), since what it holds is no longer free.
The lower half is the bound of DCQCN (Zhu et al., SIGCOMM 2015, section 4): when every queue of ``n`` ports and ``p``
lossless lanes stands just below kmin and all of it came in by one port, that port may not pause yet:
``n * kmin < alpha * (shared - n * p * kmin)``, so ``kmin < alpha * shared / (n * (1 + p * alpha))``.
"""

from __future__ import annotations

from collections.abc import Iterator

from .buffers import SwitchBuffer, lossless_pool_bytes
from .findings import ADVICE, ERROR, WARNING, Finding
from .model import Device, DevicePort, Fabric
from .settings import EcnThresholds, Lane

FRAME_OVERHEAD_BYTES = 22  # Ethernet header, one VLAN tag, FCS


def xoff_alone_bytes(shared_bytes: int, alpha: float) -> float:
    """At which a group pauses when no other holds anything."""
    return shared_bytes * alpha / (1 + alpha)


def kmin_bound_bytes(shared_bytes: int, alpha: float, ports: int, lossless_lanes: int) -> float:
    """Below which kmin marks first whatever the ports do (the docstring of this module)."""
    return alpha * shared_bytes / (ports * (1 + lossless_lanes * alpha))


def mark_findings(
    fabric: Fabric, device: Device, ports: tuple[DevicePort, ...], buffer: SwitchBuffer
) -> Iterator[Finding]:
    """Errors where a pause surely comes before a mark, warnings where before the last mark, advice where it may.

    Ports of one switch with the same numbers are told once.
    """
    shared = lossless_pool_bytes(device, buffer)
    alike: dict[tuple[Lane, int, int, int, int], list[DevicePort]] = {}
    for port in ports:
        for lane in port.lossless:
            key = (lane, port.speed_gbps, port.mtu, port.settings.buffers.alpha_exponent, len(port.lossless))
            alike.setdefault(key, []).append(port)
    lossless_ports = sum(1 for port in ports if port.lossless)
    for (lane, speed, mtu, exponent, lanes), same in alike.items():
        if lane.ecn is None:
            continue
        mark = lane.ecn.at_speed(speed)
        for severity, rule, said in _of_mark(device, mark, speed, mtu, shared, 2.0**exponent, lossless_ports, lanes):
            message = said.replace("{port}", _named(device, same))
            where = _where(fabric, device, same[0], lane)
            yield Finding(severity, rule, where, message, device.name, same[0].name, same[0].link)


def _where(fabric: Fabric, device: Device, port: DevicePort, lane: Lane) -> str:
    """The path in the intent of what the lane has here: the fabric's, the device's or the port's."""
    if lane in fabric.lanes:
        return f"fabric.lanes.{lane.name}.ecn"
    ports = "" if lane in device.settings.lanes else f".ports.{port.name}"
    return f"fabric.devices.{device.name}{ports}.lanes.{lane.name}.ecn"


def _of_mark(
    device: Device,
    mark: EcnThresholds,
    speed_gbps: int,
    mtu: int,
    shared: int | None,
    alpha: float,
    ports: int,
    lossless_lanes: int,
) -> Iterator[tuple[str, str, str]]:
    """Severity, rule and message, with ``{port}`` for where, of one marking curve."""
    frame = mtu + FRAME_OVERHEAD_BYTES
    at = f"at {speed_gbps} Gb/s"
    if mark.kmin_bytes < frame:
        said = f"kmin {mark.kmin_bytes} bytes {at} is below one frame of {frame} bytes; a queue of one packet is marked"
        yield ADVICE, "ecn-below-a-frame", said
    if not shared:
        return  # unknown, or none: the buffer's finding says so
    xoff = xoff_alone_bytes(shared, alpha)
    threshold = f"the xoff threshold {int(xoff)} of {{port}} ({shared} bytes shared, alpha {alpha:g})"
    if mark.kmin_bytes >= xoff:
        said = f"kmin {mark.kmin_bytes} bytes {at} is not below {threshold}; PFC pauses before ECN marks; lower kmin_kb"
        yield ERROR, "ecn-before-pfc", said
        return
    if mark.kmax_bytes >= xoff:
        said = f"kmax {mark.kmax_bytes} bytes {at} is not below {threshold}; PFC pauses before that; lower kmax_kb"
        yield WARNING, "ecn-kmax-over-xoff", said
    bound = kmin_bound_bytes(shared, alpha, ports, lossless_lanes)
    if mark.kmin_bytes >= bound:
        said = (
            f"kmin {mark.kmin_bytes} bytes {at} is not below {int(bound)}, the bound of DCQCN with all {ports} "
            "lossless ports full at once; then a port that feeds many queues may be paused before they mark"
        )
        yield ADVICE, "ecn-dcqcn-bound", said


def _named(device: Device, ports: list[DevicePort]) -> str:
    more = f" and {len(ports) - 1} more ports" if len(ports) > 1 else ""
    return f"{device.name}:{ports[0].name}{more}"
