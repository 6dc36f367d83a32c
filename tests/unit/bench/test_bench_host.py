"""Section host: what counts as a run that changes nothing, and whose figures come out. No container is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import host
from bench.contest import BenchError

OUTPUT = """
PLAY [Make trading hosts] ****
TASK [Gathering Facts] ****
ok: [host01]
TASK [tickwire.fabric.roce_host : Set hugepages per NUMA node] ****
ok: [host01]
PLAY RECAP ****
host01                     : ok=2    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
"""


class Hosts(host.Rig):
    """Answers as the process among the containers does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(question)
        if "command" in question:
            return {"output": "seconds 30.5 tasks 84\n"}
        return {"seconds": 4.0 * question["hosts"] ** 0.5, "tasks": 12}


def test_growth_is_the_time_of_a_host_among_many_over_one_alone() -> None:
    figures = Hosts().role(16)
    assert figures == {"one_host_s": 4.0, "tasks": 12, "16_hosts_s": 16.0, "per_host_s": 1.0, "growth": 0.25}


def test_a_peer_runs_among_the_containers_and_names_its_figures() -> None:
    peer = {"section": "host", "name": "theirs", "command": ["run-it"], "unit": "s"}
    peer["pattern"] = r"seconds (?P<one_host_s>[0-9.]+) tasks (?P<tasks>\d+)"
    found = Hosts()
    section, [ours, theirs] = host.contest_of(found, 16, [peer, {**peer, "section": "book"}])
    assert theirs.run(0) == {"one_host_s": 30.5, "tasks": 84.0}
    assert found.asked == [{"command": ["run-it"]}]
    assert set(ours.run(0)) == set(section.metrics)


def test_a_run_counts_when_it_changed_nothing_and_gathered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(output: str) -> None:
        monkeypatch.setattr(host, "play", lambda *dummy: output)

    says(OUTPUT)
    assert host.timed(Path(), 1)["tasks"] == 2
    says(OUTPUT.replace("changed=0", "changed=1"))
    with pytest.raises(BenchError, match="was to change nothing"):
        host.timed(Path(), 1)
    says(OUTPUT + "TASK [ansible.builtin.setup]\n")
    with pytest.raises(BenchError, match="gathered 2 times"):
        host.timed(Path(), 1)
    says(OUTPUT)
    with pytest.raises(BenchError, match="on 2 hosts"):
        host.timed(Path(), 2)


def test_the_hosts_have_the_variables_of_the_scenario(tmp_path: Path) -> None:
    where = host.inventory(tmp_path / "inventory", 3)
    hosts = json.loads((where / "hosts.yml").read_text())["all"]["children"]["containers"]["hosts"]
    assert list(hosts) == ["host01", "host02", "host03"]
    variables = yaml.safe_load((where / "group_vars/containers.yml").read_text())
    assert variables["roce_host_isolated_cpus"] == "1"
