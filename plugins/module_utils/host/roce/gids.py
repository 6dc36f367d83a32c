# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The GIDs under which an interface's IPv4 addresses are reached over RoCE."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from ...rdma.link import find_device, gid_of, gid_of_address, read_devices
from ..programs import find_program
from ..system import System
from .devices import RdmaPort


def addresses(system: System, interface: str) -> list[str] | None:
    """IPv4 addresses of an interface; None where ``ip`` does not tell."""
    program = find_program(system, "ip")
    if program is None:
        return None
    rc, out, dummy = system.run([program, "-j", "-4", "address", "show", "dev", interface])
    try:
        shown = json.loads(out or "[]") if rc == 0 else None
    except ValueError:
        return None
    if shown is None:
        return None
    return [entry["local"] for link in shown for entry in link.get("addr_info", []) if "local" in entry]


def gid_table(system: System, port: RdmaPort, version: int) -> dict[str, Any]:
    """``gids``: index by IPv4 address; ``missing``: what is wrong, in words, empty when every address has its GID."""
    found: dict[str, Any] = {"gids": {}, "missing": []}
    try:
        device = find_device(read_devices(system.root), port.device)
    except LookupError as error:
        return {"gids": {}, "missing": [str(error)]}
    table = next(entry for entry in device["ports"] if entry["port"] == port.port)
    known = addresses(system, port.interface)
    if known is not None and not known:
        found["missing"].append(f"{port.interface} has no IPv4 address, so {port} has no GID for one")
    for address in known or []:
        try:
            found["gids"][address] = gid_of(table, gid_of_address(ipaddress.IPv4Address(address).packed), version)
        except LookupError as error:
            found["missing"].append(str(error))
    return found
