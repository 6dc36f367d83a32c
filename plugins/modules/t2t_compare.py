#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: t2t_compare
short_description: Compare RDMA with TCP and UDP between two hosts
version_added: 0.1.0
description:
  - Runs C(tickwire bench) of the runtime on two hosts at the same time; O(mode=server) on the one sends back what
    O(mode=client) on the other sends, over UDP, TCP, RDMA RC and RDMA UD, one message at a time and in bursts.
  - Every transport carries the same messages. In bursts each message is charged from the time it was due, so that a
    stall shows in everything that waited. No sample is dropped.
  - A transport that cannot be measured is named with its reason in RV(missing); it is a failure only when none can be.
  - Figures over software RDMA (Soft-RoCE) say nothing about RDMA hardware; RV(headline) begins with that.
author: Tickwire (@tickwire)
options:
  mode:
    description: Which end this host is.
    type: str
    choices: [server, client]
    required: true
  address:
    description: IPv4 address of the server, on the network that is to be measured.
    type: str
    required: true
  port:
    description: Port of the server, TCP and UDP. Open it in the server's firewall.
    type: int
    default: 18700
  tickwire:
    description: The runtime's command.
    type: path
    default: /opt/tickwire/current/bin/tickwire
  directory:
    description: Existing directory on the client for the results and the report. Needed with O(mode=client).
    type: path
  transports:
    description: What to compare.
    type: list
    elements: str
    choices: [udp, tcp, rc, ud]
    default: [udp, tcp, rc, ud]
  size_bytes:
    description: Size of a message, 8 to 32768.
    type: int
    default: 64
  count:
    description: Samples of each run. With fewer than 1000 the 99.9th percentile is not measured.
    type: int
    default: 10000
  warmup:
    description: Messages before the first sample.
    type: int
    default: 1000
  burst:
    description: Messages of a burst.
    type: int
    default: 50
  every_ms:
    description: A burst begins every so many milliseconds.
    type: int
    default: 10
  rate:
    description: Messages a second within a burst; V(0) makes all of a burst due at once.
    type: int
    default: 0
  tos:
    description: IPv4 type of service byte, with RDMA the traffic class; V(104) is DSCP 26.
    type: int
    default: 0
  cpu:
    description: CPU for the spinning thread; V(-1) leaves it to the scheduler, which the report notes.
    type: int
    default: -1
  idle_s:
    description: How long the server waits for the first and for the next client, in seconds.
    type: int
    default: 30
  timeout_s:
    description: How long one run may take, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    description: Measures nothing in check mode, as it would write files.
    support: full
  diff_mode:
    description: Has no diff.
    support: none
"""

EXAMPLES = r"""
- name: Compare the transports between two hosts, which both run this task
  tickwire.fabric.t2t_compare:
    mode: "{{ 'server' if inventory_hostname == 'exch1' else 'client' }}"
    address: 10.110.0.1
    directory: /var/tmp/compare
  register: compared
"""

RETURN = r"""
headline:
  description: What was compared; begins with a warning when RDMA was done in software.
  returned: by the client, not in check mode
  type: str
software_rdma:
  description: Whether RDMA was done in software.
  returned: by the client, not in check mode
  type: bool
rows:
  description: Figures of each transport and test, of round trips.
  returned: by the client, not in check mode
  type: list
  elements: dict
missing:
  description: Transports that could not be measured, by name, with the reason.
  returned: by the client, not in check mode
  type: dict
text:
  description: The comparison as a table, and what was measured of the published claim, line by line.
  returned: by the client, not in check mode
  type: list
  elements: str
files:
  description: The results, with every sample.
  returned: by the client, not in check mode
  type: list
  elements: str
html_path:
  description: The report, with the distributions drawn together.
  returned: by the client, not in check mode
  type: str
json_path:
  description: The comparison as JSON.
  returned: by the client, not in check mode
  type: str
"""

import os
from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils import t2t_compare

LOWEST = {
    "port": 1,
    "size_bytes": 8,
    "count": 1,
    "warmup": 0,
    "burst": 1,
    "every_ms": 1,
    "rate": 0,
    "tos": 0,
    "cpu": -1,
    "idle_s": 1,
    "timeout_s": 1,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["server", "client"], "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 18700},
            "tickwire": {"type": "path", "default": "/opt/tickwire/current/bin/tickwire"},
            "directory": {"type": "path"},
            "transports": {
                "type": "list",
                "elements": "str",
                "choices": ["udp", "tcp", "rc", "ud"],
                "default": ["udp", "tcp", "rc", "ud"],
            },
            "size_bytes": {"type": "int", "default": 64},
            "count": {"type": "int", "default": 10000},
            "warmup": {"type": "int", "default": 1000},
            "burst": {"type": "int", "default": 50},
            "every_ms": {"type": "int", "default": 10},
            "rate": {"type": "int", "default": 0},
            "tos": {"type": "int", "default": 0},
            "cpu": {"type": "int", "default": -1},
            "idle_s": {"type": "int", "default": 30},
            "timeout_s": {"type": "int", "default": 600},
        },
        required_if=[("mode", "client", ["directory"])],
        supports_check_mode=True,
    )
    asked = dict(module.params)
    for name, low in LOWEST.items():
        if asked[name] < low:
            module.fail_json(msg="%s %d: it has to be at least %d" % (name, asked[name], low))
    mode, server = asked.pop("mode"), "%s:%d" % (asked.pop("address"), asked.pop("port"))
    wanted = t2t_compare.Wanted(server=server, wait_s=asked["idle_s"], **asked)
    if module.check_mode:
        module.exit_json(changed=mode == "client")

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        return module.run_command(
            list(command), handle_exceptions=False, cwd=wanted.directory if mode == "client" else None
        )

    try:
        if mode == "server":
            t2t_compare.serve(run, wanted)
            module.exit_json(changed=False)
        found = t2t_compare.measure(run, wanted)
        result = t2t_compare.compare(run, wanted, found)
    except t2t_compare.CompareError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=True,
        missing=found.missing,
        files=found.files,
        html_path=os.path.join(wanted.directory, t2t_compare.REPORT),
        json_path=os.path.join(wanted.directory, t2t_compare.FIGURES),
        **{name: result[name] for name in ("headline", "software_rdma", "rows", "text")},
    )


if __name__ == "__main__":
    main()
