# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The make targets: what they run, in which order, and a clear answer to a wrong inventory."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs make in the checkout, free of the variables of a make around the tests."""
    outer = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL")
    kept = {key: value for key, value in os.environ.items() if key not in outer}
    return subprocess.run(["make", *words], cwd=CHECKOUT, env=kept, capture_output=True, text=True, check=False)


def test_missing_inventory_is_one_clear_message() -> None:
    done = make("--silent", "site", "INVENTORY=inventories/nowhere")
    assert done.returncode == 2
    first, *rest = done.stderr.splitlines()
    assert first.startswith("There is no inventory at inventories/nowhere. Next: make site INVENTORY=")
    assert not [line for line in rest if not line.startswith("make: ***")]
    assert done.stdout == ""


@pytest.mark.parametrize(
    "inventory", ["inventories/lab", "inventories/lab/", "./inventories/lab", "inventories/lab/hosts.yml"]
)
def test_site_starts_the_lab_for_the_lab(inventory: str) -> None:
    plan = make("--dry-run", "site", f"INVENTORY={inventory}").stdout
    assert "all --report report/report.html site setup lab rollout validate" in plan


def test_site_starts_no_lab_for_another_inventory() -> None:
    plan = make("--dry-run", "site", "INVENTORY=galaxy.yml").stdout
    assert re.search(r"all --report report/report.html site setup\s+rollout validate", plan)


def test_test_runs_every_stage_in_order() -> None:
    plan = make("--dry-run", "test").stdout
    assert "all --tests test setup-test lint unit sanity molecule lab-test lab-down" in plan


def test_arguments_reach_the_playbook() -> None:
    plan = make("--dry-run", "rollout", "ARGS=--check --diff").stdout
    assert 'ansible-playbook -i "inventories/lab" playbooks/site.yml --check --diff' in plan


def test_help_names_the_two_commands() -> None:
    lines = make("help").stdout.splitlines()
    assert any(line.startswith("make site ") for line in lines)
    assert any(line.startswith("make test ") for line in lines)
    documented = {line.split()[1] for line in lines if line.startswith("make ")}
    assert {"lab", "lab-down", "validate", "lint", "sanity", "unit", "molecule", "lab-test", "dist"} <= documented


def test_ci_runs_make_test() -> None:
    assert "make test" in (CHECKOUT / ".ci/run").read_text(encoding="utf-8")


def test_a_lab_that_is_not_up_is_one_clear_message(tmp_path: Path) -> None:
    done = make("--silent", "-f", str(CHECKOUT / "Makefile"), "-C", str(tmp_path), "reachable", "IS_LAB=yes")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "The lab is not up. Next: make lab"
