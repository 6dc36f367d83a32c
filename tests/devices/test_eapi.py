"""The role against Arista test switches: ansible-playbook, the httpapi connection and eAPI are the real ones."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.counters import COMMANDS, ECN, PFC
from tests.devices.eapi import EosSwitch
from tests.devices.eos_grammar import shown
from tests.devices.eos_intents import EXAMPLE, RUNNING, rendered
from tests.devices.server import serving

CHECKOUT = Path(__file__).resolve().parents[2]
ROLE = "tickwire.fabric.roce_switch"
PLAYS: list[dict[str, Any]] = [
    {"name": "first", "hosts": "all:!back:!lines", "gather_facts": False, "roles": [ROLE]},
    {
        "name": "second",
        "hosts": "leaf",
        "gather_facts": False,
        "roles": [ROLE],
        "post_tasks": [
            {
                "name": "Read the counters",
                "tickwire.fabric.pfc_info": {"fabric": "{{ fabric }}", "device": "{{ roce_switch_device }}"},
            }
        ],
    },
    {
        "name": "back",
        "hosts": "back",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": {"name": ROLE, "tasks_from": "eos/rollback.yml"}}],
    },
    {
        "name": "lines",
        "hosts": "lines",
        "gather_facts": False,
        "tasks": [
            {"name": name, "arista.eos.eos_config": {"src": "leaf1.cfg", "match": match}, **more}
            for name, match, more in (
                ("Look", "line", {"check_mode": True}),
                ("Apply", "line", {}),
                ("Apply again", "none", {}),
            )
        ],
    },
]


@dataclass
class Story:
    """What the runs said, and the switches after them."""

    switches: dict[str, EosSwitch]
    before: dict[str, list[str]]
    check_only: list[str]
    check_said: list[Any]
    plays: dict[str, list[dict[str, Any]]]
    after_second: list[str]

    def failure(self, host: str) -> str:
        """The last message of the host in the first play."""
        told = [task["hosts"][host] for task in self.plays["first"] if host in task["hosts"]]
        assert told[-1].get("failed"), told[-1]
        return told[-1]["msg"]


def runs(switch: EosSwitch) -> list[str]:
    return sorted(line for line in shown(switch.running).splitlines() if line != "!")


def playbook(directory: Path, plays: list[dict[str, Any]], hosts: Mapping[str, int], *arguments: str) -> list[Any]:
    """The plays' tasks as the JSON callback tells them."""
    common = {
        "ansible_host": "127.0.0.1",
        "ansible_connection": "ansible.netcommon.httpapi",
        "ansible_network_os": "arista.eos.eos",
        "ansible_httpapi_use_ssl": False,
        "ansible_password": "test",
        "ansible_python_interpreter": sys.executable,
        "fabric": EXAMPLE,
        "roce_switch_device": "leaf1",
        "roce_switch_confirm_seconds": 60,
    }
    # a user each: Ansible keeps one connection for all hosts with the same address, port and user
    entries: dict[str, dict[str, Any]] = {
        name: {"ansible_httpapi_port": port, "ansible_user": name} for name, port in hosts.items()
    }
    entries.get("gone", {})["roce_switch_confirm_seconds"] = 2
    inventory, book = directory / "hosts.yml", directory / "play.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": common, "hosts": entries}}), encoding="utf-8")
    book.write_text(yaml.safe_dump(plays), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections"),
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_FORKS": "6",
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), *arguments, str(book)]
    done = subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return json.loads(done.stdout)["plays"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Two runs for all tests: a check of one switch, then everything."""
    names = ("leaf", "refused", "other", "dropped", "gone", "ignores", "lines")
    foreign = RUNNING.replace("interface Ethernet9\n", "interface Ethernet9\n   switchport access vlan 110\n")
    switches = {name: EosSwitch(foreign if name == "leaf" else RUNNING) for name in names}
    switches["refused"].refused = "storm-control"
    switches["other"].open_session("maintenance", "alice")
    for name in ("dropped", "gone"):
        switches[name].drop_at, switches[name].dropped_after = "commit timer", True
    switches["gone"].gone = True
    switches["ignores"].ignored = "mtu 9214"
    switches["leaf"].counters = {
        PFC: {"interfaceCounters": {"Ethernet1": {"rxFrames": 7, "txFrames": 8}}},
        ECN: {"intfQueueCounters": {"Ethernet1": {"queueCounters": {"0": "-", "3": "42"}}}},
    }
    before = {name: runs(switch) for name, switch in switches.items()}
    after_second: list[str] = []

    class Watched(EosSwitch):
        """The same switch, under the name by which it is rolled back."""

        def answer(self, *request: Any) -> Any:
            after_second[:] = after_second or runs(switches["leaf"])
            return switches["leaf"].answer(*request)

    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(switch)) for name, switch in switches.items()}
        directory = tmp_path_factory.mktemp("eapi")
        (directory / "leaf1.cfg").write_text(rendered(EXAMPLE), encoding="utf-8")
        # with a chip whose buffer this would divide anew
        trident = copy.deepcopy(EXAMPLE)
        trident["devices"]["leaf1"]["asic"] = "trident3"
        extra = ("--check", "--diff", "--extra-vars", json.dumps({"fabric": trident}))
        check_said = playbook(directory, PLAYS[:1], {"leaf": ports["leaf"]}, *extra)[0]["tasks"]
        check_only = [*switches["leaf"].log]
        assert runs(switches["leaf"]) == before["leaf"]
        ports["back"] = stack.enter_context(serving(Watched()))
        plays = {play["play"]["name"]: play["tasks"] for play in playbook(directory, PLAYS, ports)}
        yield Story(switches, before, check_only, check_said, plays, after_second)


def changed(tasks: list[dict[str, Any]], host: str) -> list[str]:
    return [task["task"]["name"] for task in tasks if task["hosts"].get(host, {}).get("changed")]


def test_check_mode_writes_nothing(story: Story) -> None:
    assert "show session-config diffs" in story.check_only
    assert not [line for line in story.check_only if line.startswith(("commit", "copy"))]


def test_check_mode_shows_the_change_and_tells_what_it_interrupts_without_leave(story: Story) -> None:
    told = {task["task"]["name"].rpartition(": ")[2]: task["hosts"]["leaf"] for task in story.check_said}
    assert not [name for name, said in told.items() if said.get("failed")]
    assert "the chip divides its buffer anew" in told["Refuse what interrupts traffic without leave"]["msg"]
    assert "service-profile TICKWIRE-25G" in told["Commit the intent with a timer"]["diff"]["prepared"]


def test_the_lines_are_such_that_eos_config_enters_them_once(story: Story) -> None:
    """By the vendor's own module, which calls every line that it sends a change: the switch's difference tells.

    The order of lines within a block is the test switch's, which puts a line that is entered again last.
    """
    changes = {}
    for task in story.plays["lines"]:
        lines = task["hosts"]["lines"]["diff"]["prepared"].splitlines()[2:]
        new, old = (sorted(line[1:] for line in lines if line.startswith(sign)) for sign in "+-")
        changes[task["task"]["name"]] = new != old
    assert changes == {"Look": True, "Apply": True, "Apply again": False}
    assert "   service-profile TICKWIRE-25G" in runs(story.switches["lines"])


def test_what_others_configured_against_the_intent_is_told(story: Story) -> None:
    tasks = story.plays["second"]
    told = next(one for one in tasks if one["task"]["name"].endswith("Tell what others configured against the intent"))
    assert told["hosts"]["leaf"]["msg"] == [
        "leaf1:Ethernet9: is in VLAN 110 of the intent, and no link names this port; next: add the link"
    ]


def test_the_first_run_changes_and_the_second_does_not(story: Story) -> None:
    assert [name.rpartition(": ")[2] for name in changed(story.plays["first"], "leaf")] == [
        "Commit the intent with a timer",
        "Confirm the commit",
        "Keep the configuration for the next start",
    ]
    assert changed(story.plays["second"], "leaf") == []
    assert "   service-profile TICKWIRE-25G" in story.after_second
    assert "   description trade1" in story.after_second


def test_the_counters_are_read_and_a_command_the_switch_does_not_have_is_told(story: Story) -> None:
    read = next(task["hosts"]["leaf"] for task in story.plays["second"] if task["task"]["name"] == "Read the counters")
    port = read["counters"]["ports"]["Ethernet1"]
    assert (port["pfc"]["all"]["rx_frames"], port["queues"]["3"]["ecn_marked_packets"]) == (7, 42)
    assert sorted(read["unread"]) == sorted({*COMMANDS} - {PFC, ECN})


def test_the_way_back_restores_what_ran_before(story: Story) -> None:
    assert runs(story.switches["leaf"]) == story.before["leaf"]
    assert shown(story.switches["leaf"].startup) == shown(story.switches["leaf"].running)


def test_a_refused_line_leaves_the_switch_as_it_was(story: Story) -> None:
    said = story.failure("refused")
    assert "storm-control broadcast level 1.5" in said
    assert "Nothing was changed, its session is aborted" in said
    assert runs(story.switches["refused"]) == story.before["refused"]
    assert story.switches["refused"].sessions == {}


def test_another_session_is_refused(story: Story) -> None:
    assert "session maintenance of alice is open on the switch. Nothing was changed. Next: " in story.failure("other")
    assert runs(story.switches["other"]) == story.before["other"]
    assert list(story.switches["other"].sessions) == ["maintenance"]


def test_a_dropped_connection_is_told_and_taken_back(story: Story) -> None:
    said = story.failure("dropped")
    assert "was not answered" in said
    assert "It was rolled back to what was running before, and read back so" in said
    assert runs(story.switches["dropped"]) == story.before["dropped"]


def test_a_switch_that_cannot_be_reached_any_more_takes_the_change_back_itself(story: Story) -> None:
    assert "It is NOT rolled back" in story.failure("gone")
    deadline = time.monotonic() + 10
    while not story.switches["gone"].reverted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert story.switches["gone"].reverted == 1
    assert runs(story.switches["gone"]) == story.before["gone"]


def test_a_switch_that_does_not_do_what_it_took_is_put_back(story: Story) -> None:
    said = story.failure("ignores")
    assert "leaf1:Ethernet1 mtu: is 9000, wanted 9214" in said
    assert "It was rolled back" in said
    assert runs(story.switches["ignores"]) == story.before["ignores"]
