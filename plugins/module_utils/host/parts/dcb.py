# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DCB of the interfaces, as the intent has it."""

from __future__ import annotations

import json
from typing import Any

from ..before import read_before
from ..dcb.agents import OWNER as AGENTS
from ..dcb.apply import OWNER, check_interfaces, read_wanted, reapply
from ..dcb.rivals import global_pause, host_findings, interface_findings
from ..dcb.running import Running, Tool, different
from ..dcb.wanted import GROUPS, NEEDED, parse_interfaces
from ..errors import HostError
from ..part import Drift, Part, Wanted
from ..system import System

#: Drivers of emulated NICs: none has DCB, and what they carry is no fabric.
EMULATED = ("virtio_net", "vmxnet3", "hv_netvsc", "xen_netfront", "e1000", "e1000e", "8139cp", "veth", "tun")


def required(system: System, wanted: Wanted, interface: str) -> bool:
    """Whether missing DCB is a fault: as ``dcb_required`` says, and with ``auto`` on every NIC that is not emulated."""
    said = wanted.get("dcb_required", "auto")
    if said != "auto":
        return bool(said == "always")
    device = system.path(f"sys/class/net/{interface}/device")
    driver = device / "driver"
    return device.exists() and not (driver.exists() and driver.resolve().name in EMULATED)


def check(system: System, wanted: Wanted) -> None:
    interfaces = parse_interfaces(wanted.get("dcb"))
    check_interfaces(system, interfaces)
    if wanted.get("dcb_required") != "always":
        return
    tool = Tool(system)
    for name, fields in interfaces.items():
        running = tool.read(name, [group for group in NEEDED if group in fields])
        for group, reason in running.unsupported.items():
            raise HostError(f"dcb {group}", name, reason, "use a NIC with DCB, or do not require it")


def _running(system: System, wanted: Wanted) -> dict[str, tuple[dict[str, dict[str, Any]], Running]]:
    tool = Tool(system)
    return {
        name: (fields, read_wanted(tool, name, fields))
        for name, fields in parse_interfaces(wanted.get("dcb")).items()
        if system.path(f"sys/class/net/{name}").exists()
    }


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    found = []
    for name in wanted.get("dcb") or {}:
        if not system.path(f"sys/class/net/{name}").exists():
            found.append(Drift(f"interface {name}", "there", "missing"))
    for name, (fields, running) in _running(system, wanted).items():
        for group in GROUPS:
            if group in running.state:
                for item, value in different(fields.get(group, {}), running.state[group]).items():
                    now = json.dumps(running.state[group].get(item, []))
                    found.append(Drift(f"dcb {group} {item} of {name}", json.dumps(value), now))
            elif group in fields and group in NEEDED and required(system, wanted, name):
                found.append(Drift(f"dcb {group} of {name}", json.dumps(fields[group]), running.unsupported[group]))
        if fields.get("pfc", {}).get("pfc") and "pfc" in running.state:
            pause = global_pause(system, name)
            if pause:
                found.append(
                    Drift(f"global pause of {name}", "off, as pauses by priority exclude it", ", ".join(pause))
                )
    return found


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    if not wanted.get("dcb"):
        return {}
    found = {}
    findings = host_findings(system)
    for name, (fields, now) in _running(system, wanted).items():
        found[name] = {**now.state, "unsupported": now.unsupported}
        headroom = int((wanted["dcb"][name] or {}).get("headroom_bytes") or 0)
        findings += interface_findings(system, name, fields, now, headroom)
    return {"dcb": found, "dcb_findings": [str(finding) for finding in findings]}


def keeps(system: System) -> bool:
    return bool(read_before(system, OWNER) or read_before(system, AGENTS))


PART = Part("dcb", check, drift, running, reapply, keeps)
