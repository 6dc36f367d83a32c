"""The module cpu_isolation: arguments in, result out."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.host.cgroup_tree import Machine
from tests.unit.host.host_tree import Host

NAME = "ansible_collections.tickwire.fabric.plugins.modules.cpu_isolation"


@pytest.fixture
def machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> Machine:
    host.cpus(4)
    machine = Machine(host)
    machine.kthread(2, "kthreadd", "0-3")
    module = importlib.import_module(NAME)
    monkeypatch.setattr(module, "Path", lambda dummy: host.root)
    # The kernel's part; what goes to /proc and /sys is a file here.
    monkeypatch.setattr(module, "System", lambda root, run: type(machine.system)(root, run=run, write=machine.write))
    monkeypatch.setattr(os, "sched_setaffinity", machine.set_affinity)
    monkeypatch.setattr(module.isolate.apply, "__defaults__", (machine.set_affinity, lambda dummy: None))
    return machine


def call(machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any, check: bool = False, **args: Any) -> dict:
    run = machine.host.run_nothing if check else machine.run
    monkeypatch.setattr(importlib.import_module(NAME), "run_program", run)
    with patch_module_args({**args, "_ansible_check_mode": check, "_ansible_diff": True}):
        with pytest.raises(SystemExit):
            importlib.import_module(NAME).main()
    return json.loads(capsys.readouterr().out)


def test_check_mode_then_the_same_for_real_then_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    args = {"housekeeping_per_node": 1, "isolation": "partition"}
    before = machine.host.tree()
    foretold = call(machine, monkeypatch, capsys, check=True, **args)
    assert machine.host.tree() == before and machine.ran == []
    done = call(machine, monkeypatch, capsys, **args)
    assert done["changed"] and done["diff"] == foretold["diff"]
    assert (done["isolated_cpus"], done["housekeeping_cpus"], done["way"]) == ("1-3", "0", "partition")
    assert "partition tickwire.slice: isolated 1-3\n" in done["diff"]["after"]
    assert not call(machine, monkeypatch, capsys, **args)["changed"]
    gone = call(machine, monkeypatch, capsys)
    assert gone["changed"] and (gone["isolated_cpus"], gone["way"]) == ("", "")
    etc = machine.host.root / "etc"
    assert not list((etc / "systemd/system").glob("*.d")) and (etc / "tmpfiles.d").is_dir(), "the latter is not ours"


def test_refusals_are_messages_and_write_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    before = machine.host.tree()
    for args, message in (
        ({"isolated_cpus": "0"}, "CPU 0 stays a housekeeping CPU"),
        ({"isolated_cpus": "1", "housekeeping_per_node": 1}, "Give one of the two"),
        ({"isolated_cpus": "1", "isolation": "both"}, "value of isolation must be one of: auto, partition, boot"),
    ):
        result = call(machine, monkeypatch, capsys, **args)
        assert result["failed"] and message in result["msg"]
    assert machine.host.tree() == before


@pytest.mark.parametrize("isolation", ["boot", "partition"])
def test_what_trades_in_a_slice_keeps_its_cpus_until_it_does_not(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any, warned: list[str], isolation: str
) -> None:
    unit = machine.host.root / "sys/fs/cgroup/system.slice/system-desk.slice/desk@1.service"
    unit.mkdir(parents=True)
    show, ran = "systemctl show --property=Id,ActiveState,MainPID -- tickwire-engine.service desk@1", machine.run
    monkeypatch.setattr(
        machine,
        "run",
        lambda argv: (0, "ActiveState=inactive\n\nActiveState=active\n", "") if argv == show.split() else ran(argv),
    )
    protection = {"workload_units": ["desk@1"]}
    protected = {"isolated_cpus": "2-3", "isolation": isolation, "protection": protection}
    call(machine, monkeypatch, capsys, **protected)
    assert "desk@1.service in system.slice trades" in str(warned) and machine.ran == []
    assert not call(machine, monkeypatch, capsys, **protected)["changed"]
    monkeypatch.setattr(machine.host, "run_nothing", machine.run)
    for allowed in ({"maintenance_window": True}, {"workload_protection": False}):
        foretold = call(machine, monkeypatch, capsys, True, **{**protected, "protection": {**protection, **allowed}})
        assert foretold["diff"]["before"] != foretold["diff"]["after"] and foretold["changed"]
    unit.rmdir()
    done = call(machine, monkeypatch, capsys, **protected)
    assert done["changed"] and "systemctl daemon-reload" in machine.ran
    # Where the slice has lost the CPUs already there is nothing to hold back, and what is taken away comes back.
    unit.mkdir()
    assert not call(machine, monkeypatch, capsys, **protected)["changed"]
    assert call(machine, monkeypatch, capsys, protection=protection)["changed"]
    assert not list((machine.host.root / "etc/systemd/system").glob("*.d"))
