# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a program of the host is, without running anything."""

from __future__ import annotations

from .system import System

DIRECTORIES = ("usr/sbin", "usr/bin", "sbin", "bin")


def find_program(system: System, name: str) -> str | None:
    """The program's path on the host, or None where it is not installed."""
    for directory in DIRECTORIES:
        if system.path(f"{directory}/{name}").exists():
            return f"/{directory}/{name}"
    return None
