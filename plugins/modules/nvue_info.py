#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.nvue_info."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nvue_info
short_description: Read a Cumulus Linux switch and compare it with the fabric intent
version_added: 0.1.0
description:
  - Reads the applied configuration of NVUE and what the hardware runs on the ports of the C(fabric) intent, and
    compares both with the intent field by field. For the counters see M(tickwire.fabric.pfc_info).
author:
  - Tickwire (@tickwire)
requirements:
  - Cumulus Linux 5.9 or newer
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
  - tickwire.fabric.intent
  - tickwire.fabric.nvue
options:
  bridge:
    description:
      - The VLAN aware bridge that the ports belong to.
    type: str
    default: br_default
"""

EXAMPLES = r"""
- name: Read the switch back through its REST interface
  tickwire.fabric.nvue_info:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    method: rest
    url: "https://{{ ansible_host }}:8765"
    username: automation
    password: "{{ nvue_password }}"
  delegate_to: localhost
  register: read

- name: Read it with nv on the switch
  tickwire.fabric.nvue_info:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
"""

RETURN = r"""
findings:
  description:
    - Where the switch differs from the intent (severity error, rule drift), and what is there that is not ours and
      contradicts the intent (severity warning, rule drift-unmanaged).
  type: list
  elements: dict
  returned: success
  sample:
    - severity: error
      rule: drift
      path: leaf1:swp1 link mtu
      message: is 1500, wanted 9214
      device: leaf1
      port: swp1
      link: null
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import plain, worst_first
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.connection import (
    ARGUMENTS,
    REQUIRED_IF,
    revisions,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.plan import NvueError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.reading import read
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.verify import drift


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            **INTENT,
            "bridge": {"type": "str", "default": "br_default"},
            **ARGUMENTS,
        },
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    given = module.params
    nv = module.get_bin_path("nv", required=True) if given["method"] == "cli" else "nv"

    def run(argv):
        return module.run_command(list(argv))

    try:
        fabric = parse_intent(given["fabric"])
        switch = revisions(given, open_url, run, nv).switch
        findings = drift(fabric, given["device"], read(switch, fabric, given["device"]), given["bridge"])
    except (IntentError, NvueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, findings=plain(worst_first(findings)))


if __name__ == "__main__":
    main()
