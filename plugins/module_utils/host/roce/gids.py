# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The GIDs under which an interface's IPv4 addresses are reached over RoCE."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from ...rdma.link import gid_entries, gid_of_address
from ..programs import find_program
from ..system import System
from .devices import CLASS, RdmaPort


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
    known = addresses(system, port.interface)
    if known == []:
        return {"gids": {}, "missing": [f"{port.interface} has no IPv4 address, so {port} has no GID for one"]}
    wanted = {gid_of_address(ipaddress.IPv4Address(address).packed): address for address in known or []}
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
