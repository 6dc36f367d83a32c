# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules dcb and roce_cm on a file tree: arguments in, result out, check mode that writes nothing."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.host.fake_dcb import FakeDcb
from tests.unit.host.host_tree import Host

PACKAGE = "ansible_collections.tickwire.fabric.plugins.modules"
LANES = {"pfc": [3], "dscp": [{"dscp": 26, "priority": 3}]}
PORT = "sys/kernel/config/rdma_cm/rxe0/ports/1"

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def dcb() -> FakeDcb:
    return FakeDcb("e0")


@pytest.fixture
def call(host: Host, dcb: FakeDcb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a module with the tree as its root."""
    for name in ("sys/class/net/e0/mtu", "sys/class/net/e1/mtu", "usr/sbin/dcb", "usr/sbin/ethtool"):
        host.write(name, "9000\n")
    host.write("sys/class/infiniband/rxe0/parent", "e0\n")
    host.write("sys/class/infiniband/rxe0/ports/1/state", "4: ACTIVE\n")
    host.write(f"{PORT}/default_roce_mode", "RoCE v2\n")
    host.write(f"{PORT}/default_roce_tos", "0\n")

    def call(name: str, args: dict[str, Any], check: bool = False) -> dict[str, Any]:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        monkeypatch.setattr(module, "Path", lambda dummy: host.root)
        run = dcb.run_reads_only if check else dcb.run
        # Not AnsibleModule.run_command, which can lose output (host/run.py): no output reads as no address or no DCB.
        monkeypatch.setattr(module, "run_program", run)
        with patch_module_args({**args, "_ansible_check_mode": check, "_ansible_diff": True}):
            with pytest.raises(SystemExit):
                module.main()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return call


@pytest.mark.parametrize(("name", "wanted"), [("dcb", {"e0": LANES}), ("roce_cm", {"e0": {"version": 2, "tos": 106}})])
def test_check_mode_foretells_and_a_second_run_changes_nothing(
    host: Host, call: Call, name: str, wanted: dict[str, Any]
) -> None:
    before = host.tree()
    foretold = call(name, {"interfaces": wanted}, check=True)
    assert host.tree() == before
    done = call(name, {"interfaces": wanted})
    assert foretold["changed"] and done["changed"], (foretold, done)
    assert foretold["diff"] == done["diff"]
    assert done["diff"]["before"] != done["diff"]["after"]
    assert call(name, {"interfaces": wanted})["changed"] is False


def test_refusals_are_messages(call: Call) -> None:
    assert "this host has e0, e1" in call("dcb", {"interfaces": {"e9": LANES}})["msg"]
    assert "from 0 to 255" in call("roce_cm", {"interfaces": {"e0": {"tos": 300}}})["msg"]
    assert "Operation not supported" in call("dcb", {"interfaces": {"e1": LANES}, "required": True})["msg"]


def test_missing_support_is_a_warning(call: Call, warned: list[str]) -> None:
    result = call("dcb", {"interfaces": {"e1": LANES}})
    assert result["changed"] is False
    assert list(result["unsupported"]["e1"]) == ["dcbx", "ets", "pfc", "app"]
    assert "does not carry the lanes" in warned[0]


def test_nothing_wanted_and_nothing_ours_runs_nothing(host: Host, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDcb, "run", lambda self, argv: host.run_nothing(argv))
    before = host.tree()
    for name in ("dcb", "roce_cm"):
        assert call(name, {})["changed"] is False
    assert host.tree() == before


def test_a_firmware_agent_is_stopped_and_started_again_when_the_interface_is_no_longer_ours(
    call: Call, dcb: FakeDcb, host: Host, warned: list[str]
) -> None:
    fresh = host.tree()
    dcb.flags["e0"] = {"fw-lldp-agent": "on"}
    args = {"interfaces": {"e0": LANES}, "stop_firmware_agents": True, "bounce_allowed": True}
    assert "this host has" in call("dcb", {**args, "interfaces": {"e0": LANES, "e9": LANES}})["msg"]
    assert dcb.flags["e0"] == {"fw-lldp-agent": "on"} and host.tree() == fresh, "a wrong name stops nothing"
    assert "e0 fw-lldp-agent: stopped" in call("dcb", args, check=True)["diff"]["after"]
    assert dcb.flags["e0"] == {"fw-lldp-agent": "on"}
    call("dcb", args)
    assert dcb.flags["e0"] == {"fw-lldp-agent": "off"}
    assert call("dcb", {**args, "stop_firmware_agents": False})["changed"] is False, "it is not told to start it"
    dcb.nics["e0"]["pfc"]["prio_pfc"] = [False] * 8
    warned.clear()
    call("dcb", {"interfaces": {}})
    assert dcb.flags["e0"] == {"fw-lldp-agent": "off"} and any("fw-lldp-agent" in text for text in warned)
    gone = {"interfaces": {}, "bounce_allowed": True}
    assert "e0 fw-lldp-agent: runs" in call("dcb", gone, check=True)["diff"]["after"]
    assert call("dcb", gone)["changed"] is True
    assert dcb.flags["e0"] == {"fw-lldp-agent": "on"}
    assert "var/lib/tickwire/host-before.json" not in host.tree()
    assert call("dcb", gone)["changed"] is False
