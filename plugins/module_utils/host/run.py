# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the host's programs, for modules and for the agent.

AnsibleModule.run_command of ansible-core 2.19 can lose output: it waits one second for some, and when a program writes
and ends between the end of that second and the look at whether it still runs, nothing more is read. A host under load
shows it, where a short program takes about a second. Lost output reads as another state: no address, no rule, no DCB.
"""

from __future__ import annotations

import os
import subprocess


def run_program(argv: list[str], timeout_s: float | None = None) -> tuple[int, str, str]:
    """Exit status, standard output and standard error in English.

    OSError where there is no such program, subprocess.TimeoutExpired where it takes longer than ``timeout_s``.
    """
    path = os.environ.get("PATH", os.defpath)
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "LC_ALL": "C", "PATH": f"{path}:/usr/local/sbin:/usr/sbin:/sbin"},
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
