# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that refuses its reboot, before the very tasks of role roce_host and ansible's own reboot: what follows of it.

Instead of ssh a shell of this machine answers, and what reboots is a word that fails. The command line is not touched:
the tasks that would arm and disarm a boot on trial only say so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.host import guard
from tests.unit.host.host_tree import Host
from tests.unit.host.test_host_maintenance import Running

CHECKOUT = Path(__file__).resolve().parents[3]
ROLE = CHECKOUT / "roles/roce_host"
CMDLINE = "tickwire.fabric.kernel_cmdline"
#: Whatever the role may come to say, this machine is not what is rebooted.
SSH = """#!/bin/sh
for last; do :; done
case "$last" in *shutdown* | *systemctl* | *.pyz*) echo "refused by the test: $last" >&2; exit 1 ;; esac
exec /bin/sh -c "$last"
"""
SEEN = (
    "SEEN {{ inventory_hostname }} refused={{ __roce_host_refused }} rebooted={{ __roce_host_rebooted }} "
    "disturb={{ __roce_host_may_disturb }} reason={{ __roce_host_judged.may_disturb_reason }}"
)


def tasks() -> list[dict[str, Any]]:
    """Those of reboot.yml, where the ones of the command line only say what they would do."""
    found: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks/reboot.yml").read_text(encoding="utf-8"))
    for task in found:
        if CMDLINE in task:
            state = task.pop(CMDLINE)["state"]
            task["ansible.builtin.debug"] = {"msg": f"WOULD {{{{ inventory_hostname }}}} {state}"}
    return [*found, {"name": "Say what follows", "ansible.builtin.debug": {"msg": SEEN}}]


def refusal(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the guard says on a host on which something trades."""
    host = Host(root)
    host.write("usr/sbin/shutdown", "")
    path = root / "guard.pyz"
    path.write_bytes(guard.archive({"workload_units": ["other.service"]}))
    assert guard.main(["reboot"], Running(host, other="active").system, str(path), lambda *dummy: None) == 1
    return capsys.readouterr().err


def test_what_follows_when_a_host_is_not_rebooted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = tmp_path / "said"
    said.write_text(refusal(tmp_path / "root", capsys), encoding="utf-8")
    for name, text in (("ssh", SSH), ("refuses", f"#!/bin/sh\ncat {said} >&2\nexit 1\n")):
        (tmp_path / name).write_text(text, encoding="ascii")
        (tmp_path / name).chmod(0o755)
    asked = {"may_disturb": True, "may_disturb_reason": "nothing trades on this host"}
    hosts = {
        name: {
            "__roce_host_asked": {**asked, "reboot_command": command},
            "__roce_host_cmdline": {"reboot_required": due, "trial": "none"},
        }
        for name, command, due in (
            ("refuses", str(tmp_path / "refuses"), True),
            ("broken", str(tmp_path / "no-such-program"), True),
            ("as_wanted", str(tmp_path / "no-such-program"), False),
        )
    }
    variables = {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_ssh_executable": str(tmp_path / "ssh"),
        "ansible_ssh_args": "",
        "ansible_pipelining": True,
        "ansible_python_interpreter": sys.executable,
        "__roce_host_firmware": {"reboot_required": False},
    }
    inventory, play = tmp_path / "hosts.json", tmp_path / "play.yml"
    inventory.write_text(json.dumps({"all": {"vars": variables, "hosts": hosts}}), encoding="utf-8")
    one = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {
            **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
            "roce_host_reboot_allowed": True,
        },
        "vars_files": [str(ROLE / "vars/main.yml")],
        "tasks": tasks(),
    }
    play.write_text(yaml.safe_dump([one], sort_keys=False), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(play)],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    told = re.findall(r'"msg": "((?:WOULD|SEEN) .*)"', done.stdout)
    assert sorted(told) == [
        "SEEN as_wanted refused=False rebooted=False disturb=True reason=nothing trades on this host",
        "SEEN refuses refused=True rebooted=False disturb=False reason=other.service is active, and no maintenance "
        "window is open",
        "WOULD broken armed",
        "WOULD broken disarmed",
        "WOULD refuses armed",
        "WOULD refuses disarmed",
    ], done.stdout + done.stderr
    assert "refuses needs a reboot for its kernel command line" in done.stdout
    assert "broken could not be rebooted: Reboot command failed" in done.stdout
    assert re.search(r"broken +: .*failed=1", done.stdout) and re.search(r"refuses +: .*failed=0", done.stdout)
