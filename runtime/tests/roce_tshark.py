# SPDX-License-Identifier: Apache-2.0
"""What tshark reads in a capture."""

from __future__ import annotations

import subprocess
from pathlib import Path


def tshark(capture: Path, *fields: str) -> list[dict[str, str]]:
    """A dictionary for each packet; a field that occurs several times is its first occurrence."""
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    done = subprocess.run(
        command + [word for name in fields for word in ("-e", name)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [dict(zip(fields, line.split("|"), strict=True)) for line in done.stdout.splitlines()]
