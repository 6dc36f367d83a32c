# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the running service is said to do, read from a small tree that stands for a host, and how drift is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.deploy import service

RELEASE = "0.1.0-5f0c1b2a"
SHOW = """LoadState=loaded
ActiveState=active
SubState=running
Result=success
MainPID=812
NRestarts=2
NeedDaemonReload=no
UnitFileState=enabled
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with a healthy engine: process 812 with two threads, one of them pinned to CPU 1."""
    write(tmp_path / "sys/devices/system/cpu/online", "0-1\n")
    write(tmp_path / "etc/passwd", "root:x:0:0::/root:/bin/sh\ntickwire:x:998:998::/nonexistent:/usr/sbin/nologin\n")
    write(tmp_path / "etc/tickwire/engine.toml", "x = 1\n")
    write(tmp_path / "run/tickwire/engine.toml", "x = 1\n")
    release = tmp_path / "opt/tickwire/releases" / RELEASE
    write(release / ".complete", "{}")
    (tmp_path / "opt/tickwire/current").symlink_to(f"releases/{RELEASE}")
    write(
        tmp_path / "proc/812/cmdline",
        f"/opt/tickwire/releases/{RELEASE}/bin/python\0/opt/tickwire/current/bin/tickwire\0",
    )
    for tid, name, cpus in ((812, "tickwire", "0"), (815, "tickwire-engine", "1")):
        write(tmp_path / f"proc/812/task/{tid}/status", f"Name:\t{name}\nThreads:\t2\nCpus_allowed_list:\t{cpus}\n")
    return tmp_path


class Commands:
    """systemctl and tickwire of that host."""

    def __init__(self) -> None:
        self.show = SHOW
        self.status: dict[str, Any] = {"state": "live", "pid": 812}
        self.rc = 0

    def __call__(self, argv: Sequence[str]) -> tuple[int, str, str]:
        if argv[0] == "systemctl":
            return 0, self.show, ""
        return self.rc, json.dumps(self.status), "tickwire: error: no block\n" if self.rc else ""


def state_of(host: Path, commands: Commands) -> dict[str, Any]:
    return service.read(commands, host, Path("/opt/tickwire"), "engine", "/run/tickwire/t2t.block")


def test_a_healthy_engine_has_no_drift(host: Path) -> None:
    state = state_of(host, Commands())
    assert service.drift(state, RELEASE, 1, frozenset({0})) == []
    assert state["online_cpus"] == [0, 1]
    assert state["unit"]["restarts"] == 2
    assert state["user"] is True
    assert state["threads"][1] == {"tid": 815, "name": "tickwire-engine", "cpus_allowed": "1"}


def test_each_kind_of_drift_is_told(host: Path) -> None:
    def told(release: str = RELEASE, cpu: int = 1, housekeeping: frozenset[int] = frozenset({0})) -> list[str]:
        return service.drift(state_of(host, commands), release, cpu, housekeeping)

    commands = Commands()
    commands.show = SHOW.replace("ActiveState=active", "ActiveState=activating").replace("=running", "=start")
    assert told() == ["tickwire-engine.service is activating (start), not active"]
    commands.show = SHOW.replace("UnitFileState=enabled", "UnitFileState=disabled")
    assert told() == ["tickwire-engine.service is disabled: it would not start at boot"]
    commands = Commands()
    commands.status = {"state": "login", "pid": 812}
    assert told() == ["its state is 'login', not live"]
    commands.status = {"state": "live", "pid": 700}
    assert told() == ["its state was written by process 700, while the service is process 812"]
    commands.rc = 1
    assert told() == ["its state cannot be read: tickwire: error: no block"]
    commands = Commands()
    assert told(release="0.2.0-aaaaaaaa") == [
        f"the current release is {RELEASE}, not 0.2.0-aaaaaaaa",
        f"the running release is {RELEASE}, not 0.2.0-aaaaaaaa",
    ]
    assert told(cpu=2) == [
        "thread 815 (tickwire-engine) may run on CPUs 1, which is outside the housekeeping CPUs 0",
        "0 threads are pinned to CPU 2 alone, not 1",
    ]
    write(host / "etc/tickwire/engine.toml", "x = 2\n")
    assert told() == ["the service does not run on the configuration that is on disk"]


def test_a_thread_that_may_also_run_elsewhere_is_not_pinned(host: Path) -> None:
    write(host / "proc/812/task/815/status", "Name:\ttickwire-engine\nCpus_allowed_list:\t0-1\n")
    state = state_of(host, Commands())
    assert service.drift(state, RELEASE, 1, frozenset({0})) == [
        "thread 815 (tickwire-engine) may run on CPUs 0-1, which is outside the housekeeping CPUs 0",
        "0 threads are pinned to CPU 1 alone, not 1",
    ]
    assert service.drift(state, RELEASE, -1, frozenset({0, 1})) == []


def test_two_pinned_threads_are_one_too_many(host: Path) -> None:
    write(host / "proc/812/task/812/status", "Name:\ttickwire\nCpus_allowed_list:\t1\n")
    assert service.drift(state_of(host, Commands()), RELEASE, 1, frozenset({0})) == [
        "2 threads are pinned to CPU 1 alone, not 1"
    ]


def test_the_running_release_is_the_process_own_and_not_where_current_points(host: Path) -> None:
    write(
        host / "proc/812/cmdline", "/opt/tickwire/releases/0.0.9-old/bin/python\0/opt/tickwire/current/bin/tickwire\0"
    )
    assert state_of(host, Commands())["release"]["running"] == "0.0.9-old"


def test_a_host_where_nothing_is_installed_is_read_without_failing(tmp_path: Path) -> None:
    write(tmp_path / "sys/devices/system/cpu/online", "0\n")
    commands = Commands()
    commands.show = "LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nUnitFileState=\n"
    state = state_of(tmp_path, commands)
    assert state["release"] == {"current": "", "complete": [], "running": ""}
    assert state["user"] is False and state["config_dir"] is False and state["threads"] == []
    assert len(service.drift(state, RELEASE, -1, frozenset())) == 6
