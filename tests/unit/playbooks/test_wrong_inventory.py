# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wrong inventory or intent ends site.yml with one message: what is wrong, and the next step. No host is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
INTENT = {
    "name": "rack",
    "roce_version": 2,
    "trust": "dscp",
    "mtu": {"host": 9000, "switch": 9214},
    "lanes": {
        "trading": {
            "dscp": [26],
            "priority": 3,
            "lossless": True,
            "share": 50,
            "ecn": {"kmin_kb": 400, "kmax_kb": 1600, "pmax": 20},
        },
        "bulk": {"dscp": [0], "priority": 0, "share": 50, "default": True},
    },
    "vlans": {"trading": 110},
    "links": [{"a": "leaf1:swp1", "b": "trade1:fab0", "speed_gbps": 100, "cable_m": 5}],
}


def site(tmp_path: Path, children: dict, variables: dict, playbook: str = "site") -> str:
    """Run a playbook on an inventory of local hosts and return its output; it has to fail."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"vars": variables, "children": children}}))
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(inventory),
            f"playbooks/{playbook}.yml",
            "--check",
        ],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert "changed=1" not in done.stdout
    return " ".join(done.stdout.split())


def groups(**hosts: str) -> dict:
    """The groups of a fabric, a host each; a group given as an empty string stays empty."""
    filled = {"fabric_switches": "leaf1", "exchanges": "exch1", "traders": "trade1", **hosts}
    children = {name: {"hosts": {host: {}} if host else {}} for name, host in filled.items()}
    both = {name: children.pop(name) for name in ("exchanges", "traders")}
    return {**children, "fabric_hosts": {"children": both}}


@pytest.mark.parametrize("playbook", ["site", "validate"])
@pytest.mark.parametrize("group", ["fabric_switches", "exchanges", "traders"])
def test_an_empty_group_is_named(tmp_path: Path, group: str, playbook: str) -> None:
    said = site(tmp_path, groups(**{group: ""}), {"fabric": INTENT}, playbook)
    assert f"not a Tickwire fabric: {group} has no host" in said
    assert "inventories/example shows one" in said


def test_a_missing_intent_is_named(tmp_path: Path) -> None:
    said = site(tmp_path, groups(), {})
    assert "The variable fabric (the intent) is missing" in said and "group_vars/all" in said


def test_a_wrong_intent_is_refused_with_its_path(tmp_path: Path) -> None:
    intent = json.loads(json.dumps(INTENT))
    intent["lanes"]["trading"]["ecn"]["kmin_kb"] = 2000
    said = site(tmp_path, groups(), {"fabric": intent})
    assert "fabric.lanes.trading.ecn: kmin_kb 2000 is above kmax_kb 1600" in said


def test_a_file_with_a_mistake_is_named_and_not_its_groups(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: [unclosed\n")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "playbooks/site.yml"],
        cwd=CHECKOUT, env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "hosts.yml" in done.stderr and "has no host" not in done.stdout + done.stderr
