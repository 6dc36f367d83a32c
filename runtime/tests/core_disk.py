# SPDX-License-Identifier: Apache-2.0
"""A Python program on a file system of one megabyte, in a mount namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tickwire import _core

_APART = ["unshare", "-rm"]
PLACE = "/mnt"


def on_a_small_disk(program: str) -> subprocess.CompletedProcess[str]:
    """Run `program`; its only argument is the directory. Skips the test where this user may not mount."""
    probe = [*_APART, "mount", "-t", "tmpfs", "none", PLACE]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace for this user")
    script = f'mount -t tmpfs -o size=1m none {PLACE} && exec "$0" -c "$1" {PLACE}'
    return subprocess.run(
        [*_APART, "sh", "-c", script, sys.executable, program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(_core.__file__).parents[1])},
    )
