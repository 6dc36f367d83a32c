# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role made of the switches, asked in each system's own words."""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

# Asked from here; testinfra's own way through Ansible has no connection to a switch.
testinfra_hosts = ["local://"]

DEVICES = json.loads((Path(os.environ["TICKWIRE_MOLECULE_TMP"]) / "devices.json").read_text(encoding="utf-8"))


def asked(system: str, url: str, body: Any = None) -> Any:
    """The JSON that a switch answers."""
    device = DEVICES[system]
    token = base64.b64encode(f"{device['user']}:{device['password']}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.load(answer)


def eos(command: str) -> str:
    """What an EOS switch prints."""
    params = {"version": 1, "cmds": [command], "format": "text"}
    body = {"jsonrpc": "2.0", "method": "runCmds", "params": params, "id": 1}
    found: str = asked("eos", f"http://127.0.0.1:{DEVICES['eos']['port']}/command-api", body)["result"][0]["output"]
    return found


def nxos(command: str) -> str:
    """What an NX-OS switch prints."""
    ask = {"version": "1.0", "type": "cli_show_ascii", "chunk": "0", "sid": None, "input": command}
    body = {"ins_api": {**ask, "output_format": "json"}}
    answer = asked("nxos", f"http://127.0.0.1:{DEVICES['nxos']['port']}/ins", body)
    found: str = answer["ins_api"]["outputs"]["output"]["body"]
    return found


@pytest.mark.parametrize(
    "line",
    [
        "qos trust dscp",
        "priority-flow-control priority 3 no-drop",
        "ptp mode boundary",
        "mtu 9214",
    ],
)
def test_eos_runs_the_intent(line: str) -> None:
    assert line in eos("show running-config")


def test_eos_waits_for_no_confirmation() -> None:
    assert "pendingCommitTimer" not in eos("show configuration sessions detail")
    assert "priority-flow-control priority 3 no-drop" in eos("show startup-config")


@pytest.mark.parametrize("line", ["pause pfc-cos 3", "match dscp 26", "priority-flow-control mode on", "feature ptp"])
def test_nxos_runs_the_intent(line: str) -> None:
    assert line in nxos("show running-config")


def test_nxos_keeps_the_way_back_behind_a_proven_change() -> None:
    assert re.findall(r"tickwire[a-z-]*", nxos("show checkpoint summary")) == ["tickwire-last"]


def test_cumulus_runs_and_starts_with_the_intent() -> None:
    applied = asked("cumulus", f"{DEVICES['cumulus']['url']}/nvue_v1/?rev=applied")
    startup = asked("cumulus", f"{DEVICES['cumulus']['url']}/nvue_v1/?rev=startup")
    assert applied["qos"] == startup["qos"]
    assert applied["interface"]["swp1"]["link"]["mtu"] == 9214
    assert any("3" in one["switch-priority"] for one in applied["qos"]["pfc"].values())


def test_sonic_runs_and_starts_with_the_intent(host: Any) -> None:
    client = f"{DEVICES['sonic']['programs']}/sonic-db-cli"
    assert host.check_output(f"{client} CONFIG_DB HGET 'PORT_QOS_MAP|Ethernet0' pfc_enable") == "3"
    assert host.check_output(f"{client} CONFIG_DB HGET 'PORT|Ethernet8' mtu") == "9214"
    saved = json.loads(Path(DEVICES["sonic"]["saved"]).read_text(encoding="utf-8"))
    assert saved["PORT_QOS_MAP"]["Ethernet0"]["pfc_enable"] == "3"


def test_the_linux_switch_where_its_kernel_can(host: Any) -> None:
    """`tc` and `bridge` as root on the machine tell nothing: the container has a network of its own."""
    if host.check_output("podman exec lsw1 cat /run/kernel-can-switch") != "yes":
        pytest.skip("this kernel has no bridge or no sch_ets; the lab's switch is a machine with both")
    assert "qdisc ets 1: root" in host.check_output("podman exec lsw1 tc qdisc show dev swp2")
    assert host.run("podman exec lsw1 systemctl is-enabled tickwire-switch.service").stdout.strip() == "enabled"
