"""The agent on a host: installed, kept, changed, held and taken away; check mode writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift, irq_state
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import bundle, document, units
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import agent as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from ansible_collections.tickwire.fabric.plugins.modules import host_agent
from tests.unit.host.host_tree import Host
from tests.unit.host.systemd_double import Systemctl

TIMER = {"enabled": True, "interval": "5min", "textfile_directory": "/var/lib/prometheus/node-exporter"}
WANTED = {"isolated_cpus": "1", "drift_timer": TIMER}
METRICS = "var/lib/prometheus/node-exporter/tickwire_host.prom"
FILES = [
    "/usr/local/lib/tickwire/tickwire-host.pyz",
    "/etc/tickwire/host.json",
    "/etc/systemd/system/tickwire-nic@.service",
    "/etc/systemd/system/tickwire-host-drift.service",
    "/etc/systemd/system/tickwire-host-drift.timer",
]
UNITS = ["tickwire-host-drift.timer", "tickwire-nic@fab0.service"]
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def systemd(host: Host) -> Systemctl:
    """fab0 is a NIC, lo is not one, vf0 is a virtual function, and fab9 is not there."""
    (host.root / "sys/class/net/fab0/device").mkdir(parents=True)
    (host.root / "sys/class/net/lo").mkdir()
    (host.root / "sys/class/net/vf0/device/physfn").mkdir(parents=True)
    return Systemctl(host.root, ("fab0", "vf0"))


@pytest.fixture
def call(host: Host, systemd: Systemctl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setattr(host_agent, "Path", lambda dummy: host.root)

    def call(wanted: dict[str, Any] | None = None, state: str = "present", check: bool = False) -> dict[str, Any]:
        run = systemd.only_reads if check else systemd.run
        monkeypatch.setattr(host_agent, "run_program", run)
        args = {"wanted": WANTED if wanted is None else wanted, "state": state}
        with patch_module_args({**args, "_ansible_check_mode": check, "_ansible_diff": True}):
            with pytest.raises(SystemExit):
                host_agent.main()
        return json.loads(capsys.readouterr().out)

    return call


def without_diff(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in ("diff", "invocation")}


def test_check_mode_writes_nothing_and_foretells_what_is_done_once(host: Host, systemd: Systemctl, call: Call) -> None:
    before = host.tree()
    foretold = call(check=True)
    assert host.tree() == before and systemd.calls == []
    first = call()
    assert without_diff(first) == without_diff(foretold) and first["diff"] == foretold["diff"]
    assert first["changed"] and first["files"] == FILES
    assert first["enabled"] == first["started"] == UNITS and first["waiting"] == []
    assert systemd.calls == ["daemon-reload", f"enable {' '.join(UNITS)}", f"restart {' '.join(UNITS)}"]
    assert (host.root / METRICS).parent.is_dir()
    before = host.tree()
    again = call()
    assert not again["changed"] and again["diff"] == [] and host.tree() == before
    assert json.loads(host.read(document.FILE)) == WANTED


def test_a_new_document_and_new_code_are_shown_by_key_and_by_source(
    call: Call, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    call()
    collected = bundle.collect(host_agent.cli.__name__)
    changed = {**collected, "added.py": "x = 1\n"}
    monkeypatch.setattr(bundle, "collect", lambda dummy: changed)
    result = call({**WANTED, "hugepages": [{"size": "2M", "count": 1, "node": 0}]})
    assert result["files"] == FILES[:2]
    code, kept, running = result["diff"]
    assert code["before"] == "" and code["after"].startswith("added.py: sha256 ") and code["after"].count("\n") == 1
    assert (kept["before"], kept["after"]) == ("", 'hugepages: [{"count": 1, "node": 0, "size": "2M"}]\n')
    assert result["started"] == ["tickwire-nic@fab0.service"], "it has read the old ones"
    assert "tickwire-nic@fab0.service" in running["after"] and "fab0" not in running["before"]


def test_a_nic_that_is_not_wanted_any_more_loses_its_unit(call: Call, host: Host, systemd: Systemctl) -> None:
    call({"nics": [{"name": "fab0"}, {"name": "fab9"}], "drift_timer": {"enabled": False}})
    assert systemd.active & {"tickwire-nic@fab0.service", *UNITS[:1]} == {"tickwire-nic@fab0.service"}
    result = call({"nics": [{"name": "fab9"}], "drift_timer": {"enabled": False}})
    assert result["disabled"] == result["stopped"] == ["tickwire-nic@fab0.service"]
    assert result["waiting"] == ["tickwire-nic@fab9.service"] and result["started"] == []
    assert "tickwire-nic@fab0.service" not in systemd.active


@pytest.mark.parametrize(("wanted", "state"), [({"drift_timer": TIMER}, "present"), (WANTED, "absent")])
def test_where_nothing_is_wanted_everything_goes(
    call: Call, host: Host, systemd: Systemctl, wanted: dict[str, Any], state: str
) -> None:
    nothing = call(wanted, state)
    assert not nothing["changed"], "on a fresh host there is nothing to take away"
    files = set(host.tree())
    call()
    host.write(METRICS, "old 1\n")
    result = call(wanted, state)
    assert result["files"] == [*FILES, f"/{METRICS}"] and result["disabled"] == UNITS
    left = {name for name in set(host.tree()) - files if (host.root / name).is_file()}
    assert left == set()
    assert not call(wanted, state)["changed"]


def test_a_number_of_housekeeping_cores_alone_isolates_cpus_and_is_something_wanted(call: Call) -> None:
    for none in (0, "0"):
        assert not call({"housekeeping_per_node": none, "drift_timer": TIMER})["changed"]
    assert call({"housekeeping_per_node": 1, "drift_timer": TIMER})["enabled"] == UNITS


def test_metrics_that_are_not_wanted_any_more_go(call: Call, host: Host) -> None:
    call()
    host.write(METRICS, "old 1\n")
    result = call({**WANTED, "drift_timer": {**TIMER, "textfile_directory": ""}})
    assert f"/{METRICS}" in result["files"] and not (host.root / METRICS).exists()


def test_held_stops_the_units_of_the_nics_and_present_starts_them_again(call: Call, systemd: Systemctl) -> None:
    call()
    assert call(state="held", check=True)["stopped"] == ["tickwire-nic@fab0.service"]
    assert call(state="held")["stopped"] == ["tickwire-nic@fab0.service"]
    assert not call(state="held")["changed"]
    assert "tickwire-nic@fab0.service" not in systemd.active
    assert call()["started"] == ["tickwire-nic@fab0.service"]


def test_a_hold_that_nobody_ends_ends_by_itself_with_the_document_of_before(
    call: Call, host: Host, systemd: Systemctl
) -> None:
    call()
    before = host.tree()
    held = call(state="held")
    assert held["stopped"] == ["tickwire-nic@fab0.service"]
    order = ["systemd-run tickwire-nic-hold.timer", "stop tickwire-nic@fab0.service"]
    assert systemd.calls[-2:] == order, "cut off in between, the units run or are about to"
    again = call(state="held")
    assert not again["changed"] and systemd.calls[-2:] == ["stop tickwire-nic-hold.timer", order[0]], "it begins anew"
    # The run is lost here.
    systemd.time_passes()
    assert "tickwire-nic@fab0.service" in systemd.active and host.tree() == before
    assert not call()["changed"]


def test_a_hold_starts_only_what_is_there(call: Call, systemd: Systemctl) -> None:
    call({"nics": [{"name": "fab0"}, {"name": "fab9"}], "drift_timer": {"enabled": False}})
    call(state="held")
    assert systemd.later == ["tickwire-nic@fab0.service"], "fab9 has its unit started when it comes"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_ends_a_hold_takes_its_timer_away(call: Call, systemd: Systemctl, state: str) -> None:
    call()
    call(state="held")
    foretold = call(state=state, check=True)
    ended = call(state=state)
    assert "tickwire-nic-hold.timer" in ended["stopped"] and without_diff(ended) == without_diff(foretold)
    assert "tickwire-nic-hold.timer" not in systemd.active
    assert ("tickwire-nic@fab0.service" in systemd.active) is (state == "present")
    assert not call(state=state)["changed"]


def test_a_hold_outlasts_a_document_that_systemd_refuses(call: Call, host: Host, systemd: Systemctl) -> None:
    call()
    call(state="held")
    systemd.fails = "restart"
    assert call({**WANTED, "maintenance_window": True})["failed"]
    systemd.time_passes()
    assert "tickwire-nic@fab0.service" in systemd.active and json.loads(host.read(document.FILE)) == WANTED


def test_without_a_timer_nothing_is_held(call: Call, systemd: Systemctl) -> None:
    call()
    systemd.fails = "systemd-run"
    assert "systemd-run --quiet" in call(state="held")["msg"]
    assert "tickwire-nic@fab0.service" in systemd.active


def test_when_systemd_refuses_the_files_are_as_before(call: Call, host: Host, systemd: Systemctl) -> None:
    call()
    before = {name: text for name, (dummy, text, *rest) in host.tree().items()}
    systemd.fails = "restart"
    result = call({**WANTED, "maintenance_window": True})
    assert result["failed"] and "systemctl restart 'tickwire-nic@fab0.service': Failed to restart" in result["msg"]
    assert "more" not in result["msg"]
    assert {name: text for name, (dummy, text, *rest) in host.tree().items()} == before


@pytest.mark.parametrize(
    ("timer", "says"),
    [
        ({"interval": "often"}, "drift_timer interval 'often': this is no time span"),
        ({"textfile_directory": "metrics"}, "drift_timer textfile_directory 'metrics': this is no absolute path"),
        ({"textfile_directory": "/var/lib/%n"}, "this is no absolute path"),
        ({"textfile_directory": "/var/lib/a b"}, "this is no absolute path"),
    ],
)
def test_a_wrong_timer_is_refused(call: Call, host: Host, timer: dict[str, str], says: str) -> None:
    before = host.tree()
    wanted = {**WANTED, "drift_timer": timer}
    assert says in call(wanted)["msg"] and host.tree() == before
    with pytest.raises(HostError):
        part.check(System(host.root, host.run_nothing), wanted)


def test_drift_of_the_agent_itself(call: Call, host: Host, systemd: Systemctl) -> None:
    system = System(host.root, systemd.run)
    items = [(found.item, found.wanted, found.found) for found in part.drift(system, WANTED, False)]
    assert items == [
        ("/etc/tickwire/host.json", "the same", "other drift_timer, isolated_cpus"),
        ("tickwire-host-drift.timer", "enabled", "disabled"),
        ("tickwire-nic@fab0.service", "enabled", "disabled"),
    ]
    call()
    assert part.drift(system, {**WANTED, "unmovable_irqs": [4]}, False) == []
    systemd.active.discard("tickwire-nic@fab0.service")
    assert [str(found) for found in part.drift(system, WANTED, False)] == [
        "tickwire-nic@fab0.service: wanted 'active', found 'inactive'"
    ]
    systemd.active.discard("sys-subsystem-net-devices-fab0.device")
    assert part.drift(system, WANTED, False) == [], "it waits for its NIC"
    assert part.drift(System(host.root, host.run_nothing), {"isolated_cpus": "1"}, False) == [], "no role, no agent"


def test_a_damaged_document_is_told_and_replaced(call: Call, host: Host) -> None:
    call()
    for text in ("{", "[1]"):
        host.write(document.FILE, text)
        with pytest.raises(HostError, match="Run role roce_host"):
            document.read_document(System(host.root, host.run_nothing))
        result = call()
        assert result["files"] == ["/etc/tickwire/host.json"] and json.loads(host.read(document.FILE)) == WANTED


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("fab0", "fab0"),
        ("enp1s0f0np0", "enp1s0f0np0"),
        ("eth0.100", "eth0.100"),
        ("br-lan", r"br\x2dlan"),
        (".x", r"\x2ex"),
    ],
)
def test_names_of_units_are_those_of_systemd_escape(name: str, escaped: str) -> None:
    """Written down from systemd-escape of systemd 257."""
    assert units.escape(name) == escaped
    assert units.instance(name) == f"tickwire-nic@{escaped}.service"
    assert units.device(name) == f"sys-subsystem-net-devices-{escaped}.device"


def test_the_report_judges_by_the_parts_that_are_registered() -> None:
    assert part.PART in drift.PARTS and len({one.name for one in drift.PARTS}) == len(drift.PARTS)


def test_the_units_run_on_the_housekeeping_cpus(call: Call, host: Host) -> None:
    call()
    for name in (units.NIC, units.DRIFT):
        assert "\nCPUAffinity=0\n" in host.read(f"{units.DIRECTORY}/{name}")
    call({"nics": [{"name": "fab0"}]})
    assert "CPUAffinity" not in host.read(f"{units.DIRECTORY}/{units.NIC}")


def test_the_drift_reads_only_unless_it_asks_cards_for_their_firmware(call: Call, host: Host) -> None:
    """mstflint asks by writes to the configuration space in /sys, which that setting makes read-only."""
    call()
    assert "\nProtectKernelTunables=yes\n" in host.read(f"{units.DIRECTORY}/{units.DRIFT}")
    call({**WANTED, "firmware": [{"device": "fab0", "settings": {"SRIOV_EN": False}}]})
    assert "ProtectKernelTunables" not in host.read(f"{units.DIRECTORY}/{units.DRIFT}")


def test_rdma_cm_is_loaded_before_its_settings_are_applied(call: Call, host: Host) -> None:
    """The unit itself may load no kernel module (ProtectKernelModules)."""
    call()
    assert "modprobe@" not in host.read(f"{units.DIRECTORY}/{units.NIC}")
    call({**WANTED, "roce": {"fab0": {"version": 2, "tos": 106}}})
    unit = host.read(f"{units.DIRECTORY}/{units.NIC}")
    assert "\nWants=modprobe@rdma_cm.service\nAfter=modprobe@rdma_cm.service\n" in unit[: unit.index("[Service]")]


def test_the_units_of_the_nics_may_read_whether_the_engine_trades() -> None:
    """The block is of the engine's user, and nobody else's."""
    text = units.nic_unit("/usr/bin/python3", "0", False)
    assert "CAP_DAC_READ_SEARCH" in next(
        line for line in text.splitlines() if line.startswith("CapabilityBoundingSet=")
    )


def test_the_units_of_the_nics_may_write_what_they_learn_of_interrupts() -> None:
    """Below /run they may write into a directory of their own only, which stays for the next of them."""
    lines = units.nic_unit("/usr/bin/python3", "0", False).splitlines()
    assert "ProtectSystem=strict" in lines and "RuntimeDirectoryPreserve=yes" in lines
    (name,) = [line.partition("=")[2] for line in lines if line.startswith("RuntimeDirectory=")]
    assert irq_state.FILE.rpartition("/")[0] == f"run/{name}"
