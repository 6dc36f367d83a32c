# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a running configuration back to the plain data of :mod:`.context`: what the switch has of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from . import tree
from .limits import PREFIX
from .tree import Tree

ECN = re.compile(
    r"random-detect minimum-threshold (\d+) bytes maximum-threshold (\d+) bytes drop-probability (\d+) weight 0 ecn"
)
PAUSE = re.compile(r"pause buffer-size (\d+) pause-threshold (\d+) resume-threshold (\d+)")


def read(running: str, ports: Iterable[str]) -> dict[str, object]:
    """The configuration in the shape of :func:`.context.context`, for the ports named; what is missing is None."""
    top = tree.parse(running)
    attached = _value(top.get("system qos", {}), "service-policy type network-qos")
    return {
        "features": [line.split()[1] for line in top if line in ("feature lldp", "feature ptp")],
        "jumbomtu": int(_value(top, "system jumbomtu") or 9216),
        "vlans": {str(vid): _value(top.get(f"vlan {vid}", {}), "name") for vid in sorted(tree.vlans(top))},
        "watchdog": _watchdog(top),
        "ptp": _ptp(top),
        "classes": {name: _matches(block) for name, block in _named(top, "class-map type qos match-any")},
        "classifiers": {name: _groups(block) for name, block in _named(top, "policy-map type qos")},
        "network_qos": {
            "name": attached,
            "classes": _classes(top.get(f"policy-map type network-qos {attached}", {}), _network_class),
        },
        "schedulers": {
            name: _classes(block, _queue)
            for name, block in _named(top, "policy-map type queuing")
            if not name.startswith(f"{PREFIX}PAUSE")
        },
        "pause_buffers": {
            name: _classes(block, _pause)
            for name, block in _named(top, "policy-map type queuing")
            if name.startswith(f"{PREFIX}PAUSE")
        },
        "ports": {name: _port(top, name) for name in ports},
    }


def _named(top: Tree, kind: str) -> list[tuple[str, Tree]]:
    """Blocks of that kind with our prefix, by name."""
    start = f"{kind} {PREFIX}"
    return [(line.split()[-1], block) for line, block in top.items() if line.startswith(start)]


def _value(block: Tree, key: str) -> str | None:
    """What follows the words of a setting."""
    line = tree.of_key(block, key)
    return None if line is None or line.startswith("no ") else line[len(key) :].strip()


def _number(block: Tree, key: str) -> int | None:
    value = _value(block, key)
    return int(value) if value and value.isdigit() else None


def _watchdog(top: Tree) -> dict[str, int | None] | None:
    if not (_value(top, "priority-flow-control watch-dog-interval") or "").startswith("on"):
        return None
    return {
        "interval_ms": _number(top, "priority-flow-control watch-dog interval") or 100,
        "shutdown_multiplier": _number(top, "priority-flow-control watch-dog shutdown-multiplier"),
        "auto_restore_multiplier": _number(top, "priority-flow-control auto-restore multiplier") or 0,
        "fixed_restore_multiplier": _number(top, "priority-flow-control fixed-restore multiplier"),
    }


def _ptp(top: Tree) -> dict[str, object] | None:
    source = _value(top, "ptp source")
    return {"source": source, "domain": _number(top, "ptp domain") or 0} if source else None


def _matches(block: Tree) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in block:
        match = tree.NUMBERS_AFTER.fullmatch(line)
        if match:
            found.setdefault(match.group(1).split()[1], []).extend(tree.numbers(match.group(2)))
    return {kind: sorted(values) for kind, values in found.items()}


def _groups(block: Tree) -> dict[str, int | None]:
    return {
        line.split()[-1]: _number(inner, "set qos-group")
        for line, inner in block.items()
        if line != "class class-default"
    }


def _classes(block: Tree, reader: Callable[[Tree], dict[str, object]]) -> dict[str, dict[str, object]]:
    return {line.split()[-1]: reader(inner) for line, inner in block.items() if line.startswith("class ")}


def _network_class(block: Tree) -> dict[str, object]:
    return {"mtu": _number(block, "mtu") or 1500, "pause_cos": _number(block, "pause pfc-cos")}


def _queue(block: Tree) -> dict[str, object]:
    line = tree.of_key(block, "random-detect")
    found = ECN.fullmatch(line) if line else None
    ecn: object = line
    if found:
        ecn = dict(zip(("minimum_bytes", "maximum_bytes", "probability"), (int(number) for number in found.groups())))
    return {
        "level": _number(block, "priority level"),
        "percent": _number(block, "bandwidth remaining percent"),
        "ecn": ecn,
    }


def _pause(block: Tree) -> dict[str, object]:
    found = PAUSE.fullmatch(tree.of_key(block, "pause buffer-size") or "")
    values = [int(number) for number in found.groups()] if found else [None] * 3
    return dict(zip(("buffer_bytes", "pause_bytes", "resume_bytes"), values))


def _port(top: Tree, name: str) -> dict[str, object]:
    block = tree.with_defaults(top.get(f"interface {name}", {}), top)
    pfc = (_value(block, "priority-flow-control mode") or "").split()
    watchdog = (_value(block, "priority-flow-control watch-dog-interval") or "off").split()
    multiplier = re.search(r"interface-multiplier (\d+)", " ".join(watchdog))
    mode = _value(block, "switchport mode") if "switchport" in block else None
    trunk = mode == "trunk"
    allowed = _value(block, "switchport trunk allowed vlan")
    native = _number(block, "switchport trunk native vlan")
    return {
        "pfc": pfc[0] if pfc else None,
        "send_tlv": "send-tlv" in pfc,
        "watchdog": watchdog[0] == "on",
        "watchdog_alert_only": "disable-action" in watchdog,
        "watchdog_multiplier": int(multiplier.group(1)) if multiplier else None,
        "mode": mode,
        "access_vlan": None if trunk else _number(block, "switchport access vlan"),
        # VLAN 1 is what NX-OS has when nobody said another
        "native_vlan": native if trunk and native != 1 else None,
        "allowed_vlans": tree.numbers(allowed) if trunk and allowed else None,
        "mtu": _number(block, "mtu"),
        "broadcast_percent": _value(block, "storm-control broadcast level"),
        "unicast_percent": _value(block, "storm-control unicast level"),
        "classifier": _value(block, "service-policy type qos input"),
        "scheduler": _value(block, "service-policy type queuing output"),
        "pause_buffer": _value(block, "service-policy type queuing input"),
        "lldp": "lldp transmit" in block and "lldp receive" in block,
        "ptp": "ptp" in block,
    }
