# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a switch has against what the intent says, field by field, as findings.

Two sources, neither of which is the template: the running configuration, read back into the shape of :mod:`.context`,
and what ``show ... | json`` says of the working state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..findings import ERROR, WARNING, Finding
from ..model import DevicePort, Fabric
from . import outputs, running, tree
from .context import context
from .limits import PREFIX
from .outputs import PFC, QUEUING, WATCHDOG, number
from .tree import Tree

RUNNING = "show running-config"
# to be read for `drift`, all but the last with `| json`; of several answers only the first may be empty
COMMANDS = (WATCHDOG, QUEUING, PFC, RUNNING)
# path, wanted, found
Difference = tuple[tuple[str, ...], object, object]
RULE, UNMANAGED = "drift", "drift-unmanaged"
NEXT = "run the role again"
NETWORK_QOS = "service-policy type network-qos"


def drift(fabric: Fabric, device: str, state: Mapping[str, object]) -> list[Finding]:
    """Differences between the intent and ``state``: command of ``COMMANDS`` -> its text or its JSON.

    Ours that differs is an error, and what others configured against the intent a warning. Empty: proven.
    """
    ports = fabric.ports_of(device)
    wanted = context(fabric, device)
    text = str(state.get(RUNNING) or "")
    found = running.read(text, [port.name for port in ports])
    findings = [_finding(device, path, want, have) for path, want, have in _differences(wanted, found)]
    findings.extend(_working(device, ports, state))
    findings.extend(_unmanaged(device, [port.name for port in ports], tree.parse(text)))
    findings.extend(_left_over(device, wanted, found))
    return findings


def _left_over(device: str, wanted: Mapping[str, object], found: Mapping[str, object]) -> Iterator[Finding]:
    """What has our prefix and is not wanted any more; the next change takes it away when nobody refers to it."""
    for table in ("classes", "classifiers", "schedulers", "pause_buffers"):
        want, have = wanted[table], found[table]
        for name in have if isinstance(have, Mapping) else ():
            if isinstance(want, Mapping) and name not in want:
                said = "is not wanted any more; look which port or policy still has it"
                yield Finding(WARNING, RULE, f"{device} {table} {name}", said, device=device)


def _finding(device: str, path: tuple[str, ...], want: object, have: object) -> Finding:
    said = f"{_shown(have)}, wanted {_shown(want)}; {NEXT}"
    port = path[1] if path[0] == "ports" else ""
    place = f"{device}:{port} {' '.join(path[2:])}".strip() if port else f"{device} {' '.join(path)}"
    return Finding(ERROR, RULE, place, said, device=device, port=port)


def _shown(value: object) -> str:
    return "missing" if value is None else str(value)


def _differences(wanted: Mapping[str, object], found: Mapping[str, object]) -> Iterator[Difference]:
    """Path, wanted and found of each field that differs. Names that only others use are not looked at."""
    for key, want in wanted.items():
        if key in ("device", "watchdog", "ptp", "features", "jumbomtu"):
            continue
        yield from _compare((key,), want, found[key], whole=key in ("classes", "classifiers", "schedulers"))
    for key in ("watchdog", "ptp"):
        if wanted[key] is not None:  # otherwise the intent says nothing of it
            yield from _compare((key,), wanted[key], found[key])
    for feature in _listed(wanted["features"]):
        if feature not in _listed(found["features"]):
            yield ("feature", str(feature)), "enabled", None
    if wanted["jumbomtu"] is not None and wanted["jumbomtu"] != found["jumbomtu"]:
        yield ("system", "jumbomtu"), wanted["jumbomtu"], found["jumbomtu"]


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _compare(path: tuple[str, ...], want: object, have: object, whole: bool = False) -> Iterator[Difference]:
    """``whole``: what only ``have`` has is a difference too, below the names of the first level."""
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        for key, value in want.items():
            if path[0] == "ports" and key == "ptp" and value is None:
                continue
            yield from _compare((*path, str(key)), value, have.get(key), whole)
        if whole and len(path) > 1:
            for key in have:
                if key not in want:
                    yield (*path, str(key)), None, have[key]
    elif want != have:
        yield path, want, have


def _working(device: str, ports: tuple[DevicePort, ...], state: Mapping[str, object]) -> Iterator[Finding]:
    """What the working state says of each port; a command that was not read says nothing."""
    pauses = outputs.ports(state.get(PFC), "pfc_interface")
    queuing = outputs.ports(state.get(QUEUING), "queuing_interface")
    watchdogs = outputs.ports(state.get(WATCHDOG), "queuing_interface")
    # with its mode on, a port has every priority that network-qos pauses, also one whose lane it does not carry
    bits = sum(1 << priority for priority in {lane.priority for port in ports for lane in port.lossless})
    for port in ports:
        for row in pauses.get(port.name, []):
            yield from _pause(device, port, row, bits)
        for row in outputs.rows([dict(row) for row in queuing.get(port.name, []) if _is_egress(row)], "qosgrp_cfg"):
            yield from _queue(device, port, row)
        for row in watchdogs.get(port.name, []):
            status = str(row.get("wd-status", "")).strip().lower()
            if port.lossless and status and not status.startswith(("on", "enabled", "yes", "1")):
                yield _port_finding(device, port, "watchdog", status, "on")


def _is_egress(row: Mapping[str, object]) -> bool:
    return not str(row.get("dir", "")).strip().lower().startswith("in")


def _pause(device: str, port: DevicePort, row: Mapping[str, object], bits: int) -> Iterator[Finding]:
    want = "on" if port.lossless else "off"
    admin = str(row.get("admin", "")).strip().lower()
    if admin and not admin.startswith(want):
        yield _port_finding(device, port, "pfc admin", admin, want)
    # On (8): the priorities as bits, in hexadecimal
    oper = re.match(r"(\w+)(?:\s*\((?:0x)?([0-9a-f]+)\))?", str(row.get("oper", "")).strip().lower())
    if not oper or not port.lossless:
        return
    if oper.group(1) != "on":
        said = f"{oper.group(1)}, wanted on: no pause is sent or obeyed; look whether the port is up"
        yield Finding(WARNING, RULE, f"{device}:{port.name} pfc oper", said, device=device, port=port.name)
    elif oper.group(2) and int(oper.group(2), 16) != bits:
        yield _port_finding(device, port, "pfc priorities", f"0x{oper.group(2)}", f"0x{bits:x}")


def _queue(device: str, port: DevicePort, row: Mapping[str, object]) -> Iterator[Finding]:
    """Bandwidth of an egress queue, as it works."""
    group, percent = number(row.get("qosgrp")), number(row.get("bandwidth"))
    if group is None or percent is None:
        return
    lane = next((lane for lane in port.settings.lanes if lane.traffic_class == group), None)
    if lane is None or lane.share is None:
        return
    if percent != lane.share:
        yield _port_finding(device, port, f"queue {group} bandwidth", percent, lane.share)


def _port_finding(device: str, port: DevicePort, what: str, have: object, want: object) -> Finding:
    said = f"{have}, wanted {want}; {NEXT}"
    return Finding(ERROR, RULE, f"{device}:{port.name} {what}", said, device=device, port=port.name)


def _unmanaged(device: str, ports: list[str], top: Tree) -> Iterator[Finding]:
    """What is not ours, and contradicts the intent or depends on us."""
    for line, block in top.items():
        if not line.startswith("interface "):
            continue
        name = line.partition(" ")[2]
        said = []
        if name in ports:
            said += [f"`{one}` keeps the port from carrying lanes" for one in block if one == "shutdown"]
            said += [
                f"`{one}`: its VLANs are those of the channel" for one in block if one.startswith("channel-group ")
            ]
        else:
            mode = tree.of_key(block, "priority-flow-control mode") or ""
            if " on" in mode:
                said.append(f"`{mode}` on a port that no link of the intent names")
            said += [f"`{one}` has a policy of ours" for one in block if f" {PREFIX}" in one]
        for one in said:
            message = f"{one}; it is left alone, correct it or the intent"
            yield Finding(WARNING, UNMANAGED, f"{device}:{name}", message, device=device, port=name)
