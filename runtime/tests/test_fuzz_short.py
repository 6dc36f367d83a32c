# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target over its kept corpus and some thousand inputs more; `make fuzz` runs them for as long as you like.

A failure prints the input in hex and the command that has it again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
# Inputs that take about two seconds, and a bound for slow machines.
RUNS = {"book": 20_000, "config": 1500, "feed": 20_000, "itch": 100_000, "mold": 100_000, "ouch": 80_000, "soup": 5000}
SECONDS = 4


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.fuzz", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def built() -> None:
    done = fuzz("--build")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_target_is_run_and_has_a_corpus() -> None:
    targets = {path.stem.removeprefix("fuzz_") for path in (CHECKOUT / "runtime/fuzz").glob("fuzz_*.*")}
    assert set(RUNS) == targets
    kept = {target: list((CHECKOUT / "runtime/fuzz/corpus" / target).iterdir()) for target in targets}
    assert all(kept.values())
    assert sum(path.stat().st_size for paths in kept.values() for path in paths) <= 200_000


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("target", RUNS)
def test_fuzz(target: str) -> None:
    done = fuzz(f"--runs={RUNS[target]}", f"--seconds={SECONDS}", "--seed=1", target)
    assert done.returncode == 0, done.stdout + done.stderr
