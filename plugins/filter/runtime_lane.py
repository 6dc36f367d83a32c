# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `runtime_lane`: a configuration of the runtime in the lane of the intent."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.t2t_lane import in_lane

DOCUMENTATION = r"""
name: runtime_lane
short_description: Put a configuration of the runtime into the lane of the intent
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Gives the configuration of an engine or an exchange the ToS byte of its lane and, for what goes over RDMA verbs, the
    RoCE version, the path MTU and the priority of datagrams, where it has none of its own.
  - Says which of its own differ. Of a ToS byte only the DSCP is compared.
positional: component, lane
options:
  _input:
    description: The configuration, as C(t2t_runtime_config) of role P(tickwire.fabric.t2t_runtime#role) has it.
    type: dict
    required: true
  component:
    description: Whose configuration it is.
    type: str
    choices: [engine, exchange]
    required: true
  lane:
    description: What P(tickwire.fabric.host_lanes#filter) gives of the interface. Of an empty one nothing is wanted.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the configuration in its lane
  ansible.builtin.debug:
    msg: "{{ t2t_runtime_config | tickwire.fabric.runtime_lane('engine', lanes[fabric_interface]) }}"
  vars:
    lanes: "{{ fabric | tickwire.fabric.host_lanes(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - C(config), the configuration with what the lane gives, and C(differences), a list of what of its own is otherwise,
      in words.
  type: dict
  sample:
    config: {orders: {tos: 0}}
    differences: ["orders.tos is 0, the intent's lane has 104"]
"""


def runtime_lane(config, component, lane):
    """Of ``config``; AnsibleFilterError when it is no mapping or there is no such component."""
    if not isinstance(config, Mapping) or not isinstance(lane, Mapping):
        raise AnsibleFilterError("runtime_lane: a configuration and a lane are mappings")
    if component not in ("engine", "exchange"):
        raise AnsibleFilterError(f"runtime_lane: component '{component}' is neither engine nor exchange")
    filled, differences = in_lane(config, component, lane)
    return {"config": filled, "differences": differences}


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"runtime_lane": runtime_lane}
