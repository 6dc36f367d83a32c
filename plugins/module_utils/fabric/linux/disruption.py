# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan disrupts, told before it is run. None of it lasts longer than the change."""

from __future__ import annotations

from .plan import Plan
from .state import Switch


def disruptions(steps: Plan, running: Switch) -> list[str]:
    """A sentence each: ports that leave the network for a moment, and queues that lose what waits in them."""
    found = []
    for line in steps.ip:
        words = line.split()
        name = words[3]
        port = next((one for one in running.ports if one.name == name), None)
        if port and port.up and ("master" in words or "nomaster" in words):
            found.append(f"{name} changes its bridge: what it carries now stops, addresses on it are out of reach")
        elif port and port.up and "mtu" in words:
            found.append(f"{name} changes its MTU: many drivers take the link down for it, for up to some seconds")
        elif running.bridge and name == running.bridge.name and words[1] == "del":
            found.append(f"bridge {name} goes: its ports no longer pass packets to each other")
    for line in steps.bridge:
        words = line.split()
        if words[1] == "del" and "vid" in words:
            found.append(f"{words[3]} leaves VLAN {words[words.index('vid') + 1]}")
    for name, lines in steps.queues:
        egress = running.port(name).egress
        anew = [line for line in lines if " root" in line and line.startswith("qdisc")]
        if anew and not egress.default:
            found.append(f"the queues of {name} are made anew: what waits in them is lost")
    found += [f"{line.split()[3]} changes its pauses or scheduling in the driver" for line in steps.dcb]
    return found
