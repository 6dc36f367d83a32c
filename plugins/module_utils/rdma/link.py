# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads RDMA devices from sysfs (``/sys/class/infiniband``), and the path MTU from ``ibv_devinfo``, where sysfs has
none."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.counters import errors_in, read_counters

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

SOFTWARE_DRIVERS = ("rxe", "siw")
_ZERO_GID = ":".join(["0000"] * 8)
_LAST_NUMBER = re.compile(r"(\d+)\s*\Z")
_DEVINFO_MTU = re.compile(r"^\s*(port|max_mtu|active_mtu):\s+(\d+)")


def read_devices(root: Path = Path("/"), run: Run | None = None) -> list[dict[str, Any]]:
    """Return every RDMA device under root with its ports, GIDs and error counters, in the order of their names.

    The MTU fields (bytes) are None when ``run`` is None or ``ibv_devinfo`` gives no answer. Nothing is raised for a
    device that goes away meanwhile: it is left out.
    """
    base = root / "sys/class/infiniband"
    if not base.is_dir():
        return []
    devices = []
    for entry in sorted(base.iterdir()):
        try:
            devices.append(_device(entry, root, run))
        except FileNotFoundError:
            continue
    return devices


def find_device(devices: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the device of that name; raises LookupError naming the devices that are there."""
    for device in devices:
        if device["device"] == name:
            return device
    raise LookupError(
        "no RDMA device %s; devices here: %s. Next: 'rdma link show'; Soft-RoCE is added by 'rdma link add %s type "
        "rxe netdev IF'" % (name, ", ".join(device["device"] for device in devices) or "none", name)
    )


def gid_of(port: dict[str, Any], gid: str, roce_version: int = 2) -> int:
    """Return the index of a GID (eight groups of four digits) of that RoCE version; LookupError shows the table."""
    for entry in port["gids"]:
        if entry["gid"] == gid and entry["roce_version"] == roce_version:
            return entry["index"]
    table = ", ".join("%(index)d: %(gid)s %(type)s" % entry for entry in port["gids"]) or "empty"
    raise LookupError(
        "no RoCE v%d GID %s on port %d; its GID table: %s. Next: give the RDMA device's network interface that "
        "address" % (roce_version, gid, port["port"], table)
    )


def choose_gid(port: dict[str, Any], local_address: str, gid_index: int | None, roce_version: int) -> dict[str, Any]:
    """Return index and GID of that RoCE version: those of the address, or those at ``gid_index``; LookupError says what
    is there."""
    if gid_index is None:
        family = socket.AF_INET6 if ":" in local_address else socket.AF_INET
        gid = gid_of_address(socket.inet_pton(family, local_address.partition("%")[0]))
        return {"gid": gid, "index": gid_of(port, gid, roce_version)}
    chosen = next((entry for entry in port["gids"] if entry["index"] == gid_index), None)
    if chosen is None:
        raise LookupError(
            "gid_index %d is not used; indices in use: %s"
            % (gid_index, ", ".join(str(entry["index"]) for entry in port["gids"]) or "none")
        )
    if chosen["roce_version"] != roce_version:
        raise LookupError(
            "gid_index %d is %s %s, not RoCE v%d. Next: correct gid_index or roce_version, or let gid_index be auto"
            % (gid_index, chosen["gid"], chosen["type"], roce_version)
        )
    return chosen


def gid_of_address(address: bytes) -> str:
    """Return the GID of a packed IPv4 (4 bytes, mapped into IPv6) or IPv6 address (16 bytes), in sysfs's notation."""
    raw = b"\0" * 10 + b"\xff\xff" + address if len(address) == 4 else address
    if len(raw) != 16:
        raise ValueError("an address of %d bytes: 4 (IPv4) or 16 (IPv6) are needed" % len(address))
    text = raw.hex()
    return ":".join(text[i : i + 4] for i in range(0, 32, 4))


def parse_devinfo(text: str) -> dict[int, dict[str, int]]:
    """Return {port: {"max_mtu": bytes, "active_mtu": bytes}} of ``ibv_devinfo``'s text."""
    ports: dict[int, dict[str, int]] = {}
    current: dict[str, int] = {}
    for line in text.splitlines():
        match = _DEVINFO_MTU.match(line)
        if match and match.group(1) == "port":
            current = ports.setdefault(int(match.group(2)), {})
        elif match:
            current[match.group(1)] = int(match.group(2))
    return ports


def _device(entry: Path, root: Path, run: Run | None) -> dict[str, Any]:
    driver = _driver(entry)
    mtus: dict[int, dict[str, int]] = {}
    if run is not None:
        try:
            rc, out, err = run(["ibv_devinfo", "-d", entry.name])
            mtus = parse_devinfo(out) if rc == 0 else {}
        except OSError:
            mtus = {}
    ports = sorted(
        (path for path in (entry / "ports").iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
    )
    return {
        "device": entry.name,
        "driver": driver,
        "emulated": driver in SOFTWARE_DRIVERS,
        "node_guid": _text(entry / "node_guid"),
        "firmware": _text(entry / "fw_ver"),
        "description": _text(entry / "node_desc"),
        "ports": [_port(path, root, mtus.get(int(path.name), {})) for path in ports],
    }


def _driver(entry: Path) -> str:
    """rxe alone has the attribute ``parent``; siw has no bus device; hardware has a driver behind ``device``."""
    if (entry / "parent").exists():
        return "rxe"
    driver = entry / "device" / "driver"
    if driver.exists():
        return driver.resolve().name
    return "siw" if entry.name.startswith("siw") else "unknown"


def _port(path: Path, root: Path, mtu: dict[str, int]) -> dict[str, Any]:
    gids = list(gid_entries(path))
    netdev = next((gid["netdev"] for gid in gids if gid["netdev"]), "")
    netdev_mtu = _text(root / "sys/class/net" / netdev / "mtu") if netdev else ""
    return {
        "port": int(path.name),
        "state": _after_colon(_text(path / "state")),
        "physical_state": _after_colon(_text(path / "phys_state")),
        "link_layer": _text(path / "link_layer"),
        "rate": _text(path / "rate"),
        "active_mtu_bytes": mtu.get("active_mtu"),
        "max_mtu_bytes": mtu.get("max_mtu"),
        "netdev": netdev,
        "netdev_mtu_bytes": int(netdev_mtu) if netdev_mtu else None,
        "gids": gids,
        "speed_gbps": _speed_gbps(root, netdev),
        "roce_defaults": _roce_defaults(path, root),
        "errors": errors_in(read_counters(path)),
    }


def _speed_gbps(root: Path, netdev: str) -> float | None:
    """The speed of the network interface, which sysfs has in Mbit/s; None where it has none (-1, or EINVAL when down).

    The port's own ``rate`` is no measure of it: for a speed that the kernel does not know, it is made up
    (``ib_get_eth_speed``, drivers/infiniband/core/verbs.c).
    """
    speed = _text(root / "sys/class/net" / netdev / "speed") if netdev else ""
    return int(speed) / 1000 if speed.isdigit() and int(speed) > 0 else None


def _roce_defaults(port: Path, root: Path) -> dict[str, Any]:
    """What new connections of rdma_cm start from: ``mode`` and ``tos`` of configfs, which are there once somebody made
    the device's directory (drivers/infiniband/core/cma_configfs.c), and OFED's ``traffic_class``; None where a value
    is not there."""
    device = port.parent.parent
    cma = root / "sys/kernel/config/rdma_cm" / device.name / "ports" / port.name
    tos, mode = _text(cma / "default_roce_tos"), _text(cma / "default_roce_mode")
    # OFED shows "Global tclass=106"
    ofed = _LAST_NUMBER.search(_text(device / "tc" / port.name / "traffic_class"))
    return {
        "mode": mode or None,
        "tos": int(tos) if tos.isdigit() else None,
        "traffic_class": int(ofed.group(1)) if ofed else None,
    }


def gid_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The used entries of a port's GID table by index, read one by one: tables of 1024 are nearly empty."""
    folder = path / "gids"
    names = [name for name in os.listdir(str(folder)) if name.isdigit()] if folder.is_dir() else []
    for name in sorted(names, key=int):
        gid = _text(folder / name)
        if not gid or gid == _ZERO_GID:
            continue
        kind = _text(path / "gid_attrs" / "types" / name)
        yield {
            "index": int(name),
            "gid": gid,
            "type": kind,
            "roce_version": {"IB/RoCE v1": 1, "RoCE v2": 2}.get(kind),
            "netdev": _text(path / "gid_attrs" / "ndevs" / name),
        }


def _after_colon(text: str) -> str:
    """``4: ACTIVE`` -> ``ACTIVE``."""
    return text.partition(":")[2].strip() or text


def _text(path: Path) -> str:
    """The attribute's text, or "" where the kernel has none: an unused GID answers EINVAL to reads of its type."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
