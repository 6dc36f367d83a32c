# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts of site.yml go in batches behind a canary; a host that fails or is lost ends the rollout with its batch.

The play is that of site.yml, with a task in the place of the role.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
HOSTS = [f"trade{number}" for number in range(1, 5)]
GONE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def rollout(tmp_path: Path, fails: str, lost: str) -> tuple[list[list[str]], str]:
    """The hosts of each batch as they were done, and all that was said."""
    plays = yaml.safe_load((CHECKOUT / "playbooks/site.yml").read_text(encoding="utf-8"))
    place = next(
        place for place, play in enumerate(plays) if play.get("roles") == [{"role": "tickwire.fabric.roce_host"}]
    )
    play = plays[place]
    del play["roles"]
    play["tasks"] = [
        {"name": "Reach", "ansible.builtin.raw": "true"},
        {"name": "Do", "ansible.builtin.fail": {"msg": "no"}, "failed_when": "inventory_hostname in fails"},
    ]
    first = {"hosts": "traders", "gather_facts": False, "tasks": [{"name": "Begin", "ansible.builtin.meta": "noop"}]}
    after = {**first, "tasks": [{"name": "Later play", "ansible.builtin.debug": {"msg": "later play"}}]}
    (tmp_path / "site.yml").write_text(yaml.safe_dump([first, play, after]))
    hosts = {name: GONE if name == lost else {} for name in HOSTS}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "fails": [fails]}
    traders = {"hosts": hosts, "vars": {**variables, "roce_host_serial": [1, 2, "100%"]}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"traders": traders}}}))
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [program, "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "site.yml")],
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode != 0) == bool(fails or lost), done.stdout + done.stderr
    tried = [
        text for text in re.split(r"^(?=TASK|PLAY)", done.stdout, flags=re.MULTILINE) if text.startswith("TASK [Do]")
    ]
    return [re.findall(r"^(?:ok|changed|fatal): \[(\w+)\]", text, re.MULTILINE) for text in tried], done.stdout


def test_the_canary_goes_first_and_then_batches(tmp_path: Path) -> None:
    done, said = rollout(tmp_path, "", "")
    assert [sorted(batch) for batch in done] == [HOSTS[:1], HOSTS[1:3], HOSTS[3:]]
    assert "later play" in said


def test_a_host_that_fails_ends_the_rollout_with_its_batch(tmp_path: Path) -> None:
    done, said = rollout(tmp_path, "trade2", "")
    assert [sorted(batch) for batch in done] == [HOSTS[:1], HOSTS[1:3]]
    assert "later play" not in said


def test_a_host_that_is_lost_ends_the_rollout_with_its_batch(tmp_path: Path) -> None:
    """Ansible goes on without it when only its own means are used."""
    done, said = rollout(tmp_path, "", "trade2")
    assert done == [["trade1"], ["trade3"]]
    assert "trade2 did not come through" in said and "later play" not in said
