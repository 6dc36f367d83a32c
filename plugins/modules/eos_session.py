#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.eos_session."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eos_session
short_description: Change the part of an Arista switch that the fabric intent speaks of
version_added: 0.1.0
description:
  - Makes lines of configuration true on an Arista EOS switch in one configuration session, which is committed with a
    timer and taken back by the switch itself unless it is confirmed in time.
  - Only what differs is entered. Profiles with the prefix C(TICKWIRE), and on the ports of the intent the settings that
    it has, are removed when O(config) does not have them; nothing else is removed.
  - Before a commit the running configuration is copied to C(flash:tickwire-before.cfg), from which
    O(state=rolled_back) restores the part that is ours.
  - A line that the switch refuses, a connection that ends, or a session of another administrator leave the switch as
    it was.
  - C(arista.eos.eos_config) has no timed commit and does not remove lines.
author:
  - Tickwire (@tickwire)
requirements:
  - the collections C(arista.eos) and C(ansible.netcommon) for the connection, C(httpapi) or C(network_cli)
extends_documentation_fragment:
  - tickwire.fabric.intent
attributes:
  check_mode:
    description: Can run in check mode; the session is aborted after the switch has told the difference.
    support: full
  diff_mode:
    description: Shows the difference that the switch itself tells.
    support: full
options:
  state:
    description:
      - V(committed) commits O(config) with a timer, V(confirmed) makes the commit of O(session) stay, V(rolled_back)
        takes an unconfirmed commit back and with O(restore) a confirmed one.
    type: str
    choices: [committed, confirmed, rolled_back]
    default: committed
  config:
    description:
      - The configuration, in the form of C(show running-config). Needed with O(state=committed).
    type: str
  session:
    description:
      - The name of the session to confirm, as O(state=committed) returned it. Needed with O(state=confirmed).
    type: str
  confirm_seconds:
    description:
      - How long a commit waits to be confirmed.
    type: int
    default: 300
  disruptive:
    description:
      - Whether the change may interrupt traffic. Without it a change of the buffer profile is refused.
    type: bool
    default: false
  restore:
    description:
      - Whether O(state=rolled_back) restores what ran before the last change when no commit waits to be confirmed.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Commit with five minutes to prove it
  tickwire.fabric.eos_session:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    config: "{{ lookup('ansible.builtin.template', 'eos.j2') }}"
  register: committed

- name: Keep it
  tickwire.fabric.eos_session:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    state: confirmed
    session: "{{ committed.session }}"

- name: Put back what ran before the last change
  tickwire.fabric.eos_session:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    state: rolled_back
"""

RETURN = r"""
commands:
  description: The lines that were entered, or would be.
  type: list
  elements: str
  returned: success
  sample: ["interface Ethernet1", "mtu 9214"]
disruptions:
  description: What the change interrupts, a sentence each.
  type: list
  elements: str
  returned: success
session:
  description: The name of the session; empty when there was none.
  type: str
  returned: success
  sample: tickwire-1790000000
"""

import json
import time
from contextlib import suppress

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.connection import Connection, ConnectionError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.lines import scope_of
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.session import (
    SESSION_PREFIX,
    Change,
    DeviceError,
    Session,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent


class Eos:
    """The way to the switch over eAPI (httpapi) or a terminal (network_cli)."""

    def __init__(self, connection):
        self._connection = connection
        self._eapi = json.loads(connection.get_capabilities())["network_api"] == "eapi"

    def run(self, lines):
        """The text that each command gave."""
        try:
            if self._eapi:
                answer = self._connection.send_request(list(lines), output="text")
                return answer if isinstance(answer, list) else [answer]
            return self._connection.run_commands(commands=list(lines))
        except ConnectionError as error:
            if not self._eapi:
                # a terminal stays in the mode of the line that failed
                with suppress(ConnectionError):
                    self._connection.run_commands(commands=["end"], check_rc=False)
            raise DeviceError(" ".join(str(error).split())) from error

    def read(self, command):
        """The structured answer."""
        try:
            if self._eapi:
                return json.loads(self._connection.send_request([command], output="json"))
            return self._connection.run_commands(commands=[{"command": command, "output": "json"}])[0]
        except ConnectionError as error:
            raise DeviceError(" ".join(str(error).split())) from error


def result(change: Change) -> dict:
    """What the module returns."""
    found = {
        "changed": change.changed,
        "commands": change.commands,
        "disruptions": change.disruptions,
        "session": change.session,
    }
    if change.diff:
        found["diff"] = {"prepared": change.diff}
    return found


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            **INTENT,
            "config": {"type": "str"},
            "state": {"type": "str", "choices": ["committed", "confirmed", "rolled_back"], "default": "committed"},
            "session": {"type": "str"},
            "confirm_seconds": {"type": "int", "default": 300},
            "disruptive": {"type": "bool", "default": False},
            "restore": {"type": "bool", "default": True},
        },
        required_if=[("state", "committed", ["config"]), ("state", "confirmed", ["session"])],
        supports_check_mode=True,
    )
    given = module.params
    name = f"{SESSION_PREFIX}{int(time.time())}"
    try:
        scope = scope_of(parse_intent(given["fabric"]), given["device"])
        session = Session(Eos(Connection(module._socket_path)), scope, name, given["confirm_seconds"])
        if given["state"] == "committed":
            change = session.apply(given["config"], module.check_mode, given["disruptive"])
        elif given["state"] == "rolled_back":
            change = session.roll_back(given["restore"], module.check_mode)
        else:
            confirmed = not module.check_mode and session.confirm(given["session"])
            change = Change(changed=confirmed, session=given["session"])
    except (IntentError, DeviceError, ConnectionError) as error:
        module.fail_json(msg=" ".join(str(error).split()))
    module.exit_json(**result(change))


if __name__ == "__main__":
    main()
