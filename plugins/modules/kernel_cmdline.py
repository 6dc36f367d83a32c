#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets the kernel command line of the next boot and says whether the running kernel already has it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_cmdline
short_description: Set the kernel command line of the next boot and read it back
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Keeps the wanted boot parameters in a GRUB drop-in of its own, C(/etc/default/grub.d/zz-tickwire.cfg). Packaged
    files are never edited, and parameters that other files set stay.
  - Derives C(isolcpus), C(nohz_full), C(rcu_nocbs) and C(irqaffinity) from the isolated CPUs.
  - Runs C(update-grub) only when something changed, then reads every menu entry of C(/boot/grub/grub.cfg) back. When
    an entry does not carry the wanted parameters the former drop-in is put back and the module fails. Recovery
    entries stay without them.
  - Compares whole parameters and never text. C(hugepagesz) and C(hugepages) are compared in their order.
  - Never reboots. RV(reboot_required) says whether the running kernel lacks or contradicts a wanted parameter.
options:
  isolated_cpus:
    description:
      - CPUs to isolate, as a kernel CPU list. Empty isolates none.
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
  tokens:
    description:
      - More boot parameters, one per item, kept in this order. A value with a blank is quoted by the module.
      - Quotes inside a value, backslashes, backquotes and dollar signs are refused, since GRUB would not pass them on
        unchanged.
    type: list
    elements: str
    default: []
  hugepages:
    description:
      - The hugepages of M(tickwire.fabric.hugepages). Pages of 1 GB among them that the running kernel has not are
        reserved at boot, with C(hugepagesz=1G) and C(hugepages) after all other parameters, per node from Linux 5.16
        on. Not so when O(tokens) names C(hugepagesz=1G) itself.
    type: list
    elements: dict
    default: []
  state:
    description:
      - V(present) makes the next boot carry exactly the wanted parameters beside those which other files set.
        With no parameter wanted it is the same as V(absent).
      - V(absent) takes all parameters away that this module has set.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Nothing at all is
        written.
    support: full
  diff_mode:
    description: Returns the parameters of the drop-in before and after, one per line.
    support: full
"""

EXAMPLES = r"""
- name: Isolate CPUs 2 to 7 at the next boot
  tickwire.fabric.kernel_cmdline:
    isolated_cpus: 2-7
    tokens:
      - skew_tick=1
      - hugepagesz=1G
      - hugepages=8
  register: cmdline

- name: Take all parameters away again
  tickwire.fabric.kernel_cmdline:
    state: absent
"""

RETURN = r"""
tokens:
  description: All parameters that the drop-in carries afterwards, in order.
  returned: success
  type: list
  elements: str
  sample: ["isolcpus=managed_irq,domain,2-7", "nohz_full=2-7", "rcu_nocbs=2-7", "irqaffinity=0-1"]
path:
  description: The drop-in.
  returned: success
  type: str
  sample: /etc/default/grub.d/zz-tickwire.cfg
entries:
  description: Linux entries of the boot menu as they were read back. In check mode these are the present ones.
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: Title of the entry.
      type: str
      sample: Debian GNU/Linux
    kernel:
      description: Its kernel.
      type: str
      sample: /boot/vmlinuz-6.12.48+deb13-amd64
    cmdline:
      description: Its kernel command line.
      type: str
      sample: root=UUID=5e7b ro quiet isolcpus=managed_irq,domain,2-7
    managed:
      description: Whether it has to carry the parameters. Recovery entries have not.
      type: bool
      sample: true
reboot_required:
  description: Whether the running kernel lacks or contradicts a wanted parameter, or still has one that was taken away.
  returned: success
  type: bool
  sample: true
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import grub
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import format_cmdline
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import wanted_tokens
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "isolated_cpus": {"type": "str", "default": ""},
            "housekeeping_per_node": {"type": "int", "default": 0},
            "split_siblings": {"type": "bool", "default": False},
            "hugepages": {"type": "list", "elements": "dict", "default": []},
            "tokens": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), module.run_command)
    try:
        wanted = []
        if module.params["state"] == "present":
            wanted = wanted_tokens(system, {**module.params, "kernel_cmdline_extra": module.params["tokens"]})
        result = grub.apply_cmdline(system.root, system.run, wanted, module.check_mode)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    path = "/" + grub.DROP_IN
    module.exit_json(
        changed=result.changed,
        tokens=[str(token) for token in result.after],
        path=path,
        entries=[
            {
                "title": entry.title,
                "kernel": entry.kernel,
                "cmdline": format_cmdline(entry.tokens),
                "managed": entry.ours,
            }
            for entry in result.entries
        ],
        reboot_required=result.reboot_required,
        diff={
            "before_header": path,
            "after_header": path,
            "before": "".join(f"{token}\n" for token in result.before),
            "after": "".join(f"{token}\n" for token in result.after),
        },
    )


if __name__ == "__main__":
    main()
