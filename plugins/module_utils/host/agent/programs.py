# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the agent runs programs, where no Ansible module does it."""

from __future__ import annotations

import subprocess

from ..run import run_program

TIMEOUT_S = 60


def run(argv: list[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error; 127 for a program that is not there, 124 for one that hangs."""
    try:
        return run_program(argv, TIMEOUT_S)
    except FileNotFoundError:
        return 127, "", f"{argv[0]}: there is no such program"
    except subprocess.TimeoutExpired:
        return 124, "", f"{argv[0]}: no end after {TIMEOUT_S} s"
