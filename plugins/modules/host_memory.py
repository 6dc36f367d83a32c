#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets transparent hugepages, swap, NUMA balancing and a user's limits, now and at every boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_memory
short_description: Keep the kernel from moving memory, now and at every boot
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Writes files of C(/sys) and sysctls, reads them back, and keeps them over a reboot in
    C(/etc/tmpfiles.d/00-tickwire-memory.conf) and C(/etc/sysctl.d/99-tickwire-memory.conf). Refuses a value which
    another file would override at boot, and names the file.
  - Turns swap off piece by piece and masks C(swap.target), which starts every swap unit. C(/etc/fstab) is not edited.
    Refused when what is in swap would not fit into memory.
  - Writes the limits of one user to C(/etc/security/limits.d/99-tickwire-memory.conf). They count for logins. Units of
    systemd have C(LimitMEMLOCK=) and C(LimitRTPRIO=) of their own.
  - What is not given stays as it is. What was given before and is not any more goes back to what it was before the
    first change, which is kept in C(/var/lib/tickwire/host-before.json).
  - When something fails, what was changed before is put back.
extends_documentation_fragment:
  - tickwire.fabric.attributes.nothing_run
options:
  memory:
    description: How the kernel treats memory.
    type: dict
    default: {}
    suboptions:
      thp:
        description: Transparent hugepages. Faults and splits of them stall whoever touches the memory.
        type: str
        choices: [always, madvise, never]
      thp_defrag:
        description: Whether a fault waits for memory to be put together for a transparent hugepage.
        type: str
        choices: [always, defer, defer+madvise, madvise, never]
      khugepaged_defrag:
        description: Whether khugepaged puts memory together in the background.
        type: bool
      swap:
        description: V(false) turns all swap off, now and at boot. V(true) leaves it as the host has it.
        type: bool
      numa_balancing:
        description: Whether the kernel moves pages to the node that uses them, which costs page faults.
        type: bool
      zone_reclaim_mode:
        description: What a node does before it takes memory of another one. V(0) takes it at once.
        type: int
      compaction_proactiveness:
        description: How eagerly the kernel moves pages to have large free pieces, from V(0) (never) to V(100).
        type: int
      swappiness:
        description: How soon the kernel swaps instead of dropping cached files.
        type: int
  limits:
    description: Limits of the logins of one user.
    type: dict
    default: {}
    suboptions:
      user:
        description: The user. It need not exist yet.
        type: str
      memlock:
        description: How much memory the user may lock, in kB or V(unlimited).
        type: str
      rtprio:
        description: The highest real-time priority that the user may take, from 0 to 99.
        type: int
attributes:
  diff_mode:
    description: Returns every value and file that is different, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Keep memory where it is
  tickwire.fabric.host_memory:
    memory:
      thp: never
      swap: false
      numa_balancing: false
      zone_reclaim_mode: 0
    limits:
      user: tickwire
      memlock: unlimited

- name: Put everything back as it was
  tickwire.fabric.host_memory:
"""

RETURN = r"""
unsupported:
  description: What this host cannot have, by name, with the reason. It is no failure.
  returned: success
  type: dict
  sample: {numa_balancing: this kernel has no /proc/sys/kernel/numa_balancing}
processes_with_lower_limits:
  description:
    - Processes of the user with lower limits than wanted. They were started before, or by a unit that has limits of its
      own.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Number of the process.
      type: int
      sample: 812
    limit:
      description: Which limit it is.
      type: str
      sample: memlock
    soft:
      description: What it has, in bytes for memlock.
      type: str
      sample: "8388608"
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import limits, memory
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

MEMORY = {
    "thp": {"type": "str", "choices": ["always", "madvise", "never"]},
    "thp_defrag": {"type": "str", "choices": ["always", "defer", "defer+madvise", "madvise", "never"]},
    "khugepaged_defrag": {"type": "bool"},
    "swap": {"type": "bool"},
    "numa_balancing": {"type": "bool"},
    "zone_reclaim_mode": {"type": "int"},
    "compaction_proactiveness": {"type": "int"},
    "swappiness": {"type": "int"},
}
LIMITS = {"user": {"type": "str"}, "memlock": {"type": "str"}, "rtprio": {"type": "int"}}


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "memory": {"type": "dict", "default": {}, "options": MEMORY},
            "limits": {"type": "dict", "default": {}, "options": LIMITS},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        outcome = memory.apply_memory(system, module.params["memory"], module.params["limits"], module.check_mode)
        lower = limits.lower_processes(system, limits.parse_limits(module.params["limits"]))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=outcome.changed,
        unsupported=outcome.unsupported,
        processes_with_lower_limits=lower,
        diff=outcome.diff(),
    )


if __name__ == "__main__":
    main()
