# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rollback of roce_host takes away every setting that the role knows, by every task file that sets one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent.document import POLICY

ROLE = Path(__file__).resolve().parents[3] / "roles/roce_host"
#: Task files of the role that set nothing of their own on a host.
OTHERS = {"preflight", "hold", "ask", "reboot", "persist", "verify", "jitter"}


def read(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def loop() -> dict[str, Any]:
    [task] = [task for task in read("tasks/rollback.yml") if "loop" in task]
    return task


def test_every_setting_is_taken_away() -> None:
    nothing = loop()["vars"]
    assert all(name.startswith("roce_host_") and not value for name, value in nothing.items())
    settings = {f"roce_host_{name}" for name in read("vars/main.yml")["__roce_host_wanted"] if name not in POLICY}
    assert settings - set(nothing) == set(), "next: give these an empty value in tasks/rollback.yml"


def test_every_task_file_that_sets_something_is_gone_through() -> None:
    imported = {task["ansible.builtin.import_tasks"].removesuffix(".yml") for task in read("tasks/main.yml")}
    assert set(loop()["loop"]) == imported - OTHERS


def test_a_boot_on_trial_goes_as_well() -> None:
    """After the loop, whose own task is the one that knows whether the running kernel has what was taken away."""
    tasks = read("tasks/rollback.yml")
    [place] = [number for number, task in enumerate(tasks) if "tickwire.fabric.kernel_cmdline" in task]
    assert tasks[place]["tickwire.fabric.kernel_cmdline"] == {"state": "absent"} and "when" not in tasks[place]
    assert place > tasks.index(loop())


def test_lanes_go_before_the_cards() -> None:
    """ice and i40e do not take the pause of the whole link while priorities pause."""
    order = loop()["loop"]
    assert order.index("lanes") < order.index("nic")


def test_what_was_measured_before_the_host_was_changed_goes() -> None:
    [task] = [task for task in read("tasks/rollback.yml") if "tickwire.fabric.host_jitter" in task]
    assert task["tickwire.fabric.host_jitter"] == {"state": "absent"} and "when" not in task
