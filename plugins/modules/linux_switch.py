#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.linux_switch."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: linux_switch
short_description: Make a Linux machine a switch of the fabric intent
version_added: 0.1.0
description:
  - Gives a Linux switch the bridge, the VLANs and the queues that the C(fabric) intent says for it.
  - Every port of the intent's links gets its VLANs, untagged and tagged, and a root qdisc C(ets) of one band per lane,
    a C(red) that marks ECN under each lane with ECN, and flower filters from DSCP to band.
  - The running state is read as JSON from C(ip), C(bridge) and C(tc), compared with the intent, and only what differs
    is changed. After a change it is read again, and the module fails when it is not as wanted.
  - When a command fails while the queues of a port are changed, the port's former queues are put back.
  - Where the intent trusts the PCP, filters on reception make it the priority that chooses the band; where it limits
    broadcast, a filter drops what is above the limit. A port whose driver has DCB gets pauses, scheduling and the DSCP
    map through C(dcb) as well; other ports are named in RV(limits).
author:
  - Tickwire (@tickwire)
requirements:
  - iproute2 6.1 or newer on the switch
  - a kernel with C(bridge), C(sch_ets), C(sch_red) and C(cls_flower); C(sch_tbf), C(sch_ingress),
    C(act_police) and C(act_skbedit) for rates, broadcast limits and trusted PCP
extends_documentation_fragment:
  - tickwire.fabric.intent
attributes:
  check_mode:
    description: Can run in check mode and says what would be changed.
    support: full
  diff_mode:
    description: Shows state and boot files before and after.
    support: full
options:
  bridge:
    description:
      - The name of the bridge.
    type: str
    default: br0
  rates_mbps:
    description:
      - By port, the rate in Mbit/s at which its queues are emptied, where what comes after the port carries less than
        the port does. Without it a queue only builds up at the speed of the port.
    type: dict
    default: {}
  persist:
    description:
      - Whether the switch is the same after a reboot.
      - Writes C(/etc/tickwire/switch/*.batch), C(tickwire-switch.service), which runs them at boot and gets enabled,
        and C(/etc/systemd/network/00-tickwire-switch.network), which keeps systemd-networkd away from the ports.
    type: bool
    default: true
  rollback:
    description:
      - Go back to what ran before the last change that this module made, boot files included, instead of applying the
        intent. That state is kept in C(/var/lib/tickwire/switch/before.json) and there is one way back only; where
        nothing is kept nothing is changed.
    type: bool
    default: false
notes:
  - Ports in the bridge which the intent does not name are left alone and returned as C(unmanaged).
  - Multicast is flooded in its VLAN; there is no snooping without a querier in the fabric.
"""

EXAMPLES = r"""
- name: Go back to what ran before
  tickwire.fabric.linux_switch:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    rollback: true

- name: Configure the switch from the intent
  tickwire.fabric.linux_switch:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"

- name: Configure one with an intent of its own, for this boot only
  tickwire.fabric.linux_switch:
    device: sw1
    bridge: br1
    persist: false
    fabric:
      name: lab
      lanes:
        trading: {dscp: [26], priority: 3, lossless: true, share: 50}
        bulk: {dscp: [0], priority: 0, share: 50, default: true}
      vlans: {trading: 110}
      links:
        - {a: "sw1:swp1", b: "trade1:fab0", speed_gbps: 10, cable_m: 1}
"""

RETURN = r"""
commands:
  description: The commands that were run, or would be run in check mode.
  type: list
  elements: str
  returned: success
  sample: ["ip link set dev swp1 mtu 9000 master br0 up"]
disruptions:
  description: What the change disrupts, a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["the queues of swp2 are made anew: what waits in them is lost"]
drift:
  description: What differed from the intent when the module began, a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["swp2 mtu: 1500, wanted 9000"]
files:
  description: The boot files, and the link that enables the unit, that were not as wanted.
  type: list
  elements: str
  returned: success
  sample: ["/etc/tickwire/switch/tc.batch"]
findings:
  description: What is not as the intent says in the state that was read back, by severity, rule, path and message.
  type: list
  elements: dict
  returned: success
  sample: []
limits:
  description: What the intent says and a Linux switch has not, such as pauses where the driver has no DCB.
  type: list
  elements: dict
  returned: success
  sample: []
kept:
  description: Whether this run kept the state before it and may have changed it, so that there is a way back.
  type: bool
  returned: failure
state:
  description: The state that was read back; in check mode the one found.
  type: dict
  returned: success
  sample: {"bridge": {"name": "br0"}, "ports": {"swp1": {"mtu": 9000}}, "unmanaged": []}
unmanaged:
  description: Ports in the bridge that no link of the intent names.
  type: list
  elements: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import plain
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import desired_switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.session import Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.state import SwitchError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.tools import OPTIONAL, TOOLS, Iproute
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.verify import limits


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            **INTENT,
            "bridge": {"type": "str", "default": "br0"},
            "rates_mbps": {"type": "dict", "default": {}},
            "persist": {"type": "bool", "default": True},
            "rollback": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )

    def run(argv, data):
        return module.run_command(list(argv), data=data or None, binary_data=True)

    paths = {tool: module.get_bin_path(tool, required=True, opt_dirs=["/usr/sbin", "/sbin"]) for tool in TOOLS}
    paths.update({tool: found for tool in OPTIONAL if (found := module.get_bin_path(tool, opt_dirs=["/usr/sbin"]))})
    session = None
    try:
        fabric = parse_intent(module.params["fabric"])
        desired = desired_switch(fabric, *(module.params[name] for name in ("device", "bridge", "rates_mbps")))
        session = Session(Iproute(run, paths), desired, Path("/"), module.params["persist"], module.params["device"])
        if module.params["rollback"]:
            result = session.roll_back(module.check_mode)
        else:
            result = session.check() if module.check_mode else session.apply()
        result["limits"] = plain(limits(fabric, module.params["device"], session.before))
    except (IntentError, SwitchError) as error:
        module.fail_json(msg=str(error), kept=bool(session and session.kept))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
