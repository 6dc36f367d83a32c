# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `mesh_end`: what of one end's pings a mesh keeps for its report."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.report.mesh import mesh_end as keep

DOCUMENTATION = r"""
name: mesh_end
short_description: Keep of one end's pings what the report of a mesh shows
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - A mesh has as many results as hosts by hosts, so only some figures of each are kept. What failed, and a host that
    could not be reached, are kept with the reason.
positional: pair, host
options:
  _input:
    description: What P(tickwire.fabric.rdma_ping#module) registered in a loop over its transports.
    type: dict
    required: true
  pair:
    description: Server and client.
    type: list
    elements: str
    required: true
  host:
    description: Which of the two this end is.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Keep this end's figures
  ansible.builtin.set_fact:
    mesh_ends: "{{ mesh_ends | default([]) + [mesh_pings | tickwire.fabric.mesh_end(mesh_pair, inventory_hostname)] }}"
"""

RETURN = r"""
_value:
  description: V(mode) and V(peer) of this end, and by transport its figures or V(error).
  type: dict
"""


def mesh_end(registered, pair, host):
    """The end; AnsibleFilterError names what is wrong."""
    if not isinstance(registered, Mapping):
        raise AnsibleFilterError(f"mesh_end: {registered!r} is no registered result")
    if len(pair) != 2 or host not in pair:
        raise AnsibleFilterError(f"mesh_end: {host} is not in the pair {pair}")
    return keep(registered, pair, host)


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"mesh_end": mesh_end}
