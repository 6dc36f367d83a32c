#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: t2t_latency
short_description: Measure the tick-to-trade latency of a running engine
version_added: 0.1.0
description:
  - Runs C(tickwire bench t2t) on the trading host. It asks the exchange simulator to replay market data, and takes
    the latency of every order from the engine's shared memory block; transmit stamp of the order minus receive stamp
    of the packet that triggered it, both from the same clock.
  - The engine goes on running; nothing is changed on the host.
  - B(Never run it against a real exchange or on a host that is trading.) The replay drives the engine to send orders.
author: Tickwire (@tickwire)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  tickwire:
    description: The runtime's command.
    type: path
    default: /opt/tickwire/current/bin/tickwire
  block:
    description: The engine's shared memory block.
    type: path
    default: /run/tickwire/t2t.block
  exchange:
    description: Control address of the exchange simulator, as V(host:port).
    type: str
    required: true
  messages:
    description: How many ITCH messages to replay.
    type: int
    default: 12012
  rate:
    description: Messages a second; V(0) is as fast as possible.
    type: int
    default: 500
  timeout_s:
    description: How long the replay and the reading of the samples may take, in seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Measure tick-to-trade
  tickwire.fabric.t2t_latency:
    exchange: 10.110.0.1:26402
    messages: 12012
    rate: 1000
  register: t2t
"""

RETURN = r"""
headline:
  description:
    - What the figures are, in one line. Over RDMA made by software (Soft-RoCE) it begins with the warning that they say
      nothing about hardware.
  returned: success
  type: str
  sample: "tick-to-trade, software time stamps, session LAB0000001: 400 samples"
software_rdma:
  description: Whether the engine trades or hears the market over RDMA made by software.
  returned: success
  type: bool
samples:
  description: Number of orders measured, every one kept.
  returned: success
  type: int
unstamped:
  description: Orders without a stamp, which are in no figure.
  returned: success
  type: int
samples_dropped:
  description: Samples that did not fit the engine's block.
  returned: success
  type: int
unstamped_by:
  description: The same by what they lack; C(receive stamp), C(transmit stamp), C(two stamps of one clock).
  returned: success
  type: dict
by_kernel:
  description: Orders whose sample is by the kernel's stamps although the network card was to stamp, as it gave none.
  returned: success
  type: int
timestamp_source:
  description:
    - Whose clock both stamps of an order are of. V(software) is the kernel, V(hardware) the network card,
      V(application) the engine.
    - With V(completion) the figures are from tick to acknowledgement, by the RDMA device's completions of the packet's
      receive and of the order's send; they have the way to the exchange's device and back in them.
  returned: success
  type: str
  sample: software
timestamp_reason:
  description: Why it was that one, as the engine said when it started.
  returned: success
  type: str
  sample: "feed.interface 10.110.0.11: ens4 has no PTP hardware clock, says its driver (ethtool -T ens4)"
other_clocks:
  description: Samples by any other clock, which are in no figure.
  returned: success
  type: dict
software:
  description:
    - Figures of the same orders by the kernel's stamps, or with V(completion) by the engine's own, where both stamped;
      C(samples), C(min_ns), C(mean_ns), C(median_ns), C(p99_ns), C(p99_9_ns), C(max_ns), C(stddev_ns). Null otherwise.
  returned: success
  type: dict
min_ns:
  description: Smallest, in nanoseconds; null without a sample, as all of the figures.
  returned: success
  type: float
mean_ns:
  description: Mean, in nanoseconds.
  returned: success
  type: float
median_ns:
  description: Median (nearest rank), in nanoseconds.
  returned: success
  type: float
p99_ns:
  description: 99th percentile, in nanoseconds.
  returned: success
  type: float
p99_9_ns:
  description: 99.9th percentile, in nanoseconds; null, not measured, with too few samples for one (fewer than 1000).
  returned: success
  type: float
max_ns:
  description: Largest, in nanoseconds.
  returned: success
  type: float
stddev_ns:
  description: Population standard deviation, in nanoseconds.
  returned: success
  type: float
jitter:
  description: Jitter figures, each named by its formula.
  returned: success
  type: dict
histogram:
  description: List of V([lower, upper, count]), bounds in nanoseconds.
  returned: success
  type: list
  elements: list
feed:
  description: The replayed feed session with messages seen, lost and gaps.
  returned: success
  type: dict
orders:
  description: Orders sent, accepted and rejected, and refused by the risk checks.
  returned: success
  type: dict
exchange:
  description: What the exchange simulator counted.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils import t2t


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tickwire": {"type": "path", "default": "/opt/tickwire/current/bin/tickwire"},
            "block": {"type": "path", "default": "/run/tickwire/t2t.block"},
            "exchange": {"type": "str", "required": True},
            "messages": {"type": "int", "default": 12012},
            "rate": {"type": "int", "default": 500},
            "timeout_s": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    for name, low in (("messages", 1), ("rate", 0), ("timeout_s", 1)):
        if wanted[name] < low:
            module.fail_json(msg="%s %d: it has to be at least %d" % (name, wanted[name], low))
    try:
        result = t2t.bench(lambda argv: module.run_command(list(argv), handle_exceptions=False), **wanted)
    except t2t.BenchError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **{name: result[name] for name in t2t.REQUIRED})


if __name__ == "__main__":
    main()
