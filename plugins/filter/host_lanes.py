# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `host_lanes`: what the intent wants of the interfaces of a host."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.host_lanes import host_lanes as lanes_of
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent

DOCUMENTATION = r"""
name: host_lanes
short_description: Say what the intent wants of the interfaces of a host
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Gives pauses, scheduling, the DSCP map, MTU and RoCE of every interface of a host, equal to what the switch at the
    other end of the link has.
  - An intent that is wrong is refused with the path. A host that no link names, and an empty intent, give an empty
    dictionary.
positional: device, part
options:
  _input:
    description: The C(fabric) intent.
    type: dict
    required: true
  device:
    description: The name of the host in the intent.
    type: str
    required: true
  part:
    description: Give this part of every interface only. Interfaces without it are left out.
    type: str
    choices: [dcb, roce, mtu]
"""

EXAMPLES = r"""
- name: Show what the network interfaces of this host have to be
  ansible.builtin.debug:
    msg: "{{ fabric | tickwire.fabric.host_lanes(inventory_hostname) }}"

- name: Set pauses, scheduling and the DSCP map as the intent has them
  tickwire.fabric.dcb:
    interfaces: "{{ fabric | tickwire.fabric.host_lanes(inventory_hostname, 'dcb') }}"
"""

RETURN = r"""
_value:
  description: By name of the interface, a dictionary with C(mtu), C(speed_gbps), C(dcb) and C(roce), or that part of
    it.
  type: dict
"""

PARTS = ("dcb", "roce", "mtu")


def host_lanes(fabric, device, part=None):
    """By interface of ``device``; AnsibleFilterError names the path of what is wrong."""
    if part is not None and part not in PARTS:
        raise AnsibleFilterError(f"host_lanes: part '{part}' is none of {', '.join(PARTS)}")
    if not fabric:
        return {}
    try:
        found = lanes_of(parse_intent(fabric), device)
    except IntentError as error:
        raise AnsibleFilterError(str(error)) from error
    if part is None:
        return found
    return {interface: wanted[part] for interface, wanted in found.items() if part in wanted}


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"host_lanes": host_lanes}
