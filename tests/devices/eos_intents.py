"""Intents for an Arista switch, the lines the role's template makes of them, and a switch reached without Ansible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.context import context
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.session import DeviceError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from tests.devices.eapi import EosSwitch
from tests.devices.server import Dropped

TEMPLATE = Path(__file__).resolve().parents[2] / "roles/roce_switch/templates/eos.j2"
EXAMPLE: dict[str, Any] = yaml.safe_load("""
name: ldn1
ptp: {domain: 24}
lanes:
  cnp: {dscp: [48], priority: 6, strict: true}
  trading: {dscp: [26], priority: 3, lossless: true, share: 60}
  bulk: {dscp: [0, 8], priority: 0, share: 40, default: true}
vlans:
  trading: 110
  storage: {id: 120, lanes: [bulk]}
devices:
  leaf1:
    os: eos
    ptp: {role: boundary, source: 192.0.2.1}
    storm_control: {broadcast_percent: 1.5}
    ports:
      Ethernet2: {lldp: {enabled: false}, ptp: {enabled: false}}
links:
  - {a: "leaf1:Ethernet1", b: "trade1:fab0", speed_gbps: 25, cable_m: 3}
  - {a: "leaf1:Ethernet2", b: "store1:fab0", speed_gbps: 25, cable_m: 3, vlan: storage}
  - {a: "leaf1:Ethernet49/1", b: "spine1:Ethernet1/1", speed_gbps: 100, cable_m: 30, vlans: [trading, storage]}
""")
# what somebody else has on the switch
RUNNING = """\
hostname leaf1
vlan 110
   name old
interface Ethernet1
   description trade1
   mtu 9000
   no lldp transmit
interface Ethernet2
   service-profile THEIRS
interface Ethernet3
interface Ethernet4
interface Ethernet49/1
interface Ethernet9
   description not the intent's
   mtu 1500
qos profile THEIRS
   qos trust cos
   tx-queue 5
      bandwidth percent 10
qos profile TICKWIRE-400G
   qos trust dscp
   tx-queue 5
      no priority
"""

VLANS: list[dict[str, Any]] = [{"vlan": "a"}, {"vlan": "b"}, {"vlans": ["a", "b"]}, {"vlan": "b", "vlans": ["a"]}]


@cache
def template() -> jinja2.Template:
    """The role's template, as Ansible sets Jinja up."""
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["tickwire.fabric.switch_context"] = lambda given, name: context(parse_intent(given), name)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def rendered(intent: dict[str, Any], device: str = "leaf1") -> str:
    """The lines of the role's template."""
    return template().render(fabric=intent, roce_switch_device=device)


class Direct:
    """The way to a test switch without HTTP; the errors are those of the module's."""

    def __init__(self, switch: EosSwitch) -> None:
        self.switch = switch

    def _ask(self, lines: Sequence[str], output: str) -> list[dict[str, Any]]:
        request = {"method": "runCmds", "id": 1, "params": {"cmds": list(lines), "format": output}}
        try:
            _status, _headers, body = self.switch.answer("POST", "/command-api", {}, json.dumps(request).encode())
        except Dropped:
            raise DeviceError("Remote end closed connection without response") from None
        answer = json.loads(body)
        if "error" in answer:
            raise DeviceError(answer["error"]["data"][-1]["errors"][0])
        return answer["result"]

    def run(self, lines: Sequence[str]) -> list[str]:
        return [one["output"] for one in self._ask(lines, "text")]

    def read(self, command: str) -> dict[str, Any]:
        return self._ask([command], "json")[0]


@st.composite
def intents(draw: st.DrawFn) -> dict[str, Any]:
    """Sound intents that EOS can have, with a switch leaf1 of one to four ports."""
    count = draw(st.integers(1, 4))
    priorities = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count, unique=True))
    dscps = draw(st.lists(st.integers(0, 62), min_size=count, max_size=count + 6, unique=True))
    cuts = sorted(draw(st.lists(st.integers(1, 99), min_size=count - 1, max_size=count - 1, unique=True)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    lanes: dict[str, Any] = {}
    for index in range(count):
        lanes[f"lane{index}"] = {
            "dscp": [dscps[index]],
            "priority": priorities[index],
            "share": shares[index],
            "lossless": draw(st.booleans()),
        }
        if draw(st.booleans()):
            lanes[f"lane{index}"]["ecn"] = {"kmin_kb": draw(st.integers(1, 500)), "kmax_kb": 1000, "pmax": 10}
    lanes["lane0"]["dscp"] += dscps[count:]
    lanes[f"lane{draw(st.integers(0, count - 1))}"]["default"] = True
    if draw(st.booleans()):
        lanes["cnp"] = {"dscp": [63], "priority": 7, "strict": True}
    names = list(lanes)
    links: list[dict[str, Any]] = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        vlans: dict[str, Any] = draw(st.sampled_from(VLANS))
        speed = draw(st.sampled_from([10, 25, 100, 400]))
        links.append(
            {"a": f"leaf1:Ethernet{number}", "b": f"h{number}:fab0", "speed_gbps": speed, "cable_m": 5, **vlans}
        )
    vids = draw(st.lists(st.integers(2, 4094), min_size=2, max_size=2, unique=True))
    lanes_of_b = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    leaf: dict[str, Any] = {"os": "eos", "asic": draw(st.sampled_from(["trident3", "tomahawk3", "generic"]))}
    if draw(st.booleans()):
        leaf["ptp"] = {"role": draw(st.sampled_from(["boundary", "transparent"])), "domain": draw(st.integers(0, 127))}
    if draw(st.booleans()):
        leaf["storm_control"] = {"broadcast_percent": draw(st.sampled_from([0.5, 1, 20])), "unknown_unicast_percent": 3}
    if draw(st.booleans()):
        leaf["buffers"] = {"shared_headroom_ratio": draw(st.integers(0, 8)), "alpha_exponent": draw(st.integers(-7, 3))}
    if draw(st.booleans()):
        leaf["lldp"] = {"enabled": draw(st.booleans())}
    if draw(st.booleans()):
        leaf["ports"] = {"Ethernet1": {"watchdog": {"detect_ms": 1000, "restore_ms": 2000, "action": "alert"}}}
    return {
        "name": "ldn1",
        "trust": draw(st.sampled_from(["dscp", "pcp"])),
        "mtu": {"host": 9000, "switch": draw(st.integers(9000, 9214))},
        "lanes": lanes,
        "vlans": {"a": vids[0], "b": {"id": vids[1], "lanes": lanes_of_b}},
        "devices": {"leaf1": leaf},
        "links": links,
    }
