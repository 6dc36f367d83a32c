#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets pauses, scheduling and the DSCP map of network interfaces."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dcb
short_description: Set pauses, scheduling and the DSCP map of network interfaces
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Sets data centre bridging of network interfaces through C(dcb) of iproute2, by the difference, and reads every field
    back. When one step is refused, everything goes back to what it was.
  - The host is told to be in charge (DCBX mode host and IEEE) and to take nothing from the switch (not willing).
  - DSCP entries of others stay. Some drivers (mlx5) trust the DSCP with the first entry and the PCP again without any,
    so entries are never flushed.
  - What a driver has no support for is reported with the reason. Values from before the first change are kept in
    C(/var/lib/tickwire/host-before.json), and fields that are no longer wanted go back to them.
  - DCB is lost with a reboot and some link events. The units of role C(roce_host) set it again.
  - Agents that would compete are reported with what to do, such as lldpad, LLDP in the NIC's firmware, DCBX sent by
    lldpd, and global pause.
extends_documentation_fragment:
  - tickwire.fabric.attributes
  - tickwire.fabric.protection
options:
  interfaces:
    description:
      - What is wanted, by name of the interface. Filter P(tickwire.fabric.host_lanes#filter) makes it from the intent.
        Keys that are missing are left alone.
      - C(pfc) is the list of priorities that pause. C(prio_tc) is the traffic class of each of the eight priorities.
        C(tsa) (V(strict) or V(ets)) and C(bw) (percent) are of each of the eight traffic classes.
      - C(dscp) is a list of entries with C(dscp) and C(priority). C(trust) is V(dscp) or V(pcp).
      - C(maxrate) is a list of entries with C(tc) and C(mbps), 0 for no limit. Drivers round it, mlx5 to 100 Mbit/s.
      - C(prio_buffer) is the receive buffer of each of the eight priorities, C(buffers) a list of entries with
        C(buffer) and C(size_bytes). Many drivers size them well by themselves, and stop doing so once they are set.
      - C(headroom_bytes) is what the buffer of a pausing priority has to have at least. A smaller one is a finding.
    type: dict
    default: {}
  required:
    description:
      - Fail where an interface has no support for pauses, scheduling or the DSCP map. Otherwise that is reported as a
        warning.
    type: bool
    default: false
  bounce_allowed:
    description:
      - Allow what takes a link that is up, or its queues, down for a moment, which pauses, scheduling and buffers do on
        many NICs. Otherwise such a change is refused, and so it is while O(protection) keeps the host from being
        disturbed.
    type: bool
    default: false
  stop_firmware_agents:
    description:
      - Switch the LLDP agent in the NIC's firmware off by its private flag, which is C(fw-lldp-agent) of ice and
        C(disable-fw-lldp) of i40e. Traffic of the interface stops for a moment then, so this is left undone while
        O(protection) keeps the host from being disturbed.
      - It is started again when the interface is no longer named, where O(bounce_allowed=true).
    type: bool
    default: false
attributes:
  diff_mode:
    description: Returns every field that changes, before and after.
    support: full
seealso:
  - module: tickwire.fabric.roce_cm
"""

EXAMPLES = r"""
- name: Make the interfaces of this host equal to the switch ports at the other end
  tickwire.fabric.dcb:
    interfaces: "{{ fabric | tickwire.fabric.host_lanes(inventory_hostname, 'dcb') }}"
    required: true
    bounce_allowed: true

- name: Pause priority 3 only, and put DSCP 26 there
  tickwire.fabric.dcb:
    interfaces:
      ens4:
        pfc: [3]
        dscp:
          - {dscp: 26, priority: 3}

- name: Give back everything that this module has set
  tickwire.fabric.dcb:
"""

RETURN = r"""
interfaces:
  description: Fields that were changed, by interface. In check mode those that would be.
  returned: success
  type: dict
  sample: {"ens4": {"pfc pfc": [3], "app dscp 26": [3]}}
unsupported:
  description: What has no support, by interface, with the reason.
  returned: success
  type: dict
  sample: {"ens4": {"pfc": "'/usr/sbin/dcb -N -j pfc show dev ens4' failed with 1: Operation not supported"}}
findings:
  description: Who else sets DCB or spoils it, and what to do.
  returned: success
  type: list
  elements: str
  sample: ["lldpad runs and sets DCB from what the switch says. Stop it for good: systemctl disable --now lldpad"]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import PROTECTION
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb import agents
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.apply import apply_dcb, check_interfaces
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.wanted import NEEDED
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.maintenance import may_disturb_now
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "interfaces": {"type": "dict", "default": {}},
            "required": {"type": "bool", "default": False},
            "bounce_allowed": {"type": "bool", "default": False},
            **PROTECTION,
            "stop_firmware_agents": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    interfaces = module.params["interfaces"]
    stopped: list[str] = []
    started: list[str] = []
    try:
        bounce_allowed = may_disturb_now(system, module.params["bounce_allowed"], module.params["protection"])
        if may_disturb_now(system, module.params["stop_firmware_agents"], module.params["protection"]):
            check_interfaces(system, interfaces)
            stopped = agents.stop(system, interfaces, module.check_mode)
        result = apply_dcb(system, interfaces, module.params["required"], module.check_mode, bounce_allowed)
        if bounce_allowed:
            started = agents.start_again(system, interfaces, module.check_mode)
        result.findings += [
            f"{name} was stopped and is to start again, which stops traffic for a moment: allow it by bounce_allowed."
            for name in agents.left(system, interfaces)
            if name not in started
        ]
    except (HostError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    for name, reasons in result.unsupported.items():
        lacking = [group for group in NEEDED if group in reasons]
        if lacking:
            module.warn(
                f"{name} has no support for {', '.join(lacking)} and does not carry the lanes: {reasons[lacking[0]]}"
            )
    for finding in result.findings:
        module.warn(finding)
    module.exit_json(
        changed=result.changed or bool(stopped or started),
        interfaces=result.after,
        unsupported=result.unsupported,
        findings=result.findings,
        diff={
            "before": result.text("before") + _states(stopped, "runs") + _states(started, "stopped"),
            "after": result.text("after") + _states(stopped, "stopped") + _states(started, "runs"),
        },
    )


def _states(names: list[str], state: str) -> str:
    return "".join(f"{name}: {state}\n" for name in names)


if __name__ == "__main__":
    main()
