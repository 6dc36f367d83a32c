#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: t2t_release
short_description: Install a release of the tick-to-trade runtime and make it current
version_added: 0.1.0
description:
  - Installs a wheel into a virtual environment of its own, without a network, in C(releases/<name>) below O(base).
  - Runs the release's own command. Only when that answers is the release marked complete, and only then is the symbolic
    link C(current) replaced, atomically.
  - A release that was not finished, whatever stopped it, is removed and installed anew. Other releases stay as they
    are.
author: Tickwire (@tickwire)
options:
  name:
    description: Name of the release, C(<version>-<hash>).
    type: str
    required: true
  wheel:
    description: Path of the wheel on the managed host. Not read when the release is complete, nor in check mode.
    type: path
    required: true
  base:
    description: Directory of the releases.
    type: path
    default: /opt/tickwire
  python:
    description: Interpreter for the virtual environment; needs C(venv) and C(pip).
    type: path
    default: /usr/bin/python3
attributes:
  check_mode:
    description: Says what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows the current release before and after.
    support: full
"""

EXAMPLES = r"""
- name: Install a release
  tickwire.fabric.t2t_release:
    name: 0.1.0-5f0c1b2a
    wheel: /opt/tickwire/wheels/tickwire-0.1.0-cp311-abi3-linux_x86_64.whl
"""

RETURN = r"""
release:
  description: Name of the release that is current now, or would be.
  type: str
  returned: success
  sample: 0.1.0-5f0c1b2a
previous:
  description: Name of the release that was current before; empty when there was none.
  type: str
  returned: success
installed:
  description: Whether the release had to be installed, as opposed to being complete already.
  type: bool
  returned: success
complete:
  description: Names of all complete releases on the host.
  type: list
  elements: str
  returned: success
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.deploy import releases


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "wheel": {"type": "path", "required": True},
            "base": {"type": "path", "default": "/opt/tickwire"},
            "python": {"type": "path", "default": "/usr/bin/python3"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    os.umask(0o022)  # the service is another user, and has to read all of it
    name, base = wanted["name"], Path(wanted["base"])

    def run(argv):
        return module.run_command(list(argv), handle_exceptions=False)

    try:
        releases.check_name(name)
        previous = releases.current_release(base)
        pip = ""
        missing = releases.read_marker(base, name) is None
        if missing:
            pip = releases.check_python(run, wanted["python"])
        if not module.check_mode:
            if missing:
                releases.install(run, base, name, Path(wanted["wheel"]), wanted["python"], pip)
            if previous != name:
                releases.switch(base, name)
    except releases.DeployError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"release {name}: {error.filename or base}: {error.strerror}. Next: check the room and the "
            f"permissions below {base}"
        )
    module.exit_json(
        changed=missing or previous != name,
        release=name,
        previous=previous,
        installed=missing,
        complete=releases.complete_releases(base),
        diff={"before": f"{base}/current -> {previous or 'none'}\n", "after": f"{base}/current -> {name}\n"},
    )


if __name__ == "__main__":
    main()
