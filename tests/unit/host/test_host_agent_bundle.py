"""The agent as one file: the same bytes for the same sources, and it runs with the system's Python alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import bundle
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError

CHECKOUT = Path(__file__).resolve().parents[3]
ENTRY = "ansible_collections.tickwire.fabric.plugins.module_utils.host.agent.cli"
# What the module does in a process of its own, so that what other tests have loaded is not in it.
BUILD = f"""
import importlib, pathlib, sys
entry = importlib.import_module("{ENTRY}")
bundle = importlib.import_module("{bundle.__name__}")
pathlib.Path(sys.argv[1]).write_bytes(bundle.build(bundle.collect(entry.__name__)))
"""


def built(path: Path, *search: Path) -> Path:
    words = [sys.executable, "-c", BUILD, str(path)]
    places = ":".join(str(place) for place in search or [CHECKOUT / ".venv/collections"])
    subprocess.run(words, check=True, timeout=60, cwd=path.parent, env={"PYTHONPATH": places})
    return path


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("agent") / "agent.pyz")


def test_it_has_the_code_of_the_host_and_nothing_of_ansible(agent: Path) -> None:
    names = zipfile.ZipFile(agent).namelist()
    assert names == sorted(names)
    for name in ("irq", "drift", "parts/irq", "agent/watch", "agent/__init__"):
        assert f"ansible_collections/tickwire/fabric/plugins/module_utils/host/{name}.py" in names
    assert not [name for name in names if "/modules/" in name or "module_utils/fabric/" in name or "install" in name]
    for name, text in bundle.parse(agent.read_bytes()).items():
        tree = ast.parse(text, filename=name, feature_version=(3, 9))
        own = "ansible_collections.tickwire."
        imported = {
            node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0
        } | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        strangers = {one.split(".")[0] for one in imported if not one.startswith(own)} - sys.stdlib_module_names
        assert strangers == set(), name


def test_the_same_sources_give_the_same_bytes_from_a_checkout_and_from_a_zip(agent: Path, tmp_path: Path) -> None:
    """Ansible sends a module to its host as a zip, and runs it from there."""
    assert built(tmp_path / "again.pyz").read_bytes() == agent.read_bytes()
    assert built(tmp_path / "from_zip.pyz", agent).read_bytes() == agent.read_bytes()


def test_bytecode_is_of_this_interpreter_and_another_one_takes_the_sources(
    agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = bundle.parse(agent.read_bytes())
    compiled = bundle.build(sources, bytecode=True)
    assert bundle.parse(compiled) == sources and bundle.is_current(compiled, sources)
    assert not bundle.is_current(compiled, {**sources, "more.py": ""})
    assert not bundle.is_current(agent.read_bytes(), sources) and not bundle.is_current(None, sources)
    assert not bundle.is_current(compiled.replace(MAGIC_NUMBER, b"\x01\x02\r\n"), sources), "damaged"
    with monkeypatch.context() as patched:
        patched.setattr(bundle, "MAGIC_NUMBER", b"\x01\x02\r\n")
        other = bundle.build(sources, bytecode=True)
    assert not bundle.is_current(other, sources)
    for name, data, way in (("compiled", compiled, "c"), ("other", other, "")):
        path = tmp_path / f"{name}.pyz"
        path.write_bytes(data)
        code = f"import sys; sys.path.insert(0, {str(path)!r}); import {ENTRY} as cli; print(cli.__spec__.origin)"
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.strip().endswith(f"cli.py{way}")


def test_a_changed_source_changes_the_bytes() -> None:
    assert bundle.build({"a.py": "1"}) != bundle.build({"a.py": "2"})
    assert bundle.build({"a.py": "1", "b.py": ""}) == bundle.build({"b.py": "", "a.py": "1"})
    assert bundle.parse(bundle.build({"a.py": "1"})) == {"a.py": "1"}
    assert bundle.parse(b"something else") == bundle.parse(None) == {}


def test_a_module_without_source_is_refused() -> None:
    lost = type(sys)(f"{bundle.PREFIX}.host.lost")
    with pytest.raises(HostError, match="no source"):
        bundle.collect(ENTRY, {lost.__name__: lost})


def test_it_runs_with_the_python_of_the_system(agent: Path) -> None:
    python = "/usr/bin/python3"
    shown = subprocess.run(
        [python, "-I", str(agent), "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert shown.returncode == 0 and "{apply,watch,drift}" in shown.stdout, shown.stderr
    code = f"""
import sys; sys.path.insert(0, {str(agent)!r})
from pathlib import Path
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent.cli import main
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
root = Path(sys.argv[1])
sys.exit(main(["drift", "--json"], System(root, lambda argv: (1, "", ""))))
"""
    root = agent.parent / "root"
    for name, text in {"sys/devices/system/cpu/present": "0-1\n", "etc/tickwire/host.json": "{}\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    words = [python, "-I", "-c", code, str(root)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["drift"] == []
