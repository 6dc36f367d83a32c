# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases side by side: what counts as complete, when `current` moves, and what a cut-off installation leaves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.deploy import releases

NAME = "0.1.0-5f0c1b2a"


class Host:
    """Stands for the commands of a host: makes what venv and pip would make, and fails where it is told to."""

    def __init__(self, version: str = "tickwire 0.1.0", python: str = "3.11\n/usr/lib/pip\n") -> None:
        self.version, self.python = version, python
        self.calls: list[list[str]] = []
        self.fails_at = ""

    def __call__(self, argv: Sequence[str]) -> tuple[int, str, str]:
        self.calls.append(list(argv))
        if self.fails_at and any(self.fails_at in word for word in argv):
            return 1, "", f"no luck with {self.fails_at}\n"
        if "venv" in argv:
            (Path(argv[-1]) / "bin").mkdir(parents=True)
        if argv[-1] == "--version":
            return 0, self.version + "\n", ""
        return 0, self.python, ""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "opt"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "tickwire-0.1.0-cp311-abi3-linux_x86_64.whl"
    path.write_bytes(b"wheel")
    return path


def test_an_installed_release_is_complete_and_becomes_current(base: Path, wheel: Path) -> None:
    host = Host()
    marker = releases.install(host, base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    assert marker["version"] == "tickwire 0.1.0"
    assert releases.complete_releases(base) == [NAME]
    assert releases.current_release(base) == ""
    releases.switch(base, NAME)
    assert releases.current_release(base) == NAME
    assert os.readlink(base / "current") == f"releases/{NAME}"
    assert [entry.name for entry in base.iterdir() if entry.name.startswith(".")] == []


def test_nothing_is_fetched_from_a_network(base: Path, wheel: Path) -> None:
    host = Host()
    releases.install(host, base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    (install,) = [call for call in host.calls if "install" in call]
    assert "--no-index" in install and "--isolated" in install


@pytest.mark.parametrize("step", ["venv", "install", "--version"])
def test_a_failed_step_leaves_no_complete_release_and_current_as_it_was(base: Path, wheel: Path, step: str) -> None:
    releases.install(Host(), base, "0.1.0-old", wheel, "/usr/bin/python3", "/usr/lib/pip")
    releases.switch(base, "0.1.0-old")
    host = Host()
    host.fails_at = step
    with pytest.raises(releases.DeployError, match=f"release {NAME}.*ended with 1: no luck with {step}.*Next: "):
        releases.install(host, base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    assert releases.complete_releases(base) == ["0.1.0-old"]
    with pytest.raises(releases.DeployError, match="not complete"):
        releases.switch(base, NAME)
    assert releases.current_release(base) == "0.1.0-old"


def test_a_half_made_release_is_made_anew(base: Path, wheel: Path) -> None:
    left = base / "releases" / NAME / "bin" / "left"
    left.parent.mkdir(parents=True)
    left.write_text("by an installation that was cut off", encoding="utf-8")
    assert releases.complete_releases(base) == []
    releases.install(Host(), base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    assert not left.exists()
    assert releases.complete_releases(base) == [NAME]


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_marker_is_no_marker(base: Path, content: str) -> None:
    (base / "releases" / NAME).mkdir(parents=True)
    (base / "releases" / NAME / releases.MARKER).write_text(content, encoding="utf-8")
    assert releases.read_marker(base, NAME) is None


def test_current_that_points_to_a_half_made_release_or_elsewhere_is_none(base: Path, wheel: Path) -> None:
    releases.install(Host(), base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    (base / "current").symlink_to(f"elsewhere/{NAME}")
    assert releases.current_release(base) == ""
    releases.switch(base, NAME)
    (base / "releases" / NAME / releases.MARKER).unlink()
    assert releases.current_release(base) == ""


def test_a_command_that_says_another_version_is_refused(base: Path, wheel: Path) -> None:
    with pytest.raises(releases.DeployError, match=r"says 'tickwire 0.2.0', which is another version"):
        releases.install(Host(version="tickwire 0.2.0"), base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    assert releases.complete_releases(base) == []


def test_a_missing_wheel_touches_nothing(base: Path, wheel: Path) -> None:
    releases.install(Host(), base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    wheel.unlink()
    with pytest.raises(releases.DeployError, match="no such file"):
        releases.install(Host(), base, NAME, wheel, "/usr/bin/python3", "/usr/lib/pip")
    assert releases.complete_releases(base) == [NAME]


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a/b", "a" * 101, "a b"])
def test_a_name_that_is_no_directory_name_is_refused(name: str) -> None:
    with pytest.raises(releases.DeployError, match="release '"):
        releases.check_name(name)


def test_an_old_or_incomplete_python_is_refused() -> None:
    assert releases.check_python(Host(), "python3") == "/usr/lib/pip"
    with pytest.raises(releases.DeployError, match="is 3.9: the runtime needs 3.11"):
        releases.check_python(Host(python="3.9\n/usr/lib/pip\n"), "python3")
    host = Host()
    host.fails_at = "import sys"
    with pytest.raises(releases.DeployError, match="install python3-venv"):
        releases.check_python(host, "python3")
