# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to be read from a switch of each system, and its counters from what was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .eos import counters as eos
from .linux import counters as linux
from .model import Fabric
from .nvue import counters as nvue
from .nxos import counters as nxos
from .pfc import PfcCounters
from .reading import IntentError
from .sonic import counters as sonic

PORT = "{port}"  # in a command that is for one port


@dataclass(frozen=True)
class Source:
    """``commands`` that have to be read, and what makes counters of command -> output."""

    commands: tuple[str, ...]
    counters: Callable[[Mapping[str, Any]], PfcCounters]


SOURCES = {
    "cumulus": Source(nvue.COMMANDS, nvue.counters),
    "eos": Source(eos.COMMANDS, eos.counters),
    "linux": Source(linux.COMMANDS, linux.counters),
    "nxos": Source(nxos.COMMANDS, nxos.counters),
    "sonic": Source(sonic.COMMANDS, sonic.counters),
}


def system_of(fabric: Fabric, device: str) -> str:
    """The switch system of a device of the intent; IntentError when it is no switch there."""
    found = fabric.devices[device].os if device in fabric.devices else None
    if found is None:
        names = ", ".join(switch.name for switch in fabric.switches)
        raise IntentError(f"fabric.devices.{device}", f"is no switch of the intent; there are {names}")
    return found


def commands(fabric: Fabric, device: str) -> list[str]:
    """What has to be read, for each port where a command is for one."""
    ports = [port.name for port in fabric.ports_of(device)]
    found = []
    for command in SOURCES[system_of(fabric, device)].commands:
        found += [command.replace(PORT, port) for port in ports] if PORT in command else [command]
    return found


def counters(fabric: Fabric, device: str, outputs: Mapping[str, Any]) -> PfcCounters:
    """The counters of the ports of the intent; those of other ports are not ours to judge."""
    system = system_of(fabric, device)
    found = SOURCES[system].counters(outputs)
    if system == "linux":  # whose bands are numbered by the intent
        found = linux.by_traffic_class(found, fabric, device)
    ours = [port.name for port in fabric.ports_of(device)]
    ports = {port: found.ports[port] for port in ours if port in found.ports}
    return PfcCounters(found.os, ports, found.pools, found.missing)
