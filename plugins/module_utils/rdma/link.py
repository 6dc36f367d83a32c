# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads RDMA devices from sysfs (``/sys/class/infiniband``), and the path MTU from ``ibv_devinfo``, where sysfs has
none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

# Counters that count something gone wrong, over the drivers: InfiniBand port counters, mlx5, bnxt_re, irdma and rxe.
ERROR_COUNTERS = frozenset(
    (
        "symbol_error",
        "link_error_recovery",
        "link_downed",
        "port_rcv_errors",
        "port_rcv_remote_physical_errors",
        "port_rcv_switch_relay_errors",
        "port_xmit_discards",
        "port_xmit_constraint_errors",
        "port_rcv_constraint_errors",
        "local_link_integrity_errors",
        "excessive_buffer_overrun_errors",
        "VL15_dropped",
        "out_of_buffer",
        "out_of_sequence",
        "packet_seq_err",
        "local_ack_timeout_err",
        "rnr_nak_retry_err",
        "implied_nak_seq_err",
        "duplicate_request",
        "rx_icrc_encapsulated",
        "req_cqe_error",
        "req_cqe_flush_error",
        "resp_cqe_error",
        "resp_cqe_flush_error",
        "req_remote_access_errors",
        "req_remote_invalid_request",
        "resp_local_length_error",
        "resp_remote_access_errors",
        "out_of_seq_request",
        "rcvd_rnr_err",
        "send_rnr_err",
        "rcvd_seq_err",
        "completer_retry_err",
        "retry_rnr_exceeded_err",
        "retry_exceeded_err",
        "send_err",
        "recoverable_errors",
        "unrecoverable_err",
    )
)
SOFTWARE_DRIVERS = ("rxe", "siw")
_ZERO_GID = ":".join(["0000"] * 8)
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
        "errors": _errors(path),
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


def _errors(path: Path) -> dict[str, int]:
    found = {}
    for folder in ("counters", "hw_counters"):
        if not (path / folder).is_dir():
            continue
        for entry in sorted((path / folder).iterdir()):
            value = _text(entry) if entry.name in ERROR_COUNTERS else ""
            if value.isdigit():
                found[entry.name] = int(value)
    return found


def _after_colon(text: str) -> str:
    """``4: ACTIVE`` -> ``ACTIVE``."""
    return text.partition(":")[2].strip() or text


def _text(path: Path) -> str:
    """The attribute's text, or "" where the kernel has none: an unused GID answers EINVAL to reads of its type."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
