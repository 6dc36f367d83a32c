#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets RoCE version, ToS, congestion notifications and ECN of network interfaces."""

from __future__ import annotations

DOCUMENTATION = r"""
module: roce_cm
short_description: Set RoCE version, ToS, congestion notifications and ECN of network interfaces
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Sets what connections of rdma_cm use by default on every RDMA port of an interface, in configfs
    (C(/sys/kernel/config/rdma_cm)), and reads it back. When one step is refused, everything goes back.
  - Sets traffic class, DSCP and priority of congestion notifications, and ECN, where a driver has them. These are
    files of NVIDIA's OFED and of the kernel's own mlx5. What a driver has not is reported.
  - Checks that every address of the interface, IPv4 or IPv6, has a GID of that version, and tells its index. A
    link-local address counts only where there is no other.
  - The directory of a device stays in configfs while its values are ours, since nobody can read them without it. It
    keeps the module rdma_cm from being unloaded; without interfaces this module removes it.
  - The values are lost with a reboot and with a device that is made anew. The units of role C(roce_host) set them
    again.
options:
  interfaces:
    description:
      - What is wanted, by name of the network interface. Filter P(tickwire.fabric.host_lanes#filter) makes it from the
        intent. Keys that are missing are left alone.
      - C(version) is 1 or 2. C(tos) is the whole ToS byte, four times the DSCP, and 2 more where the lane is marked by
        ECN, since some drivers send it as it is. C(traffic_class) is for those who do not use rdma_cm, and C(tos) where
        it is missing.
      - C(cnp) has C(dscp) and C(priority) of congestion notifications. C(ecn) is the list of priorities that react to
        marks. C(priority) is that of the lane, for the reader.
    type: dict
    default: {}
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. A value which nobody
        can read yet counts as different.
    support: full
  diff_mode:
    description: Returns every value that changes, before and after.
    support: full
seealso:
  - module: tickwire.fabric.dcb
  - module: tickwire.fabric.rdma_link_info
"""

EXAMPLES = r"""
- name: Put RDMA connections into the lane that the intent has for them
  tickwire.fabric.roce_cm:
    interfaces: "{{ fabric | tickwire.fabric.host_lanes(inventory_hostname, 'roce') }}"

- name: RoCE version 2 in DSCP 26, marked by ECN
  tickwire.fabric.roce_cm:
    interfaces:
      ens4:
        version: 2
        tos: 106
        cnp: {dscp: 48, priority: 6}
        ecn: [3]

- name: Give back everything that this module has set
  tickwire.fabric.roce_cm:
"""

RETURN = r"""
changes:
  description: Values that were changed. In check mode those that would be.
  returned: success
  type: list
  elements: dict
  contains:
    port:
      description: RDMA device and port.
      type: str
      sample: rxe0/1
    name:
      description: What it is.
      type: str
      sample: tos
    before:
      description: Value before; not there where nobody could read it.
      type: str
      sample: "0"
    after:
      description: Value now, read back.
      type: str
      sample: "106"
gids:
  description: Index of the GID of each address of the interface, by RDMA device and port.
  returned: success
  type: dict
  sample: {"rxe0/1": {"10.110.0.11": 1}}
unsupported:
  description: What a driver has no place for, by RDMA device and port.
  returned: success
  type: dict
  sample: {"rxe0/1": ["traffic class: rxe0 has no /sys/class/infiniband/rxe0/tc/1/traffic_class"]}
findings:
  description: What is missing, such as an RDMA device or a GID, and what to do.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.roce.apply import apply_roce
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={"interfaces": {"type": "dict", "default": {}}},
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        result = apply_roce(system, module.params["interfaces"], module.check_mode)
    except (HostError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    for finding in result.findings:
        module.warn(finding)
    module.exit_json(
        changed=bool(result.changed),
        changes=[{"port": port, "name": name, "before": old, "after": new} for port, name, old, new in result.changed],
        gids=result.gids,
        unsupported=result.unsupported,
        findings=result.findings,
        diff={"before": result.text(False), "after": result.text(True)},
    )


if __name__ == "__main__":
    main()
