# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The wheel is built once for each content of its sources, and what is in the cache is whole."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "roles/t2t_runtime/files/build_wheel.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_wheel", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package of the runtime's name, without C, so that it builds in a moment."""
    root = tmp_path / "runtime"
    (root / "tickwire").mkdir(parents=True)
    (root / "tickwire/__init__.py").write_text("", encoding="utf-8")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "tickwire"\nversion = "0.1.0"\n[tool.setuptools]\npackages = ["tickwire"]\n',
        encoding="utf-8",
    )
    return root


def run(source: Path, cache: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), str(source), "--cache", str(cache), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def test_the_second_run_finds_the_wheel_of_the_first(source: Path, tmp_path: Path) -> None:
    before = sorted(source.rglob("*"))
    planned = run(source, tmp_path / "cache", "--check")
    assert planned["built"] is True and planned["wheel"] == "" and not (tmp_path / "cache").exists()
    first = run(source, tmp_path / "cache")
    assert first["built"] is True and first["release"] == planned["release"]
    wheel = Path(first["wheel"])
    assert wheel.is_file() and wheel.name.startswith("tickwire-0.1.0-")
    assert run(source, tmp_path / "cache") == {**first, "built": False}
    assert sorted(source.rglob("*")) == before, "the build left something in the sources"
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [wheel.parent.name]


def test_the_name_follows_the_content_and_nothing_else(script: ModuleType, source: Path) -> None:
    first = script.source_hash(source)
    for name in (
        "tests/test_x.py",
        "build/lib/x.py",
        "tickwire/_core.abi3.so",
        "tickwire/__pycache__/x.pyc",
        ".cache/x",
    ):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    assert script.source_hash(source) == first
    (source / "tickwire/new.py").write_text("", encoding="utf-8")
    second = script.source_hash(source)
    assert second != first
    (source / "tickwire/new.py").rename(source / "tickwire/other.py")
    assert script.source_hash(source) not in (first, second)


def test_a_source_that_does_not_build_leaves_nothing_in_the_cache(source: Path, tmp_path: Path, capfd: Any) -> None:
    with (source / "pyproject.toml").open("a", encoding="utf-8") as out:
        out.write("nonsense = true\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(source), "--cache", str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the wheel cannot be built" in done.stderr and "Next: " in done.stderr and len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_directory_that_is_no_source_is_refused(script: ModuleType, tmp_path: Path, capsys: Any) -> None:
    assert script.main([str(tmp_path), "--cache", str(tmp_path / "cache")]) == 1
    assert "no version in pyproject.toml" in capsys.readouterr().err


def test_a_missing_compiler_is_named(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(script.BuildError, match="no-such-compiler.*Next: install gcc"):
        script.check_tools()


def test_a_machine_without_clang_builds_another_wheel(
    script: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "BPF_HEADER", source / "pyproject.toml")
    monkeypatch.setattr(script.shutil, "which", lambda name: f"/usr/bin/{name}")
    with_it = script.source_hash(source)
    assert script.xdp_missing() == ""
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    assert script.xdp_missing() == "clang is not installed" and script.source_hash(source) != with_it
    monkeypatch.setattr(script, "BPF_HEADER", tmp_path / "bpf_helpers.h")
    assert script.xdp_missing() == f"clang is not installed and {tmp_path}/bpf_helpers.h is not there"
