# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LLDP agents in the firmware of NICs: stopped where that is wanted, and started again when DCB is no longer ours."""

from __future__ import annotations

from collections.abc import Collection

from ..before import forget, read_before, remember
from ..errors import HostError
from ..programs import find_program
from ..system import System
from .rivals import firmware_agents, stop_firmware_agents

#: Under this name the flags of before are kept, as "INTERFACE FLAG".
OWNER = "dcb firmware agents"


def stop(system: System, interfaces: Collection[str], check: bool) -> list[str]:
    """Stop the agents of these interfaces; each as "INTERFACE FLAG". HostError when one is refused."""
    stopped = []
    for interface in interfaces:
        running = {f"{interface} {flag}": value for flag, value in firmware_agents(system, interface).items()}
        if running and not check:
            remember(system, OWNER, running)
            stop_firmware_agents(system, interface)
        stopped += list(running)
    return stopped


def left(system: System, interfaces: Collection[str]) -> dict[str, str]:
    """Agents that were stopped on interfaces other than these, with the value of their flag before."""
    kept = read_before(system, OWNER)
    return {name: value for name, value in kept.items() if name.split()[0] not in interfaces}


def start_again(system: System, interfaces: Collection[str], check: bool) -> list[str]:
    """Start what was stopped on interfaces other than these, as "INTERFACE FLAG"; what is gone is forgotten."""
    started = []
    for name, value in left(system, interfaces).items():
        interface, flag = name.split()
        if system.path(f"sys/class/net/{interface}").exists() and flag not in firmware_agents(system, interface):
            if not check:
                ethtool = find_program(system, "ethtool") or "ethtool"
                rc, out, err = system.run([ethtool, "--set-priv-flags", interface, flag, value])
                if rc != 0:
                    said = (err or out).strip() or f"exit status {rc}"
                    raise HostError(f"private flag {flag} of {interface}", value, said, "look at dmesg")
            started.append(name)
        if not check:
            forget(system, OWNER, {name})
    return started
