#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps interrupts, packet steering and irqbalance on the wanted CPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: irq_affinity
short_description: Keep interrupts and packet steering off the isolated CPUs
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Takes the isolated CPUs out of the affinity of every interrupt, out of the default for interrupts that are requested
    later, and out of the masks of RPS and XPS of every interface and their default. Sets of CPUs are compared and read
    back, never texts of masks.
  - An interrupt that was on isolated CPUs only goes to all housekeeping CPUs. One that nobody uses is left alone,
    since it takes the default when somebody requests it. RPS or XPS that only had isolated CPUs is off afterwards.
  - The interrupts of a NIC, which its device lists in C(msi_irqs), may have CPUs of their own, and one queue's
    interrupt may be steered to an isolated CPU.
  - Interrupts that the kernel does not let anybody move, such as the timer and those it manages itself, are reported in
    RV(unmovable) and are no failure. What an attempt told is kept until the next boot in
    C(/run/tickwire-host/irq.json), with the values of before. An interrupt that is wanted elsewhere no more goes back
    there.
  - Tells irqbalance first, which would move the interrupts back.
  - The default for new interrupts comes back at boot by C(irqaffinity=), see M(tickwire.fabric.kernel_cmdline). The
    kernel resets an affinity whenever the driver requests the interrupt anew, when the interface comes up and when
    its rings or channels change. Run the module again after that.
extends_documentation_fragment:
  - tickwire.fabric.attributes.nothing_run
  - tickwire.fabric.isolated_cpus
options:
  nics:
    description:
      - NICs whose interrupts have CPUs of their own. Of each item C(name) is the interface. C(irq_cpus), a CPU list,
        are the CPUs of its interrupts. C(queue_cpus), a list of C(queue) and C(cpus), are those of single queues, which
        may be isolated ones.
      - Other keys are left to other modules.
    type: list
    elements: dict
    default: []
  irqbalance:
    description:
      - V(banned) tells irqbalance to keep off the isolated CPUs, by a file of environment for its unit. A running
        daemon is restarted only when something changed.
      - V(stopped) stops it, also for the next boots. Needed where O(nics) have CPUs of their own, as irqbalance would
        move these interrupts.
      - V(leave) does nothing, and takes back what was done before.
    type: str
    choices: [banned, stopped, leave]
    default: banned
attributes:
  diff_mode:
    description: Returns each set of CPUs that changes, before and after, and what is done with irqbalance.
    support: full
"""

EXAMPLES = r"""
- name: Keep interrupts off CPUs 2 to 7
  tickwire.fabric.irq_affinity:
    isolated_cpus: 2-7

- name: Take the feed's queue to the engine's CPU and all other interrupts of the NIC to CPU 1
  tickwire.fabric.irq_affinity:
    isolated_cpus: 2-7
    irqbalance: stopped
    nics:
      - name: ens4
        irq_cpus: "1"
        queue_cpus:
          - {queue: 3, cpus: "2"}
"""

RETURN = r"""
moved:
  description: What was given other CPUs, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: The interrupt with its user, the default or the mask.
      type: str
      sample: IRQ 24 (virtio0-input.0)
    irq:
      description: Number of the interrupt. Empty for a default and a mask.
      type: int
      sample: 24
    before:
      description: CPUs before.
      type: str
      sample: 0-7
    after:
      description: CPUs now.
      type: str
      sample: 0-1
unmovable:
  description: Interrupts that are not on the wanted CPUs and which the kernel does not let anybody move.
  returned: success
  type: list
  elements: dict
  contains:
    irq:
      description: Number of the interrupt.
      type: int
      sample: 0
    actions:
      description: Who uses it.
      type: str
      sample: timer
    cpus:
      description: CPUs on which it is allowed to fire.
      type: str
      sample: 0-7
    effective:
      description: CPUs on which the kernel lets it fire. Empty where the kernel does not say.
      type: str
      sample: "0"
default_affinity:
  description: CPUs on which interrupts may fire that are requested later.
  returned: success
  type: str
  sample: 0-1
irqbalance:
  description: What was done with irqbalance.
  returned: success
  type: list
  elements: str
  sample: [irqbalance.service keeps off CPUs 2-7]
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import ISOLATED_CPUS
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.irq_affinity import apply_irq_affinity
from ansible_collections.tickwire.fabric.plugins.module_utils.host.irqbalance import apply_irqbalance
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, two calls, result."""
    module = AnsibleModule(
        argument_spec={
            **ISOLATED_CPUS,
            "nics": {"type": "list", "elements": "dict", "default": []},
            "irqbalance": {"type": "str", "choices": ["banned", "stopped", "leave"], "default": "banned"},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        balance = apply_irqbalance(system, module.params, module.check_mode, time.sleep)
        result = apply_irq_affinity(system, module.params, module.check_mode)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    sets = {
        when: "".join(f"{entry.label}: CPUs {format_cpu_list(cpus(entry))}\n" for entry in result.moved)
        for when, cpus in (("before", lambda entry: entry.cpus), ("after", lambda entry: entry.wanted))
    }
    module.exit_json(
        changed=result.changed or balance.changed,
        moved=[
            {
                "what": entry.label,
                "irq": entry.irq.number if entry.irq else None,
                "before": format_cpu_list(entry.cpus),
                "after": format_cpu_list(entry.wanted),
            }
            for entry in result.moved
        ],
        unmovable=[
            {
                "irq": irq.number,
                "actions": irq.actions,
                "cpus": format_cpu_list(irq.allowed),
                "effective": format_cpu_list(irq.effective),
            }
            for irq in result.unmovable
        ],
        default_affinity=format_cpu_list(result.default),
        irqbalance=balance.done,
        diff={"before": sets["before"], "after": sets["after"] + "".join(f"{text}\n" for text in balance.done)},
    )


if __name__ == "__main__":
    main()
