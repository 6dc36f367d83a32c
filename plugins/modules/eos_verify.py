#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.eos_verify."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eos_verify
short_description: Compare an Arista switch with the fabric intent
version_added: 0.1.0
description:
  - Reads C(show running-config), and C(show interfaces) and C(show ptp) as JSON, and compares them with the intent
    field by field.
  - What is ours and differs is an error. Ports and settings that are not ours and contradict the intent are warnings;
    they are left alone.
author:
  - Tickwire (@tickwire)
requirements:
  - the collections C(arista.eos) and C(ansible.netcommon) for the connection, C(httpapi) or C(network_cli)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
  - tickwire.fabric.intent
"""

EXAMPLES = r"""
- name: Read the switch back
  tickwire.fabric.eos_verify:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
  register: verified
"""

RETURN = r"""
findings:
  description: What differs, errors first.
  type: list
  elements: dict
  returned: success
  sample:
    - severity: error
      rule: drift
      path: "leaf1:Ethernet1 mtu"
      message: "is 1500, wanted 9214; next: run the role again"
      device: leaf1
      port: Ethernet1
      link: null
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.connection import Connection, ConnectionError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.verify import COMMANDS, RUNNING, drift
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import plain, worst_first
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent


def read(connection):
    """Answer by command."""
    if json.loads(connection.get_capabilities())["network_api"] == "eapi":
        state = {command: json.loads(connection.send_request([command], output="json")) for command in COMMANDS}
        state[RUNNING] = connection.send_request([RUNNING], output="text")
        return state
    asked = [{"command": command, "output": "json"} for command in COMMANDS] + [RUNNING]
    return dict(zip([*COMMANDS, RUNNING], connection.run_commands(commands=asked)))


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec=INTENT,
        supports_check_mode=True,
    )
    try:
        fabric = parse_intent(module.params["fabric"])
        findings = drift(fabric, module.params["device"], read(Connection(module._socket_path)))
    except (IntentError, ConnectionError) as error:
        module.fail_json(msg=" ".join(str(error).split()))
    module.exit_json(changed=False, findings=plain(worst_first(findings)))


if __name__ == "__main__":
    main()
