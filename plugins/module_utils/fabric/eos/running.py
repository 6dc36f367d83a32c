# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an Arista switch runs, as fields: from its configuration lines and the JSON of its show commands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .lines import Path

# Traffic class of the DSCPs by eights, and of the priorities one by one, when no line says it: EOS User Manual, Quality
# of Service; 0 and 1 are exchanged.
DEFAULT_CLASS = (1, 0, 2, 3, 4, 5, 6, 7)
ECN = re.compile(
    r"random-detect ecn minimum-threshold (\d+) (k?bytes) maximum-threshold (\d+) (k?bytes) "
    r"max-mark-probability (\d+)(?: weight \d+)?"
)
UNITS = {"bytes": 1, "kbytes": 1000}
TIMER = re.compile(
    r"priority-flow-control pause watchdog port timer timeout (\S+) polling-interval (\S+) recovery-time (\S+)"
)

Fields = dict[tuple[str, str], str]


def fields(paths: Sequence[Path], interfaces: Mapping[str, Any], ptp: Mapping[str, Any]) -> Fields:
    """(Where, what) -> value, in the words of :mod:`.verify`; what no line says has EOS's default."""
    found: Fields = {("lldp", "run"): "yes", ("ptp", "clock"): str(ptp.get("ptpMode", "nothing"))}
    for code in range(64):
        found["map", f"dscp {code}"] = f"traffic-class {DEFAULT_CLASS[code // 8]}"
    for code in range(8):
        found["map", f"cos {code}"] = f"traffic-class {DEFAULT_CLASS[code]}"
        found["map", f"traffic-class {code}"] = f"tx-queue {code}"
    bodies: dict[str, list[Path]] = {}
    for path in paths:
        if len(path) == 1:
            bodies.setdefault(path[0], [])
            _global(path[0], found)
        else:
            bodies[path[0]].append(path[1:])
    for top, body in bodies.items():
        words = top.split(" ")
        if top.startswith("interface Ethernet"):
            _port(words[1], body, interfaces, found)
        elif top.startswith("qos profile "):
            _profile(words[2], body, found)
        elif top.startswith("vlan "):
            found[top, "name"] = next((line[5:] for (line, *_more) in body if line.startswith("name ")), "nothing")
        elif found.get(("buffer", "profile")) == words[-1] and top.startswith("platform trident mmu queue profile "):
            for line, *_more in body:
                key, _space, value = line[len("ingress ") :].partition(" ")
                found["buffer", key] = value
    return found


def _global(line: str, found: Fields) -> None:
    """A line of the switch itself."""
    patterns = (
        (r"qos map ((?:dscp|cos) \d+) to (traffic-class \d+)", "map"),
        # traffic classes have other maps too: what DSCP they are rewritten to, and the queues of multicast
        (r"qos map (traffic-class \d+) to (?:uc-)?(tx-queue \d+)", "map"),
        (r"priority-flow-control pause watchdog default (\S+) (\S+)", "watchdog"),
        (r"priority-flow-control pause watchdog (action) (\S+)", "watchdog"),
        (r"ptp (mode|domain|source)(?: ip)? (\S+)", "ptp"),
        (r"platform trident mmu queue (profile) (\S+) apply", "buffer"),
        (r"platform trident mmu (headroom-pool) limit bytes (\d+)", "buffer"),
    )
    for pattern, where in patterns:
        match = re.fullmatch(pattern, line)
        if match:
            found[where, match.group(1)] = _number(match.group(2))
    if line == "no lldp run":
        found["lldp", "run"] = "no"


def _number(word: str) -> str:
    """A number without the zeros EOS may show: 0.20 is 0.2."""
    return f"{float(word):g}" if re.fullmatch(r"\d+\.\d+", word) else word


def _profile(name: str, body: Sequence[Path], found: Fields) -> None:
    for path in body:
        line = path[0]
        if len(path) == 2:
            _queue(name, line, path[1], found)
            continue
        timer = TIMER.fullmatch(line)
        if timer:
            for key, value in zip(("timeout", "polling-interval", "recovery-time"), timer.groups()):
                found[name, f"watchdog {key}"] = _number(value)
        for pattern, what in (
            (r"qos (trust) (\S+)", "{}"),
            (r"priority-flow-control (priority \d) (\S+)", "{}"),
            (r"priority-flow-control pause (watchdog) port action (\S+)", "{} action"),
        ):
            match = re.fullmatch(pattern, line)
            if match:
                found[name, what.format(match.group(1))] = match.group(2)
        if line == "priority-flow-control on":
            found[name, "pfc"] = "on"
            found.setdefault((name, "watchdog"), "on")
        elif line == "no priority-flow-control pause watchdog":
            found[name, "watchdog"] = "off"


def _queue(name: str, where: str, line: str, found: Fields) -> None:
    marks = ECN.fullmatch(line)
    if marks:
        low, low_unit, high, high_unit, probability = marks.groups()
        ends = f"{int(low) * UNITS[low_unit]} to {int(high) * UNITS[high_unit]}"
        found[name, f"{where} ecn"] = f"{ends} bytes, {probability} percent"
    elif line == "random-detect ecn count":
        found[name, f"{where} ecn count"] = "yes"
    elif line == "priority strict":
        found[name, f"{where} scheduling"] = "strict"
    elif line.startswith("bandwidth percent "):
        found[name, f"{where} scheduling"] = f"{line.split(' ')[-1]} percent"


def _port(name: str, body: Sequence[Path], interfaces: Mapping[str, Any], found: Fields) -> None:
    lines = [path[0] for path in body if len(path) == 1]

    def value(words: str, missing: str) -> str:
        return next((line[len(words) + 1 :] for line in lines if line.startswith(words + " ")), missing)

    # a switching port shows the MTU of its frames, 9214 and more than the line says: it must not be less
    runs, said = interfaces.get("interfaces", {}).get(name, {}).get("mtu", 0), value("mtu", "")
    found[name, "mtu"] = said if said.isdigit() and runs >= int(said) else str(runs or "nothing")
    mode = "routed" if "no switchport" in lines else value("switchport mode", "access")
    found[name, "switchport"] = mode
    if mode == "trunk":
        found[name, "tagged vlans"] = ",".join(
            str(vid) for vid in numbers(value("switchport trunk allowed vlan", "1-4094"))
        )
        found[name, "untagged vlan"] = value("switchport trunk native vlan", "1")
    elif mode == "access":
        found[name, "untagged vlan"] = value("switchport access vlan", "1")
    found[name, "service-profile"] = value("service-profile", "nothing")
    found[name, "lldp"] = "off" if "no lldp transmit" in lines or "no lldp receive" in lines else "on"
    found[name, "dcbx"] = value("dcbx mode", "off")
    found[name, "ptp"] = value("ptp transport", "ipv4") if "ptp enable" in lines else "off"
    for kind in ("broadcast", "unknown-unicast"):
        found[name, f"storm-control {kind}"] = _number(value(f"storm-control {kind} level", "off"))


def numbers(text: str) -> list[int]:
    """The numbers of a list such as ``110,120-122``; none for a word."""
    found: list[int] = []
    for part in text.split(","):
        low, _dash, high = part.partition("-")
        if low.isdigit():
            found += range(int(low), int(high or low) + 1)
    return found
