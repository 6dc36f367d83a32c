# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECN before PFC."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.asic import ASICS
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.buffers import port_buffers, switch_buffer
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import Finding
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.marks import (
    kmin_bound_bytes,
    mark_findings,
    xoff_alone_bytes,
)
from tests.unit.fabric.intents import star


def marks(intent: dict[str, Any]) -> list[Finding]:
    fabric = parse_intent(intent)
    device, ports = fabric.devices["leaf1"], fabric.ports_of("leaf1")
    return list(mark_findings(fabric, device, ports, switch_buffer(device, ports, port_buffers(device, ports))))


def with_ecn(kmin_kb: int, kmax_kb: int, **more: Any) -> dict[str, Any]:
    intent = star(**more)
    lanes = intent["lanes"]
    ecn = {"kmin_kb": kmin_kb, "kmax_kb": kmax_kb}
    return {**intent, "lanes": {**lanes, "trading": {**lanes["trading"], "ecn": ecn}}}


def test_the_example_of_the_dcqcn_paper() -> None:
    """Trident-II: 12 MB, 32 ports, 8 priorities of 22.4 kB headroom each, beta 8 over 8 priorities: 21.76 kB."""
    shared = 12_000_000 - 8 * 32 * 22_400
    assert kmin_bound_bytes(shared, 1, 32, 8) == pytest.approx(21_755, abs=1)


def test_xoff_alone_is_where_a_group_holds_alpha_times_the_rest() -> None:
    for alpha in (1 / 8, 1, 4):
        xoff = xoff_alone_bytes(1_000_000, alpha)
        assert xoff == pytest.approx(alpha * (1_000_000 - xoff))


@pytest.mark.parametrize("asic", [name for name, asic in ASICS.items() if asic.buffer_kb])
@pytest.mark.parametrize(("hosts", "speed"), [(32, 40), (48, 25), (16, 100)])
def test_the_defaults_are_sane_on_every_chip(asic: str, hosts: int, speed: int) -> None:
    """With the ports that the smallest of them has: no error, no warning."""
    assert {finding.severity for finding in marks(star(hosts=hosts, speed_gbps=speed, asic=asic))} <= {"advice"}


@pytest.mark.parametrize(
    ("asic", "hosts", "speed"), [("spectrum3", 32, 400), ("spectrum4", 64, 800), ("spectrum4", 128, 400)]
)
def test_the_defaults_are_sane_on_a_full_switch(asic: str, hosts: int, speed: int) -> None:
    """There the bound of DCQCN can not be kept with kmin that scales with the speed: advice, and told once."""
    (finding,) = marks(star(hosts=hosts, speed_gbps=speed, asic=asic))
    assert (finding.severity, finding.rule) == ("advice", "ecn-dcqcn-bound")


def test_kmin_over_xoff_is_an_error_told_once_for_ports_alike() -> None:
    """60.8 MB, 2 ports: with alpha 1/64 a group pauses at some 900 kB, before 1 MB."""
    (finding,) = marks(with_ecn(1000, 2000, buffers={"alpha_exponent": -6}))
    assert (finding.severity, finding.rule, finding.path) == ("error", "ecn-before-pfc", "fabric.lanes.trading.ecn")
    assert "leaf1:Ethernet0 and 1 more ports" in finding.message and "kmin 1000000" in finding.message
    assert (finding.device, finding.port, finding.link) == ("leaf1", "Ethernet0", 0)


def test_kmax_over_xoff_is_a_warning() -> None:
    (finding,) = marks(with_ecn(100, 2000, buffers={"alpha_exponent": -6}))
    assert (finding.severity, finding.rule) == ("warning", "ecn-kmax-over-xoff")


def test_a_curve_below_one_frame() -> None:
    (finding,) = marks(with_ecn(9, 90))
    assert (finding.severity, finding.rule) == ("advice", "ecn-below-a-frame") and "9236 bytes" in finding.message


def test_without_a_known_buffer_nothing_is_compared() -> None:
    assert marks(with_ecn(50_000, 90_000, asic="generic")) == []
    (finding,) = marks(with_ecn(50_000, 90_000, asic="generic", buffers={"total_kb": 60_000}))
    assert finding.rule == "ecn-before-pfc"


def test_a_lossy_lane_may_mark_late() -> None:
    intent = with_ecn(100, 200, buffers={"alpha_exponent": -6})
    intent["lanes"] = {
        **intent["lanes"],
        "bulk": {**intent["lanes"]["bulk"], "ecn": {"kmin_kb": 5000, "kmax_kb": 9000}},
    }
    assert marks(intent) == []


@pytest.mark.parametrize(
    ("leaf", "path"),
    [
        ({"lanes": {"trading": {"ecn": {"kmin_kb": 50_000, "kmax_kb": 90_000}}}}, "fabric.devices.leaf1.lanes"),
        (
            {"ports": {"Ethernet1": {"lanes": {"trading": {"ecn": {"kmin_kb": 50_000, "kmax_kb": 90_000}}}}}},
            "fabric.devices.leaf1.ports.Ethernet1.lanes",
        ),
    ],
)
def test_an_override_is_told_where_it_is(leaf: dict[str, Any], path: str) -> None:
    (finding,) = marks(star(**leaf))
    assert finding.path == f"{path}.trading.ecn" and finding.rule == "ecn-before-pfc"
