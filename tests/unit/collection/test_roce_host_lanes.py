# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role roce_host, lanes.yml and preflight.yml as Ansible runs them, with doubles of the collection's modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TASKS = Path(__file__).resolve().parents[3] / "roles/roce_host/tasks"
#: Answers with what the play says of it, and writes down how it was called.
MODULE = """#!/usr/bin/python
import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"name": {"type": "str"}, "answer": {"type": "dict"}, "given": {"type": "raw"}, "log": {}})
with Path(module.params["log"]).open("a") as out:
    out.write(json.dumps([module.params["name"], module.params["given"]]) + "\\n")
module.exit_json(**(module.params["answer"] or {}))
"""


def play(tmp_path: Path, name: str, variables: dict[str, Any], *words: str) -> list[tuple[str, Any]]:
    """Run a task file of the role as part of main.yml would be; the modules that were called, with what was given."""
    log, library = tmp_path / "log", tmp_path / "library"
    library.mkdir()
    (library / "double.py").write_text(MODULE, encoding="ascii")
    for path in TASKS.glob("*.yml"):
        # Only the module is another: conditions, includes, tags and registered names stay as they are.
        tasks = yaml.safe_load(path.read_text(encoding="utf-8"))
        for task in tasks:
            for module in [key for key in task if key.startswith("tickwire.fabric.")]:
                called = module.rpartition(".")[2]
                given = task.pop(module)
                answer = f"{{{{ answers['{called}'] | default({{}}) }}}}"
                task["double"] = {"name": called, "given": given, "answer": answer, "log": str(log)}
        (tmp_path / path.name).write_text(yaml.safe_dump(tasks, sort_keys=False), encoding="utf-8")
    task = {"import_tasks": name, "tags": ["roce_host", "roce_host_apply"]}
    plays = [{"hosts": "localhost", "gather_facts": False, "vars": {"answers": {}, **variables}, "tasks": [task]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays), encoding="utf-8")
    program = shutil.which("ansible-playbook", path=str(Path(sys.executable).parent))
    assert program is not None
    done = subprocess.run(
        [
            program,
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            *words,
            "play.yml",
        ],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_LIBRARY": str(library), "ANSIBLE_LOCALHOST_WARNING": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = log.read_text(encoding="ascii").splitlines() if log.exists() else []
    return [tuple(json.loads(line)) for line in lines]


LANES: dict[str, Any] = {
    "roce_host_dcb": {},
    "roce_host_dcb_required": "auto",
    "roce_host_dcb_stop_firmware_agents": False,
    "roce_host_bounce_allowed": True,
    "roce_host_throttle": 1,
    "roce_host_roce": {},
    "roce_host_nics": [],
    "__roce_host_policy": {},
    "__roce_host_kept": ["nic", "dcb", "roce"],
}


def lack(setting: str) -> dict[str, Any]:
    return {"not_supported": [{"interface": "ens4", "setting": setting, "reason": "Operation not supported"}]}


@pytest.mark.parametrize(
    ("first", "changed", "again"),
    [
        (lack("pause.rx"), True, True),
        (lack("pause.rx"), False, False),
        (lack("rings.rx"), True, False),
        (None, True, False),
    ],
    ids=["refused", "lanes as before", "another lack", "cards not set yet"],
)
def test_a_pause_that_was_refused_while_priorities_paused_is_set_in_the_same_run(
    tmp_path: Path, first: dict[str, Any] | None, changed: bool, again: bool
) -> None:
    variables = {**LANES, "answers": {"dcb": {"changed": changed}}}
    if first is not None:
        variables["__roce_host_nic"] = first
    called = [name for name, dummy in play(tmp_path, "lanes.yml", variables, "--tags", "roce_host_apply")]
    assert called == ["dcb", "roce_cm", *(["nic_settings"] if again else [])]


@pytest.mark.parametrize(
    ("allowed", "trial", "told"), [("true", "true", True), ("false", "true", False), ("true", "false", False)]
)
def test_preflight_asks_for_a_trial_only_where_one_may_follow(
    tmp_path: Path, allowed: str, trial: str, told: bool
) -> None:
    variables = {
        "__roce_host_wanted": {},
        "roce_host_boot_trial_timeout_s": 300,
        "roce_host_boot_trial": trial,
        "roce_host_reboot_allowed": allowed,
    }
    [(name, given)] = play(tmp_path, "preflight.yml", variables)
    assert name == "roce_host_drift" and (str(given.get("boot_trial_timeout_s")) == "300") is told


@pytest.mark.parametrize(
    ("file", "variable", "part", "module"),
    [
        ("nic.yml", "roce_host_nics", "nic", "nic_settings"),
        ("lanes.yml", "roce_host_dcb", "dcb", "dcb"),
        ("lanes.yml", "roce_host_roce", "roce", "roce_cm"),
        ("apply.yml", "roce_host_firmware", "firmware", "nic_firmware"),
    ],
)
def test_a_module_runs_where_something_is_wanted_or_kept(
    tmp_path: Path, file: str, variable: str, part: str, module: str
) -> None:
    defaults = yaml.safe_load((TASKS.parent / "defaults/main.yml").read_text(encoding="utf-8"))
    for wanted in (False, True):
        for kept in (False, True):
            given = {
                **defaults,
                **LANES,
                "__roce_host_may_disturb": True,
                "__roce_host_kept": ["boot", *([part] if kept else [])],
            }
            if wanted:
                given[variable] = {"ens4": {}} if isinstance(given[variable], dict) else [{"name": "ens4"}]
            here = tmp_path / f"{wanted}-{kept}"
            here.mkdir()
            called = [name for name, dummy in play(here, file, given, "--tags", "roce_host_apply")]
            assert (module in called) is (wanted or kept)
