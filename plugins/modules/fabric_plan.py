#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.fabric_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fabric_plan
short_description: Prove the fabric intent sound before any device is touched
version_added: 0.1.0
description:
  - Checks the C(fabric) intent by itself, without a device. Both ends of every link have to mean the same, headroom has
    to fit the buffers, ECN has to mark before PFC pauses, no pause may wait for itself in a circle, with every link up
    and after any single one has failed, and paths have to meet their latency targets.
  - An intent that is no intent (an unknown key, shares of 101, a port twice) is refused with the path of the mistake.
  - The plan is an output and no managed state, so this module never says V(changed). C(docs/plan.md) says what each
    rule means.
author:
  - Tickwire (@tickwire)
attributes:
  check_mode:
    description: Plans in check mode too, but writes nothing.
    support: full
  diff_mode:
    description: Has no diff, as the plan is no managed state.
    support: none
options:
  fabric:
    description:
      - The fabric intent, the whole of it.
    type: dict
    required: true
  directory:
    description:
      - Directory for C(plan.txt), C(plan.json) and C(plan.svg); it is made when it does not exist.
      - Without it nothing is written.
    type: path
  fail_on:
    description:
      - From which severity on a finding fails the module.
    type: str
    choices: [error, warning, never]
    default: error
"""

EXAMPLES = r"""
- name: Plan the fabric of the inventory
  tickwire.fabric.fabric_plan:
    fabric: "{{ fabric }}"
    directory: plan
  delegate_to: localhost

- name: Look at the findings of an intent, whatever they are
  tickwire.fabric.fabric_plan:
    fail_on: never
    fabric:
      name: rack
      lanes:
        trading: {dscp: [26], priority: 3, lossless: true, share: 50}
        cnp: {dscp: [48], priority: 6, strict: true}
        bulk: {dscp: [0], priority: 0, share: 50, default: true}
      vlans: {trading: 110}
      devices:
        leaf1: {os: sonic, asic: spectrum3}
      links:
        - {a: "leaf1:Ethernet0", b: "trade1:ens4", speed_gbps: 100, cable_m: 3}
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description: Every finding, errors first. C(link) is the index in the intent's links.
  type: list
  elements: dict
  returned: always, unless the intent is refused
  sample:
    - severity: error
      rule: mtu
      path: fabric.links[2]
      message: MTU 9214 at leaf1:Ethernet4 and 9100 at spine1:Ethernet0; the smaller drops what the larger sends
      device: ''
      port: ''
      link: 2
headroom:
  description: For each switch port with a lossless lane what each of its lossless priority groups needs.
  type: list
  elements: dict
  returned: always, unless the intent is refused
  sample:
    - device: leaf1
      port: Ethernet0
      peer: trade1:ens4
      speed_gbps: 100
      cable_m: 3
      mtu: 9214
      priority_groups: {trading: 3}
      xoff_bytes: 109568
      xon_bytes: 19456
      size_bytes: 129024
buffers:
  description: For each switch what headroom and system take of the buffer, and what is left to share.
  type: list
  elements: dict
  returned: always, unless the intent is refused
latency:
  description: The budget of each of the intent's paths by part, and of orders of several legs, in ns.
  type: dict
  returned: always, unless the intent is refused
  contains:
    paths:
      description: By path the total, its parts, the jitter and the target.
      type: list
      elements: dict
    orders:
      description: By order its legs, the slowest, and how far apart first and last arrive.
      type: list
      elements: dict
deadlock:
  description: The lossless lanes looked at, how many single failures, and what was found.
  type: dict
  returned: always, unless the intent is refused
costs:
  description: By switch, what applying the intent may disrupt, as far as the intent alone tells.
  type: dict
  returned: always, unless the intent is refused
summary:
  description: Lines to show.
  type: list
  elements: str
  returned: always, unless the intent is refused
text_path:
  description: The tables for people.
  type: str
  returned: when O(directory) is given
json_path:
  description: The plan for machines.
  type: str
  returned: when O(directory) is given
svg_path:
  description: The picture of the fabric.
  type: str
  returned: when O(directory) is given
"""

import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric import planner
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.picture import svg
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.plan_text import plan_text
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import write_atomic


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            "fabric": {"type": "dict", "required": True},
            "directory": {"type": "path"},
            "fail_on": {"type": "str", "choices": ["error", "warning", "never"], "default": "error"},
        },
        supports_check_mode=True,
    )
    try:
        plan = planner.make_plan(parse_intent(module.params["fabric"]))
    except IntentError as error:
        module.fail_json(msg=str(error))
    document = planner.plain(plan)
    result = {key: document[key] for key in ("findings", "headroom", "buffers", "latency", "deadlock", "costs")}
    result["summary"] = planner.summary(plan)
    result["changed"] = False
    if module.params["directory"]:
        directory = os.path.abspath(module.params["directory"])
        paths = {name: os.path.join(directory, "plan." + name) for name in ("txt", "json", "svg")}
        result.update(text_path=paths["txt"], json_path=paths["json"], svg_path=paths["svg"])
        if not module.check_mode:
            try:
                os.makedirs(directory, exist_ok=True)
                write_atomic(Path(paths["txt"]), plan_text(plan))
                write_atomic(Path(paths["json"]), json.dumps(document, indent=2, sort_keys=True) + "\n")
                write_atomic(Path(paths["svg"]), svg(plan.fabric, plan.findings))
            except OSError as error:
                module.fail_json(
                    msg="the plan cannot be written to %s: %s. Next: give a directory you may write"
                    % (directory, error)
                )
    bad = planner.at_least(plan, module.params["fail_on"])
    if bad:
        lines = [planner.headline(plan), *(str(finding) for finding in bad)]
        if "text_path" in result:
            lines.append("The whole plan: %s" % result["text_path"])
        module.fail_json(msg="\n".join(lines), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
