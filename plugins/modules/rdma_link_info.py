#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_link_info
short_description: Read RDMA devices, their ports, GID tables and error counters
version_added: 0.1.0
description:
  - Reads every RDMA device of the host from sysfs, hardware and Soft-RoCE alike, with the RoCE version of each GID.
  - It changes nothing, and does not fail when there is no device.
author: Tickwire (@tickwire)
options:
  device:
    description: Name of the one device to read. Empty reads all.
    type: str
    default: ''
notes:
  - The MTUs come from C(ibv_devinfo) (Debian's C(ibverbs-utils)), as sysfs does not have them; they are null without
    it.
attributes:
  check_mode:
    description: Can run in check mode, as it reads only.
    support: full
  diff_mode:
    description: Has no diff, as it changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: Read every RDMA device
  tickwire.fabric.rdma_link_info:
  register: rdma

- name: Read one
  tickwire.fabric.rdma_link_info:
    device: mlx5_0
"""

RETURN = r"""
devices:
  description: The devices, in the order of their names; only the one asked for with O(device).
  returned: always
  type: list
  elements: dict
  contains:
    device:
      description: Name of the device.
      type: str
      sample: mlx5_0
    driver:
      description: Kernel driver; V(rxe) is Soft-RoCE.
      type: str
      sample: mlx5_core
    emulated:
      description: Whether the device is made by software, so that its figures show function and not speed.
      type: bool
    node_guid:
      description: GUID of the node.
      type: str
    firmware:
      description: Version of the firmware.
      type: str
    description:
      description: Description of the node.
      type: str
    ports:
      description: The ports of the device.
      type: list
      elements: dict
      contains:
        port:
          description: Number of the port, from 1.
          type: int
        state:
          description: Logical state.
          type: str
          sample: ACTIVE
        physical_state:
          description: Physical state.
          type: str
          sample: LinkUp
        link_layer:
          description: V(Ethernet) for RoCE.
          type: str
        rate:
          description: Rate as the driver says it.
          type: str
          sample: 100 Gb/sec (4X EDR)
        active_mtu_bytes:
          description: Path MTU in use, in bytes; null when C(ibv_devinfo) gives none.
          type: int
        max_mtu_bytes:
          description: Largest path MTU of the port, in bytes.
          type: int
        netdev:
          description: Network interface of the port.
          type: str
        netdev_mtu_bytes:
          description: MTU of that interface, in bytes.
          type: int
        gids:
          description: The used entries of the GID table.
          type: list
          elements: dict
          contains:
            index:
              description: Index in the table.
              type: int
            gid:
              description: The GID.
              type: str
            type:
              description: Type as the kernel says it.
              type: str
              sample: RoCE v2
            roce_version:
              description: V(1) or V(2); null when it is neither.
              type: int
            netdev:
              description: Network interface of the GID.
              type: str
        errors:
          description: Counters of errors, by the driver's names.
          type: dict
present:
  description: Whether the device asked for, or any device when none was asked for, is there.
  returned: always
  type: bool
reason:
  description: Why RV(present) is false; empty when it is true.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import link


def main() -> None:
    module = AnsibleModule(argument_spec={"device": {"type": "str", "default": ""}}, supports_check_mode=True)
    devices = link.read_devices(run=lambda argv: module.run_command(list(argv), handle_exceptions=False))
    reason = "" if devices else "no RDMA device on this host. Next: 'rdma link show', and the driver of the NIC"
    if module.params["device"]:
        try:
            devices, reason = [link.find_device(devices, module.params["device"])], ""
        except LookupError as error:
            devices, reason = [], str(error)
    module.exit_json(changed=False, devices=devices, present=bool(devices), reason=reason)


if __name__ == "__main__":
    main()
