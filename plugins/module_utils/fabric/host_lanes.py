# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the intent wants of each interface of a host: the same pauses, scheduling and DSCP map as at the other end.

``dcb`` is made by the function that tells a Linux switch; ``roce`` is the lane of the RoCE packets, and is there only
where the interface carries a lossless lane.
"""

from __future__ import annotations

from typing import Any

from .headroom import port_headroom
from .linux.dcb import desired_dcb
from .model import DevicePort, Fabric, Lane
from .read_settings import CNP_LANE

#: The two low bits of the ToS byte that say "ECN capable": ECT(0), RFC 3168 section 5.
ECT0 = 0b10


def host_lanes(fabric: Fabric, device: str) -> dict[str, dict[str, Any]]:
    """By interface of the host: ``mtu``, ``speed_gbps`` of its link, ``dcb`` and ``roce``; empty for a switch and for
    what no link names."""
    if device not in fabric.devices or fabric.devices[device].is_switch:
        return {}
    found = {}
    for port in fabric.ports_of(device):
        wanted: dict[str, Any] = {
            "mtu": port.mtu,
            "speed_gbps": port.speed_gbps,
            "dcb": _dcb(fabric, device, port),
        }
        roce = _roce(fabric, port)
        if roce:
            wanted["roce"] = roce
        found[port.name] = wanted
    return found


def _dcb(fabric: Fabric, device: str, port: DevicePort) -> dict[str, Any]:
    both = desired_dcb(port)
    return {
        "trust": port.settings.trust,
        "pfc": list(both.pfc),
        "prio_tc": list(both.prio_tc),
        "tsa": list(both.tsa),
        "bw": list(both.bw),
        "dscp": [{"dscp": dscp, "priority": priority} for dscp, priority in both.dscp],
        # what each lossless priority needs of a NIC whose driver tells its buffers
        "headroom_bytes": port_headroom(fabric.devices[device], port).xoff_bytes if both.pfc else 0,
    }


def _roce(fabric: Fabric, port: DevicePort) -> dict[str, Any]:
    """The lossless lane that is served first is the one that rdma_cm puts new connections into."""
    lanes = port.lossless
    if not lanes:
        return {}
    found: dict[str, Any] = {"version": fabric.roce_version, "priority": lanes[0].priority}
    notes = next((lane for lane in port.lanes if lane.name == CNP_LANE), None)
    if notes:
        found["cnp"] = {"priority": notes.priority}
    if fabric.roce_version == 1:  # has no IP header: no ToS, no DSCP, no marks
        return found
    tos = roce_tos(lanes[0])
    if tos is not None:
        found["tos"] = tos
    if notes and notes.dscp:
        found["cnp"]["dscp"] = notes.dscp[0]
    found["ecn"] = sorted(lane.priority for lane in lanes if lane.ecn)
    return found


def roce_tos(lane: Lane) -> int | None:
    """The ToS byte of a lane's RoCE packets: its first DSCP, and ECT(0) where switches mark the lane; None without one.

    rdma_cm takes the whole byte. Drivers that send it as it is (rxe) need the ECN bits, or what a switch would mark it
    drops or leaves; mlx5 takes the DSCP only (``traffic_class >> 2`` in its qp.c) and sets the bits itself.
    """
    if not lane.dscp:
        return None
    return lane.dscp[0] << 2 | (ECT0 if lane.ecn else 0)
