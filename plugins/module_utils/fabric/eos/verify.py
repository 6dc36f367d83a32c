# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an Arista switch runs, compared with the intent field by field.

Read are ``show running-config`` and, as JSON, ``show interfaces`` and ``show ptp``: of the other commands no source
tells the JSON. What the running configuration does not say has EOS's default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..findings import ERROR, WARNING, Finding
from ..model import Fabric
from .context import PREFIX, context
from .lines import Path, parse
from .running import fields

RUNNING = "show running-config"
INTERFACES = "show interfaces"
PTP = "show ptp"
COMMANDS = (INTERFACES, PTP)
# of the other modes no source tells the JSON
PTP_CLOCKS = {"boundary": "ptpBoundaryClock"}
NEXT = "run the role again, and look for who else configures the switch (show configuration sessions detail)"


def drift(fabric: Fabric, device: str, state: Mapping[str, Any]) -> list[Finding]:
    """``state`` has the answers to ``RUNNING`` (text), ``INTERFACES`` and ``PTP`` (JSON).

    Ours that differs as errors, then what is not ours and contradicts the intent as warnings.
    """
    intent = context(fabric, device)
    paths = parse(state[RUNNING])
    want, found = dict(_wanted(intent)), fields(paths, state[INTERFACES], state[PTP])
    findings = []
    for (where, what), value in want.items():
        now = found.get((where, what), "nothing")
        if now != value:
            port = where if where.startswith("Ethernet") else ""
            said = f"is {now}, wanted {value}; next: {NEXT}"
            findings.append(Finding(ERROR, "drift", f"{device}:{where} {what}", said, device, port))
    ours = {name for name, _what in want}
    for (where, what), value in found.items():
        if where.startswith(PREFIX) and where in ours and (where, what) not in want:
            said = f"is {value}, wanted nothing; next: {NEXT}"
            findings.append(Finding(ERROR, "drift", f"{device}:{where} {what}", said, device))
    return findings + list(_unmanaged(device, intent, paths))


def _wanted(intent: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for kind, maps in (("dscp", intent["dscp_map"]), ("cos", intent["cos_map"])):
        for one in maps:
            for code in one["codes"]:
                yield ("map", f"{kind} {code}"), f"traffic-class {one['traffic_class']}"
    for number in intent["queue_map"]:
        yield ("map", f"traffic-class {number}"), f"tx-queue {number}"
    if intent["watchdog"]:
        for key in ("timeout", "recovery_time", "polling_interval"):
            yield ("watchdog", key.replace("_", "-")), intent["watchdog"][key]
        yield ("watchdog", "action"), intent["watchdog"]["action"]
    if intent["ptp"]:
        yield ("ptp", "mode"), intent["ptp"]["mode"]
        if intent["ptp"]["mode"] in PTP_CLOCKS:
            yield ("ptp", "clock"), PTP_CLOCKS[intent["ptp"]["mode"]]
        yield ("ptp", "domain"), str(intent["ptp"]["domain"])
        if intent["ptp"]["source"]:
            yield ("ptp", "source"), intent["ptp"]["source"]
    if intent["lldp"]:
        yield ("lldp", "run"), "yes"
    if intent["trident"]:
        buffer = intent["trident"]
        yield ("buffer", "profile"), buffer["name"]
        yield ("buffer", "threshold"), buffer["threshold"]
        yield ("buffer", "headroom"), f"bytes {buffer['headroom_bytes']}"
        yield ("buffer", "resume"), str(buffer["resume_bytes"])
        if buffer["pool_bytes"]:
            yield ("buffer", "headroom-pool"), str(buffer["pool_bytes"])
    for profile in intent["profiles"]:
        yield from _wanted_profile(profile, intent["queue"])
    for vlan in intent["vlans"]:
        yield (f"vlan {vlan['id']}", "name"), vlan["name"]
    for port in intent["ports"]:
        yield from _wanted_port(port)


def _wanted_profile(profile: Mapping[str, Any], word: str) -> Iterator[tuple[tuple[str, str], str]]:
    name = profile["name"]
    yield (name, "trust"), profile["trust"]
    if profile["no_drop"]:
        yield (name, "pfc"), "on"
        yield (name, "watchdog"), "on"
    for priority in profile["no_drop"]:
        yield (name, f"priority {priority}"), "no-drop"
    if profile["watchdog"]:
        own = profile["watchdog"]
        for key in ("timeout", "recovery_time", "polling_interval"):
            yield (name, f"watchdog {key.replace('_', '-')}"), own[key]
        yield (name, "watchdog action"), own["action"]
    for queue in profile["queues"]:
        where = f"{word} {queue['id']}"
        yield (name, f"{where} scheduling"), f"{queue['percent']} percent" if queue["percent"] else "strict"
        if queue["ecn"]:
            marks = queue["ecn"]
            yield (
                (name, f"{where} ecn"),
                f"{marks['minimum']} to {marks['maximum']} bytes, {marks['probability']} percent",
            )
            yield (name, f"{where} ecn count"), "yes"


def _wanted_port(port: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    name = port["name"]
    yield (name, "mtu"), str(port["mtu"])
    yield (name, "switchport"), "trunk" if port["trunk"] else "access"
    if port["trunk"]:
        yield (name, "tagged vlans"), ",".join(str(vid) for vid in port["vlans"])
    if port["untagged"]:
        yield (name, "untagged vlan"), str(port["untagged"])
    yield (name, "service-profile"), port["profile"]
    yield (name, "lldp"), "on" if port["lldp"] else "off"
    yield (name, "dcbx"), "ieee" if port["dcbx"] else "off"
    yield (name, "ptp"), port["ptp_transport"] or "off"
    levels = {storm["kind"]: storm["level"] for storm in port["storm"]}
    for kind in ("broadcast", "unknown-unicast"):
        yield (name, f"storm-control {kind}"), levels.get(kind, "off")


def _unmanaged(device: str, intent: Mapping[str, Any], paths: list[Path]) -> Iterator[Finding]:
    """Lanes and ports that are not the intent's and contradict it; they are left alone."""
    ports = {f"interface {port['name']}" for port in intent["ports"]}
    profiles = {profile["name"] for profile in intent["profiles"]}
    lossless = {str(priority) for profile in intent["profiles"] for priority in profile["no_drop"]}
    vids = {str(vlan["id"]) for vlan in intent["vlans"]}
    pausing: dict[str, set[str]] = {}
    for path in paths:
        words = path[-1].split(" ")
        if len(path) == 2 and words[0] == "priority-flow-control" and words[-1] == "no-drop":
            pausing.setdefault(path[0], set()).add(words[2])
    for path in paths:
        top, line = path[0], path[1] if len(path) > 1 else ""
        if len(path) != 2 or not top.startswith("interface Ethernet"):
            continue
        port, said = top.split(" ")[1], ""
        if top in ports:
            if line.startswith(("qos trust", "priority-flow-control", "tx-queue", "uc-tx-queue", "mc-tx-queue")):
                said = f"'{line}' at the port goes before its profile; next: remove it or put it into the intent"
            elif line == "shutdown":
                said = "is shut down, and a link of the intent ends here; next: no shutdown, or take the link out"
        else:
            word, _space, value = line.rpartition(" ")
            other = pausing.get(f"qos profile {value}", set()) if word == "service-profile" else set()
            if value in profiles and word == "service-profile":
                said = f"has the profile {value}, and no link of the intent names this port; next: add the link"
            elif other - lossless:
                said = f"pauses priority {', '.join(sorted(other - lossless))} by profile {value}, lossy in the intent"
            elif value == "no-drop" and line.split(" ")[2] not in lossless:
                said = f"pauses priority {line.split(' ')[2]}, lossy in the intent; next: remove it"
            elif word == "switchport access vlan" and value in vids:
                said = f"is in VLAN {value} of the intent, and no link names this port; next: add the link"
        if said:
            yield Finding(WARNING, "drift-unmanaged", f"{device}:{port}", said, device, port)
