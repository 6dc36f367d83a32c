#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps processes, kernel threads and workqueues off the isolated CPUs, now and at every boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cpu_isolation
short_description: Keep everything off the isolated CPUs that needs no boot parameter
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Keeps C(system.slice), C(user.slice), C(machine.slice) and C(init.scope) to the housekeeping CPUs by C(AllowedCPUs=)
    in drop-ins of its own, and the unbound workqueues by their mask. Moves the kernel threads that can be moved, as
    long as the running kernel does not do so itself for C(nohz_full=). All of it works at once and at every boot.
  - Makes C(tickwire.slice) an isolated partition of the cpuset controller where that is the chosen way, and reads back
    whether the kernel took it. When it did not, everything is put back and the module fails with the kernel's reason.
  - What shall use isolated CPUs has to run in C(tickwire.slice), also a tool that is called by hand, as in
    C(systemd-run --slice=tickwire.slice --scope cyclictest). The unit of role C(t2t_runtime) does.
  - The boot parameters that belong to it are set by M(tickwire.fabric.kernel_cmdline) with the same options.
  - While a unit that may trade runs in a slice that would lose CPUs, and O(protection) does not let the host be
    disturbed, the slices and the partition stay as they are, since the kernel would move at once what the unit has
    pinned there. A warning says so.
  - With no isolated CPUs everything goes back to what it was before this module changed it.
extends_documentation_fragment:
  - tickwire.fabric.isolated_cpus
  - tickwire.fabric.isolated_cpus.way
  - tickwire.fabric.protection
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Nothing at all is
        written, and no program is run but C(systemctl show) where a unit that may trade would lose CPUs.
    support: full
  diff_mode:
    description: Returns the files and the CPUs of slices, partition, workqueues and kernel threads, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Keep CPUs 2 to 7 free for the engine
  tickwire.fabric.cpu_isolation:
    isolated_cpus: 2-7

- name: Keep all but two cores of each node in a partition, without a reboot
  tickwire.fabric.cpu_isolation:
    housekeeping_per_node: 2
    whole_processes: true

- name: Give all CPUs back
  tickwire.fabric.cpu_isolation:
"""

RETURN = r"""
isolated_cpus:
  description: The isolated CPUs.
  returned: success
  type: str
  sample: 2-7
housekeeping_cpus:
  description: All other CPUs of the host.
  returned: success
  type: str
  sample: 0-1
way:
  description: The chosen way, V(partition) or V(boot). Empty where no CPU is isolated.
  returned: success
  type: str
  sample: boot
reason:
  description: Why this way was chosen.
  returned: success
  type: str
  sample: a partition holds whole processes, and whole_processes is not set
not_supported:
  description: What this host cannot do or the kernel refused, each with the reason.
  returned: success
  type: list
  elements: str
  sample: ["kernel thread 45 (kswapd0) stays on CPUs 0-7: Invalid argument"]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import isolate
from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import ISOLATION, PROTECTION
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            **ISOLATION,
            **PROTECTION,
        },
        supports_check_mode=True,
    )
    wanted = {**module.params["protection"], **module.params}
    try:
        result = isolate.apply(System(Path("/"), run_program), wanted, module.check_mode)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    if result.held_back:
        module.warn(f"The slices keep their CPUs: {result.held_back}.")
    module.exit_json(
        changed=result.changed,
        isolated_cpus=format_cpu_list(result.isolated),
        housekeeping_cpus=format_cpu_list(result.housekeeping),
        way=result.way.name if result.isolated else "",
        reason=result.way.reason if result.isolated else "",
        not_supported=result.not_supported,
        diff={"before": isolate.summary(result.before), "after": isolate.summary(result.after)},
    )


if __name__ == "__main__":
    main()
