#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.nvue_config."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nvue_config
short_description: Configure a Cumulus Linux switch from the fabric intent
version_added: 0.1.0
description:
  - Gives a Cumulus Linux switch the QoS maps, queues, ECN, PFC, watchdog, buffer pools, MTU, VLANs, storm control, LLDP
    and PTP that the C(fabric) intent says for it, in the words of its version.
  - The applied configuration is read and compared with the intent. Only what differs is set, and what was ours and is
    wanted no longer is unset, in one revision of NVUE that is applied and saved. The rest is never touched.
  - Profiles of ours have names that begin with C(tickwire-); a name tells the content.
  - Refuses to begin while another administrator applies a revision, or has one waiting with changes.
  - When the switch stops in the middle, or is not as wanted afterwards, the revision applied before is applied again.
author:
  - Tickwire (@tickwire)
requirements:
  - Cumulus Linux 5.9 or newer
extends_documentation_fragment:
  - tickwire.fabric.intent
  - tickwire.fabric.nvue
attributes:
  check_mode:
    description: Can run in check mode and says what would be changed.
    support: full
  diff_mode:
    description: Shows what is set before and after.
    support: full
options:
  bridge:
    description:
      - The VLAN aware bridge that the ports belong to.
    type: str
    default: br_default
  disruptive_allowed:
    description:
      - Whether to make a change that disturbs the traffic of the switch, such as PTP on, which restarts C(switchd), or
        a new division of the buffer. What would be disturbed is returned as C(disruptions), in check mode too.
    type: bool
    default: false
  pending_allowed:
    description:
      - Whether to go on while another administrator has a revision waiting with changes.
    type: bool
    default: false
  save:
    description:
      - Whether what is applied becomes the configuration of the next boot.
    type: bool
    default: true
  rollback_to:
    description:
      - A revision to be applied again instead of the intent, such as the C(previous) that a former run returned.
    type: str
"""

EXAMPLES = r"""
- name: Configure the switch through its REST interface
  tickwire.fabric.nvue_config:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    method: rest
    url: "https://{{ ansible_host }}:8765"
    username: automation
    password: "{{ nvue_password }}"
  delegate_to: localhost
  register: configured

- name: Go back to what was applied before
  tickwire.fabric.nvue_config:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    method: rest
    url: "https://{{ ansible_host }}:8765"
    token: "{{ nvue_token }}"
    rollback_to: "{{ configured.previous }}"
  delegate_to: localhost

- name: Configure the switch with nv on it, in a maintenance window
  tickwire.fabric.nvue_config:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    disruptive_allowed: true
"""

RETURN = r"""
commands:
  description: The change as commands of NVUE.
  type: list
  elements: str
  returned: success, without rollback_to
  sample: ["nv set interface swp1 link mtu 9214"]
disruptions:
  description: What the change disturbs, a sentence each.
  type: list
  elements: str
  returned: success, without rollback_to
previous:
  description: The revision that was applied before the change, or before the attempt; empty when there was none.
  type: str
  returned: always
  sample: "7"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.connection import (
    ARGUMENTS,
    REQUIRED_IF,
    revisions,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.plan import NvueError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.revision import go_back
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.session import Options, Session


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            **INTENT,
            "bridge": {"type": "str", "default": "br_default"},
            "disruptive_allowed": {"type": "bool", "default": False},
            "pending_allowed": {"type": "bool", "default": False},
            "save": {"type": "bool", "default": True},
            "rollback_to": {"type": "str"},
            **ARGUMENTS,
        },
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )
    given = module.params
    nv = module.get_bin_path("nv", required=True) if given["method"] == "cli" else "nv"

    def run(argv):
        return module.run_command(list(argv))

    options = Options(given["bridge"], given["disruptive_allowed"], given["pending_allowed"], given["save"])
    session = None
    try:
        fabric = parse_intent(given["fabric"])
        switch = revisions(given, open_url, run, nv)
        if given["rollback_to"]:
            changed = go_back(switch, given["rollback_to"], given["save"], module.check_mode)
            result = {"changed": changed, "previous": ""}
        else:
            session = Session(switch, fabric, given["device"], options)
            result = session.check() if module.check_mode else session.apply()
    except (IntentError, NvueError) as error:
        module.fail_json(msg=str(error), previous=session.previous if session else "")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
