# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change interrupts, said before it is made."""

from __future__ import annotations

from . import tree
from .limits import PREFIX
from .plan import JUMBO, Plan
from .tree import Tree


def disruptions(plan: Plan) -> list[str]:
    """A sentence for each part of the change that interrupts traffic; empty when none does."""
    before, after = tree.parse(plan.before), tree.parse(plan.after)
    found = []
    if _network_qos(before) != _network_qos(after):
        found.append(
            "network-qos of the system changes: every port of the switch, those of others too, drops packets while the "
            "buffers are carved anew"
        )
    others = [
        line.partition(" ")[2]
        for line, block in before.items()
        if line.startswith("interface ") and tree.of_key(block, "mtu") and not any(f" {PREFIX}" in one for one in block)
        if tree.of_key(block, "mtu") not in after.get(line, {})
    ]
    mtu = tree.of_key(after, JUMBO)
    if mtu and mtu != tree.of_key(before, JUMBO) and others:
        found.append(f"`{mtu}`: ports of others follow it, {', '.join(others)}")
    for line, block in before.items():
        addresses = [inner for inner in block if inner.startswith(("ip address", "ipv6 address"))]
        becomes = "switchport" in after.get(line, {}) and "switchport" not in block
        if line.startswith("interface ") and addresses and becomes:
            port = line.partition(" ")[2]
            found.append(f"{port} is a routed port ({', '.join(addresses)}): switching, it loses its addresses")
    return found


def _network_qos(top: Tree) -> tuple[str, Tree]:
    """The policy that the system has, and what it says."""
    line = tree.of_key(top.get("system qos", {}), "service-policy type network-qos") or ""
    return line, top.get(f"policy-map type network-qos {line.split()[-1]}", {}) if line else {}
