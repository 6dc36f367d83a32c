# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system has nothing for is advice of the plan, at its place in the intent."""

from __future__ import annotations

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.limits import system_limits
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.planner import make_plan
from tests.unit.fabric.intents import racks


def told(os: str, **more: object) -> list[str]:
    intent = racks(**more)
    intent["devices"] = {"leaf1": {"os": os}}
    # a system writes its ports in its own way
    intent["links"] = [
        {"a": f"leaf1:{port}", "b": f"h{number}:e0", "speed_gbps": 25, "cable_m": 2}
        for number, port in enumerate(PORTS[os])
    ]
    return [
        f"{one.path.removeprefix('fabric.devices.leaf1.')}: {one.message}"
        for one in system_limits(parse_intent(intent), "leaf1")
    ]


PORTS = {
    "linux": ("swp1", "swp2"),
    "sonic": ("Ethernet0", "Ethernet4"),
    "cumulus": ("swp1", "swp2"),
    "eos": ("Ethernet1", "Ethernet2"),
}


def test_a_linux_switch_has_neither_a_watchdog_nor_lldp() -> None:
    found = told("linux", lldp={"dcbx": True}, ptp={"role": "boundary"}, storm_control={"unknown_unicast_percent": 1})
    assert [one.split(":")[0] for one in found] == [
        "watchdog",
        "storm_control.unknown_unicast_percent",
        "lldp",
        "ptp.role",
    ]
    assert "LLDP and DCBX needs a daemon" in found[2]


def test_sonic_has_no_dcbx() -> None:
    assert [one.split(":")[0] for one in told("sonic", lldp={"dcbx": True})] == ["lldp.dcbx"]
    assert told("sonic") == []


def test_cumulus_restores_after_one_poll() -> None:
    assert told("cumulus") == []
    (found,) = told("cumulus", watchdog={"restore_ms": 900})
    assert found == "watchdog.restore_ms: restore_ms 900: Cumulus Linux restores after one poll without a pause"


def test_eos_has_all_of_it() -> None:
    assert told("eos", lldp={"dcbx": True}, ptp={"role": "boundary"}) == []


def test_the_plan_tells_it_once_for_all_switches() -> None:
    (found,) = make_plan(parse_intent(racks(lldp={"dcbx": True}))).findings
    assert (found.severity, found.rule, found.path) == ("advice", "system-limit", "fabric.devices.leaf1.lldp.dcbx")
    assert found.message.endswith("(also at leaf2, spine1, spine2)")
