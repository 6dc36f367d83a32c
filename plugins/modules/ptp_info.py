#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ptp_info
short_description: Read the state of a PTP clock run by linuxptp
version_added: 0.1.0
description:
  - Asks the local C(ptp4l) through C(pmc) for its port states, its grandmaster and its offset, and says whether the
    clock is locked; optionally waits for the lock, with a bound.
  - With O(interface) it also says which timestamping that interface can do, and which other programs steer the system
    clock.
  - It changes nothing, and does not fail when C(ptp4l) is not running or not locked; RV(reason) then says why.
author: Tickwire (@tickwire)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  role:
    description: What this clock is meant to be; decides what locked means.
    type: str
    choices: [grandmaster, ordinary]
    default: ordinary
  uds_address:
    description: Unix socket of C(ptp4l).
    type: path
    default: /var/run/ptp4l
  domain:
    description: PTP domain number.
    type: int
    default: 0
  max_offset_ns:
    description: Largest offset from the grandmaster, in nanoseconds, at which an ordinary clock counts as locked.
    type: int
    default: 1000
  grandmaster_identity:
    description:
      - Clock identity that the grandmaster must have, as C(pmc) prints it. Empty accepts any grandmaster.
    type: str
    default: ''
  readings:
    description: How many readings in a row have to be locked.
    type: int
    default: 1
  interval_s:
    description: Seconds between two readings.
    type: float
    default: 1.0
  wait_s:
    description: How many seconds to wait for the lock at most; V(0) takes O(readings) readings and no more.
    type: int
    default: 0
  interface:
    description: Network interface whose timestamping is reported. Empty reports none.
    type: str
    default: ''
  gather:
    description:
      - V(status) reads C(ptp4l). V(capabilities) reads the timestamping of O(interface), the clock services
        and the version of linuxptp.
    type: list
    elements: str
    choices: [status, capabilities]
    default: [status]
requirements:
  - linuxptp 3.1.1 or later
"""

EXAMPLES = r"""
- name: Read the PTP clock
  tickwire.fabric.ptp_info:
  register: clock

- name: Wait up to a minute for an offset below a microsecond in five readings
  tickwire.fabric.ptp_info:
    role: ordinary
    max_offset_ns: 1000
    grandmaster_identity: 7671cd.fffe.f8cdd8
    readings: 5
    wait_s: 60

- name: Read what the interface can stamp
  tickwire.fabric.ptp_info:
    gather: [capabilities]
    interface: ens4
"""

RETURN = r"""
running:
  description: Whether C(ptp4l) answered the last reading.
  type: bool
  returned: when O(gather) has V(status)
locked:
  description: Whether the last O(readings) readings were all locked, with the grandmaster and the offset asked for.
  type: bool
  returned: when O(gather) has V(status)
reason:
  description: Why the clock is not locked; empty when it is.
  type: str
  returned: when O(gather) has V(status)
  sample: no port is SLAVE, 4a90b2.fffe.d25ca9-1 is LISTENING
clock_identity:
  description: This clock's identity.
  type: str
  returned: when C(ptp4l) answers
  sample: 4a90b2.fffe.d25ca9
clock_class:
  description: This clock's class.
  type: int
  returned: when C(ptp4l) answers
priority1:
  description: This clock's priority1.
  type: int
  returned: when C(ptp4l) answers
domain:
  description: PTP domain.
  type: int
  returned: when C(ptp4l) answers
ports:
  description: Identity and state of each port.
  type: list
  elements: dict
  returned: when C(ptp4l) answers
  sample: [{identity: 4a90b2.fffe.d25ca9-1, state: SLAVE}]
steps_removed:
  description: Number of clocks between this one and the grandmaster, plus one.
  type: int
  returned: when C(ptp4l) answers
mean_path_delay_ns:
  description: Mean path delay to the master in nanoseconds.
  type: float
  returned: when C(ptp4l) answers
offset_ns:
  description: Offset from the master in nanoseconds. It is the last known one when no port is in state SLAVE.
  type: int
  returned: when C(ptp4l) answers
offsets_ns:
  description: Offsets of those of the last readings at which a port was in state SLAVE, in nanoseconds, the newest
    last.
  type: list
  elements: int
  returned: when O(gather) has V(status)
grandmaster_present:
  description: Whether C(ptp4l) has seen a grandmaster.
  type: bool
  returned: when C(ptp4l) answers
grandmaster_identity:
  description: Identity of the grandmaster.
  type: str
  returned: when C(ptp4l) answers
grandmaster_clock_class:
  description: Clock class of the grandmaster.
  type: int
  returned: when C(ptp4l) answers
parent_port_identity:
  description: Port from which this clock is synchronised.
  type: str
  returned: when C(ptp4l) answers
waited_s:
  description: Seconds this took.
  type: float
  returned: when O(gather) has V(status)
timestamping:
  description: Whether O(interface) stamps in hardware and in software, and the number of its PTP hardware clock.
  type: dict
  returned: when O(gather) has V(capabilities) and O(interface) is given
  sample: {hardware: false, software: true, phc_index: null}
linuxptp:
  description: Version of the installed linuxptp; empty when C(ptp4l) or C(pmc) is missing, or they differ.
  type: str
  returned: when O(gather) has V(capabilities)
  sample: 3.1.1
clock_services:
  description: Active services that set the system clock, other than linuxptp.
  type: list
  elements: str
  returned: when O(gather) has V(capabilities)
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.ptp import capabilities, lock, pmc


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "choices": ["grandmaster", "ordinary"], "default": "ordinary"},
            "uds_address": {"type": "path", "default": "/var/run/ptp4l"},
            "domain": {"type": "int", "default": 0},
            "max_offset_ns": {"type": "int", "default": 1000},
            "grandmaster_identity": {"type": "str", "default": ""},
            "readings": {"type": "int", "default": 1},
            "interval_s": {"type": "float", "default": 1.0},
            "wait_s": {"type": "int", "default": 0},
            "interface": {"type": "str", "default": ""},
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["status", "capabilities"],
                "default": ["status"],
            },
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if wanted["readings"] < 1:
        module.fail_json(msg="readings %d: at least 1 is needed" % wanted["readings"])

    def run(argv):
        return module.run_command(list(argv), handle_exceptions=False)

    def read():
        try:
            return pmc.status(run, wanted["uds_address"], wanted["domain"])
        except OSError as error:
            raise pmc.PtpUnavailable("pmc cannot run: %s. Next: install linuxptp" % error) from error

    result: dict = {"changed": False}
    if "capabilities" in wanted["gather"]:
        result["linuxptp"] = capabilities.version(run)
        result["clock_services"] = capabilities.competitors(run)
        if wanted["interface"]:
            try:
                result["timestamping"] = capabilities.timestamping(wanted["interface"])
            except OSError as error:
                module.fail_json(
                    msg="interface %s: its timestamping cannot be read: %s. Next: look at 'ip link', and set "
                    "ptp_interface to a name that is there" % (wanted["interface"], error.strerror)
                )
    if "status" in wanted["gather"]:
        result.update(
            lock.observe(
                read,
                wanted["role"],
                wanted["max_offset_ns"],
                wanted["grandmaster_identity"],
                wanted["readings"],
                wanted["interval_s"],
                wanted["wait_s"],
                time.monotonic,
                time.sleep,
            )
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
