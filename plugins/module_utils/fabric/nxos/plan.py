# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that lead from a running configuration to the wanted one, and nothing but the difference.

Ours are: class-maps and policy-maps whose name has our prefix, the names of the intent's VLANs, the network-qos policy
of the system, our global lines, and on the ports of the intent the settings that the template has. The rest is not
touched.

NX-OS takes one line after the other, so the order matters: what is referred to comes before what refers to it, what is
no longer referred to goes last, a port becomes a trunk after it has its list of VLANs and loses the list when it is
none, and within a scheduler the percents sink before they rise, so that the sum never passes 100.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass

from . import tree
from .limits import PREFIX
from .tree import Tree

OWN = re.compile(rf"(class-map type qos match-any|policy-map type (?:qos|queuing|network-qos)) ({PREFIX}\S+)")
PERCENT = "bandwidth remaining percent"
JUMBO = "system jumbomtu"
# what a class has that the running configuration may not show
CLASS_DEFAULTS = ("mtu 1500", "set qos-group 0")
# keys of an interface that are ours to set and to take away; PTP is not taken away where the intent has no clock
INTERFACE_KEYS = frozenset(
    [
        "priority-flow-control mode",
        "priority-flow-control watch-dog-interval",
        "switchport",
        "switchport mode",
        "switchport access vlan",
        "switchport trunk native vlan",
        "switchport trunk allowed vlan",
        "mtu",
        "storm-control broadcast level",
        "storm-control unicast level",
        "service-policy type qos input",
        "service-policy type queuing output",
        "service-policy type queuing input",
        "lldp transmit",
        "lldp receive",
    ]
)


@dataclass(frozen=True)
class Plan:
    """``commands`` in order; the configuration ``before`` and, when they work, ``after``; ``in_use``: kept policies."""

    commands: tuple[str, ...]
    before: str
    after: str
    in_use: tuple[str, ...]


def plan(wanted: str, running: str) -> Plan:
    """From the text of the running configuration to ``wanted``, the template's text."""
    want, have = tree.parse(wanted), tree.parse(running)
    work = _Work(copy.deepcopy(have))
    clocked = any(line.startswith("ptp source ") for line in want)
    for line, block in want.items():
        if line.startswith("interface "):
            work.interface(line, block, clocked)
        elif OWN.fullmatch(line):
            work.own_block(line, block)
        elif block:
            work.shared_block(line, block)
        elif not tree.has_global(work.top, line):
            work.switch_line(line)
    in_use = work.remove_unwanted(want)
    return Plan(tuple(work.commands), tree.text(have), tree.text(work.top), tuple(in_use))


class _Work:
    """The configuration as it will be after the commands so far."""

    def __init__(self, top: Tree) -> None:
        self.top = top
        self.commands: list[str] = []
        self.mode: tuple[str, ...] = ()

    def _enter(self, path: tuple[str, ...]) -> Tree:
        """Open the blocks of ``path`` that are not open; the block at its end."""
        same = 0
        while same < min(len(path), len(self.mode)) and path[same] == self.mode[same]:
            same += 1
        # a line of an outer mode leaves the inner one; the outer one is named again when it is where the line goes
        self.commands.extend(path[same:] if same < len(path) or same == len(self.mode) else path)
        self.mode = path
        node = self.top
        for line in path:
            node = node.setdefault(line, {})
        return node

    def put(self, path: tuple[str, ...], line: str) -> None:
        """A line into the block at ``path``, in place of the one that gave the setting its value."""
        node = self._enter(path)
        self.commands.append(line)
        old = tree.of_key(node, tree.key(line))
        if old is not None:
            del node[old]
        node[line] = {}

    def switch_line(self, line: str) -> None:
        """A line of the whole switch. Switching ports that have the jumbo MTU follow when it changes."""
        if tree.key(line) == JUMBO:
            old = tree.of_key(self.top, JUMBO) or tree.GLOBAL_DEFAULTS[0]
            for block in [inner for one, inner in self.top.items() if one.startswith("interface ")]:
                if block.pop(f"mtu {old.split()[-1]}", None) is not None:
                    block[f"mtu {line.split()[-1]}"] = {}
        self.put((), line)

    def drop(self, path: tuple[str, ...], line: str) -> None:
        """A line out of the block at ``path``."""
        node = self._enter(path)
        self.commands.append(line[3:] if line.startswith("no ") else f"no {line}")
        node.pop(line, None)

    def interface(self, line: str, want: Tree, clocked: bool) -> None:
        have = tree.with_defaults(self.top.get(line, {}), self.top)
        owned = INTERFACE_KEYS | ({"ptp"} if clocked else set())
        keys = {tree.key(one) for one in want}
        present = dict(self.top.get(line, {}))
        for old in present:
            if tree.key(old) in keys and old not in want and old.startswith("service-policy "):
                self.drop((line,), old)
        for new in want:
            if new not in have:
                self.put((line,), new)
        # what goes last: a port that is a trunk no more keeps its list of VLANs until it is none
        for old in present:
            if tree.key(old) in owned and tree.key(old) not in keys and not _is_default(old):
                self.drop((line,), old)

    def shared_block(self, line: str, want: Tree) -> None:
        """A block that others have lines in too (vlan, system qos): only ours are set."""
        have = self.top.get(line, {})
        for new in want:
            if new not in have:
                self.put((line,), new)

    def own_block(self, line: str, want: Tree) -> None:
        """A class-map or policy-map of ours: afterwards it has these lines and no others."""
        have = dict(self.top.get(line, {}))
        if line not in self.top:
            self._enter((line,))
        if line.startswith("class-map"):
            # the new match first: in between, more packets match, but none falls out
            for new in want:
                if new not in have:
                    self.put((line,), new)
        for old in have:
            if old not in want:
                self.drop((line,), old)
        if line.startswith("policy-map"):
            for child in sorted(want, key=lambda name: _rise(have.get(name, {}), want[name])):
                self._class(line, child, want[child], have.get(child))

    def _class(self, policy: str, line: str, want: Tree, have: Tree | None) -> None:
        path = (policy, line)
        if have is None:
            self._enter(path)
        there = dict(have or {})
        keys = {tree.key(one) for one in want}
        for old in there:
            if old not in want and tree.key(old) not in keys:
                self.drop(path, old)
        for new in want:
            is_default = have is not None and new in CLASS_DEFAULTS and tree.of_key(there, tree.key(new)) is None
            if new not in there and not is_default:
                self.put(path, new)

    def remove_unwanted(self, want: Tree) -> list[str]:
        """Take away what has our prefix and is not wanted, policies before classes; names of those still in use."""
        kept = []
        unwanted = [line for line in self.top if OWN.fullmatch(line) and line not in want]
        for line in sorted(unwanted, key=lambda one: one.startswith("class-map")):
            name = line.split()[-1]
            if _referred(self.top, line, name):
                kept.append(name)
            else:
                self.drop((), line)
        return kept


def _is_default(line: str) -> bool:
    return line in tree.INTERFACE_DEFAULTS or line in ("no switchport", "lldp transmit", "lldp receive")


def _rise(have: Tree, want: Tree) -> int:
    return _percent(want) - _percent(have)


def _percent(block: Tree) -> int:
    line = tree.of_key(block, PERCENT)
    return int(line.split()[-1]) if line else 0


def _referred(top: Tree, line: str, name: str) -> bool:
    """Whether a service-policy names the policy, or a policy the class."""
    if line.startswith("class-map"):
        return any(f"class {name}" in block for one, block in top.items() if one.startswith("policy-map type qos"))
    kind = line.split()[2]
    return any(
        inner.startswith(f"service-policy type {kind} ") and inner.split()[-1] == name
        for block in top.values()
        for inner in block
    )
