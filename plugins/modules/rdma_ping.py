#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_ping
short_description: Measure the half round trip between two hosts over RDMA
version_added: 0.1.0
description:
  - Sends messages to and fro over a queue pair, a reliable connection (RC, send and receive) or datagrams (UD), and
    returns the half round trip's percentiles, every sample kept.
  - Runs on both hosts at the same time, as O(mode=server) on one and O(mode=client) on the other, best in one task.
    The two ends find each other over TCP on O(port) of the server's fabric address, which also has to pass the
    network between them.
  - Every wait is bounded. A failure names the device, the peer, the step and what to do next, on both ends.
  - The counters of both ports are read before and after, so that errors during the ping show, whoever made them.
  - It changes nothing on the hosts.
author: Tickwire (@tickwire)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  mode:
    description: Which end this is.
    type: str
    choices: [server, client]
    required: true
  transport:
    description:
      - V(rc) is a reliable connection. Over V(ud), datagrams, one without an answer for a second is lost; the ping
        fails when five in a row are.
    type: str
    choices: [rc, ud]
    default: rc
  device:
    description: RDMA device.
    type: str
    required: true
  address:
    description: The server's fabric address. The server listens on it; the client connects to it.
    type: str
    required: true
  port:
    description: TCP port over which the ends find each other.
    type: int
    default: 18515
  gid_index:
    description:
      - Index of the GID to use, which has to be of O(roce_version).
      - V(auto) takes the GID of this end's address on that TCP connection.
    type: str
    default: auto
  roce_version:
    description: RoCE version of the GID. Both ends have to have the same.
    type: int
    choices: [1, 2]
    default: 2
  traffic_class:
    description: Traffic class of the RDMA packets, 0 to 255; DSCP 26 is V(104).
    type: int
    default: 0
  iterations:
    description: Number of round trips measured.
    type: int
    default: 1000
  warmup:
    description: Number of round trips before them that are not measured.
    type: int
    default: 50
  size_bytes:
    description: Size of a message in bytes. A datagram (V(ud)) has at least 8 and at most the path MTU.
    type: int
    default: 64
  connect_timeout_s:
    description: How long to wait for the other end, in seconds.
    type: int
    default: 15
  timeout_s:
    description: How long everything after that may take, in seconds.
    type: int
    default: 60
requirements:
  - Debian's python3-pyverbs, for the Python that Ansible uses on the host
notes:
  - Over Soft-RoCE the figures show that RDMA works, and nothing about the speed of RDMA hardware; RV(emulated) says
    when it is so.
  - The loop is Python. Hardware is several times faster than what this shows; it is for proof and comparison with a
    budget.
"""

EXAMPLES = r"""
- name: Ping trade1 <-> exch1 in one task on both
  tickwire.fabric.rdma_ping:
    mode: "{{ 'server' if inventory_hostname == 'exch1' else 'client' }}"
    device: mlx5_0
    address: "{{ hostvars['exch1'].fabric_address }}"
    traffic_class: 104
  register: ping

- name: The same with datagrams
  tickwire.fabric.rdma_ping:
    mode: "{{ 'server' if inventory_hostname == 'exch1' else 'client' }}"
    transport: ud
    device: mlx5_0
    address: "{{ hostvars['exch1'].fabric_address }}"
"""

RETURN = r"""
half_round_trip:
  description: Figures of half the round trip, as the client measured them.
  returned: success
  type: dict
  contains:
    samples:
      description: Number of samples.
      type: int
    min_us:
      description: Smallest, in microseconds.
      type: float
    mean_us:
      description: Mean, in microseconds.
      type: float
    median_us:
      description: Median (nearest rank), in microseconds.
      type: float
    p90_us:
      description: 90th percentile, in microseconds.
      type: float
    p99_us:
      description: 99th percentile, in microseconds.
      type: float
    p99_9_us:
      description: 99.9th percentile, in microseconds.
      type: float
    max_us:
      description: Largest, in microseconds.
      type: float
    stddev_us:
      description: Population standard deviation, in microseconds.
      type: float
    jitter:
      description: Jitter figures, each named by its formula.
      type: dict
    histogram:
      description: List of V([lower, upper, count]), bounds in microseconds.
      type: list
      elements: list
lost:
  description: Datagrams without an answer, which are in no figure; 0 over RC, which loses none.
  returned: success
  type: int
errors_risen:
  description:
    - Counters of errors of this end's port that rose from before the ping to after it, and by how much. Those of a ping
      that failed are there too, unless it failed before its queue pairs were connected.
  returned: success, and failure after the queue pairs were connected
  type: dict
  sample: {out_of_sequence: 2}
others_risen:
  description: The same of counters that are known neither as errors nor as traffic.
  returned: success, and failure after the queue pairs were connected
  type: dict
transport:
  description: V(rc) or V(ud).
  returned: success
  type: str
device:
  description: This end's RDMA device.
  returned: success
  type: str
emulated:
  description: Whether this end's device is made by software (Soft-RoCE), so that the figures say nothing about speed.
  returned: success
  type: bool
roce_version:
  description: RoCE version of both ends' GIDs.
  returned: success
  type: int
gid:
  description: This end's GID.
  returned: success
  type: str
gid_index:
  description: Index of this end's GID.
  returned: success
  type: int
mtu_bytes:
  description: Path MTU used, in bytes.
  returned: success
  type: int
iterations:
  description: Round trips measured.
  returned: success
  type: int
size_bytes:
  description: Size of a message.
  returned: success
  type: int
peer_host:
  description: Host name of the other end.
  returned: success
  type: str
peer_device:
  description: RDMA device of the other end.
  returned: success
  type: str
peer_gid:
  description: GID of the other end.
  returned: success
  type: str
step:
  description: The step that failed.
  returned: failure
  type: str
  sample: ping-pong
"""

import socket

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.ranges import outside
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import datagram, hello, pingpong, verbs

ENDPOINTS = {"rc": verbs.VerbsEndpoint, "ud": datagram.DatagramEndpoint}

LIMITS = {
    "port": (1, 65535),
    "traffic_class": (0, 255),
    "iterations": (1, 1000000),
    "warmup": (0, 1000000),
    "size_bytes": (1, 1048576),
    "connect_timeout_s": (1, 600),
    "timeout_s": (1, 3600),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["server", "client"], "required": True},
            "transport": {"type": "str", "choices": ["rc", "ud"], "default": "rc"},
            "device": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 18515},
            "gid_index": {"type": "str", "default": "auto"},
            "roce_version": {"type": "int", "choices": [1, 2], "default": 2},
            "traffic_class": {"type": "int", "default": 0},
            "iterations": {"type": "int", "default": 1000},
            "warmup": {"type": "int", "default": 50},
            "size_bytes": {"type": "int", "default": 64},
            "connect_timeout_s": {"type": "int", "default": 15},
            "timeout_s": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    wrong = outside(wanted, LIMITS)
    if wrong:
        module.fail_json(msg=wrong)
    if wanted["transport"] == "ud" and wanted["size_bytes"] < datagram.NUMBER.size:
        module.fail_json(
            msg="size_bytes %d: a datagram carries its number, %d bytes" % (wanted["size_bytes"], datagram.NUMBER.size)
        )
    if wanted["gid_index"] != "auto" and not wanted["gid_index"].isdigit():
        module.fail_json(msg="gid_index %s: it has to be auto or a number" % wanted["gid_index"])
    gid_index = None if wanted["gid_index"] == "auto" else int(wanted["gid_index"])
    plan = pingpong.Plan(
        host=socket.gethostname(),
        peer="" if wanted["mode"] == "server" else wanted["address"],
        **{
            name: wanted[name]
            for name in (
                "mode",
                "transport",
                "device",
                "address",
                "port",
                "iterations",
                "warmup",
                "size_bytes",
                "connect_timeout_s",
                "timeout_s",
            )
        },
    )
    try:
        result = pingpong.ping(
            plan,
            lambda local: ENDPOINTS[wanted["transport"]](
                wanted["device"],
                local,
                wanted["size_bytes"],
                gid_index,
                wanted["traffic_class"],
                wanted["roce_version"],
            ),
        )
    except hello.PingError as error:
        module.fail_json(msg=str(error), step=error.step, reason=error.reason, **error.risen)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
