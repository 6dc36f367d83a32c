# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `nxos_plan`: from a running configuration of NX-OS to the wanted one, and what that interrupts."""

from __future__ import annotations

import dataclasses

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos import tree
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.disruption import disruptions
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.plan import plan

DOCUMENTATION = r"""
name: nxos_plan
short_description: Plan the change of an NX-OS configuration
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Compares the text of C(show running-config) with the lines that the role wants, and gives the commands that make the
    difference, in an order that the switch takes, and what they interrupt.
  - Class-maps and policy-maps whose name begins with C(TICKWIRE-) and that are no longer wanted are taken away. What
    has another name is left alone, and so are ports that the wanted lines do not name.
options:
  _input:
    description: The text of C(show running-config).
    type: str
    required: true
  wanted:
    description: The lines that the switch has to have, as the template of the role writes them.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what would be changed
  ansible.builtin.debug:
    msg: "{{ (__running | tickwire.fabric.nxos_plan(__wanted)).commands }}"
"""

RETURN = r"""
_value:
  description:
    - C(commands), in order; C(disruptions), a sentence for each thing that the change interrupts; C(before) and
      C(after), the parts of the configuration that differ, without and with the change; C(in_use), names of ours that
      are not wanted and cannot go because ports of others refer to them.
  type: dict
"""


def nxos_plan(running, wanted):
    """The plan as plain data."""
    for name, text in (("running", running), ("wanted", wanted)):
        if not isinstance(text, str):
            raise AnsibleFilterError(f"nxos_plan: {name} has to be text, not {type(text).__name__}")
    found = plan(wanted, running)
    plain = {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(found).items()
    }
    # what stays as it is has the passwords of the switch, and becomes arguments of a module
    before, after = tree.parse(found.before), tree.parse(found.after)
    return {
        **plain,
        "before": tree.text(tree.differing(before, after)),
        "after": tree.text(tree.differing(after, before)),
        "disruptions": disruptions(found),
    }


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"nxos_plan": nxos_plan}
