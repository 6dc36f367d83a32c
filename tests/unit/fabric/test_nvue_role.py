# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's files for Cumulus Linux, with the real modules, over REST with TLS and by ``nv``."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.devices.nvue import PASSWORD, USER, Nvue, serving
from tests.devices.nvue_intent import intent

CHECKOUT = Path(__file__).resolve().parents[3]
THEIRS = {"vrf": {"default": {"router": {"bgp": {"autonomous-system": 65001}}}}}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for 127.0.0.1 that has signed itself."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=leaf1"
    subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", f"{file}.crt"],
        check=True,
        capture_output=True,
        timeout=20,
    )
    file.write_text(file.read_text(encoding="ascii") + Path(f"{file}.crt").read_text(encoding="ascii"))
    return file


class Site:
    """Two switches, leaf1 reached over REST and leaf2 by ``nv``, and ansible-playbook against both."""

    def __init__(self, directory: Path, switches: dict[str, Nvue], urls: dict[str, str], ca_path: Path) -> None:
        self.switches = switches
        self._directory = directory
        fabric = intent()
        fabric["devices"]["leaf2"] = fabric["devices"]["leaf1"]
        for link in intent()["links"][:3]:
            link = {**link, "a": link["a"].replace("leaf1", "leaf2"), "b": link["b"].replace(":ens4", ":ens5")}
            fabric["links"].append(link)
        self.inventory = {
            "all": {
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": sys.executable,
                    "roce_switch_nvue_timeout_s": 10,
                    "fabric": fabric,
                },
                "hosts": {
                    "leaf1": {
                        "roce_switch_nvue_method": "rest",
                        "roce_switch_nvue_url": urls["leaf1"],
                        "roce_switch_nvue_username": USER,
                        "roce_switch_nvue_password": PASSWORD,
                        "roce_switch_nvue_ca_path": str(ca_path),
                    },
                    "leaf2": {},
                },
            }
        }
        nv = directory / "nv"
        nv.write_text(f'#!/bin/sh\nexec {sys.executable} {CHECKOUT}/tests/devices/nvue_cli.py "$@"\n', encoding="ascii")
        nv.chmod(0o755)
        self._environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections"),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "NV_URL": urls["leaf2"],
            "NV_PENDING": str(directory / "pending"),
            "PATH": f"{directory}:{os.environ['PATH']}",
        }

    def play(self, tasks: list[dict[str, Any]], *words: str) -> subprocess.CompletedProcess[str]:
        """Tasks on both switches."""
        (self._directory / "inventory.yml").write_text(yaml.safe_dump(self.inventory), encoding="utf-8")
        play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
        (self._directory / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
        program = shutil.which("ansible-playbook", path=str(Path(sys.executable).parent)) or "ansible-playbook"
        return subprocess.run(
            [program, "-i", "inventory.yml", "play.yml", *words],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=240,
        )


@pytest.fixture
def site(tmp_path: Path, certificate: Path) -> Iterator[Site]:
    switches = {name: Nvue(config=THEIRS) for name in ("leaf1", "leaf2")}
    with serving(switches["leaf1"], certificate) as one, serving(switches["leaf2"]) as two:
        yield Site(tmp_path, switches, {"leaf1": one, "leaf2": two}, Path(f"{certificate}.crt"))
    for switch in switches.values():
        assert switch.config["vrf"] == THEIRS["vrf"]


def step(name: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "tickwire.fabric.roce_switch", "tasks_from": f"cumulus/{name}"}}


def that(*conditions: str) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": list(conditions)}}


def test_a_rollout_and_the_way_back(site: Site) -> None:
    before = {name: copy.deepcopy(switch.config) for name, switch in site.switches.items()}

    checked = site.play([step("preflight.yml"), step("apply.yml"), step("verify.yml")], "--check", "--diff")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "+nv set interface swp1 link mtu 9214" in checked.stdout
    assert "a new division of the traffic pools" in checked.stdout, "what it would interrupt is told, not refused"
    for switch in site.switches.values():
        assert switch.writes == [], "check mode writes nothing"

    refused = site.play([step("preflight.yml")])
    assert refused.returncode != 0
    for name, switch in site.switches.items():
        assert f"The change of {name} disturbs its traffic: a new division of the traffic pools" in refused.stdout
        assert switch.writes == []

    site.inventory["all"]["vars"]["roce_switch_disruptive_allowed"] = True
    done = site.play(
        [
            step("preflight.yml"),
            step("apply.yml"),
            that("__roce_switch_applied is changed", "__roce_switch_applied.previous == '1'"),
            step("verify.yml"),
            that("__roce_switch_verified.findings == []"),
            step("persist.yml"),
            that("__roce_switch_persisted.commands == ['nv config save']"),
            {"ansible.builtin.set_fact": {"previous": "{{ __roce_switch_applied.previous }}"}},
            step("apply.yml"),
            that("__roce_switch_applied is not changed"),
            step("persist.yml"),
            that("__roce_switch_persisted is not changed"),
            {**step("rollback.yml"), "vars": {"__roce_switch_applied": {"previous": ""}}},
            that("__roce_switch_rolled_back is skipped"),
        ]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for switch in site.switches.values():
        assert switch.startup == switch.config
        assert switch.config["interface"]["swp1"]["link"]["mtu"] == 9214

    alone = site.play(
        [{"ansible.builtin.include_role": {"name": "tickwire.fabric.roce_switch", "tasks_from": "rollback"}}]
    )
    assert alone.stdout.replace("\n", " ").count("NOT put back: Cumulus Linux does not know which revision") == 2

    back = site.play(
        [
            {**step("rollback.yml"), "vars": {"__roce_switch_applied": {"previous": "1"}}},
            that("__roce_switch_rolled_back is changed"),
        ]
    )
    assert back.returncode == 0, back.stdout + back.stderr
    assert {name: switch.config for name, switch in site.switches.items()} == before


def test_what_goes_wrong_is_told_and_undone(site: Site) -> None:
    before = {name: copy.deepcopy(switch.config) for name, switch in site.switches.items()}
    site.inventory["all"]["vars"]["roce_switch_disruptive_allowed"] = True
    for switch in site.switches.values():
        switch.ends = ["apply_fail"]
    site.switches["leaf1"].cut_after = {("PATCH", "/revision/2"): 1, ("GET", "/revision/2"): 1}
    failed = site.play(
        [
            {
                "block": [step("apply.yml")],
                "rescue": [step("rollback.yml"), that("__roce_switch_rolled_back is not changed")],
            }
        ]
    )
    assert failed.returncode == 0, failed.stdout
    assert "skipping" not in failed.stdout, "rollback reads back that there is nothing left to do"
    said = failed.stdout.replace("\\n", " ")
    for name in ("leaf1", "leaf2"):
        assert f"fatal: [{name}" in said
        assert site.switches[name].config == before[name]
    assert said.count('(switchd). Revision 1, applied before, is applied again", "previous": "1"}') == 2, said

    # leaf1 has no authority for its certificate, leaf2 has another administrator
    del site.inventory["all"]["hosts"]["leaf1"]["roce_switch_nvue_ca_path"]
    name = site.switches["leaf2"].pending({"system": {"hostname": "other"}})
    refused = site.play([step("apply.yml")])
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stdout
    assert f"revision {name} of another administrator waits with changes" in refused.stdout
    assert {name: switch.config for name, switch in site.switches.items()} == before
    assert json.dumps(PASSWORD) not in refused.stdout
