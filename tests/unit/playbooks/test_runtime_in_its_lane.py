# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role t2t_runtime on the lab's inventory: what the intent gives the configurations, by Ansible's own templates, and
that a configuration in another lane is refused before anything is built or a host is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]
ROLE = CHECKOUT / "roles/t2t_runtime"
VERBS = {
    "trade1": {"orders": {"transport": "verbs", "username": "TRADE1"}},
    "exch1": {"rdma": {"interface": "10.110.0.1"}},
}


def play(tmp_path: Path, tasks: list[dict[str, Any]], **more: Any) -> subprocess.CompletedProcess[str]:
    """The tasks on both hosts of the lab's inventory, without a connection to them."""
    book = {"hosts": "fabric_hosts", "gather_facts": False, "connection": "local", **more}
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([{**book, "tasks": tasks}]), encoding="utf-8")
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventories/lab", str(path)],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def configurations(tmp_path: Path, given: str) -> dict[str, dict[str, Any]]:
    """What the role writes on each host, with the expression ``given`` as its configuration."""
    template = f"lookup('ansible.builtin.template', '{ROLE}/templates/config.toml.j2')"
    copy = {"content": "{{ %s }}" % template, "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}.toml", "mode": "0600"}
    files = [f"{ROLE}/defaults/main.yml", f"{ROLE}/vars/main.yml"]
    python = {"ansible_python_interpreter": sys.executable, "verbs": VERBS, "t2t_runtime_config": given}
    task = {"ansible.builtin.copy": copy, "vars": {key: value for key, value in python.items() if value}}
    done = play(tmp_path, [task], vars_files=files)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: tomllib.loads((tmp_path / f"{name}.toml").read_text(encoding="utf-8")) for name in VERBS}


def test_the_lab_as_it_is(tmp_path: Path) -> None:
    found = configurations(tmp_path, "")
    assert found["trade1"]["orders"]["tos"] == found["exch1"]["feed"]["tos"] == 26 << 2
    assert "verbs" not in found["trade1"] and "rdma" not in found["exch1"]


def test_over_verbs(tmp_path: Path) -> None:
    """DSCP 26 and ECT(0), since the lane is marked; an interface of 9000 bytes has a path MTU of 4096."""
    found = configurations(tmp_path, "{{ verbs[inventory_hostname] }}")
    device = {"roce_version": 2, "mtu": 4096}
    assert found["trade1"]["verbs"] == device and found["trade1"]["orders"]["tos"] == 106
    assert found["exch1"]["rdma"] == {"interface": "10.110.0.1", **device, "tos": 106, "priority": 3}


def test_another_lane_is_refused(tmp_path: Path) -> None:
    config = {"orders": {"transport": "verbs", "tos": 72}, "verbs": {"roce_version": 1}}
    role = {"ansible.builtin.import_role": {"name": "tickwire.fabric.t2t_runtime"}}
    variables = {"t2t_runtime_config": config, "ansible_python_interpreter": "/nonexistent"}
    done = play(tmp_path, [{**role, "vars": variables}], hosts="trade1")
    assert done.returncode != 0
    differ = "orders.tos is 72, the intent's lane has 106; verbs.roce_version is 1, the intent's lane has 2"
    assert f"t2t_runtime_config of trade1: {differ}. Next: leave these keys out" in done.stdout, done.stdout
    assert "Build the wheel" not in done.stdout
