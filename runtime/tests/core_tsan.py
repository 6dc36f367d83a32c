# SPDX-License-Identifier: Apache-2.0
"""C tests under the thread sanitizer, which cannot share a program with the address sanitizer of all others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent / "c"
CORE = TESTS.parents[1] / "core"
_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fsanitize=thread", "-pthread", f"-I{CORE}", f"-I{TESTS}")


def _compile(target: Path, *arguments: str) -> None:
    command = ["gcc", *_FLAGS, *arguments, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def build(directory: Path, test: str, *sources: str) -> Path:
    """The program of one of the C tests with the core's `sources`, glob patterns without their suffix."""
    program = directory / test
    files = [str(path) for source in sources for path in sorted(CORE.glob(f"{source}.c"))]
    _compile(program, str(TESTS / f"{test}.c"), *files)
    return program


def build_double(directory: Path) -> None:
    """The double of the RDMA libraries, beside the programs that load it."""
    sources = map(str, sorted(TESTS.glob("verbs_double*.c")))
    _compile(directory / "verbs_double.so", "-fPIC", "-shared", "-fvisibility=hidden", *sources)


def run(program: Path) -> None:
    done = subprocess.run(["setarch", "-R", str(program)], capture_output=True, text=True, timeout=300, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert done.returncode == 0 and done.stdout.startswith("ok"), done.stdout + done.stderr
