# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares a port as ``link.read_devices`` gives it with what the intent wants of its link."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.link import gid_of, gid_of_address

MODES = {1: "IB/RoCE v1", 2: "RoCE v2"}
PATH_MTUS = (4096, 2048, 1024, 512, 256)
#: What the kernel takes from an interface's MTU for the largest headers of RoCE: GRH 40, UDP 8, BTH 12, XRC 4,
#: AtomicETH 28, ICRC 4 (``iboe_get_mtu``, include/rdma/ib_addr.h).
HEADERS_BYTES = 96


def path_mtu(mtu_bytes: int) -> int:
    """Return the path MTU (bytes) of a port on an interface of that MTU; 0 when the MTU is too small for RoCE."""
    return next((size for size in PATH_MTUS if size <= mtu_bytes - HEADERS_BYTES), 0)


def compare(port: dict[str, Any], emulated: bool, wanted: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what differs, and what could not be compared; each in words that name value and wanted value.

    wanted: any of ``mtu`` (of the interface, bytes), ``speed_gbps``, ``roce_version`` (1 or 2), ``address`` (whose GID
    has to be there with that version), ``tos``; None leaves a key out. That the port is ACTIVE and its link up is
    always wanted.
    """
    differ: list[str] = []
    open_: list[str] = []
    for name, value, want in (
        ("state", port["state"], "ACTIVE"),
        ("physical state", port["physical_state"], "LinkUp"),
    ):
        if value != want:
            differ.append("%s is %s, not %s" % (name, value or "unknown", want))
    _mtu(port, wanted.get("mtu"), differ)
    _speed(port, emulated, wanted.get("speed_gbps"), differ, open_)
    _gid(port, wanted.get("roce_version"), wanted.get("address"), differ)
    _defaults(port["roce_defaults"], wanted, differ, open_)
    return differ, open_


def _mtu(port: Mapping[str, Any], wanted: int | None, differ: list[str]) -> None:
    if wanted is None:
        return
    if port["netdev_mtu_bytes"] != wanted:
        differ.append("MTU of %s is %s, not %d" % (port["netdev"] or "no interface", port["netdev_mtu_bytes"], wanted))
    most = port["max_mtu_bytes"] or PATH_MTUS[0]
    path = min(path_mtu(wanted), most)
    if port["active_mtu_bytes"] is None:
        differ.append("active MTU is unknown, not %d: install ibv_devinfo (ibverbs-utils)" % path)
    elif port["active_mtu_bytes"] != path:
        differ.append("active MTU is %d, not %d" % (port["active_mtu_bytes"], path))


def _speed(port: Mapping[str, Any], emulated: bool, wanted: float | None, differ: list[str], open_: list[str]) -> None:
    if wanted is None:
        return
    if port["speed_gbps"] is not None:
        if port["speed_gbps"] != wanted:
            differ.append("speed is %g Gb/s, not %g" % (port["speed_gbps"], wanted))
    elif emulated:  # of a virtual interface: there is none to be wrong
        open_.append("speed: %s has none" % (port["netdev"] or "no interface"))
    else:
        differ.append("speed is unknown, not %g Gb/s" % wanted)


def _gid(port: dict[str, Any], version: int | None, address: str | None, differ: list[str]) -> None:
    if version is None:
        return
    if not address:
        if all(gid["roce_version"] != version for gid in port["gids"]):
            differ.append("no GID of RoCE v%d" % version)
        return
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    gid = gid_of_address(socket.inet_pton(family, address))
    try:
        gid_of(port, gid, version)
    except LookupError:
        there = ", ".join(entry["type"] for entry in port["gids"] if entry["gid"] == gid)
        differ.append(
            "GID of %s is %s, not RoCE v%d" % (address, "of type " + there if there else "not in the table", version)
        )


def _defaults(found: Mapping[str, Any], wanted: Mapping[str, Any], differ: list[str], open_: list[str]) -> None:
    """RoCE version and ToS of new connections, where they can be read."""
    version, tos = wanted.get("roce_version"), wanted.get("tos")
    if version is not None and found["mode"] is not None and found["mode"] != MODES.get(version):
        differ.append("default RoCE mode is %s, not %s" % (found["mode"], MODES.get(version)))
    if tos is None:
        return
    if found["tos"] is None:
        open_.append("default ToS: rdma_cm has no directory of the device in configfs; module roce_cm makes it")
    elif found["tos"] != tos:
        differ.append("default ToS is %d, not %d" % (found["tos"], tos))
    if found["traffic_class"] is not None and found["traffic_class"] != tos:
        differ.append("traffic class is %d, not %d" % (found["traffic_class"], tos))
