# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One reading of a switch: its configuration, what its ports run, and its counters."""

from __future__ import annotations

from typing import Any

from ..findings import plain, worst_first
from ..model import Fabric
from ..pfc import plain as plain_counters
from .counters import COMMANDS, counters
from .switch import APPLIED, Switch
from .tree import expanded
from .verify import OPERATIONAL, State, drift
from .version import told


def read(switch: Switch, fabric: Fabric, device: str, bridge: str) -> dict[str, Any]:
    """Findings, outputs and counters, as plain data."""
    applied = expanded(switch.config(APPLIED))
    names = [port.name for port in fabric.ports_of(device)]
    ports = {name: {path: switch.show("interface", name, *path) for path in OPERATIONAL} for name in names}
    findings = drift(fabric, device, State(applied, ports, told(applied, fabric, device)), bridge)
    outputs = {
        command: switch.show(*command.split("/"))
        for name in names
        for command in (one.format(port=name) for one in COMMANDS)
    }
    return {
        "findings": plain(worst_first(findings)),
        "outputs": outputs,
        "counters": plain_counters(counters(outputs)),
    }
