# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `plan_errors`: why an intent must not be applied, worked out on the controller."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import ERROR
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.planner import at_least, make_plan

DOCUMENTATION = r"""
name: plan_errors
short_description: Tell why an intent must not be applied
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Plans the fabric as M(tickwire.fabric.fabric_plan) does and gives the findings that are errors, with their path.
  - An intent that cannot be read is refused with the path.
  - It runs where Ansible runs and contacts no device.
options:
  _input:
    description: The C(fabric) intent.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse an intent whose plan has an error
  ansible.builtin.assert:
    that: fabric | tickwire.fabric.plan_errors | length == 0
"""

RETURN = r"""
_value:
  description: A line for each error, path and reason; empty when the plan has none.
  type: list
  elements: str
"""


def plan_errors(fabric):
    """A line for each error of the plan; AnsibleFilterError names the path of what can not be read."""
    try:
        plan = make_plan(parse_intent(fabric))
    except IntentError as error:
        raise AnsibleFilterError(str(error)) from error
    return [f"{finding.path}: {finding.message}" for finding in at_least(plan, ERROR)]


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"plan_errors": plan_errors}
