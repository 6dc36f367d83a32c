# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that say which CPUs of a host are isolated; module_utils/host/arguments.py has them as code."""

from __future__ import annotations


class ModuleDocFragment:
    """ISOLATED_CPUS of module_utils, and by ``isolated_cpus.way`` its ISOLATION."""

    DOCUMENTATION = r"""
options:
  isolated_cpus:
    description:
      - The isolated CPUs, as a kernel CPU list. Empty isolates none.
      - CPU 0 stays a housekeeping CPU and is refused, and so are CPUs that the host has not.
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
"""

    WAY = r"""
options:
  isolation:
    description:
      - How the scheduler is kept off the isolated CPUs. V(boot) does it by C(isolcpus=domain), V(partition) by an
        isolated partition of the cpuset controller, which needs no reboot.
      - V(auto) takes the partition where the kernel has them and O(whole_processes) is set, else V(boot).
    type: str
    choices: [auto, partition, boot]
    default: auto
  whole_processes:
    description:
      - What uses isolated CPUs runs there with all its threads. A partition holds whole processes only. The engine of
        this collection has threads on housekeeping CPUs as well.
    type: bool
    default: false
"""
