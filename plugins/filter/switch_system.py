# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `switch_system`: the operating system that the intent gives a switch."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent

DOCUMENTATION = r"""
name: switch_system
short_description: Say which operating system the intent gives a switch
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Reads the whole intent, on the controller, so that a wrong one is refused before a device is contacted.
  - An intent that is wrong, a device that it does not have, and one that is no switch are refused with the path.
extends_documentation_fragment:
  - tickwire.fabric.intent.filter
"""

EXAMPLES = r"""
- name: Show what leaf1 is
  ansible.builtin.debug:
    msg: "{{ fabric | tickwire.fabric.switch_system('leaf1') }}"
"""

RETURN = r"""
_value:
  description: One of cumulus, eos, linux, nxos, sonic.
  type: str
"""


def switch_system(fabric, device):
    """The system of ``device``; AnsibleFilterError names the path of what is wrong."""
    try:
        devices = parse_intent(fabric).devices
    except IntentError as error:
        raise AnsibleFilterError(str(error)) from error
    if device not in devices:
        raise AnsibleFilterError(f"fabric.devices.{device}: no link names this device; there are {', '.join(devices)}")
    if not devices[device].is_switch:
        raise AnsibleFilterError(f"fabric.devices.{device}.os: is missing, and a device without it is a host")
    return devices[device].os


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"switch_system": switch_system}
