"""The modules on a file tree: arguments in, result out, and check mode that writes nothing."""

from __future__ import annotations

import ast
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.tickwire.fabric.plugins.module_utils.host import jitter
from tests.unit.host.host_tree import Host

PACKAGE = "ansible_collections.tickwire.fabric.plugins.modules"
COLLECTION = Path(__file__).resolve().parents[3]
PAGES = [{"size": "2M", "count": 64, "node": 0}]
ALL = [
    ("kernel_cmdline", {"isolated_cpus": "1", "tokens": ["skew_tick=1"]}),
    ("hugepages", {"pages": PAGES}),
    ("host_memory", {"memory": {"thp": "never"}, "limits": {"user": "tickwire", "memlock": "unlimited"}}),
    ("host_noise", {"isolated_cpus": "1", "noise": {"idle_latency_us": 3, "ksm": False, "governor": "performance"}}),
    ("irq_affinity", {"isolated_cpus": "1"}),
    (
        "roce_host_drift",
        {"wanted": {"isolated_cpus": "1", "kernel_cmdline_extra": ["skew_tick=1"], "hugepages": PAGES}},
    ),
]
WRITERS = ALL[:-1]

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a module with the tree as its root; programs are run by the tree's double, in check mode none may be."""
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    host.write("sys/kernel/mm/ksm/run", "0\n")
    host.write("sys/devices/system/cpu/cpu1/power/pm_qos_resume_latency_us", "0\n")

    def call(name: str, args: dict[str, Any], check: bool = False) -> dict[str, Any]:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        monkeypatch.setattr(module, "Path", lambda dummy: host.root)
        run = host.run_nothing if check else host.run
        monkeypatch.setattr(module, "run_program", run)
        with patch_module_args({**args, "_ansible_check_mode": check, "_ansible_diff": True}):
            with pytest.raises(SystemExit):
                module.main()
        return json.loads(capsys.readouterr().out)

    return call


@pytest.mark.parametrize(("name", "args"), ALL)
def test_check_mode_writes_nothing(host: Host, call: Call, name: str, args: dict[str, Any]) -> None:
    before = host.tree()
    result = call(name, args, check=True)
    assert "failed" not in result, result
    assert result["changed"] == (name != "roce_host_drift"), "it says that it would change something"
    assert host.tree() == before
    assert host.ran == []


@pytest.mark.parametrize(("name", "args"), WRITERS)
def test_check_mode_foretells_what_is_done_and_a_second_run_does_nothing(
    host: Host, call: Call, name: str, args: dict[str, Any]
) -> None:
    foretold, first = call(name, args, check=True), call(name, args)
    assert first["changed"] and first["diff"] == foretold["diff"]
    assert first["diff"]["before"] != first["diff"]["after"]
    before = host.tree()
    second = call(name, args)
    assert not second["changed"] and second["diff"]["before"] == second["diff"]["after"]
    assert host.tree() == before


def test_the_diff_shows_the_tokens(call: Call) -> None:
    result = call("kernel_cmdline", {"isolated_cpus": "1", "tokens": ["skew_tick=1"]})
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"].splitlines() == [
        "isolcpus=managed_irq,domain,1",
        "nohz_full=1",
        "rcu_nocbs=1",
        "irqaffinity=0",
        "skew_tick=1",
    ]
    assert result["reboot_required"] is True
    gone = call("kernel_cmdline", {"state": "absent"})
    assert gone["changed"] and gone["tokens"] == [] and gone["diff"]["after"] == ""
    assert gone["reboot_required"] is False, "the running kernel never had them"


def test_the_reader_finds_no_drift_after_the_writers_and_a_reboot(host: Host, call: Call) -> None:
    for name, args in WRITERS:
        call(name, args)
    pending = call(*ALL[-1])
    assert pending["reboot_required"] and all(item["pending_reboot"] for item in pending["drift"])
    tokens = "isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 irqaffinity=0 skew_tick=1"
    host.boots(tokens, isolated="1", nohz_full="1")
    after = call(*ALL[-1])
    assert after["drift"] == [] and after["reboot_required"] is False


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("kernel_cmdline", {"isolated_cpus": "0"}, "CPU 0 stays a housekeeping CPU"),
        ("kernel_cmdline", {"tokens": ["a b"]}, "one token per list item"),
        ("hugepages", {"pages": [{"size": "2M", "count": 1, "node": 4}]}, "there is no such node"),
        ("hugepages", {"pages": [{"size": "4M", "count": 1}]}, "value of size must be one of: 2M, 1G"),
        ("irq_affinity", {"isolated_cpus": "9"}, "CPU 9 does not exist, this host has 0-1"),
        ("roce_host_drift", {"wanted": {"isolated_cpus": "0-1"}}, "none is left for housekeeping"),
    ],
)
def test_refusals_are_messages_and_write_nothing(
    host: Host, call: Call, name: str, args: dict[str, Any], message: str
) -> None:
    before = host.tree()
    result = call(name, args)
    assert result["failed"] and message in result["msg"]
    assert host.tree() == before


def test_the_code_for_hosts_is_python_3_9() -> None:
    files = [*(COLLECTION / "plugins/module_utils/host").glob("*.py")]
    files += [COLLECTION / "plugins/modules" / f"{name}.py" for name, dummy in ALL]
    assert len(files) >= 10
    for path in files:
        ast.parse(path.read_text(), filename=os.fspath(path), feature_version=(3, 9))


def test_a_jitter_of_before_is_kept_once_and_never_measured_in_check_mode(host: Host, call: Call) -> None:
    text = (COLLECTION / "tests/fixtures/host/cyclictest/rt-tests-2.4.txt").read_text()
    host.cpus(3)
    host.write("usr/bin/cyclictest", "")

    host.answer = (0, text, "")
    wanted = {"isolated_cpus": "1-2", "keep": True}
    before = host.tree()
    foretold = call("host_jitter", wanted, check=True)
    assert foretold["changed"] and foretold["result"] == {} and host.tree() == before and host.ran == []
    first = call("host_jitter", wanted)
    assert first["changed"] and first["before"] == first["result"] and first["result"]["max_us"] == 78007
    host.ran.clear()
    second = call("host_jitter", wanted)
    assert not second["changed"] and second["result"] == {} and second["before"] == first["before"] and host.ran == []
    again = call("host_jitter", {"isolated_cpus": "1-2"})
    assert not again["changed"] and again["result"] != {} and again["before"] == first["before"]
    other = call("host_jitter", {"isolated_cpus": "", "keep": True})
    assert not other["changed"] and other["result"] == {}


def test_a_jitter_of_before_goes_with_what_was_changed(host: Host, call: Call) -> None:
    host.write(jitter.BEFORE, '{"cpus": "1"}')
    before = host.tree()
    assert call("host_jitter", {"state": "absent"}, check=True)["changed"] and host.tree() == before
    assert call("host_jitter", {"state": "absent"})["changed"] and not (host.root / jitter.BEFORE).exists()
    again = call("host_jitter", {"state": "absent"})
    assert not again["changed"] and again["result"] == again["before"] == {} and host.ran == []


def test_jitter_of_all_but_the_housekeeping_cpus_that_are_on(host: Host, call: Call) -> None:
    text = (COLLECTION / "tests/fixtures/host/cyclictest/rt-tests-2.4.txt").read_text()
    host.cpus(4)
    host.write("sys/devices/system/cpu/online", "0-2\n")
    host.write("usr/bin/cyclictest", "")
    host.answer = (0, text, "")
    assert call("host_jitter", {"housekeeping_per_node": 1})["result"]["cpus"] == "1-2"
    assert call("host_jitter", {"isolated_cpus": "1-3"})["result"]["cpus"] == "1-2"


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_document_keeps_nobody_from_asking_for_something_else(host: Host, call: Call, text: str) -> None:
    host.write("etc/tickwire/host.json", text)
    wanted = {"wanted": {"drift_timer": {}, "hugepages": PAGES}}
    result = call("roce_host_drift", wanted)
    assert result["document_differs"] and "/etc/tickwire/host.json" in [item["item"] for item in result["drift"]]
    assert "Run role roce_host" in call("roce_host_drift", {})["msg"]


def test_a_damaged_memory_of_what_was_before_is_told_in_one_line(host: Host, call: Call) -> None:
    host.write("var/lib/tickwire/host-before.json", "{")
    assert "host-before.json': it is damaged" in call("host_noise", {"noise": {"ksm": False}})["msg"]
