"""An intent for a Nexus, its lines, and a switch that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos import verify
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.context import context
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.plan import plan
from tests.devices.nxapi import Nexus

TEMPLATE = Path(__file__).parents[3] / "roles/roce_switch/templates/nxos.j2"
# what somebody else configured: another port, another policy, the whole of the rest
OTHERS = """\
hostname leaf1
feature nxapi
feature lldp
system jumbomtu 9000
vlan 1,900
class-map type qos match-any VOICE
  match dscp 46
policy-map type qos OTHER-IN
  class VOICE
    set qos-group 5
interface Ethernet1/40
  description somebody else's
  switchport
  switchport mode trunk
  priority-flow-control mode on
  service-policy type qos input OTHER-IN
"""


def intent() -> dict[str, Any]:
    """leaf1: two hosts, one with storage only, and an uplink; lanes, clock, storm control, all that NX-OS can have."""
    return yaml.safe_load(
        """
        name: ldn1
        lanes:
          trading: {dscp: [24, 25, 26], priority: 3, lossless: true, share: 60}
          cnp: {dscp: [48], priority: 6, strict: true}
          bulk: {dscp: [0], priority: 0, share: 40, default: true}
        vlans: {trading: 110, storage: {id: 120, lanes: [bulk, cnp]}}
        storm_control: {broadcast_percent: 1, unknown_unicast_percent: 0.5}
        devices:
          leaf1: {os: nxos, version: 10.3(4a), ptp: {role: boundary, source: 10.0.0.1}}
        links:
          - {a: "leaf1:Ethernet1/1", b: "trade1:ens4", speed_gbps: 100, cable_m: 5}
          - {a: "leaf1:Ethernet1/2", b: "store1:ens4", speed_gbps: 25, cable_m: 5, vlan: storage}
          - {a: "leaf1:Ethernet1/49", b: "spine1:Ethernet1/1", speed_gbps: 400, cable_m: 40, vlans: [trading, storage]}
        """
    )


def rendered(found: dict[str, Any], device: str = "leaf1") -> str:
    """The lines that the role's template makes of an intent."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(switch=context(parse_intent(found), device))


def change(switch: Nexus, found: dict[str, Any]) -> list[str]:
    """Bring a switch to an intent; the commands. AssertionError when the switch refuses one."""
    commands = list(plan(rendered(found), switch.running()).commands)
    taken, said = switch.enter(commands)
    assert not said, f"{commands[taken]}: {said}"
    return commands


def findings(switch: Nexus, found: dict[str, Any]) -> list[str]:
    """What the proof says of a switch."""
    state: dict[str, object] = {command: switch.execute(command, True) for command in verify.COMMANDS[:-1]}
    state[verify.RUNNING] = switch.execute(verify.RUNNING, False)
    return [str(one) for one in verify.drift(parse_intent(found), "leaf1", state)]
