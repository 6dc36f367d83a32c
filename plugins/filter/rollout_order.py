# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `rollout_order`: the switches of an inventory in the order in which a rollout takes them."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.rollout import rollout_order

DOCUMENTATION = r"""
name: rollout_order
short_description: Order the switches of an inventory for a rollout
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Sorts switches from the core outwards, tier by tier, the members of a redundancy group one after another. The
    reverse is the order of a rollback.
  - An intent that is wrong, and a switch that the intent does not have, are refused with the path.
options:
  _input:
    description: Names of switches in the inventory.
    type: list
    elements: str
    required: true
  hostvars:
    description:
      - The variables of every host. A switch has the C(fabric) intent, and C(roce_switch_device) when its name
        in the intent is another one.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Configure the switches, from the core outwards
  hosts: "{{ groups['fabric_switches'] | tickwire.fabric.rollout_order(hostvars) }}"
  serial: 1
  gather_facts: false
  roles:
    - role: tickwire.fabric.roce_switch
"""

RETURN = r"""
_value:
  description: The same names, in order.
  type: list
  elements: str
"""


def order(switches, hostvars):
    """Names in the inventory in the order of a rollout; AnsibleFilterError names the path of what is wrong."""
    if not switches:
        return []
    hosts: dict[str, str] = {}
    for host in switches:
        device = hostvars[host].get("roce_switch_device", host)
        if device in hosts:
            raise AnsibleFilterError(f"rollout_order: {hosts[device]} and {host} are both {device} in the intent")
        hosts[device] = host
    try:
        fabric = parse_intent(hostvars[switches[0]].get("fabric"))
        return [hosts[name] for name in rollout_order(fabric, hosts)]
    except IntentError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"rollout_order": order}
