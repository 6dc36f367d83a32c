# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module fabric_plan and playbooks/plan.yml, run for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fabric.intents import racks

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLE = CHECKOUT / "inventories/example"
MODULE = "ansible_collections.tickwire.fabric.plugins.modules.fabric_plan"


def run(arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
    """The module in a process of its own, as Ansible runs it."""
    arguments = {**arguments, "_ansible_check_mode": check, "_ansible_remote_tmp": "/tmp"}
    program = (
        "import sys\n"
        "from ansible.module_utils import basic\n"
        f"basic._ANSIBLE_ARGS = {json.dumps({'ANSIBLE_MODULE_ARGS': arguments}).encode()!r}\n"
        "basic._ANSIBLE_PROFILE = 'legacy'\n"
        f"from {MODULE} import main\n"
        "main()\n"
    )
    paths = [str(CHECKOUT / ".venv/collections"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def wrong() -> dict[str, Any]:
    intent = racks()
    intent["devices"]["spine1"]["mtu"] = 9100
    return intent


def test_writes_the_plan_in_three_forms(tmp_path: Path) -> None:
    result = run({"fabric": racks(), "directory": str(tmp_path / "plan")})
    assert result["changed"] is False and result["findings"] == []
    document = json.loads((tmp_path / "plan/plan.json").read_text())
    assert document["headroom"] == result["headroom"] and document["fabric"] == "racks"
    assert (tmp_path / "plan/plan.txt").read_text().startswith(result["summary"][0])
    assert xml.etree.ElementTree.fromstring((tmp_path / "plan/plan.svg").read_text()).tag.endswith("svg")
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == ["plan.json", "plan.svg", "plan.txt"]


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    result = run({"fabric": wrong(), "directory": str(tmp_path / "plan"), "fail_on": "never"}, check=True)
    assert [finding["link"] for finding in result["findings"]] == [2, 4] and list(tmp_path.iterdir()) == []
    assert result["json_path"] == str(tmp_path / "plan/plan.json")


def test_an_error_fails_with_all_of_them_after_the_plan_is_written(tmp_path: Path) -> None:
    result = run({"fabric": wrong(), "directory": str(tmp_path)})
    assert result["failed"] and result["msg"].count("error mtu: fabric.links[") == 2
    assert result["msg"].endswith(f"The whole plan: {tmp_path}/plan.txt")
    assert "error" in (tmp_path / "plan.txt").read_text() and len(result["findings"]) == 2


def test_a_warning_fails_when_asked_to() -> None:
    intent = racks(watchdog={"action": "alert"})
    assert "failed" not in run({"fabric": intent})
    assert "warning watchdog-action: fabric.watchdog" in run({"fabric": intent, "fail_on": "warning"})["msg"]


def test_what_is_no_intent_is_refused_with_its_path(tmp_path: Path) -> None:
    result = run({"fabric": {**racks(), "color": "blue"}, "directory": str(tmp_path)})
    assert result["failed"] and result["msg"].startswith("fabric.color: unknown key")
    assert "findings" not in result and list(tmp_path.iterdir()) == []


def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run({"fabric": racks(), "directory": str(tmp_path / "file/plan")})
    assert result["failed"] and "Next: give a directory you may write" in result["msg"]


def playbook(tmp_path: Path, inventory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """plan.yml, with its outputs in the directory ``plan``."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    return subprocess.run(
        [program, "-i", str(inventory), "playbooks/plan.yml", "-e", f"fabric_plan_dir={tmp_path}/plan", *words],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("hosts.yml", "            spine2:\n", "'Not in the group fabric_switches, and so left as they are: spine2'"),
        ("group_vars/all.yml", "    lsw1: {", "fabric.devices.lsw1: is a switch of the inventory and has no os"),
    ],
)
def test_a_switch_that_inventory_or_intent_lacks_is_told(tmp_path: Path, file: str, line: str, says: str) -> None:
    inventory = shutil.copytree(EXAMPLE, tmp_path / "inventory")
    before, _, after = (inventory / file).read_text(encoding="utf-8").partition(line)
    (inventory / file).write_text(before + after.partition("\n")[2], encoding="utf-8")
    assert says in playbook(tmp_path, inventory).stdout


@pytest.mark.parametrize("check", [False, True])
def test_the_playbook_needs_no_device(tmp_path: Path, check: bool) -> None:
    """The hosts of the example do not exist."""
    done = playbook(tmp_path, EXAMPLE, *["--check"] * check)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'Order of the switches: spine1, spine2, leaf1, leaf2, lsw1'" in done.stdout
    assert "Not in the group" not in done.stdout
    assert "Plan of ldn1: 5 switches, 11 links: 0 errors, 0 warnings" in done.stdout
    assert "spine2: what the platform does not let a patch change needs a config reload" in done.stdout
    assert (tmp_path / "plan/plan.json").exists() is not check and "unreachable=0" in done.stdout
