# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The set-up refuses early with the next step, changes nothing then, and takes nothing half made for complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bootstrap
from scripts.bootstrap import BootstrapError

CHECKOUT = Path(__file__).resolve().parents[3]


class FakeMachine(bootstrap.Machine):
    """A machine that records what would be run on it."""

    def __init__(self, **facts: object) -> None:
        super().__init__()
        self.facts: dict[str, object] = {
            "id": "debian", "version": "13", "architecture": "x86_64", "uid": 0, "sudo": False, "free_gb": 100.0,
            "missing": [], "failing": "", **facts,
        }  # fmt: skip
        self.ran: list[list[str]] = []

    def release(self) -> dict[str, str]:
        name, version = str(self.facts["id"]), str(self.facts["version"])
        return {"ID": name, "VERSION_ID": version, "PRETTY_NAME": f"{name} {version}"}

    def architecture(self) -> str:
        return str(self.facts["architecture"])

    def user_id(self) -> int:
        return int(str(self.facts["uid"]))

    def has_command(self, name: str) -> bool:
        return name == "sudo" and bool(self.facts["sudo"])

    def free_gb(self, path: Path) -> float:
        return float(str(self.facts["free_gb"]))

    def missing_packages(self, names: list[str]) -> list[str]:
        missing = self.facts["missing"]
        assert isinstance(missing, list)
        return [name for name in names if name in missing]

    def run(self, argv: list[str]) -> int:
        self.ran.append(argv)
        if argv[1:3] == ["-m", "venv"]:
            interpreter = Path(argv[3]) / "bin/python"
            interpreter.parent.mkdir(parents=True)
            interpreter.touch()
        failing = str(self.facts["failing"])
        return int(bool(failing) and failing in argv)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with short lists."""
    directory = tmp_path / "checkout"
    (directory / "requirements").mkdir(parents=True)
    for kind in bootstrap.KINDS:
        (directory / f"requirements/{kind}.txt").write_text(f"package-{kind}==1.0\n", encoding="utf-8")
        (directory / f"requirements/apt-{kind}.txt").write_text(f"# packages\nfor-{kind}  # why\n", encoding="utf-8")
    return directory


def refused(machine: FakeMachine, checkout: Path, kind: str = "site") -> str:
    """The message of a refusal which ran nothing and made nothing."""
    with pytest.raises(BootstrapError) as caught:
        bootstrap.bootstrap(kind, machine, checkout)
    assert machine.ran == []
    assert not (checkout / ".venv").exists()
    assert "Next: " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"id": "ubuntu", "version": "24.04"}, "ubuntu 24.04"),
        ({"version": "11"}, "debian 11"),
        ({"architecture": "aarch64"}, "aarch64"),
    ],
)
def test_unsupported_system_is_named(facts: dict[str, object], named: str, checkout: Path) -> None:
    assert named in refused(FakeMachine(**facts), checkout)


def test_missing_packages_without_root_or_sudo(checkout: Path) -> None:
    message = refused(FakeMachine(uid=1000, missing=["for-site"]), checkout)
    assert "neither root nor has sudo" in message
    assert "apt-get install for-site" in message


def test_nothing_missing_needs_no_root(checkout: Path) -> None:
    machine = FakeMachine(uid=1000)
    assert bootstrap.bootstrap("site", machine, checkout)
    assert not [argv for argv in machine.ran if "apt-get" in argv]


def test_full_disk_is_refused_before_packages_are_installed(checkout: Path) -> None:
    message = refused(FakeMachine(free_gb=0.25, missing=["for-site"]), checkout)
    assert re.search(r"needs \d\.\d GB .* has 0\.2 GB free", message)


def test_full_disk_for_the_environment_is_refused_before_packages_are_installed(checkout: Path) -> None:
    """2.5 GB are enough for the packages and too few for the environment of the tests."""
    message = refused(FakeMachine(free_gb=2.5, missing=["for-test"]), checkout, "test")
    assert "virtual environment" in message


@pytest.mark.parametrize(("uid", "before"), [(0, []), (1000, ["sudo"])])
def test_missing_packages_are_installed_as_root(uid: int, before: list[str], checkout: Path) -> None:
    machine = FakeMachine(uid=uid, sudo=True, missing=["for-test"])
    bootstrap.bootstrap("test", machine, checkout)
    update, install = machine.ran[:2]
    assert update == [*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "update"]
    assert install[len(before) + 2 :] == ["apt-get", "install", "--yes", "--no-install-recommends", "for-test"]


@pytest.mark.parametrize("failing", ["update", "install"])
def test_apt_failure_stops_before_the_environment(failing: str, checkout: Path) -> None:
    with pytest.raises(BootstrapError, match=f"apt-get {failing} failed"):
        bootstrap.bootstrap("site", FakeMachine(missing=["for-site"], failing=failing), checkout)
    assert not (checkout / ".venv").exists()


def test_second_run_does_nothing(checkout: Path) -> None:
    assert bootstrap.bootstrap("test", FakeMachine(), checkout)
    for kind in ("site", "test"):
        machine = FakeMachine()
        assert not bootstrap.bootstrap(kind, machine, checkout)
        assert machine.ran == []


def test_the_collection_is_found_in_the_environment(checkout: Path) -> None:
    bootstrap.bootstrap("site", FakeMachine(), checkout)
    link = checkout / ".venv/collections/ansible_collections/tickwire/fabric"
    assert link.resolve() == checkout
    assert not link.readlink().is_absolute()


def test_more_packages_go_into_the_same_environment(checkout: Path) -> None:
    bootstrap.bootstrap("site", FakeMachine(), checkout)
    machine = FakeMachine()
    assert bootstrap.bootstrap("test", machine, checkout)
    assert not [argv for argv in machine.ran if "venv" in argv]
    assert str(checkout / "requirements/test.txt") in machine.ran[0]


def test_changed_pins_are_installed(checkout: Path) -> None:
    bootstrap.bootstrap("site", FakeMachine(), checkout)
    (checkout / "requirements/site.txt").write_text("package-site==1.1\n", encoding="utf-8")
    machine = FakeMachine()
    assert bootstrap.bootstrap("site", machine, checkout)
    assert "--no-deps" in machine.ran[0]


@pytest.mark.parametrize("failing", ["install", "check"])
def test_half_made_environment_is_made_anew(failing: str, checkout: Path) -> None:
    with pytest.raises(BootstrapError, match="this step failed"):
        bootstrap.bootstrap("site", FakeMachine(failing=failing), checkout)
    (checkout / ".venv/left-behind").touch()
    machine = FakeMachine()
    assert bootstrap.bootstrap("site", machine, checkout)
    assert not (checkout / ".venv/left-behind").exists()
    assert machine.ran[0][1:3] == ["-m", "venv"]


def test_failed_update_of_a_complete_environment_leaves_it_unfinished(checkout: Path) -> None:
    bootstrap.bootstrap("site", FakeMachine(), checkout)
    with pytest.raises(BootstrapError):
        bootstrap.bootstrap("test", FakeMachine(failing="install"), checkout)
    assert bootstrap.read_stamp(checkout / ".venv") == {}


def test_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    bootstrap.bootstrap("site", FakeMachine(), checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    machine = FakeMachine()
    assert bootstrap.bootstrap("site", machine, moved)
    assert machine.ran[0][1:3] == ["-m", "venv"]


def test_release_is_read_without_quotes(tmp_path: Path) -> None:
    os_release = tmp_path / "os-release"
    os_release.write_text('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n', encoding="utf-8")
    assert bootstrap.Machine(os_release).release()["VERSION_ID"] == "13"
    bootstrap.check_system(bootstrap.Machine(os_release))
    with pytest.raises(BootstrapError, match="unknown system"):
        bootstrap.check_system(bootstrap.Machine(tmp_path / "absent"))


def test_installed_and_missing_packages_are_told_apart() -> None:
    assert bootstrap.Machine().missing_packages(["dpkg", "no-such-package"]) == ["no-such-package"]


def test_command_line_ends_with_a_message_and_a_code(tmp_path: Path) -> None:
    """The real command, as a user without root or sudo on a machine without the packages would see it."""
    program = (
        "import sys; from scripts import bootstrap as b\n"
        "b.Machine.missing_packages = lambda self, names: names[:1]\n"
        "b.Machine.user_id = lambda self: 1000\n"
        "sys.argv = ['bootstrap', 'site']\n"
        "sys.exit(b.main())"
    )
    env = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("bootstrap: Debian packages are missing")
    assert "Next: as root: apt-get install" in done.stderr
    assert "Traceback" not in done.stderr


def test_interrupt_waits_for_the_command_and_ends_with_a_message(tmp_path: Path) -> None:
    """Ctrl-C goes to the whole group: apt-get, which ends when dpkg is through, must not be killed meanwhile."""
    program = (
        "import sys; from scripts import bootstrap as b\n"
        "step = \"trap '' INT; echo started; sleep 1; echo ended\"\n"
        "b.bootstrap = lambda kind, machine, checkout: machine.run(['sh', '-c', step]) == 0\n"
        "sys.argv = ['bootstrap', 'site']\n"
        "sys.exit(b.main())"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "started\n"
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=20)
    assert out == "ended\n"
    assert err == "bootstrap: interrupted\n  Next: run the same command again\n"
    assert run.returncode == 130
