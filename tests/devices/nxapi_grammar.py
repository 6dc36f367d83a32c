"""What a Nexus 9000 takes: the lines it knows, and what it refuses of them for what else is configured.

Lines and ranges: NX-OS 9.3 command reference, the Azure Local reference configuration, and for MTU the switch's own
message ("MTU on L2 interfaces can only be set to default or system-jumboMTU").
"""

from __future__ import annotations

from collections.abc import Callable

from hier_config import HConfig, HConfigChild

from tests.devices.state import Config, Rule

Node = HConfig | HConfigChild

NAME = r"[A-Za-z][\w-]{0,39}"
BYTES = r"\d{1,9} (?:packets|bytes|kbytes|mbytes)"
PERCENT = r"(?:100|\d?\d)"
GROUP = "[0-7]"
MTU = r"(?:92(?:0\d|1[0-6])|9[01]\d\d|[1-8]\d{3})"
VIDS = r"[\d,-]+"
LEVEL = r"(?:100(?:\.0+)?|\d?\d(?:\.\d{1,2})?)"
EDGES = r"minimum-threshold " + BYTES + " maximum-threshold " + BYTES

NETWORK_CLASS = (Rule("mtu", MTU), Rule("pause pfc-cos", GROUP))
QUEUE = (
    Rule("bandwidth remaining percent", PERCENT),
    Rule("priority level", "[1-7]"),
    Rule("random-detect", rf"{EDGES} drop-probability {PERCENT} weight \d+(?: ecn)?"),
    Rule("pause buffer-size", r"\d+ pause-threshold \d+ resume-threshold \d+"),
)
INTERFACE = (
    Rule("description", ".+"),
    Rule("switchport$"),
    Rule("switchport mode", "access|trunk"),
    Rule("switchport access vlan", r"\d+"),
    Rule("switchport trunk native vlan", r"\d+"),
    Rule("switchport trunk allowed vlan", VIDS),
    Rule("switchport block", "unicast|multicast"),
    Rule("ip address", r"[\d./]+"),
    Rule("channel-group", r"\d+ mode active"),
    Rule("mtu", MTU),
    Rule("storm-control (?:broadcast|unicast|multicast) level", LEVEL),
    Rule("priority-flow-control mode", "(?:auto|on|off)(?: send-tlv)?"),
    Rule(
        "priority-flow-control watch-dog-interval",
        r"(?:on|off)(?: disable-action)?(?: interface-multiplier (?:[0-9]|[123]\d|40))?",
    ),
    Rule("service-policy type qos input", NAME),
    Rule("service-policy type queuing (?:input|output)", NAME),
    Rule("lldp transmit", keeps_no=True),
    Rule("lldp receive", keeps_no=True),
    Rule("ptp$"),
    Rule("shutdown"),
)
GRAMMAR = (
    Rule("hostname", r"\S+"),
    Rule("feature (?:lldp|ptp|nxapi|lacp)"),
    Rule("system default switchport"),
    Rule("system jumbomtu", MTU),
    Rule("priority-flow-control watch-dog-interval", "on|off"),
    Rule("priority-flow-control watch-dog interval", r"[1-9]\d\d|1000"),
    Rule("priority-flow-control watch-dog shutdown-multiplier", "[1-9]|10"),
    Rule("priority-flow-control (?:auto|fixed)-restore multiplier", PERCENT),
    Rule("ptp source", r"\d+\.\d+\.\d+\.\d+"),
    Rule("ptp domain", r"\d+"),
    Rule(r"vlan [\d,-]+", opens=(Rule("name", r"\S{1,32}"),)),
    Rule(
        f"class-map type qos match-any {NAME}",
        opens=(Rule(r"match dscp [\d,-]+"), Rule(r"match cos [\d,-]+")),
    ),
    Rule(f"policy-map type qos {NAME}", opens=(Rule(f"class {NAME}", opens=(Rule("set qos-group", GROUP),)),)),
    Rule(
        f"policy-map type network-qos {NAME}",
        opens=(Rule("class type network-qos c-8q-nq(?:[1-7]|-default)", opens=NETWORK_CLASS),),
    ),
    Rule(
        f"policy-map type queuing {NAME}",
        opens=(Rule("class type queuing c-(?:out-8q-q(?:[1-7]|-default)|in-q(?:[1-7]|-default))", opens=QUEUE),),
    ),
    Rule("system qos", opens=(Rule("service-policy type network-qos", NAME),)),
    Rule(r"interface Ethernet\d+/\d+(?:/\d+)?", opens=INTERFACE),
)
# not shown by `show running-config`
HIDDEN = {
    "system jumbomtu 9216",
    "priority-flow-control watch-dog interval 100",
    "priority-flow-control auto-restore multiplier 0",
    "priority-flow-control mode auto",
    "ptp domain 0",
    "switchport mode access",
    "switchport access vlan 1",
    "switchport trunk native vlan 1",
    "mtu 1500",
}


def children(node: Node, start: str) -> list[HConfigChild]:
    return [child for child in node.children if child.text.startswith(start)]


def value(node: Node, start: str) -> str:
    """The last word of the first line that begins so."""
    return next((child.text.split()[-1] for child in children(node, start)), "")


def complaint(config: Config) -> str:
    """Why the switch does not take a configuration; empty when it does."""
    return next((said for check in CHECKS if (said := check(config.tree))), "")


def _interfaces(tree: HConfig) -> list[HConfigChild]:
    return children(tree, "interface ")


def _policies_exist(tree: HConfig) -> str:
    for block in [*_interfaces(tree), *children(tree, "system qos")]:
        for line in children(block, "service-policy type "):
            kind, name = line.text.split()[2], line.text.split()[-1]
            if tree.get_child(equals=f"policy-map type {kind} {name}") is None:
                return f"ERROR: policy-map {name} does not exist, or is in use by {block.text}"
    return ""


def _classes_exist(tree: HConfig) -> str:
    for policy in children(tree, "policy-map type qos "):
        for line in policy.children:
            name = line.text.split()[-1]
            if name != "class-default" and tree.get_child(equals=f"class-map type qos match-any {name}") is None:
                return f"ERROR: class-map {name} does not exist, or is in use by {policy.text}"
    return ""


def _percent(tree: HConfig) -> str:
    for policy in children(tree, "policy-map type queuing "):
        total = sum(int(value(queue, "bandwidth remaining percent ") or 0) for queue in policy.children)
        if total > 100:
            return f"ERROR: {policy.text}: sum of bandwidth is {total}, above 100"
    return ""


def _mtu(tree: HConfig) -> str:
    jumbo = value(tree, "system jumbomtu ") or "9216"
    for port in _interfaces(tree):
        if port.get_child(equals="switchport") and value(port, "mtu ") not in ("", "1500", jumbo):
            return f"ERROR: {port.text}: MTU on L2 interfaces can only be set to default or system-jumboMTU"
    return ""


def _features(tree: HConfig) -> str:
    lines = [line.text for node in (tree, *_interfaces(tree)) for line in node.children]
    for feature in ("lldp", "ptp"):
        used = any(line.removeprefix("no ").split()[0] == feature for line in lines)
        if used and tree.get_child(equals=f"feature {feature}") is None:
            return f"% Invalid command: {feature} is not enabled"
    return ""


CHECKS: tuple[Callable[[HConfig], str], ...] = (_policies_exist, _classes_exist, _percent, _mtu, _features)
