# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Linux switch on this machine's own kernel, in namespaces; the lab runs the same on one that has every part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_lanes_limits_and_the_way_back_in_namespaces() -> None:
    if os.geteuid():
        pytest.skip("network namespaces need root")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/lab/linux_switch_kernel.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let its root make network namespaces")
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("missing: "):
        pytest.skip(f"this kernel lacks a part: {done.stdout.strip()}")
    found = json.loads(done.stdout)
    wrong = {name: value for name, value in found.items() if value in (False, "") and name != "unicast dropped"}
    assert wrong == {} and found["broadcast dropped"] > 0 and found["unicast dropped"] == 0
