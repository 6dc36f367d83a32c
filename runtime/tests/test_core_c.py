# SPDX-License-Identifier: Apache-2.0
"""Builds the C tests with the address and undefined-behaviour sanitizers, and runs each."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_clang_builds_the_extension_without_a_warning(tmp_path: Path) -> None:
    """With the flags of setup.py, warnings being errors; what it has built can be imported and does its work."""
    runtime, library = CORE.parent, tmp_path / "lib"
    where = ["--build-temp", str(tmp_path / "temp"), "--build-lib", str(library)]
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "-j2", *where],
        cwd=runtime,
        env={**os.environ, "CC": "clang", "CFLAGS": "-O1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0 and "warning:" not in done.stderr, done.stdout + done.stderr
    (built,) = (library / "tickwire").glob("_core*.so")
    assert b"clang" in built.read_bytes()
    assert built.with_name("steer.bpf.o").is_file()
    use = "import _core; print(_core.itch_length('A'), _core.memory_needed({}) > 0)"
    done = subprocess.run([sys.executable, "-c", use], cwd=built.parent, capture_output=True, text=True, check=False)
    assert done.stdout == "36 True\n", done.stderr


def test_without_clang_it_is_built_without_the_xdp_program_and_says_so(tmp_path: Path) -> None:
    tools, library = tmp_path / "tools", tmp_path / "lib"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if not tool.name.startswith("clang"):
            (tools / tool.name).symlink_to(tool)
    where = ["--build-temp", str(tmp_path / "temp"), "--build-lib", str(library)]
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "-j2", *where],
        cwd=CORE.parent,
        env={**os.environ, "CC": "gcc", "CFLAGS": "-O0 -fno-lto", "PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'built without feed.transport = "xdp": clang is not installed; install clang and libbpf-dev' in done.stderr
    assert [path.suffix for path in (library / "tickwire").iterdir()] == [".so"]


def test_there_are_c_tests() -> None:
    assert len(TESTS) >= 8
