# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Conventions that hold from the first commit on."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
import yaml

from scripts.artifact import tracked_files

CHECKOUT = Path(__file__).resolve().parents[3]
FILES = tracked_files(CHECKOUT)
PLUGINS = [path for path in FILES if re.match(r"plugins/.*\.py$", path)]
RUNTIME = [path for path in FILES if re.match(r"runtime/.*\.(py|c|h)$", path)]
# Directories of whoever wrote this, put together so that this file does not match itself. Root's own
# directories on a managed host are meant.
PLACES = re.compile(
    "/(?:wo" + "rk|fa" + "rm)/[a-z]|/ro" + "ot/(?!\\.(?:ssh|ansible)\\b)|\\.\\./sha" + "red/|\\.libr" + "ary/"
)
GALAXY_TAGS = {
    *("application", "cloud", "database", "eda", "infrastructure", "linux", "monitoring", "networking", "security"),
    *("storage", "tools", "windows"),
}


def text_of(path: str) -> str:
    """A file's text; empty for a binary one."""
    data = (CHECKOUT / path).read_bytes()
    return "" if b"\0" in data[:8192] else data.decode("utf-8", errors="replace")


def test_no_sanity_ignore_file() -> None:
    assert [path for path in FILES if re.match(r"tests/sanity/ignore", path)] == []


def test_ansible_lint_skips_nothing() -> None:
    config = yaml.safe_load((CHECKOUT / ".ansible-lint").read_text(encoding="utf-8"))
    assert config["profile"] == "production"
    assert config["strict"] is True
    assert config["skip_list"] == []
    assert config["warn_list"] == []
    assert not {"enable_list", "rules", "kinds", "mock_modules"} & set(config)
    content = {"roles", "playbooks", "plugins", "inventories", "molecule", "lab", "meta"}
    assert not [path for path in config["exclude_paths"] if path.split("/")[0] in content]
    assert ".ansible-lint-ignore" not in FILES


@pytest.mark.parametrize("suffix", [".yml", ".yaml", ".py"])
def test_no_finding_is_silenced_in_place(suffix: str) -> None:
    silenced = re.compile("# no" + "qa|# pylint: dis" + "able|# yamllint dis" + "able")
    places = [path for path in FILES if path.endswith(suffix) and re.match("(plugins|roles|playbooks|molecule)/", path)]
    assert [path for path in places if silenced.search(text_of(path))] == []


def test_no_place_of_a_build_machine_is_written_down() -> None:
    found = {path: PLACES.findall(text_of(path)) for path in FILES}
    assert {path: places for path, places in found.items() if places} == {}


@pytest.mark.parametrize("path", PLUGINS)
def test_code_for_managed_hosts_is_python_3_9(path: str) -> None:
    tree = ast.parse(text_of(path), filename=path, feature_version=(3, 9))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body):
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        assert imports, f"{path}: 'from __future__ import annotations' is missing"


@pytest.mark.parametrize("path", [path for path in PLUGINS if path.startswith("plugins/module_utils/")])
def test_module_utils_are_plain_python(path: str) -> None:
    imports = [node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = [getattr(node, "module", None) or name.name for node in imports for name in node.names]
    assert not [name for name in modules if name == "ansible" or name.startswith("ansible.")]


@pytest.mark.parametrize("path", PLUGINS)
def test_plugins_carry_the_gpl(path: str) -> None:
    text = text_of(path)
    assert not text or "GNU General Public License v3.0+" in text[:400]


@pytest.mark.parametrize("path", RUNTIME)
def test_the_runtime_is_apache_licensed(path: str) -> None:
    text = text_of(path)
    assert not text or "SPDX-License-Identifier: Apache-2.0" in text[:400]
    assert "GNU General Public" not in text


def test_licence_texts() -> None:
    assert "GNU GENERAL PUBLIC LICENSE" in text_of("LICENSE")[:200]
    assert "Apache License" in text_of("runtime/LICENSE")[:200]


def test_galaxy_metadata() -> None:
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    assert (galaxy["namespace"], galaxy["name"]) == ("tickwire", "fabric")
    assert GALAXY_TAGS & set(galaxy["tags"])
    releases = yaml.safe_load((CHECKOUT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    assert galaxy["version"] in releases
    modules = {path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py")} - {"__init__"}
    logged = {one["name"] for release in releases.values() for one in release.get("modules", [])}
    assert logged == modules, "every module is announced by the release that brings it"


@pytest.mark.parametrize("name", ["site", "test"])
def test_every_python_package_is_pinned(name: str) -> None:
    lines = text_of(f"requirements/{name}.txt").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert not [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)]


@pytest.mark.parametrize("path", [".ci/run", "scripts/bootstrap"])
def test_commands_can_be_executed(path: str) -> None:
    assert os.access(CHECKOUT / path, os.X_OK)
