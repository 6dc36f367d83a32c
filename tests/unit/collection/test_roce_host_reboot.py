# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role roce_host does around a reboot: who is asked before it, and what ends the limit of a boot on trial."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot.trial_units import TIMER
from ansible_collections.tickwire.fabric.plugins.module_utils.host.drift import PARTS

TASKS = Path(__file__).resolve().parents[3] / "roles/roce_host/tasks"
#: States what is wanted of it, and keeps what it was asked.
SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$LOG"
case "$1" in
is-system-running) exit "$RUNNING" ;;
is-active) exit "$TARGET" ;;
*) exit 5 ;;
esac
"""


def task(name: str, module: str) -> dict[str, Any]:
    [found] = [one for one in yaml.safe_load((TASKS / name).read_text(encoding="utf-8")) if module in one]
    return found


@pytest.mark.parametrize(
    ("running", "target", "back"), [("0", "0", True), ("1", "0", True), ("1", "3", False)], ids=str
)
def test_a_host_that_came_back_is_not_rebooted_while_it_waits_for_the_others(
    tmp_path: Path, running: str, target: str, back: bool
) -> None:
    program, log = tmp_path / "systemctl", tmp_path / "log"
    program.write_text(SYSTEMCTL, encoding="ascii")
    program.chmod(0o755)
    command = task("reboot.yml", "ansible.builtin.reboot")["ansible.builtin.reboot"]["test_command"]
    command = command.replace("{{ roce_host_reboot_timeout_s }}", "5")
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(log),
        "RUNNING": running,
        "TARGET": target,
    }
    done = subprocess.run(["/bin/sh", "-c", command], env=environment, check=False)
    assert (done.returncode == 0) is back
    assert (f"stop {Path(TIMER).name}" in log.read_text(encoding="ascii").splitlines()) is back


def test_who_trades_is_asked_again_before_every_reboot() -> None:
    asked = task("ask.yml", "tickwire.fabric.reboot_guard")["when"]
    rebooted = task("reboot.yml", "ansible.builtin.reboot")["when"]
    assert asked[0] == rebooted[0]


def test_the_units_that_a_boot_or_a_card_starts_are_held_before_the_cards_are_set() -> None:
    tasks = yaml.safe_load((TASKS / "main.yml").read_text(encoding="utf-8"))
    order = [one["ansible.builtin.import_tasks"] for one in tasks]
    assert order.count("hold.yml") == 1 and order[order.index("hold.yml") + 1] == "nic.yml"
    assert order.index("apply.yml") < order.index("reboot.yml") < order.index("hold.yml") < order.index("persist.yml")


def test_only_what_the_agent_sets_again_is_set_while_it_is_held() -> None:
    """Outside of the hold the agent with the document of before would set nothing back."""
    tasks = yaml.safe_load((TASKS / "main.yml").read_text(encoding="utf-8"))
    order = [one["ansible.builtin.import_tasks"].removesuffix(".yml") for one in tasks]
    between = set(order[order.index("hold") + 1 : order.index("persist")])
    lanes = {"dcb", "roce"}
    again = {part.name for part in PARTS if part.reapply is not None}
    assert again == (between - {"lanes"}) | lanes


@pytest.mark.parametrize("file", ["preflight.yml", "rollback.yml"])
def test_what_an_earlier_run_in_the_play_was_told_is_forgotten_first(file: str) -> None:
    first = yaml.safe_load((TASKS / file).read_text(encoding="utf-8"))[0]
    assert first["ansible.builtin.set_fact"] == {"__roce_host_asked": {}, "__roce_host_reboot": {}}


def test_a_hold_is_long_enough_for_a_batch_whose_cards_are_set_one_host_after_the_other() -> None:
    [hold] = yaml.safe_load((TASKS / "hold.yml").read_text(encoding="utf-8"))
    said = hold["tickwire.fabric.host_agent"]["hold_s"]
    assert jinja2.Template(said).render(ansible_play_batch=["t"] * 40) == str(1800 + 180 * 40)


def test_a_boot_on_trial_is_kept_before_another_reboot_would_end_it() -> None:
    tasks = yaml.safe_load((TASKS / "reboot.yml").read_text(encoding="utf-8"))
    reboot = next(place for place, one in enumerate(tasks) if "ansible.builtin.reboot" in one)
    modules = [one.get("tickwire.fabric.kernel_cmdline", {}).get("state") for one in tasks]
    assert modules[0] == "confirmed" and tasks[0]["when"] == "__roce_host_cmdline.trial == 'running'"
    assert modules.index("armed") < reboot < modules.index("confirmed", reboot)


def test_what_may_take_a_link_down_keeps_to_the_throttle() -> None:
    tasks = [one for path in sorted(TASKS.glob("*.yml")) for one in yaml.safe_load(path.read_text(encoding="utf-8"))]
    found = [one for one in tasks if "bounce_allowed" in str(one) and "register" in one]
    assert len(found) == 3
    throttle = "{{ roce_host_throttle if roce_host_bounce_allowed | bool else 0 }}"
    assert {one.get("throttle") for one in found} == {throttle}


def test_what_may_take_a_link_down_asks_the_host_itself_at_that_moment() -> None:
    """A reading of the beginning of the run is as old as the reboots of the whole batch."""
    tasks = [one for path in sorted(TASKS.glob("*.yml")) for one in yaml.safe_load(path.read_text(encoding="utf-8"))]
    modules = [one for task in tasks for one in task.values() if isinstance(one, dict) and "bounce_allowed" in one]
    assert len(modules) == 3
    for one in modules:
        assert one["bounce_allowed"] == "{{ roce_host_bounce_allowed | bool }}"
        assert one["protection"] == "{{ __roce_host_policy }}"


@pytest.mark.parametrize("trial", ["none", "armed"])
def test_who_reboots_by_hand_is_told_that_a_trial_is_armed(trial: str) -> None:
    message = task("reboot.yml", "ansible.builtin.debug")["ansible.builtin.debug"]["msg"]
    text = jinja2.Template(message).render(inventory_hostname="t1", __roce_host_cmdline={"trial": trial})
    assert ("reboots by itself into what ran before" in text) is (trial == "armed")
