#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets power management, watchdogs and background work of the kernel, now and at every boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_noise
short_description: Keep power management and background work off the isolated CPUs
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Writes files of C(/sys) and sysctls, reads them back, and keeps them over a reboot in
    C(/etc/tmpfiles.d/00-tickwire-noise.conf) and C(/etc/sysctl.d/99-tickwire-noise.conf). Refuses a value which
    another file would override at boot, and names the file.
  - What a host has not, such as frequency scaling in a virtual machine, is reported in RV(unsupported) with the reason
    and is no failure.
  - What is not given stays as it is. What was given before and is not any more goes back to what it was before the
    first change, which is kept in C(/var/lib/tickwire/host-before.json).
  - When something fails, what was changed before is put back.
extends_documentation_fragment:
  - tickwire.fabric.attributes.nothing_run
  - tickwire.fabric.isolated_cpus
options:
  noise:
    description: What is wanted. Nothing has a default.
    type: dict
    default: {}
    suboptions:
      idle_latency_us:
        description:
          - How long an isolated CPU may take to wake up, in microseconds. The kernel then uses no idle state that takes
            longer. It is asked per CPU, in C(power/pm_qos_resume_latency_us), so the other CPUs may sleep.
          - V(0) allows no idle state at all. The CPU polls, and a warning says what that costs.
        type: int
      governor:
        description: Frequency governor of every CPU.
        type: str
      energy_performance_preference:
        description: What the processor itself prefers, on drivers that ask it.
        type: str
      min_frequency:
        description: Lowest frequency of every CPU in kHz, or V(max) for the highest that it has.
        type: str
      turbo:
        description: Whether the processor may clock above its base frequency.
        type: bool
      smt:
        description: V(false) turns the second thread of every core off, on the whole host. A warning says so.
        type: bool
      nmi_watchdog:
        description: Whether a counter of every CPU looks for CPUs that hang with interrupts off.
        type: bool
      soft_watchdog:
        description: Whether the kernel looks for CPUs that hang in the kernel. V(false) comes with a warning.
        type: bool
      watchdog_housekeeping:
        description: V(true) keeps both watchdogs off the isolated CPUs.
        type: bool
      timer_migration:
        description: Whether timers move to CPUs that are not idle.
        type: bool
      stat_interval_s:
        description: How often every CPU folds its memory statistics, in seconds.
        type: int
      ksm:
        description: V(false) stops the merging of equal pages and gives shared pages back to their owners.
        type: bool
      corrected_errors:
        description:
          - V(false) stops polling for corrected machine checks (C(ignore_ce)). Uncorrected ones are still reported. A
            warning says what that costs.
        type: bool
      rt_throttling:
        description:
          - V(false) lets real-time tasks have a CPU for all of the time (C(kernel.sched_rt_runtime_us) of -1). A
            warning says what that costs.
        type: bool
      units_off:
        description:
          - Units of systemd to stop and mask, such as timers that wake the host up. The timer of fwupd asks firmware,
            which takes all CPUs away for a while (SMI). Units that the host has not are reported.
        type: list
        elements: str
attributes:
  diff_mode:
    description: Returns every value, file and unit that is different, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Keep the isolated CPUs awake and undisturbed
  tickwire.fabric.host_noise:
    isolated_cpus: 2-7
    noise:
      idle_latency_us: 3
      governor: performance
      nmi_watchdog: false
      watchdog_housekeeping: true
      stat_interval_s: 10
      ksm: false
      units_off: [fwupd-refresh.timer]

- name: Put everything back as it was
  tickwire.fabric.host_noise:
"""

RETURN = r"""
unsupported:
  description: What this host cannot have, by name, with the reason. It is no failure.
  returned: success
  type: dict
  sample:
    governor of CPU 0: this kernel has no /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import noise
from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import ISOLATED_CPUS
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import isolated_cpus
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

NOISE = {
    "idle_latency_us": {"type": "int"},
    "governor": {"type": "str"},
    "energy_performance_preference": {"type": "str"},
    "min_frequency": {"type": "str"},
    "turbo": {"type": "bool"},
    "smt": {"type": "bool"},
    "nmi_watchdog": {"type": "bool"},
    "soft_watchdog": {"type": "bool"},
    "watchdog_housekeeping": {"type": "bool"},
    "timer_migration": {"type": "bool"},
    "stat_interval_s": {"type": "int"},
    "ksm": {"type": "bool"},
    "corrected_errors": {"type": "bool"},
    "rt_throttling": {"type": "bool"},
    "units_off": {"type": "list", "elements": "str"},
}


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "noise": {"type": "dict", "default": {}, "options": NOISE},
            **ISOLATED_CPUS,
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        isolated = isolated_cpus(system, module.params)
        outcome = noise.apply_noise(system, module.params["noise"], isolated, module.check_mode)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(changed=outcome.changed, unsupported=outcome.unsupported, diff=outcome.diff())


if __name__ == "__main__":
    main()
