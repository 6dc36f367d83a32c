#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.coexistence."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: coexistence
short_description: Measure one lane while another one is saturated
version_added: 0.1.0
description:
  - Sends probes of one lane between two hosts, first with nothing else and then while TCP flows of another lane take
    all they can get from the server to the client, and compares loss and round trips of both.
  - Runs on both hosts at the same time, as O(mode=server) on one and O(mode=client) on the other, best in one task.
  - The kernels of both ends stamp every probe on its way out and in, so neither the clocks of the two hosts nor the
    time a program waits for its CPU is in a round trip.
  - Every wait is bounded. It changes nothing on the hosts, but the kernel loads the module of O(congestion), and the
    load is real. Do not run it in a fabric that trades.
author:
  - Tickwire (@tickwire)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  mode:
    description: Which end this is.
    type: str
    choices: [server, client]
    required: true
  address:
    description: The server's fabric address. The server listens on it, the client connects to it.
    type: str
    required: true
  port:
    description: TCP port of the server.
    type: int
    default: 18600
  traffic_class:
    description: Traffic class of the probes, 0 to 255; DSCP 26 is V(104).
    type: int
    default: 0
  load_traffic_class:
    description: Traffic class of the load, 0 to 252. TCP sets the two bits of ECN by itself.
    type: int
    default: 0
  rate:
    description: Probes a second.
    type: int
    default: 200
  size_bytes:
    description: Size of a probe without its headers.
    type: int
    default: 128
  rounds:
    description: Number of rounds of each kind. Percentiles are those of the median round.
    type: int
    default: 3
  round_s:
    description: Seconds of a round.
    type: int
    default: 3
  flows:
    description: Number of TCP flows of the load.
    type: int
    default: 4
  busy_mbps:
    description:
      - When above 0, there are also rounds with a load of so many Mbit/s, which has to be less than the bottleneck
        carries. They tell what the work of the machines costs from what a full queue costs.
    type: int
    default: 0
  congestion:
    description:
      - Congestion control of the load. V(dctcp) asks for ECN whatever the host's own setting is. Empty for the host's
        own.
    type: str
    default: dctcp
  connect_timeout_s:
    description: How long to wait for the other end, in seconds.
    type: int
    default: 30
  timeout_s:
    description: How long the server waits for everything after that, in seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Saturate the bulk lane from store1 to trade1 and watch the trading lane
  tickwire.fabric.coexistence:
    mode: "{{ 'server' if inventory_hostname == 'store1' else 'client' }}"
    address: "{{ hostvars['store1'].fabric_address }}"
    traffic_class: 104
    load_traffic_class: 0
  register: coexistence
"""

RETURN = r"""
idle:
  description: Figures of the rounds without load, from the client.
  returned: when O(mode=client)
  type: dict
  contains:
    rounds:
      description: Number of rounds.
      type: int
    sent:
      description: Probes sent.
      type: int
    lost:
      description: Probes that were not answered within five seconds after the round.
      type: int
    unstamped:
      description: Answered probes that are in no figure because a stamp is missing.
      type: int
    median_us:
      description: Median round trip in microseconds, of the median round.
      type: float
    p99_us:
      description: 99th percentile in microseconds, of the median round.
      type: float
    max_us:
      description: Largest round trip in microseconds.
      type: float
    ce_packets:
      description: Packets the client received with the ECN mark of congestion.
      type: int
    load_mbps:
      description: What the client received of the load in Mbit/s, of the median round.
      type: float
busy:
  description: The same for the rounds with a load of O(busy_mbps); null without them.
  returned: when O(mode=client)
  type: dict
loaded:
  description: The same for the rounds with as much load as gets through.
  returned: when O(mode=client)
  type: dict
loss:
  description: Probes lost while there was load.
  returned: when O(mode=client)
  type: int
p99_ratio:
  description: The 99th percentile under load, divided by the idle one.
  returned: when O(mode=client)
  type: float
  sample: 1.6
p99_busy_ratio:
  description: The 99th percentile under load, divided by the busy one.
  returned: when O(mode=client)
  type: float
  sample: 1.1
ecn_marks:
  description: Packets received with the ECN mark of congestion while there was load.
  returned: when O(mode=client)
  type: int
load_mbps:
  description: What the client received of the load in Mbit/s.
  returned: when O(mode=client)
  type: float
answered:
  description: Probes the server answered.
  returned: when O(mode=server)
  type: int
sent_bytes:
  description: Bytes of load that the server handed to its kernel.
  returned: when O(mode=server)
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.channel import CoexistenceError
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.client import Wanted, measure
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.figures import figures
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.server import Server
from ansible_collections.tickwire.fabric.plugins.module_utils.ranges import outside

LIMITS = {
    "port": (1, 65535),
    "traffic_class": (0, 255),
    "load_traffic_class": (0, 252),
    "rate": (1, 10_000),
    "size_bytes": (4, 1400),
    "rounds": (1, 100),
    "round_s": (1, 600),
    "flows": (1, 64),
    "busy_mbps": (0, 1_000_000),
    "connect_timeout_s": (1, 600),
    "timeout_s": (1, 3600),
}


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["server", "client"], "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 18600},
            "traffic_class": {"type": "int", "default": 0},
            "load_traffic_class": {"type": "int", "default": 0},
            "rate": {"type": "int", "default": 200},
            "size_bytes": {"type": "int", "default": 128},
            "rounds": {"type": "int", "default": 3},
            "round_s": {"type": "int", "default": 3},
            "flows": {"type": "int", "default": 4},
            "busy_mbps": {"type": "int", "default": 0},
            "congestion": {"type": "str", "default": "dctcp"},
            "connect_timeout_s": {"type": "int", "default": 30},
            "timeout_s": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    wrong = outside(given, LIMITS)
    if wrong:
        module.fail_json(msg=wrong)
    mode = given.pop("mode")
    try:
        if mode == "server":
            result = Server(
                given["address"], given["port"], given["congestion"], given["connect_timeout_s"], given["timeout_s"]
            ).run()
        else:
            result = figures(measure(Wanted(**given)))
    except (CoexistenceError, OSError) as error:
        module.fail_json(msg=f"co-existence, {mode} on {given['address']} port {given['port']}: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
