# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The built artifact holds what a user needs, installs into an empty directory and runs from there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from scripts import artifact

CHECKOUT = artifact.CHECKOUT
BIN = Path(sys.executable).parent


def run(*argv: str, cwd: Path, collections: Path) -> str:
    """Runs a command of Ansible with one directory of collections and no configuration; returns what it prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    home = cwd / "home"
    home.mkdir(exist_ok=True)
    env = {**kept, "HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_LOCALHOST_WARNING": "no"}
    command = [str(BIN / argv[0]), *argv[1:]]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artifact.build(CHECKOUT, tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def names(built: Path) -> set[str]:
    with tarfile.open(built) as archive:
        return {member.name for member in archive.getmembers() if member.isfile()}


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    empty = tmp_path_factory.mktemp("collections")
    install = ("ansible-galaxy", "collection", "install", "--offline", "-p", str(empty), str(built))
    run(*install, cwd=empty, collections=empty)
    return empty


def test_has_what_a_user_needs(names: set[str]) -> None:
    kinds = (
        "plugins/",
        "roles/",
        "playbooks/",
        "inventories/lab/",
        "lab/",
        "runtime/bpf/",
        "runtime/core/",
        "runtime/tickwire/",
    )
    wanted = {path for path in artifact.tracked_files(CHECKOUT) if path.startswith(kinds)}
    assert wanted, "nothing to compare"
    assert wanted - names == set()
    files = {"README.md", "LICENSE", "runtime/LICENSE", "meta/runtime.yml", "CHANGELOG.md", "changelogs/changelog.yaml"}
    assert files - names == set()


def test_has_nothing_else(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names if "/" in name}
    allowed = {"changelogs", "docs", "inventories", "lab", "meta", "playbooks", "plugins", "roles", "runtime"}
    assert tops - allowed == set()
    assert not [name for name in names if name.endswith((".so", ".bpf.o", ".pyc", ".tar.gz"))]
    assert not [name for name in names if name.startswith("runtime/tests/")]


def test_plain_build_in_a_checkout_adds_nothing(tmp_path: Path) -> None:
    """What is built, cached or running in a checkout stays out by galaxy.yml alone."""
    build = ("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), str(CHECKOUT))
    run(*build, cwd=tmp_path, collections=tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        plain = {member.name for member in archive.getmembers() if member.isfile()}
    assert plain - set(artifact.tracked_files(CHECKOUT)) == {"MANIFEST.json", "FILES.json"}


def test_ansible_finds_the_modules(installed: Path, tmp_path: Path) -> None:
    listing = run("ansible-doc", "--list", "--type", "module", "tickwire.fabric", cwd=tmp_path, collections=installed)
    found = {line.split()[0] for line in listing.splitlines() if line.strip()}
    modules = {path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py")} - {"__init__"}
    assert {f"tickwire.fabric.{name}" for name in modules} == found


@pytest.mark.parametrize("name", sorted(path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")))
def test_playbooks_run_by_their_full_name(name: str, installed: Path, tmp_path: Path) -> None:
    inventory = installed / "ansible_collections/tickwire/fabric/inventories/lab"
    command = ("ansible-playbook", "--syntax-check", "-i", str(inventory), f"tickwire.fabric.{name}")
    run(*command, cwd=tmp_path, collections=installed)


def test_every_role_and_module_resolves_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    """A playbook in an empty directory names all of them; Ansible loads roles and module code before it skips them."""
    roles = sorted(path.name for path in (CHECKOUT / "roles").iterdir())
    lines = ["- hosts: localhost", "  gather_facts: false", "  tasks:"]
    for role in roles:
        lines += [f"    - ansible.builtin.import_role: {{name: tickwire.fabric.{role}}}", "      when: false"]
    lines += ["    - ansible.builtin.debug: {msg: resolved}"]
    (tmp_path / "elsewhere.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    play = ("ansible-playbook", "-i", "localhost,", "-c", "local", "elsewhere.yml")
    output = run(*play, cwd=tmp_path, collections=installed)
    assert "resolved" in output
    assert "failed=0" in output
