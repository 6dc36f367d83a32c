# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's own answer at the moment of a reboot: the role's, and the one that ends a boot on trial."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift, guard
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import bundle
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import trial, trial_units
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from ansible_collections.tickwire.fabric.plugins.modules import reboot_guard
from tests.unit.host.boot_tree import GrubHost
from tests.unit.host.host_tree import Host
from tests.unit.host.test_host_maintenance import Running

RULES = {"maintenance_window": "", "workload_protection": True, "workload_units": ["other.service"]}
LIMIT_S = 120
# What the module does in a process of its own, so that what other tests have loaded is not in it.
BUILD = """
import importlib, json, pathlib, sys
guard = importlib.import_module("ansible_collections.tickwire.fabric.plugins.module_utils.host.guard")
pathlib.Path(sys.argv[1]).write_bytes(guard.archive(json.loads(sys.argv[2])))
"""


class Shutdowns(list[list[str]]):
    """Takes the place of exec, which does not return when it works."""

    def __call__(self, program: str, argv: list[str]) -> None:
        assert program == argv[0]
        self.append(argv)


@pytest.fixture
def running(host: Host) -> Running:
    host.write("usr/sbin/shutdown", "")
    return Running(host)


def guarded(running: Running, rules: dict[str, Any] | None = None) -> str:
    path = running.host.root / guard.ROLE_GUARD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(guard.archive(RULES if rules is None else rules))
    return str(path)


def test_what_begins_to_trade_after_the_role_asked_keeps_the_host_up(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    path, down = guarded(running), Shutdowns()
    running.units["other"] = "active"
    assert guard.main(["reboot"], running.system, path, down) == 1 and down == []
    said = capsys.readouterr()
    assert said.out == "" and said.err == (
        "tickwire: not rebooted now: other.service is active, and no maintenance window is open. Run role roce_host "
        "again when nothing trades, or set roce_host_maintenance_window.\n"
    )
    running.units["other"] = "inactive"
    assert guard.main(["reboot"], running.system, path, down) == 0
    assert down == [["/usr/sbin/shutdown", "-r", "now", "Reboot by tickwire.fabric.roce_host"]]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("rules", [{"maintenance_window": "true"}, {"workload_protection": False}])
def test_in_a_window_and_without_protection_it_reboots_what_trades(running: Running, rules: dict[str, Any]) -> None:
    running.units["other"] = "active"
    down = Shutdowns()
    assert guard.main(["reboot"], running.system, guarded(running, {**RULES, **rules}), down) == 0 and len(down) == 1


def test_without_an_answer_nothing_is_rebooted(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    path, down = guarded(running), Shutdowns()
    silent = System(running.host.root, lambda dummy: (1, "", "Failed to connect\nto bus\n"))
    damaged = running.host.write("damaged.pyz", "no zip")
    empty = running.host.root / "empty.pyz"
    empty.write_bytes(bundle.build({"__main__.py": ""}))
    for system, program in ((silent, path), *((running.system, str(one)) for one in (damaged, empty))):
        for command in ("reboot", "trial"):
            assert guard.main([command], system, program, down) == 2
            said = capsys.readouterr().err
            assert said.startswith("tickwire: not rebooted now: it cannot be told") and said.count("\n") == 1
    (running.host.root / "usr/sbin/shutdown").unlink()
    assert guard.main(["reboot"], running.system, path, down) == 2 and down == []
    assert "program 'shutdown': this host has none" in capsys.readouterr().err
    assert guard.main(["now"], running.system, path, down) == 2


def test_a_wrong_window_never_comes_onto_the_host() -> None:
    with pytest.raises(HostError, match="this is no window"):
        guard.archive({**RULES, "maintenance_window": "at night"})


def test_the_file_runs_with_the_standard_library_alone_and_has_no_more_than_it_needs(tmp_path: Path) -> None:
    """On this machine systemd does not run, or nothing of these names does; 'reboot' is not tried here."""
    path = tmp_path / "guard.pyz"
    rules = json.dumps({**RULES, "more": "than the rules", "workload_units": ["tickwire-no-such.service"]})
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[3] / ".venv/collections")}
    subprocess.run([sys.executable, "-c", BUILD, str(path), rules], check=True, timeout=60, env=environment)
    done = subprocess.run(
        [sys.executable, "-I", str(path), "trial"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with zipfile.ZipFile(path) as opened:
        names, kept = opened.namelist(), json.loads(opened.read("rules.json"))
    assert sorted(kept) == ["maintenance_window", "workload_protection", "workload_units"]
    assert not [name for name in names if "/boot/" in name or "/nic/" in name or "/modules/" in name]


@pytest.fixture
def call(running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.setattr(reboot_guard, "Path", lambda dummy: running.host.root)
    monkeypatch.setattr(reboot_guard, "run_program", running.run)

    def call(check: bool = False, **args: Any) -> dict[str, Any]:
        with patch_module_args({**args, "_ansible_check_mode": check}):
            with pytest.raises(SystemExit):
                reboot_guard.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_the_module_asks_and_leaves_the_guard(running: Running, call: Callable[..., Any]) -> None:
    before = running.host.tree()
    foretold = call(check=True, protection=RULES)
    assert foretold["changed"] and running.host.tree() == before
    first = call(protection=RULES)
    assert first["changed"] and first["may_disturb"] and first["trading"] == []
    program, *arguments = shlex.split(first["reboot_command"])
    assert program == "/usr/bin/python3" and arguments == ["-I", "/run/tickwire-reboot-guard.pyz", "reboot"]
    assert (running.host.root / arguments[1].lstrip("/")).read_bytes() == guard.archive(RULES)
    before = running.host.tree()
    running.units["other"] = "active"
    again = call(protection=RULES)
    assert not again["changed"] and running.host.tree() == before
    assert not again["may_disturb"] and again["trading"] == ["other.service is active"]
    assert call(protection={"maintenance_window": True})["changed"], "other rules"
    assert "this is no window" in call(protection={"maintenance_window": "at night"})["msg"]


class Reached(OSError):
    """The module came to what it does; with these arguments."""


@pytest.mark.parametrize(
    ("name", "does", "place"),
    [("nic_settings", "apply_nics", 3), ("dcb", "apply_dcb", 4)],
)
@pytest.mark.parametrize("window", ["", True])
@pytest.mark.parametrize("trades", [False, True])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_module_takes_no_link_down_while_something_trades(
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    does: str,
    place: int,
    window: object,
    trades: bool,
    allowed: bool,
) -> None:
    module = importlib.import_module(f"{reboot_guard.__name__.rpartition('.')[0]}.{name}")
    seen: list[object] = []

    def reached(*args: object) -> None:
        seen.append(args[place])
        raise Reached

    monkeypatch.setattr(module, "Path", lambda dummy: running.host.root)
    monkeypatch.setattr(module, "run_program", running.run)
    monkeypatch.setattr(module, does, reached)
    running.units["other"] = "active" if trades else "inactive"
    with patch_module_args({"bounce_allowed": allowed, "protection": {**RULES, "maintenance_window": window}}):
        with pytest.raises(SystemExit):
            module.main()
    assert seen == [allowed and (not trades or window is True)]


def test_the_firmware_module_hands_on_by_what_it_asks_for_each_card(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"{reboot_guard.__name__.rpartition('.')[0]}.nic_firmware")
    seen: list[object] = []

    def reached(*args: object) -> None:
        seen.extend(args[2:4])
        raise Reached

    monkeypatch.setattr(module, "Path", lambda dummy: running.host.root)
    monkeypatch.setattr(module, "apply_firmware", reached)
    with patch_module_args({"bounce_allowed": True, "protection": RULES}), pytest.raises(SystemExit):
        module.main()
    assert seen == [True, RULES]


class TrialHost(GrubHost):
    """A host whose protected unit runs or not."""

    trades = False
    state = "active"

    def run_systemctl(self, arguments: list[str]) -> str:
        if arguments[0] != "show":
            return super().run_systemctl(arguments)
        units = arguments[arguments.index("--") + 1 :]
        active = {"other.service": self.state} if self.trades else {}
        return "\n".join(f"Id={unit}\nActiveState={active.get(unit, 'inactive')}\nMainPID=0\n" for unit in units)

    def ask(self) -> int:
        """The exit status of what systemd runs before the service reboots."""
        [line] = re.findall(r"^ExecCondition=(.*)$", self.read(trial_units.SERVICE), re.MULTILINE)
        program, option, path, *command = line.split()
        assert (program, option) == ("/usr/bin/python3", "-I")
        return guard.main(command, self.system, str(self.root / path.lstrip("/")), Shutdowns())


@pytest.fixture
def tried(tmp_path: Path) -> TrialHost:
    host = TrialHost(tmp_path / "root")
    (host.root / "run/systemd/system").mkdir(parents=True)
    trial.apply(host.system, [], check=False)
    trial.next_boot(host.system, LIMIT_S, guard.archive(RULES), check=False)
    return host


def test_a_boot_on_trial_is_not_ended_while_something_trades(
    tried: TrialHost, capsys: pytest.CaptureFixture[str]
) -> None:
    tried.boot()
    tried.trades = True
    assert tried.ask() == 1, "systemd skips the reboot, and the service has not failed"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "not rebooted now: other.service is active, and no maintenance window" in said
    assert "The boot on trial goes on unconfirmed: run role roce_host to keep it" in said
    assert "kernel command line on trial" in [one.item for one in drift.find_drift(tried.system, {})]
    tried.trades = False
    assert tried.ask() == 0, "asked again when it trades no longer, it is ended"


def test_what_cannot_start_under_the_boot_on_trial_does_not_keep_it(tried: TrialHost) -> None:
    tried.boot()
    tried.trades, tried.state = True, "activating"
    assert tried.ask() == 0, "systemd tries again and again, and there is no process"
    tried.state = "deactivating"
    assert tried.ask() == 1


def test_who_is_asked_comes_again_and_goes_with_the_trial(tried: TrialHost) -> None:
    timer = tried.read(trial_units.TIMER)
    assert f"OnBootSec={LIMIT_S}s" in timer and f"OnUnitInactiveSec={LIMIT_S}s" in timer
    service = tried.read(trial_units.SERVICE)
    assert service.index("ExecCondition=") < service.index("ExecStart=/usr/bin/systemctl reboot")
    tried.boot()
    assert trial.keep(tried.system, check=False).changed
    assert not [name for name in tried.tree() if "trial" in name]


def test_other_rules_come_to_a_trial_that_is_armed(tried: TrialHost) -> None:
    before = tried.tree()
    assert not trial.next_boot(tried.system, LIMIT_S, guard.archive(RULES), check=False).changed
    other = guard.archive({**RULES, "maintenance_window": True})
    assert trial.next_boot(tried.system, LIMIT_S, other, check=True).changed and tried.tree() == before
    assert trial.next_boot(tried.system, LIMIT_S, other, check=False).changed
    tried.trades = True
    assert tried.ask() == 0
    assert trial.state_of(tried.system) == trial.ARMED


def test_a_refused_reboot_leaves_the_next_boot_an_ordinary_one(tried: TrialHost) -> None:
    before = tried.tree()
    assert trial.call_off(tried.system, check=True).changed and tried.tree() == before
    assert trial.call_off(tried.system, check=False).changed
    assert not [name for name in tried.tree() if "trial" in name or "tickwire-previous" in name]
    assert trial.state_of(tried.system) == trial.NONE and "next_entry" not in tried.environment()
    assert "tickwire.trial" not in tried.boot()
    assert not trial.call_off(tried.system, check=False).changed


def test_a_trial_that_runs_is_not_called_off(tried: TrialHost) -> None:
    tried.boot()
    before = tried.tree()
    assert not trial.call_off(tried.system, check=False).changed and tried.tree() == before


def test_systemd_reads_the_units_as_they_were_meant(tried: TrialHost, tmp_path: Path) -> None:
    units = [tmp_path / Path(name).name for name in (trial_units.SERVICE, trial_units.TIMER)]
    for unit in units:
        unit.write_text(tried.read(f"etc/systemd/system/{unit.name}"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "tickwire" not in done.stderr and done.returncode == 0, done.stderr
