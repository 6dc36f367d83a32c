"""The lines for an Arista switch against pyavd, Arista's own renderer, given the same settings as structured config."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyavd
import pytest
import yaml
from hier_config import HConfig, HConfigChild, Platform, get_hconfig
from hypothesis import given, settings

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.headroom import port_headroom
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.model import Device, DevicePort, Fabric
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.settings import Watchdog
from tests.devices.eos_intents import EXAMPLE, intents, rendered

SOUND = Path(__file__).resolve().parents[1] / "fixtures/intents/sound.yml"
# AVD has no key for DCBX, and writes nothing for LLDP that runs
OURS_ALONE = {"dcbx mode ieee", "lldp run"}
ACTIONS = {"drop": "drop", "alert": "notify-only"}


def timer(watchdog: Watchdog) -> dict[str, str]:
    keys = {"timeout": "detect_ms", "recovery_time": "restore_ms", "polling_interval": "poll_ms"}
    return {key: str(getattr(watchdog, name) / 1000).removesuffix(".0") for key, name in keys.items()}


def profile(port: DevicePort, device: Device, split: bool) -> dict[str, Any]:
    """A port's queues and pauses as AVD's qos_profiles has them."""
    queues = []
    for lane in port.settings.lanes:
        queue: dict[str, Any] = {"id": lane.traffic_class, "priority": "priority strict"}
        if lane.share is not None:
            queue.update(priority="no priority", bandwidth_percent=lane.share)
        if lane.ecn is not None and lane in port.lanes:
            marks = lane.ecn.at_speed(port.speed_gbps)
            threshold = {"units": "bytes", "min": marks.kmin_bytes, "max": marks.kmax_bytes}
            threshold.update(max_probability=marks.pmax, weight=0)
            queue["random_detect"] = {"ecn": {"count": True, "threshold": threshold}}
        queues.append(queue)
    found: dict[str, Any] = {
        "trust": "dscp" if port.settings.trust == "dscp" else "cos",
        "uc_tx_queues" if split else "tx_queues": queues,
    }
    if port.lossless:
        own = port.settings.watchdog
        guard: dict[str, Any] = {"enabled": True}
        if own != device.settings.watchdog:
            guard.update(timer=timer(own), action=ACTIONS[own.action])
        priorities = [{"priority": lane.priority, "no_drop": True} for lane in port.lossless]
        found["priority_flow_control"] = {"enabled": True, "priorities": priorities, "watchdog": guard}
    return found


def interface(port: DevicePort, device: Device, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": port.name, "mtu": port.mtu, "service_profile": name}
    if port.tagged:
        trunk: dict[str, Any] = {"allowed_vlan": ",".join(str(vid) for vid in sorted(vlan.vid for vlan in port.vlans))}
        if port.vlan:
            trunk["native_vlan"] = port.vlan.vid
        found["switchport"] = {"enabled": True, "mode": "trunk", "trunk": trunk}
    elif port.vlan:
        found["switchport"] = {"enabled": True, "mode": "access", "access_vlan": port.vlan.vid}
    if not port.settings.lldp.enabled:
        found["lldp"] = {"transmit": False, "receive": False}
    if device.settings.ptp.role != "none" and port.settings.ptp.enabled:
        found["ptp"] = {"enable": True, "transport": "ipv4" if port.settings.ptp.transport == "ipv4" else "layer2"}
    storm = port.settings.storm_control
    levels = {"broadcast": storm.broadcast_percent, "unknown_unicast": storm.unknown_unicast_percent}
    found["storm_control"] = {
        key: {"level": f"{value:g}", "unit": "percent"} for key, value in levels.items() if value is not None
    }
    return found


def structured(fabric: Fabric, device: Device, names: dict[str, str]) -> dict[str, Any]:
    """The intent of one switch as AVD's structured config, with the names our profiles have."""
    ports = fabric.ports_of(device.name)
    mine = device.settings
    split = (device.asic or "").startswith(("trident3", "tomahawk"))
    queue = "uc-tx-queue" if split else "tx-queue"
    maps: dict[str, Any] = {"traffic_class": [f"{n} to {queue} {n}" for n in range(7) if n in classes(mine)]}
    for trust, key, lane_of, most in (
        ("dscp", "dscp", mine.lane_of_dscp, 64),
        ("pcp", "cos", mine.lane_of_priority, 8),
    ):
        if any(port.settings.trust == trust for port in ports):
            codes = {number: [c for c in range(most) if lane_of(c).traffic_class == number] for number in classes(mine)}
            maps[key] = [
                f"{' '.join(map(str, found))} to traffic-class {number}" for number, found in codes.items() if found
            ]
    found: dict[str, Any] = {
        "qos": {"map": maps},
        "qos_profiles": list(
            {names[port.name]: {"name": names[port.name], **profile(port, device, split)} for port in ports}.values()
        ),
        "vlans": [{"id": vlan.vid, "name": vlan.name} for vlan in {v.vid: v for p in ports for v in p.vlans}.values()],
        "ethernet_interfaces": [interface(port, device, names[port.name]) for port in ports],
    }
    lossless = [port for port in ports if port.lossless]
    if lossless:
        found["priority_flow_control"] = {"watchdog": {**timer(mine.watchdog), "action": ACTIONS[mine.watchdog.action]}}
    if mine.ptp.role != "none":
        mode = {"boundary": "boundary", "transparent": "e2etransparent"}[mine.ptp.role]
        found["ptp"] = {"mode": mode, "domain": mine.ptp.domain}
        if mine.ptp.source:
            found["ptp"]["source"] = {"ip": mine.ptp.source}
    if lossless and (device.asic or "").startswith("trident"):
        needs = [port_headroom(device, port) for port in lossless]
        ingress = {
            "threshold": str(Fraction(2) ** mine.buffers.alpha_exponent),
            "headroom": {"unit": "bytes", "memory": max(need.xoff_bytes for need in needs)},
            "resume": max(need.xon_bytes for need in needs),
        }
        mmu: dict[str, Any] = {"active_profile": "TICKWIRE"}
        mmu["queue_profiles"] = [{"name": "TICKWIRE", "ingress": ingress}]
        if mine.buffers.shared_headroom_ratio:
            every = sum(need.xoff_bytes * len(port.lossless) for need, port in zip(needs, lossless, strict=True))
            limit = math.ceil(Fraction(every, mine.buffers.shared_headroom_ratio))
            mmu["headroom_pool"] = {"unit": "bytes", "limit": limit}
        found["platform"] = {"trident": {"mmu": mmu}}
    return found


def classes(mine: Any) -> set[int]:
    return {lane.traffic_class for lane in mine.lanes}


def tree(text: str) -> set[tuple[str, ...]]:
    """Every line with those above it, as hier_config reads them."""
    found: set[tuple[str, ...]] = set()

    def walk(node: HConfig | HConfigChild, above: tuple[str, ...]) -> None:
        for child in node.children:
            found.add((*above, child.text))
            walk(child, (*above, child.text))

    walk(get_hconfig(Platform.ARISTA_EOS, text), ())
    return found


def compare(intent: dict[str, Any]) -> None:
    fabric = parse_intent(intent)
    device = fabric.devices["leaf1"]
    ours = tree(rendered(intent))
    names = {
        line[0].split(" ")[1]: line[1].split(" ")[1]
        for line in ours
        if len(line) == 2 and "service-profile " in line[1]
    }
    config = structured(fabric, device, names)
    checked = pyavd.validate_structured_config(config)
    assert not checked.validation_result.violations, checked.validation_result.violations
    theirs = tree(pyavd.get_device_config(config))
    assert {line for line in ours if line[-1] not in OURS_ALONE} == theirs


def test_the_example() -> None:
    compare(EXAMPLE)


@pytest.mark.parametrize("asic", ["trident2", "trident3", "jericho2"])
def test_the_sound_intent_of_the_fixtures(asic: str) -> None:
    intent = yaml.safe_load(SOUND.read_text(encoding="utf-8"))
    intent["devices"]["leaf1"]["asic"] = asic
    compare(intent)


@settings(max_examples=15)
@given(intents())
def test_any_intent(intent: dict[str, Any]) -> None:
    compare(intent)
