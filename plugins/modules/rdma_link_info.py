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
  - With O(wanted) it says as well how the port differs from what the intent wants of its link.
  - It changes nothing, and fails neither when there is no device nor when one differs.
author: Tickwire (@tickwire)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  device:
    description: Name of the one device to read. Empty reads all.
    type: str
    default: ''
  wanted:
    description:
      - What the ports have to be; needs O(device). That they are ACTIVE with their link up is always wanted then.
      - Filter P(tickwire.fabric.host_lanes#filter) has the values of the intent.
    type: dict
    suboptions:
      mtu:
        description: MTU of the network interface, in bytes. The active MTU has to be the largest that fits into it.
        type: int
      speed_gbps:
        description: Speed of the network interface in Gbit/s. Not compared where software makes the device and the
          interface has no speed.
        type: float
      roce_version:
        description: RoCE version of the GID of O(wanted.address), and of the default for new connections where that
          can be read.
        type: int
        choices: [1, 2]
      address:
        description: Address that has to have a GID of that version. Without it any GID of the version will do.
        type: str
      tos:
        description: ToS byte of new connections, C(default_roce_tos) of C(rdma_cm) in configfs and C(traffic_class) of
          OFED's driver, each compared where it is there.
        type: int
notes:
  - The MTUs come from C(ibv_devinfo) (Debian's C(ibverbs-utils)), as sysfs does not have them; they are null without
    it.
"""

EXAMPLES = r"""
- name: Read every RDMA device
  tickwire.fabric.rdma_link_info:
  register: rdma

- name: Read one, and compare it with what it has to be
  tickwire.fabric.rdma_link_info:
    device: mlx5_0
    wanted:
      mtu: 9000
      speed_gbps: 100
      roce_version: 2
      address: 198.51.100.11
      tos: 106
  register: rdma

- name: Stop when it differs
  ansible.builtin.assert:
    that: rdma.devices[0].ports[0].differences | length == 0
    fail_msg: "{{ rdma.devices[0].ports[0].differences }}"
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
        speed_gbps:
          description: Speed of the network interface in Gbit/s; null when it has none.
          type: float
        roce_defaults:
          description: What new connections start from, V(mode) (for example V(RoCE v2)) and V(tos) of C(rdma_cm), which
            can be read once its directory in configfs was made, and V(traffic_class) of OFED's driver; each null where
            it is not there.
          type: dict
        errors:
          description: Counters of errors, by the driver's names.
          type: dict
        differences:
          description: What differs from O(wanted), in words; only with it.
          type: list
          elements: str
          sample: [active MTU is 1024, not 4096]
        not_compared:
          description: What could not be compared, in words; only with O(wanted).
          type: list
          elements: str
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

from ansible_collections.tickwire.fabric.plugins.module_utils.ranges import outside
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import intended, link

WANTED = {
    "mtu": {"type": "int"},
    "speed_gbps": {"type": "float"},
    "roce_version": {"type": "int", "choices": [1, 2]},
    "address": {"type": "str"},
    "tos": {"type": "int"},
}
LIMITS = {"mtu": (68, 65535), "tos": (0, 255)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "device": {"type": "str", "default": ""},
            "wanted": {"type": "dict", "options": WANTED},
        },
        supports_check_mode=True,
    )
    name, wanted = module.params["device"], module.params["wanted"]
    if wanted is not None and not name:
        module.fail_json(msg="wanted needs device: what is wanted is of one device. Next: name it")
    given = {key: value for key, value in (wanted or {}).items() if value is not None}
    wrong = outside(given, {key: limits for key, limits in LIMITS.items() if key in given})
    if wrong:
        module.fail_json(msg="wanted.%s" % wrong)
    devices = link.read_devices(run=lambda argv: module.run_command(list(argv), handle_exceptions=False))
    reason = "" if devices else "no RDMA device on this host. Next: 'rdma link show', and the driver of the NIC"
    if name:
        try:
            devices, reason = [link.find_device(devices, name)], ""
        except LookupError as error:
            devices, reason = [], str(error)
    for device in devices if wanted is not None else []:
        for port in device["ports"]:
            try:
                port["differences"], port["not_compared"] = intended.compare(port, device["emulated"], wanted)
            except OSError:
                module.fail_json(msg="wanted.address %s: it has to be an IPv4 or IPv6 address" % wanted["address"])
    module.exit_json(changed=False, devices=devices, present=bool(devices), reason=reason)


if __name__ == "__main__":
    main()
