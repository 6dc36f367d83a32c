#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: t2t_runtime_info
short_description: Read the running state of a tick-to-trade component
version_added: 0.1.0
description:
  - Reads the systemd unit, the state that the component publishes, and the allowed CPUs of each of its threads, and
    compares them with what is wanted.
  - Optionally waits until nothing differs, with a bound.
  - It changes nothing and does not fail when the component is absent or unhealthy; RV(drift) then says how.
author: Tickwire (@tickwire)
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  component:
    description: Which component of the runtime.
    type: str
    choices: [engine, exchange]
    required: true
  block:
    description: File in which the component publishes its state.
    type: path
    required: true
  base:
    description: Directory of the releases.
    type: path
    default: /opt/tickwire
  release:
    description: Name of the release that has to be current and running. Empty accepts any.
    type: str
    default: ''
  cpu:
    description: CPU to which exactly one thread has to be pinned; V(-1) when none has to be.
    type: int
    default: -1
  housekeeping_cpus:
    description: CPUs on which every other thread has to stay. Empty accepts any.
    type: list
    elements: int
    default: []
  wait_s:
    description: How many seconds to wait at most until nothing differs.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Read the engine's state
  tickwire.fabric.t2t_runtime_info:
    component: engine
    block: /run/tickwire/t2t.block
  register: engine

- name: Wait up to half a minute for a healthy engine that is pinned to CPU 3
  tickwire.fabric.t2t_runtime_info:
    component: engine
    block: /run/tickwire/t2t.block
    release: 0.1.0-5f0c1b2a
    cpu: 3
    housekeeping_cpus: [0, 1]
    wait_s: 30
  register: engine
  failed_when: engine.drift | length > 0
"""

RETURN = r"""
drift:
  description: What differs from what is wanted, one sentence each; empty when the component is healthy.
  type: list
  elements: str
  returned: success
component:
  description: The component that was asked for.
  type: str
  returned: success
online_cpus:
  description: Numbers of the CPUs that are online on the host.
  type: list
  elements: int
  returned: success
  sample: [0, 1, 2, 3]
release:
  description: The release that C(current) points to, the one whose interpreter runs, and all complete ones.
  type: dict
  returned: success
  sample: {current: 0.1.0-5f0c1b2a, running: 0.1.0-5f0c1b2a, complete: [0.1.0-5f0c1b2a]}
user:
  description: Whether the user that the service runs as exists.
  type: bool
  returned: success
config_dir:
  description: Whether the directory of the configuration exists, and only root may write there.
  type: bool
  returned: success
config_in_force:
  description: Whether the service was started with the configuration that is on disk now.
  type: bool
  returned: success
unit:
  description: Properties of the systemd unit.
  type: dict
  returned: success
  sample:
    name: tickwire-engine.service
    load: loaded
    active: active
    sub: running
    result: success
    enabled: enabled
    needs_reload: false
    restarts: 0
    pid: 812
status:
  description: What the component publishes (C(tickwire status --json)); one key C(error) when it cannot be read.
  type: dict
  returned: success
  sample: {state: live, pid: 812}
threads:
  description: Allowed CPUs of each thread, as kernel CPU lists.
  type: list
  elements: dict
  returned: success
  sample: [{tid: 812, name: tickwire, cpus_allowed: '0'}]
log:
  description: Last lines of the unit's journal, when something differs.
  type: list
  elements: str
  returned: success
waited_s:
  description: Seconds this took.
  type: float
  returned: success
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.deploy import service

PAUSE_S = 0.5


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "choices": ["engine", "exchange"], "required": True},
            "block": {"type": "path", "required": True},
            "base": {"type": "path", "default": "/opt/tickwire"},
            "release": {"type": "str", "default": ""},
            "cpu": {"type": "int", "default": -1},
            "housekeeping_cpus": {"type": "list", "elements": "int", "default": []},
            "wait_s": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    wanted = module.params

    def run(argv):
        return module.run_command(list(argv), handle_exceptions=False)

    start = time.monotonic()
    while True:
        try:
            state = service.read(run, Path("/"), Path(wanted["base"]), wanted["component"], wanted["block"])
        except OSError as error:
            module.fail_json(
                msg=f"{error.filename or wanted['component']}: {error.strerror}. Next: the host has to be Linux "
                "with systemd"
            )
        drift = service.drift(state, wanted["release"], wanted["cpu"], frozenset(wanted["housekeeping_cpus"]))
        waited = time.monotonic() - start
        if not drift or waited >= wanted["wait_s"]:
            break
        time.sleep(PAUSE_S)
    log = service.log_tail(run, state["unit"]["name"]) if drift and state["unit"]["load"] == "loaded" else []
    module.exit_json(changed=False, drift=drift, log=log, waited_s=round(waited, 3), **state)


if __name__ == "__main__":
    main()
