# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One reading of a switch: what is applied, and what its ports run."""

from __future__ import annotations

from ..model import Fabric
from .switch import APPLIED, Switch
from .tree import expanded
from .verify import OPERATIONAL, State
from .version import told


def read(switch: Switch, fabric: Fabric, device: str) -> State:
    """What ``verify.drift`` judges. NvueError when the switch can not be read."""
    applied = expanded(switch.config(APPLIED))
    ports = {
        port.name: {path: switch.show("interface", port.name, *path) for path in OPERATIONAL}
        for port in fabric.ports_of(device)
    }
    return State(applied, ports, told(applied, fabric, device))
