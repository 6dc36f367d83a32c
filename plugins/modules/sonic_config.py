#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.sonic_config."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: sonic_config
short_description: Make a community SONiC switch carry the lanes of the fabric intent
version_added: 0.1.0
description:
  - Brings the rows of CONFIG_DB that the C(fabric) intent wants on this switch, and only those, to their values.
  - Ours are rows whose name begins with C(TICKWIRE_), the QoS, buffer, watchdog, VLAN and MTU rows of the ports that
    the intent names, and SONiC's global rows for them. Everything else is left alone; what contradicts the intent is
    returned as a finding.
  - The change is a JSON patch, which C(config apply-patch) makes after C(config checkpoint). The switch is asked in a
    dry run before. Where the platform does not let a table change while it runs, such as C(BUFFER_POOL), the whole
    configuration with the change is loaded by C(config reload), with leave only.
  - After the change CONFIG_DB is read again, then C(config save) is run. When anything fails on the way, the
    checkpoint is brought back.
author:
  - Tickwire (@tickwire)
requirements:
  - SONiC 202111 or newer on the switch, with one ASIC
  - to run as root
extends_documentation_fragment:
  - tickwire.fabric.intent
attributes:
  check_mode:
    description: Can run in check mode and says what would be changed, and how.
    support: full
  diff_mode:
    description: Shows the rows of CONFIG_DB before and after.
    support: full
options:
  state:
    description:
      - V(present) makes the switch as the intent says.
      - V(restored) brings back what was there before the last change, from the checkpoint.
    type: str
    choices: [present, restored]
    default: present
  reload_allowed:
    description:
      - Whether C(config reload) may be run, which takes every port down while the services start again.
    type: bool
    default: false
  unsaved_allowed:
    description:
      - Whether changes of somebody else that run and are not saved may be saved together with ours.
    type: bool
    default: false
  save:
    description:
      - Whether the configuration is saved for the next boot.
      - With V(false) a change can be proven first, and saved by a second call with V(true).
    type: bool
    default: true
  checkpoint:
    description:
      - The name of the checkpoint made before a change.
    type: str
    default: tickwire
notes:
  - Community SONiC has neither DCBX nor a PTP clock. A PTP role for the switch is refused, DCBX is told as advice.
"""

EXAMPLES = r"""
- name: Configure the switch from the intent
  tickwire.fabric.sonic_config:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
  become: true

- name: The same in a maintenance window, where the services may start again
  tickwire.fabric.sonic_config:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    reload_allowed: true
  become: true

- name: Undo the last change
  tickwire.fabric.sonic_config:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    state: restored
  become: true
"""

RETURN = r"""
way:
  description: How the change is made. V(none), V(patch) with the switch running, or V(reload) of its services.
  type: str
  returned: state is present
  sample: patch
disruptions:
  description: What the change disrupts, a sentence each.
  type: list
  elements: str
  returned: state is present
  sample: []
commands:
  description: The commands that changed the switch.
  type: list
  elements: str
  returned: success
  sample: ["config checkpoint tickwire", "config save -y"]
checkpoint:
  description: The checkpoint with the configuration before the change; empty when nothing had to be changed.
  type: str
  returned: state is present
  sample: tickwire
patch:
  description: The change as a JSON patch (RFC 6902).
  type: list
  elements: dict
  returned: state is present
  sample: [{"op": "replace", "path": "/PORT/Ethernet0/mtu", "value": "9214"}]
drift:
  description: What differed when the module began, a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["PORT|Ethernet0 mtu: '9100', wanted '9214'"]
unsaved:
  description: Where somebody else changed the running configuration and did not save it.
  type: list
  elements: str
  returned: state is present
  sample: ["PORT|Ethernet12 mtu"]
findings:
  description: >-
    How the switch, as it was read last, differs from the intent: configuration, watchdog, headroom, links. Each with
    severity (error, warning, advice), rule, path, message, device, port.
  type: list
  elements: dict
  returned: state is present
  sample: [{"severity": "warning", "rule": "link-down", "path": "leaf1:Ethernet0 oper_status", "message": "..."}]
"""

import signal
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.commands import TOOLS, Switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.session import Leave, Options, Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.tables import SonicError


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            **INTENT,
            "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
            "reload_allowed": {"type": "bool", "default": False},
            "unsaved_allowed": {"type": "bool", "default": False},
            "save": {"type": "bool", "default": True},
            "checkpoint": {"type": "str", "default": "tickwire"},
        },
        supports_check_mode=True,
    )
    # a change may take the management port down for a while; the session's end must not end the change half way
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    paths = {tool: module.get_bin_path(tool, required=True, opt_dirs=["/usr/local/bin"]) for tool in TOOLS}

    def run(argv):
        return module.run_command([paths[argv[0]], *argv[1:]])

    params = module.params
    leave = Leave(reload=params["reload_allowed"], unsaved=params["unsaved_allowed"])
    options = Options(leave, params["checkpoint"], params["save"])
    workdir = Path(module.tmpdir)
    try:
        fabric = parse_intent(params["fabric"])
        session = Session(Switch(run), fabric, params["device"], options, workdir, Path("/"))
        if params["state"] == "restored":
            result = session.restore(module.check_mode)
        else:
            result = session.check() if module.check_mode else session.apply()
    except (IntentError, SonicError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
