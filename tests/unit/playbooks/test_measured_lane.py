# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which lane validate.yml and mesh.yml measure where no variable says it: the intent's, and 0 without an intent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
LAB = yaml.safe_load((CHECKOUT / "inventories/lab/group_vars/all.yml").read_text(encoding="utf-8"))["fabric"]
MEASURING = ("mesh_round", "validate_coexistence", "validate_rdma_ping")
IN_IT = {"fabric": LAB, "fabric_interface": "fab0"}
HOSTS = {
    "trade1": IN_IT,
    "exch1": {**IN_IT, "validate_rdma_ping_traffic_class": 104},
    "without_an_interface": {"fabric": LAB},
    "without_an_intent": {},
}


def test_all_measure_in_the_lane(tmp_path: Path) -> None:
    tasks = []
    for name in MEASURING:
        path = CHECKOUT / f"playbooks/tasks/{name}.yml"
        first = yaml.safe_load(path.read_text(encoding="utf-8"))[0]
        (module,) = (value for key, value in first["block"][0].items() if key.startswith("tickwire.fabric."))
        file = f"{tmp_path}/{{{{ inventory_hostname }}}}.{name}"
        copy = {"content": module["traffic_class"], "dest": file, "mode": "0600"}
        tasks.append({"ansible.builtin.copy": copy, "vars": {"validate_roce": first["vars"]["validate_roce"]}})
    book, inventory = tmp_path / "play.yml", tmp_path / "hosts.json"
    play = {"hosts": "all", "gather_facts": False, "connection": "local", "tasks": tasks}
    book.write_text(json.dumps([play]), encoding="utf-8")
    everywhere = {"ansible_python_interpreter": sys.executable}
    inventory.write_text(json.dumps({"all": {"vars": everywhere, "hosts": HOSTS}}), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(book)],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for host, wanted in zip(HOSTS, (106, 104, 0, 0), strict=True):
        found = {name: (tmp_path / f"{host}.{name}").read_text(encoding="utf-8") for name in MEASURING}
        assert found == dict.fromkeys(MEASURING, str(wanted)), host
