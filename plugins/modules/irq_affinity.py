#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moves interrupts off the isolated CPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: irq_affinity
short_description: Move interrupts off the isolated CPUs
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Takes the isolated CPUs out of the affinity of every interrupt, and out of the default for interrupts that are
    requested later. Affinities are compared as sets of CPUs and read back.
  - An interrupt that was on isolated CPUs only goes to all housekeeping CPUs. One that nobody uses is left alone,
    since it takes the default when somebody requests it.
  - Interrupts that the kernel does not let anybody move, such as the timer and those it manages itself, are reported in
    RV(unmovable) and are no failure.
  - The default for new interrupts comes back at boot by C(irqaffinity=), see M(tickwire.fabric.kernel_cmdline). Some
    drivers set an affinity of their own whenever their interface comes up, as virtio_net does. Run the module again
    after that.
options:
  isolated_cpus:
    description: CPUs that no interrupt shall fire on, as a kernel CPU list. With none nothing is done.
    type: str
    default: ""
  housekeeping_per_node:
    description:
      - Isolate all online CPUs but this many cores of each NUMA node, the first ones, with all their SMT siblings. The
        core of CPU 0 stays a housekeeping core in any case.
      - An alternative to O(isolated_cpus). V(0) leaves it out.
    type: int
    default: 0
  split_siblings:
    description:
      - Allow O(isolated_cpus) to isolate one CPU of a core and not its SMT siblings, which disturb it.
    type: bool
    default: false
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Nothing at all is
        written.
    support: full
  diff_mode:
    description: Returns the affinity of each interrupt that moves, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Keep interrupts off CPUs 2 to 7
  tickwire.fabric.irq_affinity:
    isolated_cpus: 2-7
"""

RETURN = r"""
moved:
  description: Interrupts that were moved, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    irq:
      description: Number of the interrupt.
      type: int
      sample: 24
    actions:
      description: Who uses it.
      type: str
      sample: virtio0-input.0
    before:
      description: CPUs on which it was allowed to fire.
      type: str
      sample: 0-7
    after:
      description: CPUs on which it is allowed to fire.
      type: str
      sample: 0-1
unmovable:
  description: Interrupts whose affinity includes an isolated CPU and which the kernel does not let anybody move.
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
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import irq
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpus import present_cpus
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import isolated_cpus
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "isolated_cpus": {"type": "str", "default": ""},
            "housekeeping_per_node": {"type": "int", "default": 0},
            "split_siblings": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), module.run_command)
    try:
        isolated = isolated_cpus(system, module.params)
        result = irq.apply_irq_affinity(system.root, isolated, present_cpus(system), module.check_mode)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    moved = [
        {
            "irq": entry.number,
            "actions": entry.actions,
            "before": format_cpu_list(entry.allowed),
            "after": format_cpu_list(result.after[entry.number]),
        }
        for entry in result.moved
    ]
    module.exit_json(
        changed=result.changed,
        moved=moved,
        unmovable=[
            {
                "irq": entry.number,
                "actions": entry.actions,
                "cpus": format_cpu_list(entry.allowed),
                "effective": format_cpu_list(entry.effective),
            }
            for entry in result.unmovable
        ],
        default_affinity=format_cpu_list(result.default_after),
        diff={
            "before": irq.summary(result.default_before, {entry: entry.allowed for entry in result.moved}),
            "after": irq.summary(result.default_after, {entry: result.after[entry.number] for entry in result.moved}),
        },
    )


if __name__ == "__main__":
    main()
