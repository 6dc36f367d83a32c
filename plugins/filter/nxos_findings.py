# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `nxos_findings`: what a switch with NX-OS has against what the intent says."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import plain, worst_first
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.verify import drift

DOCUMENTATION = r"""
name: nxos_findings
short_description: Compare an NX-OS switch with the intent
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Reads the running configuration and the working state of a switch and compares both with the intent, field by field.
extends_documentation_fragment:
  - tickwire.fabric.intent.filter
options:
  state:
    description:
      - Command to what the switch answered, the text of C(show running-config) and the JSON of
        C(show interface priority-flow-control), C(show queuing interface) and C(show queuing pfc-queue detail).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what differs from the intent
  ansible.builtin.debug:
    msg: "{{ fabric | tickwire.fabric.nxos_findings('leaf1', {'show running-config': __running}) }}"
"""

RETURN = r"""
_value:
  description:
    - Findings, worst first, each with C(severity), C(rule), C(path) and C(message). An error is of what is ours and
      differs, a warning of what others configured against the intent. An empty list is proof.
  type: list
  elements: dict
"""


def nxos_findings(fabric, device, state):
    """Findings as plain data; AnsibleFilterError names the path of what is wrong in the intent."""
    try:
        return plain(worst_first(drift(parse_intent(fabric), device, state)))
    except IntentError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"nxos_findings": nxos_findings}
