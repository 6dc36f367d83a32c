# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `mesh_rounds`: which pairs of hosts ping when, until every pair did once."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.mesh import rounds

DOCUMENTATION = r"""
name: mesh_rounds
short_description: Say which pairs of hosts ping when, until every pair did once
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Gives rounds of pairs by the circle method of tournaments. In all rounds together every two hosts are a pair
    once; in one round no host is in two pairs.
positional: at_once
options:
  _input:
    description: Names of hosts, each once.
    type: list
    elements: str
    required: true
  at_once:
    description: How many pairs a round has at most.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Run the rounds one after the other, each on all its hosts at once
  ansible.builtin.include_tasks: tasks/mesh_round.yml
  loop: "{{ ansible_play_hosts_all | tickwire.fabric.mesh_rounds(ansible_forks // 2) }}"
"""

RETURN = r"""
_value:
  description: The rounds, each a list of pairs, each a list of server and client.
  type: list
  elements: list
"""


def mesh_rounds(hosts, at_once):
    """The rounds as lists; AnsibleFilterError names what is wrong."""
    try:
        return [[list(pair) for pair in one] for one in rounds(list(hosts), int(at_once))]
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"mesh_rounds: {error}") from error


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"mesh_rounds": mesh_rounds}
