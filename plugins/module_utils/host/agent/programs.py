# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the agent runs programs, where no Ansible module does it."""

from __future__ import annotations

import os
import subprocess

TIMEOUT_S = 60


def run(argv: list[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error; 127 for a program that is not there, 124 for one that hangs."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")},
        )
    except FileNotFoundError:
        return 127, "", f"{argv[0]}: there is no such program"
    except subprocess.TimeoutExpired:
        return 124, "", f"{argv[0]}: no end after {TIMEOUT_S} s"
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
