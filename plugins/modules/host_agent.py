#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps on the host what does not survive a boot or a link event, and looks for drift there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_agent
short_description: Keep the settings of a trading host over boots and link events
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Puts the code with which the modules of this collection work on a host there as one file,
    C(/usr/local/lib/tickwire/tickwire-host.pyz), and what is wanted of the host as C(/etc/tickwire/host.json).
  - A unit per NIC, C(tickwire-nic@NAME.service), applies at boot what does not survive one. Then it listens to the
    kernel's events of the link, of rings and channels from Linux 5.6 on, and of RDMA devices that come later, and
    applies again what is not as wanted then. It runs on the housekeeping CPUs and sleeps while nothing happens.
  - With isolated CPUs every NIC has such a unit, as drivers set the affinity of interrupts anew when an interface
    comes up. Virtual functions have none unless they are named.
  - A timer looks for drift, tells it in the journal, and writes metrics for node_exporter's textfile collector where a
    directory is given.
  - Where nothing is wanted of the host, all of it is taken away.
extends_documentation_fragment:
  - tickwire.fabric.attributes
options:
  wanted:
    description:
      - All that is wanted of the host, the variables of role P(tickwire.fabric.roce_host#role) without their prefix
        C(roce_host_).
      - C(drift_timer) in it says how the timer shall be, with C(enabled) (V(true)), C(interval) (V(15min), a time span
        of systemd) and C(textfile_directory) (empty, without metrics).
    type: dict
    default: {}
  state:
    description:
      - V(present) installs, or takes away where nothing is wanted.
      - V(held) only stops the units of the NICs, so that they do not set back what other modules change now. A later
        V(present), or a boot, starts them again. Where neither comes within O(hold_s) a timer on the host,
        C(tickwire-nic-hold.timer), starts them with the document that is there. To hold again begins the time anew.
      - V(absent) takes everything away.
    type: str
    choices: [present, held, absent]
    default: present
  hold_s:
    description: How long V(held) lasts at most, in seconds.
    type: int
    default: 1800
  python:
    description: Interpreter on the host with which the units run. It needs its standard library only, from 3.9 on.
    type: path
    default: /usr/bin/python3
attributes:
  diff_mode:
    description:
      - Returns which sources of the code and which keys of the document differ, the units as text, and the units
        that start or stop.
    support: full
"""

EXAMPLES = r"""
- name: Keep interrupts off CPUs 2 to 7 whatever comes up, and look for drift every five minutes
  tickwire.fabric.host_agent:
    wanted:
      isolated_cpus: 2-7
      drift_timer:
        interval: 5min
        textfile_directory: /var/lib/prometheus/node-exporter

- name: Take the agent away
  tickwire.fabric.host_agent:
    state: absent
"""

RETURN = r"""
files:
  description: Files that were written or removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/tickwire/host.json]
enabled:
  description: Units that start by themselves from now on.
  returned: success
  type: list
  elements: str
  sample: [tickwire-nic@ens4.service]
disabled:
  description: Units that do so no longer.
  returned: success
  type: list
  elements: str
  sample: []
started:
  description: Units that were started, or started anew with new code or a new document.
  returned: success
  type: list
  elements: str
  sample: [tickwire-nic@ens4.service]
stopped:
  description: Units that were stopped.
  returned: success
  type: list
  elements: str
  sample: []
waiting:
  description: Units that start when their NIC comes.
  returned: success
  type: list
  elements: str
  sample: []
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import bundle, cli, install
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "wanted": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "held", "absent"], "default": "present"},
            "hold_s": {"type": "int", "default": 1800},
            "python": {"type": "path", "default": "/usr/bin/python3"},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    wanted = module.params["wanted"] if module.params["state"] == "present" else {}
    try:
        if module.params["state"] == "held":
            result = install.hold(system, module.params["hold_s"], module.check_mode)
        else:
            sources = bundle.collect(cli.__name__)
            result = install.apply(system, wanted, module.params["python"], sources, module.check_mode)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=result.changed,
        files=[f"/{name}" for name in result.files],
        enabled=result.enabled,
        disabled=result.disabled,
        started=result.started,
        stopped=result.stopped,
        waiting=result.waiting,
        diff=result.diff,
    )


if __name__ == "__main__":
    main()
