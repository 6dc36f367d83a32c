# SPDX-License-Identifier: Apache-2.0
"""Builds the C tests with the address and undefined-behaviour sanitizers, and runs each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[1] / "core"
TESTS = sorted(path.stem for path in (Path(__file__).parent / "c").glob("test_*.c"))


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("c-tests")
    done = subprocess.run(
        ["make", "-C", str(CORE), f"BUILD={target}", "tests"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.mark.parametrize("name", TESTS)
def test_c(build: Path, name: str) -> None:
    done = subprocess.run([str(build / name)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("ok"), "the program ran no check"


def test_there_are_c_tests() -> None:
    assert len(TESTS) >= 8
