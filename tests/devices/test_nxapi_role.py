"""The role against switches with NX-API, through the real cisco.nxos over httpapi: what can go wrong goes wrong here.

Every switch of the test is a device of its own, all in one run of ansible-playbook, since a run takes seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.devices.nxapi import PASSWORD, USER, Nexus
from tests.unit.fabric.nxos_samples import OTHERS, findings, intent

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 300
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: tickwire.fabric.roce_switch
        tasks_from: TASKS
"""
AFTER_A_CLASS = "policy-map type queuing TICKWIRE-OUT-25G"


class Rack:
    """Switches on ports of loopback, and what a run of the role said to each."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path, self.stack = path, stack
        self.switches: dict[str, Nexus] = {}
        self.hosts: dict[str, dict[str, object]] = {}

    def add(self, name: str, switch: Nexus, **variables: object) -> None:
        self.switches[name] = switch
        port = self.stack.enter_context(switch.serving())
        self.hosts[name] = {
            "ansible_host": "127.0.0.1",
            "ansible_httpapi_port": port,
            "ansible_port": port,  # hosts with the same address and ansible_port would share a connection
            "roce_switch_device": "leaf1",
            "roce_switch_disruptive_allowed": True,
            **variables,
        }

    def play(self, *arguments: str, tasks_from: str = "main") -> tuple[dict[str, dict[str, int]], dict[str, str]]:
        """Counts of the recap and the last failure, by host."""
        common = {
            "ansible_connection": "ansible.netcommon.httpapi",
            "ansible_network_os": "cisco.nxos.nxos",
            "ansible_user": USER,
            "ansible_password": PASSWORD,
            "ansible_python_interpreter": sys.executable,
            "fabric": intent(),
        }
        inventory, play = self.path / "hosts.json", self.path / "play.yml"
        inventory.write_text(json.dumps({"all": {"vars": common, "hosts": self.hosts}}), encoding="utf-8")
        play.write_text(PLAY.replace("TASKS", tasks_from), encoding="utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv/collections"),
            "ANSIBLE_HOME": str(self.path / "home"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_FORKS": "4",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(play), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False, cwd=self.path
        )
        start = done.stdout.find("{")
        assert start >= 0, done.stdout + done.stderr
        found = json.loads(done.stdout[start:])
        failures: dict[str, str] = {}
        for task in found["plays"][0]["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("failed"):
                    failures[host] = str(result.get("msg"))
        return found["stats"], failures


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with ExitStack() as stack:
        yield Rack(tmp_path, stack)


def changed(stats: Mapping[str, Mapping[str, int]], *names: str) -> bool:
    return any(stats[name]["changed"] for name in names)


def test_check_mode_writes_nothing_and_shows_the_difference(rack: Rack) -> None:
    rack.add("fresh", Nexus(OTHERS), roce_switch_disruptive_allowed=False)
    before = rack.switches["fresh"].running()
    stats, failures = rack.play("--check", "--diff")
    assert failures == {}
    assert changed(stats, "fresh")
    switch = rack.switches["fresh"]
    assert switch.running() == before and switch.startup == before and switch.checkpoints == {}
    assert all(command.startswith("show ") for command in switch.commands)


def test_every_way_a_change_can_go(rack: Rack) -> None:
    rack.add("fresh", Nexus(OTHERS))
    rack.add("refuses", Nexus(OTHERS, refuse="random-detect .* 400000 bytes drop"))
    rack.add("dies", Nexus(OTHERS, drop_at=AFTER_A_CLASS))
    rack.add("session", Nexus(OTHERS, sessions=[{"session": "night-work", "owner": "eve"}]))
    rack.add("no-leave", Nexus(OTHERS), roce_switch_disruptive_allowed=False)
    before = {name: switch.running() for name, switch in rack.switches.items()}
    # an earlier run did not end on this one: the way back is to before that run
    left = rack.switches["refuses"]
    left.checkpoints["tickwire"] = left.running()
    left.enter(["interface Ethernet1/1", "switchport", "mtu 9000"])

    stats, failures = rack.play()

    # what went well is proven and saved, and the checkpoint is gone
    fresh = rack.switches["fresh"]
    assert "fresh" not in failures and changed(stats, "fresh")
    assert [one for one in findings(fresh, intent()) if one.startswith("error")] == []
    assert fresh.startup == fresh.running() and fresh.checkpoints == {"tickwire-last": before["fresh"]}
    # a line in the middle is refused: those before it were taken, and are put back
    assert left.running() == before["refuses"] == left.startup and left.checkpoints == {}
    assert "random-detect" in failures["refuses"] and "Invalid command" in failures["refuses"]
    assert "It was rolled back" in failures["refuses"]
    assert "rollback running-config checkpoint tickwire" in left.commands
    # the connection breaks and stays broken: nobody can put it back now, and the message says so
    dies = rack.switches["dies"]
    assert dies.running() != before["dies"] and set(dies.checkpoints) == {"tickwire", "tickwire-last"}
    assert "It is NOT rolled back" in failures["dies"] and "rollback.yml" in failures["dies"]
    # refused before anything is written
    for name, said in {
        "session": "night-work",
        "no-leave": "network-qos of the system changes",
    }.items():
        switch = rack.switches[name]
        assert said in failures[name]
        assert switch.running() == before[name] and switch.checkpoints == {}
        assert all(command.startswith("show ") for command in switch.commands), name

    # the next run: nothing to do on the first one; the half of the change that `dies` has becomes a whole one
    hosts = dict(rack.hosts)
    rack.hosts = {name: hosts[name] for name in ("fresh", "dies")}
    dies.down = False
    fresh.commands.clear()
    stats, failures = rack.play()
    assert failures == {} and not changed(stats, "fresh") and changed(stats, "dies")
    assert all(command.startswith("show ") for command in fresh.commands)
    assert dies.running() == fresh.running() == dies.startup

    # and by itself: back to before the last change, which on `dies` began in the run that did not end
    rack.hosts = {name: hosts[name] for name in ("dies", "no-leave")}
    same = rack.switches["no-leave"]
    same.checkpoints["tickwire-last"] = same.running()
    stats, failures = rack.play(tasks_from="rollback")
    assert failures == {} and changed(stats, "dies")
    assert dies.running() == before["dies"] == dies.startup and dies.checkpoints == {}
    assert same.running() == before["no-leave"] and same.checkpoints == {}
    assert not any(command.startswith("rollback") for command in same.commands)
