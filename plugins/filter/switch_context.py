# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `switch_context`: what the template of a switch's configuration needs to know, from the intent."""

from __future__ import annotations

import importlib

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils import fabric as fabric_package
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent

DOCUMENTATION = r"""
name: switch_context
short_description: Give a switch's template what the intent says of it
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Reads the intent and gives plain data for the template of one switch, with every number worked out, such as headroom
    and ECN thresholds by speed and cable.
  - For the systems that are configured by lines of text, EOS and NX-OS.
  - An intent that is wrong, or asks for what the system cannot do, is refused with the path.
extends_documentation_fragment:
  - tickwire.fabric.intent.filter
"""

EXAMPLES = r"""
- name: Show what the template of leaf1 gets
  ansible.builtin.debug:
    msg: "{{ fabric | tickwire.fabric.switch_context('leaf1') }}"
"""

RETURN = r"""
_value:
  description: Plain data; its keys are those that the template of the system uses.
  type: dict
"""

SYSTEMS = ("eos", "nxos")


def switch_context(fabric, device):
    """Plain data for the template of ``device``; AnsibleFilterError names the path of what is wrong."""
    try:
        intent = parse_intent(fabric)
        system = intent.devices[device].os if device in intent.devices else None
        if system not in SYSTEMS:
            raise AnsibleFilterError(f"fabric.devices.{device}.os: {system} is none of {', '.join(SYSTEMS)}")
        return importlib.import_module(f"{fabric_package.__name__}.{system}.context").context(intent, device)
    except IntentError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"switch_context": switch_context}
