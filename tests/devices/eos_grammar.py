"""The lines an Arista test switch knows, and how it shows its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.devices.state import Config, Rule

NUMBER = r"\d+(?:\.\d+)?"
# EOS's map of DSCP to traffic class: by eights, with 0 and 1 exchanged
DEFAULT_CLASS = {"dscp": (1, 0, 2, 3, 4, 5, 6, 7), "cos": (1, 0, 2, 3, 4, 5, 6, 7)}


def codes(line: str) -> Iterable[str]:
    """A line with a list of codes as one line for each."""
    words = line.split()
    there = words.index("to") if "to" in words else len(words)
    first = next(index for index, word in enumerate(words) if word.isdigit())
    for code in words[first:there]:
        yield " ".join([*words[:first], code, *words[there:]])


QUEUE = (
    Rule("priority", "strict", keeps_no=True),
    Rule("bandwidth percent", r"[1-9]\d?|100"),
    Rule("bandwidth guaranteed percent", r"\d+"),
    Rule("random-detect ecn count"),
    Rule(
        "random-detect ecn minimum-threshold",
        r"\d+ k?bytes maximum-threshold \d+ k?bytes max-mark-probability \d+ weight \d+",
    ),
)
QOS = (
    Rule("qos trust", "cos|dscp"),
    Rule(r"priority-flow-control priority [0-7]", "no-drop|drop"),
    Rule("priority-flow-control pause watchdog port timer", r"timeout \S+ polling-interval \S+ recovery-time \S+"),
    Rule("priority-flow-control pause watchdog port action", "drop|notify-only"),
    Rule("priority-flow-control pause watchdog(?= off|$)"),
    Rule("priority-flow-control(?= on|$)", "on"),
    Rule(r"(?:uc-|mc-)?tx-queue [0-7]", opens=QUEUE),
)
INTERFACE = (
    Rule("description", ".+"),
    Rule("mtu", r"\d{2,4}"),
    Rule("shutdown"),
    Rule("switchport access vlan", r"\d+"),
    Rule("switchport mode", "access|trunk"),
    Rule("switchport trunk native vlan", r"\d+"),
    Rule("switchport trunk allowed vlan", r"[\d,-]+"),
    Rule("switchport(?=$)", keeps_no=True),
    Rule("dcbx mode", "ieee|cee"),
    Rule("lldp transmit", keeps_no=True),
    Rule("lldp receive", keeps_no=True),
    Rule("ptp enable"),
    Rule("ptp transport", "ipv4|ipv6|layer2"),
    Rule("service-profile", r"\S+"),
    Rule("storm-control broadcast level", NUMBER),
    Rule("storm-control unknown-unicast level", NUMBER),
    *QOS,
)
MMU = (
    Rule("ingress threshold", r"\d|1/\d+"),
    Rule("ingress headroom", r"bytes \d+"),
    Rule("ingress resume", r"\d+"),
)
GRAMMAR = (
    Rule("hostname", r"\S+"),
    Rule("lldp run", keeps_no=True),
    Rule("ptp domain", r"\d+"),
    Rule("ptp mode", "boundary|e2etransparent|disabled"),
    Rule("ptp source ip", r"[\d.]+"),
    Rule(r"priority-flow-control pause watchdog default (?:timeout|recovery-time|polling-interval)", NUMBER),
    Rule("priority-flow-control pause watchdog action", "drop|errdisable|notify-only"),
    Rule(r"qos map (?:dscp|cos) \d+(?: \d+)*", r"to traffic-class [0-7]", expand=codes),
    Rule(r"qos map traffic-class [0-7](?: [0-7])* to (?:uc-)?tx-queue", "[0-7]", expand=codes),
    Rule(r"qos map traffic-class [0-7](?: [0-7])* to (?:dscp|cos|mc-tx-queue)", r"\d+", expand=codes),
    Rule(r"platform trident mmu queue profile(?= \S+ apply)", r"\S+ apply"),
    Rule("platform trident mmu headroom-pool limit", r"bytes \d+"),
    Rule(r"platform trident mmu queue profile \S+(?=$)", opens=MMU),
    Rule(r"qos profile \S+", opens=QOS),
    Rule(r"vlan \d+", opens=(Rule("name", r"\S+"), Rule("state", "active|suspend"))),
    Rule(r"interface Ethernet\d+(?:/\d+){0,2}", opens=INTERFACE),
)
# what the switch does without showing it
HIDDEN = {
    "switchport",
    "switchport mode access",
    "switchport access vlan 1",
    "lldp run",
    "priority-flow-control pause watchdog",
}


def shown(config: Config) -> str:
    """The configuration as ``show running-config`` has it: no defaults, maps grouped, settings before sections."""
    groups: dict[tuple[str, str], list[int]] = {}
    plain: list[list[str]] = []
    for line in config.lines():
        mapped = re.fullmatch(r"(qos map \S+) (\d+) (to \S+ (\d+))", line)
        if mapped:
            words, code, target, number = mapped.groups()
            if default_target(words.split()[-1], int(code)) != int(number):
                groups.setdefault((words, target), []).append(int(code))
        elif not line.startswith(" "):
            plain.append([line])
        else:
            plain[-1].append(line)
    maps = [[f"{words} {' '.join(map(str, sorted(numbers)))} {target}"] for (words, target), numbers in groups.items()]
    blocks = [[line for line in block if line.strip() not in HIDDEN] for block in sorted(maps) + plain]
    return "".join("".join(line + "\n" for line in block) + "!\n" for block in blocks if block)


def default_target(kind: str, code: int) -> int:
    """Where a code goes when no line says it."""
    if kind == "traffic-class":
        return code
    return DEFAULT_CLASS[kind][code // 8 if kind == "dscp" else code]
