#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets rings, coalescing, channels, pause, offloads, flow steering, MTU and PCIe read request of network cards."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_settings
short_description: Set rings, coalescing, channels, pause, offloads and flow steering of network cards
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Reads the cards through C(ethtool), sets only what differs, one command for each group of settings, and reads it
    back. Groups are set in the order in which drivers forget, so private flags, MTU, channels, rings, pause, offloads
    and then coalescing, and flow steering at the end.
  - What a card has not got is reported with the driver's reason and is no failure, unless O(nics[].required=true).
  - When a driver refuses a setting, or the link does not come back, everything is put back as it was and the module
    fails.
  - A setting that is taken away goes back to its value of before the first run.
  - These settings are lost when the driver is loaded again or the host reboots, and some at every ifup. Role
    P(tickwire.fabric.roce_host#role) keeps them by a unit on the host.
extends_documentation_fragment:
  - tickwire.fabric.protection
options:
  nics:
    description: The interfaces and what is wanted of each. What is not named is left alone.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the interface.
        type: str
        required: true
      required:
        description: Whether a setting that the card has not got is a failure.
        type: bool
        default: false
      rings:
        description: Length of the rings, in descriptors, or V(max).
        type: dict
        suboptions:
          rx:
            description: Receive rings.
            type: str
          tx:
            description: Transmit rings.
            type: str
      channels:
        description: Number of queues, or V(max).
        type: dict
        suboptions:
          rx:
            description: Queues that only receive.
            type: str
          tx:
            description: Queues that only transmit.
            type: str
          combined:
            description: Queues that do both.
            type: str
      coalesce:
        description:
          - When the card raises an interrupt. For the lowest latency turn both adaptive switches off and set both times
            to 0.
        type: dict
        suboptions:
          adaptive_rx:
            description: Whether the driver adapts the times of receiving to the traffic.
            type: bool
          adaptive_tx:
            description: Whether the driver adapts the times of sending to the traffic.
            type: bool
          rx_usecs:
            description: Longest time from a received packet to its interrupt, in microseconds.
            type: int
          rx_frames:
            description: Most packets received before an interrupt.
            type: int
          rx_usecs_irq:
            description: As O(nics[].coalesce.rx_usecs) while an interrupt is served.
            type: int
          rx_frames_irq:
            description: As O(nics[].coalesce.rx_frames) while an interrupt is served.
            type: int
          tx_usecs:
            description: Longest time from a sent packet to its interrupt, in microseconds.
            type: int
          tx_frames:
            description: Most packets sent before an interrupt.
            type: int
          tx_usecs_irq:
            description: As O(nics[].coalesce.tx_usecs) while an interrupt is served.
            type: int
          tx_frames_irq:
            description: As O(nics[].coalesce.tx_frames) while an interrupt is served.
            type: int
          cqe_mode_rx:
            description: Whether the time of receiving counts from the last completion.
            type: bool
          cqe_mode_tx:
            description: Whether the time of sending counts from the last completion.
            type: bool
      pause:
        description: Pause frames of the whole link. They exclude priority flow control, so turn them off for RoCE.
        type: dict
        suboptions:
          autoneg:
            description: Whether pause is negotiated.
            type: bool
          rx:
            description: Whether received pause frames are obeyed.
            type: bool
          tx:
            description: Whether pause frames are sent.
            type: bool
      offloads:
        description:
          - Features by the name that C(ethtool -k) prints or its short name, such as V(lro) or V(gro), each on or off.
        type: dict
      private_flags:
        description: Flags of the driver by the name that C(ethtool --show-priv-flags) prints, each on or off.
        type: dict
      ntuple:
        description: Streams that go to one queue each, by destination address and port.
        type: list
        elements: dict
        suboptions:
          protocol:
            description: Protocol.
            type: str
            choices: [udp, tcp]
            default: udp
          dst_ip:
            description: Destination address, for a feed its multicast group.
            type: str
            required: true
          dst_port:
            description: Destination port.
            type: int
            required: true
          queue:
            description: The queue.
            type: int
          cpu:
            description:
              - The CPU on which alone the interrupt of the queue fires. The queue is looked up by that, in
                O(nics[].queue_cpus) where that is given, otherwise among the interrupts as they are.
            type: int
      irq_cpus:
        description: Read by M(tickwire.fabric.irq_affinity), so that one list serves both modules.
        type: str
      queue_cpus:
        description:
          - Where M(tickwire.fabric.irq_affinity) puts the interrupts of queues, so that one list serves both modules.
            Items have C(queue) and C(cpus).
        type: list
        elements: dict
      rss_avoids_ntuple:
        description: Whether all other traffic is spread over the other queues only.
        type: bool
        default: true
      mtu:
        description:
          - MTU in bytes. It is refused when systemd-networkd or NetworkManager gives the interface another one.
        type: int
      pcie_read_request:
        description: Largest PCIe read request in bytes.
        type: int
        choices: [128, 256, 512, 1024, 2048, 4096]
  bounce_allowed:
    description:
      - Whether a change may take the link down for a moment. Without it such a change is refused before anything is
        changed, unless the link is down. Which changes do so is known by driver.
      - It counts for nothing while O(protection) keeps the host from being disturbed.
    type: bool
    default: false
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Only programs that read
        are run.
    support: full
  diff_mode:
    description: Returns the settings that differ, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Give the card of the feed its settings for the lowest latency
  tickwire.fabric.nic_settings:
    nics:
      - name: ens4
        rings: {rx: max, tx: 1024}
        coalesce: {adaptive_rx: false, adaptive_tx: false, rx_usecs: 0, tx_usecs: 0}
        pause: {autoneg: false, rx: false, tx: false}
        offloads: {lro: "off", gro: "off"}
        ntuple:
          - {dst_ip: 233.54.12.111, dst_port: 26477, cpu: 3}
        mtu: 9000
        pcie_read_request: 4096
    bounce_allowed: true

- name: Give everything back that this module has set
  tickwire.fabric.nic_settings:
    nics: []
    bounce_allowed: true
"""

RETURN = r"""
changes:
  description: What was changed, in check mode what would be.
  returned: success
  type: list
  elements: dict
  contains:
    interface:
      description: The interface.
      type: str
      sample: ens4
    setting:
      description: Group and name of the setting.
      type: str
      sample: rings.rx
    before:
      description: Its value before.
      type: str
      sample: "512"
    after:
      description: Its value, read back.
      type: str
      sample: "4096"
    cost:
      description: What the change costs.
      type: str
      sample: link bounce
not_supported:
  description: Wanted settings that a card has not got.
  returned: success
  type: list
  elements: dict
  contains:
    interface:
      description: The interface.
      type: str
      sample: ens4
    setting:
      description: Group and name of the setting.
      type: str
      sample: coalesce.rx-usecs-irq
    reason:
      description: The reason, in the driver's words where it gives one.
      type: str
      sample: the driver has no such setting
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import PROTECTION
from ansible_collections.tickwire.fabric.plugins.module_utils.host.maintenance import may_disturb_now
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.apply import apply_nics, summary
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.wanted import READ_REQUEST_BYTES, parse_nics
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

COALESCE = [f"{side}_{what}" for side in ("rx", "tx") for what in ("usecs", "frames", "usecs_irq", "frames_irq")]
NIC_OPTIONS = {
    "name": {"type": "str", "required": True},
    "required": {"type": "bool", "default": False},
    "rings": {"type": "dict", "options": {"rx": {"type": "str"}, "tx": {"type": "str"}}},
    "channels": {
        "type": "dict",
        "options": {"rx": {"type": "str"}, "tx": {"type": "str"}, "combined": {"type": "str"}},
    },
    "coalesce": {
        "type": "dict",
        "options": {
            **{name: {"type": "bool"} for name in ("adaptive_rx", "adaptive_tx", "cqe_mode_rx", "cqe_mode_tx")},
            **{name: {"type": "int"} for name in COALESCE},
        },
    },
    "pause": {"type": "dict", "options": {name: {"type": "bool"} for name in ("autoneg", "rx", "tx")}},
    "offloads": {"type": "dict"},
    "private_flags": {"type": "dict"},
    "ntuple": {
        "type": "list",
        "elements": "dict",
        "options": {
            "protocol": {"type": "str", "choices": ["udp", "tcp"], "default": "udp"},
            "dst_ip": {"type": "str", "required": True},
            "dst_port": {"type": "int", "required": True},
            "queue": {"type": "int"},
            "cpu": {"type": "int"},
        },
        "required_one_of": [("queue", "cpu")],
        "mutually_exclusive": [("queue", "cpu")],
    },
    "irq_cpus": {"type": "str"},
    "queue_cpus": {"type": "list", "elements": "dict"},
    "rss_avoids_ntuple": {"type": "bool", "default": True},
    "mtu": {"type": "int"},
    "pcie_read_request": {"type": "int", "choices": list(READ_REQUEST_BYTES)},
}


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "nics": {"type": "list", "elements": "dict", "default": [], "options": NIC_OPTIONS},
            "bounce_allowed": {"type": "bool", "default": False},
            **PROTECTION,
        },
        supports_check_mode=True,
    )
    try:
        system = System(Path("/"), run_program)
        nics = parse_nics(module.params["nics"])
        bounce_allowed = may_disturb_now(system, module.params["bounce_allowed"], module.params["protection"])
        result = apply_nics(system, nics, module.check_mode, bounce_allowed)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    changes = [
        {
            "interface": change.interface,
            "setting": change.setting,
            "before": change.before,
            "after": change.after,
            "cost": "link bounce" if change.bounce else "nothing",
        }
        for change in result.changes
    ]
    module.exit_json(
        changed=result.changed,
        changes=changes,
        not_supported=[
            {"interface": lack.interface, "setting": lack.setting, "reason": lack.reason} for lack in result.lacks
        ],
        diff={"before": summary(result.changes, after=False), "after": summary(result.changes, after=True)},
    )


if __name__ == "__main__":
    main()
