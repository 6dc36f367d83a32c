#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets hugepages per NUMA node and mounts hugetlbfs, now and at every boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hugepages
short_description: Set hugepages per NUMA node and mount them, now and at every boot
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Writes the number of hugepages of each named NUMA node and size, and reads it back until the kernel has given all
    of them. The kernel gives fewer without an error when memory is short. The module then sets the former number
    again and fails with what was got.
  - Keeps them over a reboot in C(/etc/tmpfiles.d/tickwire-hugepages.conf), which writes the same files early in every
    boot. Unlike a sysctl it knows nodes, and unlike boot parameters it needs no reboot to change.
  - Pages of 1 GB need memory in one piece, which a host that has run for a while may not have. With
    O(boot_reservation) those that cannot be had now are left to M(tickwire.fabric.kernel_cmdline), which reserves them
    at boot when it gets the same list. RV(at_boot) says which these are.
  - Mounts hugetlbfs by a mount unit of its own per path, and reads the options back from C(/proc/self/mountinfo).
extends_documentation_fragment:
  - tickwire.fabric.attributes
options:
  pages:
    description:
      - Wanted hugepages. Nodes and sizes that are not named stay as they are, except those which this module had set.
        These go back to the number of before its first change. Pages that came from boot parameters of
        M(tickwire.fabric.kernel_cmdline) do not count as having been there before.
      - Where the kernel does not give back all that were there before, a warning says so.
    type: list
    elements: dict
    default: []
    suboptions:
      size:
        description: Size of a page.
        type: str
        choices: [2M, 1G]
        required: true
      count:
        description: Number of pages on this node.
        type: int
        required: true
      node:
        description: NUMA node.
        type: int
        default: 0
  boot_reservation:
    description:
      - Whether pages of 1 GB that cannot be had now are left to a boot reservation instead of being a failure.
    type: bool
    default: false
  mounts:
    description:
      - Wanted mounts of hugetlbfs. A change of options is an unmount and a mount, which files in use keep from
        happening. Mounts that this module made and that are not named any more go away.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is mounted. It must not be a mount of somebody else, such as C(/dev/hugepages).
        type: path
        required: true
      size:
        description: Size of its pages.
        type: str
        choices: [2M, 1G]
        default: 2M
      owner:
        description: User, or its number, that the directory belongs to.
        type: str
        default: root
      group:
        description: Group, or its number, that the directory belongs to.
        type: str
        default: root
      mode:
        description: Mode of the directory, as a quoted octal number.
        type: str
        default: "0755"
  timeout_s:
    description: How long the kernel is asked again, in seconds, before the module gives up.
    type: int
    default: 60
attributes:
  diff_mode:
    description: Returns the number of pages per node and size, running and kept, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Give 512 hugepages of 2 MB on both nodes
  tickwire.fabric.hugepages:
    pages:
      - {size: 2M, count: 512, node: 0}
      - {size: 2M, count: 512, node: 1}

- name: Give pages of 1 GB, and mount them for the runtime
  tickwire.fabric.hugepages:
    pages:
      - {size: 1G, count: 4, node: 0}
    boot_reservation: true
    mounts:
      - {path: /dev/hugepages1G, size: 1G, owner: tickwire, group: tickwire, mode: "0770"}

- name: Take all hugepages away that this module has set
  tickwire.fabric.hugepages:
    pages: []
"""

RETURN = r"""
pages:
  description:
    - Hugepages of the wanted nodes and sizes, and of those that were given back. In check mode as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: NUMA node.
      type: int
      sample: 0
    size:
      description: Size of a page.
      type: str
      sample: 2M
    before:
      description: Number of pages before.
      type: int
      sample: 0
    count:
      description: Number of pages, read back.
      type: int
      sample: 512
at_boot:
  description: Pages that could not be had now and need a boot reservation.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: NUMA node.
      type: int
      sample: 0
    size:
      description: Size of a page.
      type: str
      sample: 1G
    count:
      description: Number of pages wanted.
      type: int
      sample: 4
path:
  description: The file that sets them at boot.
  returned: success
  type: str
  sample: /etc/tmpfiles.d/tickwire-hugepages.conf
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import hugepages, hugetlbfs
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "pages": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "size": {"type": "str", "choices": ["2M", "1G"], "required": True},
                    "count": {"type": "int", "required": True},
                    "node": {"type": "int", "default": 0},
                },
            },
            "boot_reservation": {"type": "bool", "default": False},
            "mounts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "size": {"type": "str", "choices": ["2M", "1G"], "default": "2M"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "str", "default": "0755"},
                },
            },
            "timeout_s": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    params = module.params
    try:
        result, mounts = hugetlbfs.apply_all(
            system,
            hugepages.parse_pages(params["pages"]),
            hugetlbfs.parse_mounts(system, params["mounts"]),
            module.check_mode,
            params["timeout_s"],
            time.sleep,
            params["boot_reservation"],
        )
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    for text in result.warnings:
        module.warn(text)
    diff = mounts.diff()
    module.exit_json(
        changed=result.changed or mounts.changed,
        pages=[
            {"node": pool[0], "size": pool[1], "before": result.before[pool], "count": count}
            for pool, count in result.after.items()
        ],
        at_boot=[{"node": pool[0], "size": pool[1], "count": count} for pool, count in result.at_boot.items()],
        path="/" + hugepages.DROP_IN,
        diff={
            "before": hugepages.summary(result.before, result.kept_before) + diff["before"],
            "after": hugepages.summary(result.after, result.kept_after) + diff["after"],
        },
    )


if __name__ == "__main__":
    main()
