# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who else sets DCB or spoils it: agents that take it from the switch, global pause, entries of others.

Each finding says what it is and what to do. Nothing here is changed but a firmware agent that may be switched off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import HostError
from ..nic.ethtool import Ethtool
from ..nic.ethtool import NotSupported as EthtoolNotSupported
from ..programs import find_program
from ..system import System
from .running import Running

#: Private flag of ethtool -> its value while the NIC's firmware speaks LLDP. From the kernel's
#: Documentation/networking/device_drivers/ethernet/intel/{ice,i40e}.rst.
FIRMWARE_FLAGS = {"fw-lldp-agent": "on", "disable-fw-lldp": "off"}
_FLAG = re.compile(r"(\S+)\s*: (on|off)\Z")
#: TLVs of DCBX in IEEE 802.1Q annex D: OUI 00-80-C2, subtypes 9 (ETS), 10 (ETS recommended), 11 (PFC), 12 (priorities).
_LLDPD_DCBX = re.compile(r"custom-tlv\b.*\boui\s+00,80,c2\b.*\bsubtype\s+(9|10|11|12)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """``interface`` is empty for what is of the whole host."""

    interface: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.interface + ': ' if self.interface else ''}{self.what}. {self.remedy}."


def host_findings(system: System) -> list[Finding]:
    """Agents of the host that take DCB from the peer or tell it something else."""
    found = []
    if "lldpad" in _processes(system):
        said = "lldpad runs and sets DCB from what the switch says"
        found.append(Finding("", said, "Stop it for good: systemctl disable --now lldpad.service lldpad.socket"))
    for name in _lldpd_files(system):
        for line in (system.read(name) or "").splitlines():
            if _LLDPD_DCBX.search(line):
                said = f"/{name} makes lldpd send DCBX of its own ({line.strip()})"
                found.append(Finding("", said, "Remove the line and restart lldpd, or keep it equal to the intent"))
    return found


def interface_findings(
    system: System, interface: str, fields: Mapping[str, Mapping[str, Any]], running: Running, headroom_bytes: int = 0
) -> list[Finding]:
    """What competes on one interface, or makes its settings worth less than they look."""
    found = []
    dcbx = running.state.get("dcbx", {})
    if dcbx and (dcbx["lld_managed"] or not dcbx["host"]):
        said = "its firmware has DCB (dcb dcbx show has no host)"
        remedy = "On mlx5 set LLDP_NB_DCBX_P1 to 0 with nic_firmware, on others switch off the firmware's LLDP agent"
        found.append(Finding(interface, said, remedy))
    for flag, value in firmware_agents(system, interface).items():
        other = "off" if value == "on" else "on"
        said = f"its firmware speaks LLDP and may take DCB from the switch (private flag {flag} {value})"
        remedy = f"Set stop_firmware_agents, or: ethtool --set-priv-flags {interface} {flag} {other}"
        found.append(Finding(interface, said, remedy))
    pausing = fields.get("pfc", {}).get("pfc", [])
    pause = global_pause(system, interface) if pausing else []
    if pause:
        said = f"global pause is on ({', '.join(pause)}), which excludes pauses by priority"
        found.append(
            Finding(interface, said, f"Turn it off: pause in roce_host_nics, or ethtool -A {interface} rx off tx off")
        )
    for item, priorities in running.state.get("app", {}).items():
        both = sorted(set(priorities) & set(pausing))
        if item not in fields.get("app", {}) and both:
            said = f"{item} is mapped to the pausing priority {both[0]}, and not by the intent"
            remedy = f"Remove it: dcb app del dev {interface} dscp-prio {item.split()[1]}:{both[0]}"
            found.append(Finding(interface, said, remedy))
    buffers = running.state.get("buffer", {})
    for priority in pausing if buffers and headroom_bytes else []:
        size = buffers.get(f"size {buffers['prio_buffer'][priority]}", 0)
        if size < headroom_bytes:
            said = f"the buffer of priority {priority} has {size} bytes, and its pauses need {headroom_bytes}"
            found.append(Finding(interface, said, "Give it more with buffers and prio_buffer, or shorten the cable"))
    return found


def _processes(system: System) -> set[str]:
    directory = system.path("proc")
    if not directory.is_dir():
        return set()
    found = set()
    for pid in [entry.name for entry in directory.iterdir() if entry.name.isdigit()]:
        try:
            found.add(system.read(f"proc/{pid}/comm") or "")
        except ProcessLookupError:  # it ended between the opening and the reading
            continue
    return found


def _lldpd_files(system: System) -> list[str]:
    parts = system.path("etc/lldpd.d")
    return ["etc/lldpd.conf"] + (
        sorted(f"etc/lldpd.d/{entry.name}" for entry in parts.glob("*.conf")) if parts.is_dir() else []
    )


def parse_flags(text: str) -> dict[str, str]:
    """``ethtool --show-priv-flags``: name -> on or off."""
    matches = (_FLAG.match(line.strip()) for line in text.splitlines())
    return {match.group(1): match.group(2) for match in matches if match}


def firmware_agents(system: System, interface: str) -> dict[str, str]:
    """Private flags which say that the firmware's LLDP agent runs, with their value now."""
    ethtool = find_program(system, "ethtool")
    if ethtool is None:
        return {}
    rc, out, dummy = system.run([ethtool, "--show-priv-flags", interface])
    flags = parse_flags(out) if rc == 0 else {}
    return {name: value for name, value in flags.items() if FIRMWARE_FLAGS.get(name) == value}


def stop_firmware_agents(system: System, interface: str) -> list[str]:
    """Switch the firmware's LLDP agent off; the flags that were changed. HostError when it is refused.

    The driver keeps the flag over reboots where its firmware can; ice and i40e stop traffic for a moment meanwhile.
    """
    changed = []
    ethtool = find_program(system, "ethtool") or "ethtool"
    for flag, value in firmware_agents(system, interface).items():
        other = "off" if value == "on" else "on"
        rc, out, err = system.run([ethtool, "--set-priv-flags", interface, flag, other])
        if rc != 0 or flag in firmware_agents(system, interface):
            said = (err or out).strip() or "it stayed as it was"
            raise HostError(
                f"private flag {flag} of {interface}", other, said, "look at the driver's messages in dmesg"
            )
        changed.append(flag)
    return changed


def global_pause(system: System, interface: str) -> list[str]:
    """Directions in which global pause is on; none where ethtool does not tell."""
    if find_program(system, "ethtool") is None:
        return []
    try:
        shown = Ethtool(system).read("-a", interface)
    except (HostError, EthtoolNotSupported):
        return []
    return [name for name in ("rx", "tx") if shown.get(name) == "on"]
