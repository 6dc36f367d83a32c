#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures what disturbs the isolated CPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_jitter
short_description: Measure what disturbs the isolated CPUs
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Measures for some seconds how late a thread on an isolated CPU is, and names the threads, interrupts and
    softirqs that ran there meanwhile. Without an isolated CPU nothing is measured; those that are offline are left out.
  - C(rtla timerlat) measures where the running kernel has the tracer timerlat and rtla is installed. C(cyclictest) of
    rt-tests does otherwise. Both are the latency of a thread that a timer wakes. C(rtla osnoise) is how long a
    thread that always runs is kept from it each time.
  - With rtla the kernel's trace events name the disturbers, with their time. With cyclictest the counters of
    interrupts, softirqs and threads before and after do. A thread counts there on the CPU that it ran on last.
  - The measuring thread has real-time priority, so it takes the CPUs from whatever runs there. Do not measure where a
    runtime trades.
extends_documentation_fragment:
  - tickwire.fabric.isolated_cpus
options:
  tool:
    description: What measures. V(auto) takes timerlat where this host has it, and cyclictest otherwise.
    type: str
    choices: [auto, timerlat, osnoise, cyclictest]
    default: auto
  duration_s:
    description: How long to measure, in seconds, 1 to 3600.
    type: int
    default: 10
  interval_us:
    description: Time between two wake-ups, in microseconds, 100 to 1000000. Osnoise has none.
    type: int
    default: 1000
  keep:
    description:
      - Keep the result in C(/var/lib/tickwire/jitter-before.json), as the one before the host was changed. Nothing is
        measured when one of the same CPUs is there already.
    type: bool
    default: false
  state:
    description:
      - V(present) measures.
      - V(absent) measures nothing and removes the result that O(keep) kept.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Nothing is measured
        then.
    support: full
  diff_mode:
    description: Has no diff, as a measurement is no managed state.
    support: none
"""

EXAMPLES = r"""
- name: Measure before the host is changed
  tickwire.fabric.host_jitter:
    isolated_cpus: 2-7
    duration_s: 60
    keep: true

- name: Measure again
  tickwire.fabric.host_jitter:
    isolated_cpus: 2-7
    duration_s: 60
  register: jitter

- name: Forget the measurement of before when the host is what it was before
  tickwire.fabric.host_jitter:
    state: absent
"""

RETURN = r"""
result:
  description: What was measured now. Empty where nothing was.
  returned: success
  type: dict
  contains:
    tool:
      description: What measured.
      type: str
      sample: cyclictest
    version:
      description: Its version, where it says so.
      type: str
      sample: "2.60"
    taken:
      description: When it began.
      type: str
      sample: 2026-01-02 03:04:05 UTC
    kernel:
      description: Release of the running kernel.
      type: str
      sample: 6.12.48+deb13-amd64
    cpus:
      description: CPUs that were measured on.
      type: str
      sample: "1"
    duration_s:
      description: How long, in seconds.
      type: int
      sample: 10
    interval_us:
      description: Time between two wake-ups, in microseconds.
      type: int
      sample: 1000
    samples:
      description: Number of samples on all CPUs.
      type: int
      sample: 10000
    beyond:
      description: How many of them were longer than the tool's histogram, where only their maximum is known.
      type: int
      sample: 0
    min_us:
      description: The shortest, in microseconds.
      type: float
      sample: 1
    avg_us:
      description: The mean, in microseconds.
      type: float
      sample: 2.4
    p99_us:
      description: The 99th percentile by the tool's histogram, in microseconds. The maximum where it lies beyond that.
      type: float
      sample: 4
    max_us:
      description: The longest, in microseconds.
      type: float
      sample: 11
    per_cpu:
      description: The same figures of each CPU.
      type: list
      elements: dict
      sample: [{cpu: 1, samples: 10000, beyond: 0, min_us: 1, avg_us: 2.4, p99_us: 4, max_us: 11}]
    named_by:
      description: V(trace) or V(counters), what the disturbers below are known from.
      type: str
      sample: counters
    threads:
      description: Threads that ran there, with how often and for how long in microseconds.
      type: list
      elements: dict
      sample: [{name: "kworker/1:1", cpu: 1, count: 12, time_us: 93.1}]
    irqs:
      description: Interrupts that fired there, with how often and, from a trace, for how long.
      type: list
      elements: dict
      sample: [{name: LOC Local timer interrupts, cpu: 1, count: 10011}]
    softirqs:
      description: Softirqs that ran there, likewise.
      type: list
      elements: dict
      sample: [{name: TIMER, cpu: 1, count: 4}]
before:
  description: The kept result of before the host was changed, in the same form. Empty without one.
  returned: success
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import jitter
from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import ISOLATED_CPUS
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpus import online_cpus
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import isolated_cpus
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one measurement, result."""
    module = AnsibleModule(
        argument_spec={
            **ISOLATED_CPUS,
            "tool": {"type": "str", "choices": ["auto", "timerlat", "osnoise", "cyclictest"], "default": "auto"},
            "duration_s": {"type": "int", "default": 10},
            "interval_us": {"type": "int", "default": 1000},
            "keep": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    wanted = module.params
    settings = jitter.Settings(wanted["tool"], wanted["duration_s"], wanted["interval_us"])
    try:
        if wanted["state"] == "absent":
            module.exit_json(changed=jitter.forget_before(system, module.check_mode), result={}, before={})
        settings.check()
        cpus = isolated_cpus(system, wanted) & online_cpus(system)
        before = jitter.read_before(system) or {}
        due = bool(cpus) and not (wanted["keep"] and before.get("cpus") == format_cpu_list(cpus))
        result = jitter.measure(system, cpus, settings) if due and not module.check_mode else {}
        if result and wanted["keep"]:
            jitter.keep_before(system, result)
            before = result
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=due and wanted["keep"], result=result, before=before)


if __name__ == "__main__":
    main()
