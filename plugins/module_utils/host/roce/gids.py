# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The GIDs under which an interface's addresses are reached over RoCE.

A RoCE GID is an address of the interface: an IPv6 address as it is, an IPv4 address mapped into IPv6
(InfiniBand Architecture Specification, annex A17).
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from ...rdma.link import gid_entries, gid_of_address
from ..programs import find_program
from ..system import System
from .devices import CLASS, RdmaPort


def addresses(system: System, interface: str) -> list[str] | None:
    """Addresses of an interface by which others reach it; None where ``ip`` does not tell.

    A link-local address counts only where there is no other: it does not tell one interface from the next.
    """
    program = find_program(system, "ip")
    if program is None:
        return None
    rc, out, dummy = system.run([program, "-j", "address", "show", "dev", interface])
    try:
        shown = json.loads(out or "[]") if rc == 0 else None
    except ValueError:
        return None
    if shown is None:
        return None
    found = [entry["local"] for link in shown for entry in link.get("addr_info", []) if "local" in entry]
    return [address for address in found if not ipaddress.ip_address(address).is_link_local] or found


def gid_table(system: System, port: RdmaPort, version: int) -> dict[str, Any]:
    """``gids``: index by address; ``missing``: what is wrong, in words, empty when every address has its GID."""
    known = addresses(system, port.interface)
    if known == []:
        return {"gids": {}, "missing": [f"{port.interface} has no IP address, so {port} has no GID for one"]}
    wanted = {gid_of_address(ipaddress.ip_address(address).packed): address for address in known or []}
    found: dict[str, int] = {}
    table = []
    for entry in gid_entries(system.path(f"{CLASS}/{port.device}/ports/{port.port}")) if wanted else ():
        table.append(entry)
        if entry["gid"] in wanted and entry["roce_version"] == version:
            found.setdefault(wanted[entry["gid"]], entry["index"])
        if len(found) == len(wanted):
            break
    shown = ", ".join(f"{entry['index']}: {entry['gid']} {entry['type']}" for entry in table) or "empty"
    missing = [
        f"{port} has no RoCE v{version} GID for {address} of {port.interface}; its GID table: {shown}"
        for address in wanted.values()
        if address not in found
    ]
    return {"gids": found, "missing": missing}
