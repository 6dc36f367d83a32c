# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""site.yml contacts nothing when the intent is wrong, and nothing more when a switch fails.

Every device's address is a listener that counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devices import nvue
from tests.unit.fabric.mistakes import mistakes, sound

CHECKOUT = Path(__file__).resolve().parents[3]
BY_LINES = {"ansible_connection": "ansible.netcommon.httpapi", "ansible_httpapi_use_ssl": False}
CONNECTIONS = {
    "eos": {**BY_LINES, "ansible_network_os": "arista.eos.eos"},
    "nxos": {**BY_LINES, "ansible_network_os": "cisco.nxos.nxos"},
}


class Trap:
    """A port of loopback that hangs up on everybody and counts them."""

    def __init__(self) -> None:
        self.contacts = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.socket.accept()[0].close()
                self.contacts += 1


@pytest.fixture
def trap() -> Iterator[Trap]:
    found = Trap()
    thread = threading.Thread(target=found.run, daemon=True)
    thread.start()
    yield found
    found.socket.shutdown(socket.SHUT_RDWR)
    found.socket.close()
    thread.join(timeout=5)


def site(
    tmp_path: Path, trap: Trap, intent: dict[str, Any], spine1: dict[str, Any] | None = None, *arguments: str
) -> str:
    """The output of site.yml with every device behind the trap, but for one with variables; it has to fail."""
    switches = {name: CONNECTIONS.get(one["os"], {}) for name, one in sound()["devices"].items()}
    switches["spine1"] = spine1 or {}
    variables = {
        "fabric": intent,
        "ansible_host": "127.0.0.1",
        "ansible_port": trap.port,
        "ansible_connection": "ssh",
        "ansible_ssh_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -F none",
        "ansible_user": "nobody",
        "ansible_python_interpreter": sys.executable,
    }
    hosts = {"children": {"exchanges": {"hosts": {"exch1": {}}}, "traders": {"hosts": {"trade1": {}}}}}
    inventory = tmp_path / "hosts.json"
    groups = {"fabric_switches": {"hosts": switches}, "fabric_hosts": hosts}
    inventory.write_text(json.dumps({"all": {"vars": variables, "children": groups}}))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), *arguments, "playbooks/site.yml"],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0, done.stdout
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("name", ["shares-of-101", "routing-cycle"])
def test_a_mistake_ends_the_rollout_before_any_contact(tmp_path: Path, trap: Trap, name: str) -> None:
    mistake = next(one for one in mistakes() if one.name == name)
    said = site(tmp_path, trap, mistake.intent)
    assert mistake.path in said and mistake.says in said
    assert trap.contacts == 0


def test_a_mistake_that_only_the_plan_sees_ends_a_rollout_of_some_switches_too(tmp_path: Path, trap: Trap) -> None:
    mistake = next(one for one in mistakes() if one.name == "routing-cycle")
    said = site(tmp_path, trap, mistake.intent, None, "--limit", "leaf1")
    assert mistake.path in said and mistake.says in said
    assert trap.contacts == 0


def test_the_trap_sees_a_rollout_and_the_first_switch_that_fails_ends_it(tmp_path: Path, trap: Trap) -> None:
    said = site(tmp_path, trap, sound())
    assert trap.contacts > 0
    assert "spine1" in said
    assert "leaf1 :" not in said and "exch1 :" not in said
    planned = said.partition("Refuse an intent whose plan has an error]")[2].partition("TASK [")[0]
    assert "skipping: [spine1]" in said.rpartition("Refuse an intent whose plan has an error]")[2].partition("TASK")[0]
    assert "ok: [localhost]" in planned, "planned once, on the controller"


def test_a_switch_that_is_not_proven_is_put_back_and_ends_the_rollout(tmp_path: Path, trap: Trap) -> None:
    switch = nvue.Nvue()
    before = switch.config
    switch.loses = ("qos", "pfc-watchdog")
    with nvue.serving(switch) as url:
        variables = {
            "ansible_connection": "local",
            "roce_switch_disruptive_allowed": True,
            "roce_switch_nvue_method": "rest",
            "roce_switch_nvue_url": url,
            "roce_switch_nvue_username": nvue.USER,
            "roce_switch_nvue_password": nvue.PASSWORD,
            "roce_switch_nvue_timeout_s": 10,
        }
        said = site(tmp_path, trap, sound(), variables)
    assert switch.writes, "it was changed"
    assert switch.config == before
    assert "spine1 (cumulus): " in said
    assert trap.contacts == 0
