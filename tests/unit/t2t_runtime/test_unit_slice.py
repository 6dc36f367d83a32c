# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The unit of the role: only the engine may use isolated CPUs, from the slice that host code keeps them for."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.slices import SLICE

TEMPLATES = Path(__file__).resolve().parents[3] / "roles/t2t_runtime/templates"


def unit(component: str, xdp: bool = False) -> list[tuple[str, str]]:
    """Keys and values of the unit."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.ChainableUndefined)
    environment.filters["comment"] = str
    text = environment.get_template("tickwire.service.j2").render(
        t2t_runtime_component=component,
        t2t_runtime_config={"feed": {}},
        __t2t_runtime_affinity=[0, 1],
        __t2t_runtime_xdp=xdp,
    )
    lines = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _sign, value in lines]


@pytest.mark.parametrize(("component", "slices"), [("engine", [SLICE]), ("exchange", [])])
def test_slice_of_the_unit(component: str, slices: list[str]) -> None:
    lines = unit(component)
    assert [value for key, value in lines if key == "Slice"] == slices
    assert [value for key, value in lines if key == "CPUAffinity"] == ["0 1"]


def settings_of(config: dict[str, dict[str, object]], component: str = "engine") -> dict[str, str]:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.ChainableUndefined)
    environment.filters["comment"] = str
    text = environment.get_template("tickwire.service.j2").render(
        t2t_runtime_component=component, t2t_runtime_config=config, __t2t_runtime_affinity=[0, 1]
    )
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize(
    ("config", "capabilities"),
    [
        ({}, "CAP_NET_ADMIN"),
        ({"feed": {"busy_poll_us": 0}}, "CAP_NET_ADMIN"),
        ({"feed": {"busy_poll_us": 0}, "engine": {"timestamps": "hardware"}}, "CAP_NET_ADMIN"),
        ({"feed": {"busy_poll_us": 0}, "engine": {"timestamps": "software"}}, ""),
        ({"feed": {"busy_poll_us": 0}, "engine": {"timestamps": "none"}}, ""),
        ({"engine": {"timestamps": "none"}}, "CAP_NET_ADMIN"),
    ],
)
def test_the_capability_is_there_only_for_what_asks_for_it(
    config: dict[str, dict[str, object]], capabilities: str
) -> None:
    assert settings_of(config)["CapabilityBoundingSet"] == capabilities
    assert settings_of(config).get("AmbientCapabilities", "") == capabilities
    assert settings_of(config, "exchange")["CapabilityBoundingSet"] == ""


@pytest.mark.parametrize(
    ("wish", "by_card"), [("auto", True), ("hardware", True), ("software", False), ("none", False)]
)
def test_an_exchange_that_stamps_by_the_card_may_switch_it_on(wish: str, by_card: bool) -> None:
    unit_of = settings_of({"exchange": {"timestamps": wish}}, "exchange")
    assert unit_of["CapabilityBoundingSet"] == unit_of.get("AmbientCapabilities", "") == "CAP_NET_ADMIN" * by_card
    assert ("tickwire-ptp4l.service" in unit_of["After"].split()) == by_card


def test_real_time_is_allowed_up_to_the_priority_asked_for() -> None:
    ordinary, wanted = settings_of({}), settings_of({"engine": {"priority": 80}})
    assert (ordinary["RestrictRealtime"], "LimitRTPRIO" in ordinary) == ("yes", False)
    assert (wanted["RestrictRealtime"], wanted["LimitRTPRIO"]) == ("no", "80")
    assert settings_of({"engine": {"priority": 80}}, "exchange")["RestrictRealtime"] == "yes"


def test_the_engine_starts_behind_ptp4l_and_ends_before_it() -> None:
    """So that the card's setting it finds is ptp4l's, and is put back before ptp4l goes."""
    assert settings_of({})["After"].split() == ["network-online.target", "tickwire-ptp4l.service"]
    assert settings_of({}, "exchange")["After"] == "network-online.target"


def test_af_xdp_gets_what_it_needs_and_nothing_else_does() -> None:
    plain, xdp = dict(unit("engine")), dict(unit("engine", xdp=True))
    differ = {key: (plain[key], xdp[key]) for key in plain if plain[key] != xdp[key]}
    needed = "CAP_BPF CAP_NET_ADMIN CAP_NET_RAW"
    assert differ == {
        "CapabilityBoundingSet": ("CAP_NET_ADMIN", needed),
        "AmbientCapabilities": ("CAP_NET_ADMIN", needed),
        "RestrictAddressFamilies": ("AF_UNIX AF_INET AF_INET6", "AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_XDP"),
        "SystemCallFilter": ("@system-service", "@system-service bpf"),
    }
    assert plain.keys() == xdp.keys()
