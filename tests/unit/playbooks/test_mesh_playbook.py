# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""mesh.yml over local hosts without RDMA devices: it refuses what cannot be run, and what fails is in the report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
BUDGETS = {"rdma_link": {"state": "ACTIVE"}, "mesh": {"failed_pairs_max": 0}, "ptp": {"locked": True}}


def mesh(tmp_path: Path, hosts: list[str], *arguments: str) -> tuple[str, dict[str, Any] | None]:
    """The output of mesh.yml, which has to fail, and its report, if it wrote one."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "fabric_rdma_device": "none0",
        "fabric_address": "127.0.0.1",
        "fabric_budgets": BUDGETS,
    }
    inventory = tmp_path / "hosts.json"
    group = {"hosts": {name: {} for name in hosts}}
    inventory.write_text(json.dumps({"all": {"vars": variables, "children": {"fabric_hosts": group}}}))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(inventory),
            "playbooks/mesh.yml",
            "-e",
            f"mesh_report_dir={tmp_path}/report",
            *arguments,
        ],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    report = tmp_path / "report/report.json"
    return re.sub(r"\s+", " ", done.stdout), json.loads(report.read_text()) if report.exists() else None


def test_hosts_without_a_device_are_in_the_report(tmp_path: Path) -> None:
    said, report = mesh(tmp_path, ["h1", "h2", "h3"])
    assert report is not None
    assert set(report["mesh"]["away"]) == {"h1", "h2", "h3"}
    assert all("no RDMA device none0" in reason for reason in report["mesh"]["away"].values())
    assert len(report["mesh"]["pairs"]) == report["mesh"]["failed"] == 6
    assert {gate["name"] for gate in report["gates"]} == {"rdma_link.state", "mesh.failed_pairs_max"}
    assert "The mesh failed, see" in said and "rdma_link.state on h1" in said


def test_a_limit_makes_a_smaller_mesh(tmp_path: Path) -> None:
    report = mesh(tmp_path, ["h1", "h2", "h3"], "--limit", "h1,h3,localhost")[1]
    assert report is not None and report["mesh"]["hosts"] == ["h1", "h3"]


@pytest.mark.parametrize(
    ("hosts", "arguments", "said"),
    [
        (["h1"], [], "The group fabric_hosts has 1 hosts, and a pair needs two"),
        (["h1", "h2"], ["-e", "mesh_group=racks"], "The group racks has 0 hosts"),
        (["h1", "h2"], ["-e", "mesh_at_once=3"], "with 5 forks it has to be 1 to 2. Next: run with --forks 6"),
        (["h1", "h2"], ["--forks", "1"], "mesh_at_once 0: with 1 forks it has to be 1 to 0. Next: run with --forks 2"),
    ],
)
def test_what_is_refused(tmp_path: Path, hosts: list[str], arguments: list[str], said: str) -> None:
    output, report = mesh(tmp_path, hosts, *arguments)
    assert said in output and report is None
