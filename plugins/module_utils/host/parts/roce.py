# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RoCE of the interfaces, as the intent has it."""

from __future__ import annotations

from typing import Any

from ..before import read_before
from ..part import Drift, Part, Wanted
from ..roce.apply import OWNER, port_state, reapply
from ..roce.devices import check_wanted, ports_of
from ..system import System


def check(dummy: System, wanted: Wanted) -> None:
    check_wanted(wanted.get("roce"))


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    found = []
    for interface, given in (wanted.get("roce") or {}).items():
        ports = ports_of(system, interface)
        if given and not ports:
            found.append(Drift(f"RDMA device of {interface}", "there", "none"))
        for port in ports if given else []:
            state = port_state(system, port, given)
            for setting in state.settings:
                now = setting.read(system)
                if now != setting.value:
                    unread = f"not readable: nobody set it since {port.device} came up"
                    found.append(Drift(f"roce {setting.name} of {port}", setting.value, unread if now is None else now))
            version = given.get("version", 2)
            found += [
                Drift(f"RoCE v{version} GIDs of {port}", "one for each address", said) for said in state.gids["missing"]
            ]
    return found


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    found = {}
    for interface, given in (wanted.get("roce") or {}).items():
        for port in ports_of(system, interface):
            state = port_state(system, port, given or {})
            found[str(port)] = {
                "interface": interface,
                "gids": state.gids["gids"],
                "settings": {setting.name: setting.read(system) for setting in state.settings},
                "unsupported": state.unsupported,
            }
    return {"roce": found} if found else {}


def keeps(system: System) -> bool:
    return bool(read_before(system, OWNER))


PART = Part("roce", check, drift, running, reapply, keeps)
