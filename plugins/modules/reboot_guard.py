#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says whether the host may be rebooted, and leaves on it what asks the same again at the moment of the reboot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reboot_guard
short_description: Have a host refuse its reboot while something trades on it
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Says whether the host may be rebooted now. It may when nothing trades on it, or a maintenance window is open, or it
    is not protected.
  - Leaves a program on the host, C(/run/tickwire-reboot-guard.pyz), that asks the same again and then reboots, with
    nothing in between. Give RV(reboot_command) to M(ansible.builtin.reboot). Where the host may not be rebooted the
    command ends with the reason and the exit status 1, and with 2 where that cannot be told.
  - The program needs C(/usr/bin/python3), from 3.9 on, with its standard library only. It goes away with the reboot.
extends_documentation_fragment:
  - tickwire.fabric.attributes
  - tickwire.fabric.protection
attributes:
  diff_mode:
    description: The program is no text, so there is nothing to show.
    support: none
seealso:
  - module: ansible.builtin.reboot
"""

EXAMPLES = r"""
- name: Ask whether the host may be rebooted
  tickwire.fabric.reboot_guard:
    protection:
      maintenance_window: Sat,Sun 00:00-24:00 UTC
      workload_units: [other-engine.service]
  register: guard

- name: Reboot it, unless something has begun to trade by then
  ansible.builtin.reboot:
    reboot_command: "{{ guard.reboot_command }}"
  when: guard.may_disturb
"""

RETURN = r"""
reboot_command:
  description: What reboots the host unless something trades on it.
  returned: success
  type: str
  sample: /usr/bin/python3 -I /run/tickwire-reboot-guard.pyz reboot
may_disturb:
  description: Whether the host may be rebooted now.
  returned: success
  type: bool
  sample: true
may_disturb_reason:
  description: Why.
  returned: success
  type: str
  sample: nothing trades on this host
trading:
  description: What trades on the host, a sentence each.
  returned: success
  type: list
  elements: str
  sample: []
"""

from datetime import datetime, timezone
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import guard, maintenance
from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import PROTECTION
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import write_atomic
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec=PROTECTION,
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        judged = maintenance.judge(system, module.params["protection"], datetime.now(timezone.utc))
        program, path = guard.archive(module.params["protection"]), system.path(guard.ROLE_GUARD)
        changed = not path.is_file() or path.read_bytes() != program
        if changed and not module.check_mode:
            write_atomic(path, program)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=changed,
        reboot_command=guard.command_line(guard.ROLE_GUARD, guard.REBOOT),
        may_disturb=judged.allowed,
        may_disturb_reason=judged.reason,
        trading=list(judged.trading),
    )


if __name__ == "__main__":
    main()
