#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module tickwire.fabric.pfc_info."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pfc_info
short_description: Read a switch's pauses, watchdog events, queues and watermarks in one shape
version_added: 0.1.0
description:
  - Reads the counters of priority flow control (PFC) of the ports that the C(fabric) intent names, and gives them in
    one shape for Arista EOS, Cisco NX-OS, NVIDIA Cumulus, SONiC and Linux. The intent says which of them it is.
  - With O(interval_s) they are read twice, and what happened in between is told as rates.
  - A storm of pauses, a watchdog that acted, packets of a lossless lane that were dropped, headroom in use and a rising
    share of paused time are findings.
author:
  - Tickwire (@tickwire)
requirements:
  - for EOS and NX-OS a connection by C(ansible.netcommon.httpapi) or C(ansible.netcommon.network_cli), and the
    collection C(arista.eos) or C(cisco.nxos)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
  - tickwire.fabric.intent
  - tickwire.fabric.nvue.nested
options:
  interval_s:
    description:
      - Seconds between two readings; 0 for one reading only, from which fewer findings can come.
    type: float
    default: 0
  intervals:
    description:
      - How many intervals of O(interval_s) are looked at. The last one is judged; with 2 or more it is also compared
        with the one before it, so that a share of paused time that rises is told.
    type: int
    default: 1
notes:
  - Counters count from boot or from the last clearing, as the system does. What a system does not tell is null.
"""

EXAMPLES = r"""
- name: Read the counters of a switch, and what they do in ten seconds
  tickwire.fabric.pfc_info:
    fabric: "{{ fabric }}"
    device: "{{ inventory_hostname }}"
    interval_s: 10
  register: pfc

- name: Show who is paused
  ansible.builtin.debug:
    msg: "{{ pfc.findings }}"

- name: Read a Cumulus switch through its REST interface
  tickwire.fabric.pfc_info:
    fabric: "{{ fabric }}"
    device: spine1
    nvue:
      method: rest
      url: https://spine1:8765
      username: automation
      password: "{{ nvue_password }}"
  delegate_to: localhost
"""

RETURN = r"""
counters:
  description:
    - C(ports) has for each port C(pfc) by priority (V(all) where the system counts them together), C(watchdog) and
      C(queues) by traffic class and C(priority_groups); C(pools) the highest use of each buffer pool in bytes;
      C(missing) names what the system does not tell.
  type: dict
  returned: success
  sample:
    os: sonic
    ports:
      Ethernet0:
        pfc: {"3": {"rx_frames": 12, "tx_frames": 0, "rx_pause_us": 340, "tx_pause_us": null}}
        watchdog: {"3": {"state": "operational", "detected": 0, "restored": 0, "dropped_packets": 0}}
        queues: {}
        priority_groups: {}
    pools: {}
    missing: [tx_pause_us]
rates:
  description: The same ports with frames and packets per second, and percent of the time paused.
  type: dict
  returned: when O(interval_s) is above 0
  sample: {"Ethernet0": {"pfc": {"3": {"rx_frames_per_s": 1.5, "rx_pause_percent": 0.2}}}}
findings:
  description: What the counters say is wrong, worst first.
  type: list
  elements: dict
  returned: success
  sample:
    - severity: error
      rule: storm
      path: spine2:Ethernet0 watchdog 3
      message: the switch's watchdog sees a storm now; find what pauses without end behind this port
      device: spine2
      port: Ethernet0
      link: 7
unread:
  description: What could not be read, and why; its counters are null.
  type: dict
  returned: success
"""

import json
import shlex
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.connection import Connection, ConnectionError
from ansible.module_utils.urls import open_url

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric import findings as findings_module
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.arguments import INTENT
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.counting import commands, counters, system_of
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.connection import ARGUMENTS, revisions
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.plan import NvueError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import plain
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.rates import rates
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.storm import (
    pause_shares,
    storm_findings,
    watches,
)


class Unread(Exception):
    """One command gave no answer; the message says why."""


class Device:
    """One switch and the way its system is read; ``unread`` keeps what gave no answer."""

    def __init__(self, module, fabric):
        self._module = module
        self._fabric = fabric
        self.name = module.params["device"]
        self._commands = commands(fabric, self.name)
        self._ask = getattr(self, f"_{system_of(fabric, self.name)}")()
        self.unread = {}

    def read(self):
        """The counters now."""
        outputs = {}
        for command in self._commands:
            try:
                outputs[command] = self._ask(command)
            except Unread as error:
                self.unread[command] = str(error)
        if not outputs and self._commands:
            self._module.fail_json(msg=f"nothing could be read from {self.name}: {self.unread[self._commands[0]]}")
        return counters(self._fabric, self.name, outputs)

    def _eos(self):
        if not self._module._socket_path:
            self._module.fail_json(
                msg=f"{self.name} is read over a connection; set ansible_connection to ansible.netcommon.httpapi or "
                "ansible.netcommon.network_cli, and ansible_network_os"
            )
        connection = Connection(self._module._socket_path)

        def ask(command):
            try:
                return json.loads(connection.get(command=command, output="json") or "{}")
            except (ConnectionError, ValueError) as error:
                raise Unread(" ".join(str(error).split())) from error

        return ask

    _nxos = _eos

    def _cumulus(self):
        way = self._module.params["nvue"] or {name: one.get("default") for name, one in ARGUMENTS.items()}
        path = self._module.get_bin_path("nv", required=True) if way["method"] == "cli" else "nv"
        try:
            switch = revisions(way, open_url, self._run, path).switch
        except NvueError as error:
            self._module.fail_json(msg=str(error))

        def ask(command):
            try:
                return switch.show(*command.split("/"))
            except NvueError as error:
                raise Unread(str(error)) from error

        return ask

    def _sonic(self):
        def ask(command):
            rc, out, err = self._run(shlex.split(command))
            if rc != 0:
                raise Unread((err.strip() or out.strip() or f"exit code {rc}").splitlines()[-1])
            return out

        return ask

    _linux = _sonic

    def _run(self, argv):
        try:
            return self._module.run_command(list(argv), handle_exceptions=False)
        except OSError as error:
            raise Unread(f"{argv[0]}: {error.strerror}") from error


def judged(device, fabric, interval_s, intervals):
    """The module's result from one reading, or from ``intervals`` intervals."""
    after = before = device.read()
    began = ended = time.monotonic()
    shares: dict[tuple[str, str], float] = {}
    shares_before = shares
    for _interval in range(intervals if interval_s > 0 else 0):
        time.sleep(interval_s)
        before, began, shares_before = after, ended, shares
        after, ended = device.read(), time.monotonic()
        shares = pause_shares(before, after, ended - began)
    found = {"counters": plain(after), "unread": device.unread}
    # One reading twice has grown nothing: what is left are the states and the highest uses.
    seconds = (ended - began) or 1.0
    findings = storm_findings(device.name, watches(fabric, device.name), before, after, seconds, shares_before)
    found["findings"] = findings_module.plain(findings_module.worst_first(findings))
    if interval_s > 0:
        found["rates"] = rates(before, after, seconds)
    return found


def main() -> None:
    """Arguments, call, result."""
    module = AnsibleModule(
        argument_spec={
            **INTENT,
            "interval_s": {"type": "float", "default": 0},
            "intervals": {"type": "int", "default": 1},
            "nvue": {"type": "dict", "options": ARGUMENTS, "required_if": [("method", "rest", ["url"])]},
        },
        supports_check_mode=True,
    )
    if module.params["interval_s"] < 0 or module.params["intervals"] < 1:
        module.fail_json(msg="interval_s has to be 0 or more, and intervals 1 or more")
    try:
        fabric = parse_intent(module.params["fabric"])
        device = Device(module, fabric)
        result = judged(device, fabric, module.params["interval_s"], module.params["intervals"])
    except IntentError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
