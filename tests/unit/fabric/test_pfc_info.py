# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pfc_info reads the counters of each system, over the connection that the role has to it, into one shape."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devices import nvue, nxapi
from tests.devices.eapi import EosSwitch
from tests.devices.server import serving
from tests.devices.sonic_switch import SonicSwitch, factory_config
from tests.unit.fabric.mistakes import sound

CHECKOUT = Path(__file__).resolve().parents[3]
HTTPAPI = {"ansible_connection": "ansible.netcommon.httpapi", "ansible_host": "127.0.0.1"}
HERE = {"ansible_connection": "local"}
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - tickwire.fabric.pfc_info:
        fabric: "{{ fabric }}"
        device: "{{ inventory_hostname }}"
        interval_s: 0.2
        intervals: 2
        nvue: "{{ nvue | default(omit) }}"
      environment: "{{ programs | default({}) }}"
      register: pfc
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ pfc | to_json }}"
        dest: "{{ results }}/{{ inventory_hostname }}.json"
        mode: "0644"
      delegate_to: localhost
"""


def eos() -> EosSwitch:
    """Counters as ANTA's unit tests have them; one command is not there, as on a chip without it."""
    switch = EosSwitch()
    switch.counters = {
        "show priority-flow-control counters": {
            "interfaceCounters": {"Ethernet1/1": {"rxFrames": 7, "txFrames": 9}, "Ethernet48": {"rxFrames": 1}}
        },
        "show qos interfaces ecn counters queue": {
            "intfQueueCounters": {"Ethernet1/1": {"queueCounters": {"0": "-", "3": "12"}}}
        },
        "show interfaces counters queue detail": {"egressQueueCounters": {"interfaces": {}}},
    }
    return switch


def cumulus() -> nvue.Nvue:
    switch = nvue.Nvue()
    switch.operational["interface/swp1/counters/qos"] = {
        "pfc-stats": {"3": {"rx-pause-frames": 5, "tx-pause-frames": 6, "rx-pause-duration": 70}}
    }
    switch.operational["interface/swp1/qos/pfc-watchdog"] = {
        "status": {"3": {"status": "DEADLOCK", "deadlock-count": 2}}
    }
    return switch


def fill(switch: SonicSwitch) -> None:
    """A queue that stands under pauses: its watchdog says so."""
    database = switch.database("COUNTERS_DB")
    database.hset("COUNTERS_PORT_NAME_MAP", "Ethernet0", "oid:0x1")
    database.hset("COUNTERS_QUEUE_NAME_MAP", "Ethernet0:3", "oid:0x2")
    database.hset("COUNTERS:oid:0x1", mapping={"SAI_PORT_STAT_PFC_3_RX_PKTS": "40"})
    queue = {"PFC_WD_STATUS": "stormed", "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": "3"}
    database.hset("COUNTERS:oid:0x2", mapping={**queue, "SAI_QUEUE_STAT_PACKETS": "100"})


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """Result of pfc_info by switch, from one run of Ansible on all of them."""
    directory = tmp_path_factory.mktemp("pfc")
    with contextlib.ExitStack() as stack:
        eos_port = stack.enter_context(serving(eos()))
        nexus = nxapi.Nexus(version="10.4(3)", text="interface Ethernet1/1\n", pauses={"Ethernet1/1": (5, 7)})
        nxos_port = stack.enter_context(nexus.serving())
        url = stack.enter_context(nvue.serving(cumulus()))
        sonic = stack.enter_context(SonicSwitch(directory / "sonic", config=factory_config(ports=3)))
        fill(sonic)
        hosts = {
            "leaf1": {**HTTPAPI, "ansible_network_os": "arista.eos.eos", "ansible_port": eos_port},
            "leaf2": {**HTTPAPI, "ansible_network_os": "cisco.nxos.nxos", "ansible_port": nxos_port},
            "spine1": {
                **HERE,
                "nvue": {"method": "rest", "url": url, "username": nvue.USER, "password": nvue.PASSWORD},
            },
            "spine2": {**HERE, "programs": {"PATH": f"{sonic.programs}:{os.environ['PATH']}"}},
            "exch1": HERE,
        }
        for host in hosts.values():
            if "ansible_port" in host:
                host.update(ansible_httpapi_port=host["ansible_port"], ansible_httpapi_use_ssl=False)
        variables = {
            "fabric": sound(),
            "results": str(directory),
            "ansible_python_interpreter": sys.executable,
            "ansible_user": nxapi.USER,
            "ansible_password": nxapi.PASSWORD,
        }
        (directory / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "hosts": hosts}}))
        (directory / "play.yml").write_text(PLAY)
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections"),
            "ANSIBLE_HOME": str(directory / "ansible"),
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.json", "play.yml"],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield {name: json.loads((directory / f"{name}.json").read_text()) for name in hosts}


def test_eos(read: dict[str, dict[str, Any]]) -> None:
    found = read["leaf1"]
    assert found["counters"]["os"] == "eos"
    port = found["counters"]["ports"]["Ethernet1/1"]
    assert (port["pfc"]["all"]["rx_frames"], port["pfc"]["all"]["tx_frames"]) == (7, 9)
    assert port["queues"]["3"]["ecn_marked_packets"] == 12
    assert found["rates"]["Ethernet1/1"]["pfc"]["all"]["rx_frames_per_s"] == 0
    assert "Ethernet48" not in found["counters"]["ports"], "no link of the intent names it"
    assert list(found["unread"]) == ["show interfaces counters queue drops"]


def test_nxos(read: dict[str, dict[str, Any]]) -> None:
    port = read["leaf2"]["counters"]["ports"]["Ethernet1/1"]
    assert (port["pfc"]["all"]["rx_frames"], port["pfc"]["all"]["tx_frames"]) == (5, 7)
    assert read["leaf2"]["unread"] == {}


def test_cumulus(read: dict[str, dict[str, Any]]) -> None:
    port = read["spine1"]["counters"]["ports"]["swp1"]
    assert port["pfc"]["3"] == {"rx_frames": 5, "tx_frames": 6, "rx_pause_us": 70, "tx_pause_us": None}
    assert [(one["rule"], one["path"]) for one in read["spine1"]["findings"]] == [("storm", "spine1:swp1 watchdog 3")]


def test_sonic(read: dict[str, dict[str, Any]]) -> None:
    found = read["spine2"]
    assert found["counters"]["ports"]["Ethernet0"]["pfc"]["3"]["rx_frames"] == 40
    assert found["rates"]["Ethernet0"]["queues"]["3"]["tx_packets_per_s"] == 0
    told = [(one["severity"], one["rule"], one["link"]) for one in found["findings"]]
    assert told == [("error", "storm", 7), ("warning", "not-counted", 9)]


def test_a_host_is_refused(read: dict[str, dict[str, Any]]) -> None:
    assert read["exch1"]["failed"]
    assert "fabric.devices.exch1: is no switch of the intent; there are leaf1" in read["exch1"]["msg"]
