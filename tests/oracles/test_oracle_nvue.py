# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's object models of Cumulus Linux 5.9 to 5.18 judge every tree that the intent becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.desired import desired
from tests.devices.nvue_intent import intent
from tests.devices.nvue_schema import VERSIONS, problems


def tree(version: str, **over: Any) -> dict[str, Any]:
    return desired(parse_intent(intent(devices__leaf1__version=version, **over)), "leaf1")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_takes_its_tree(version: str) -> None:
    assert problems(tree(version), version) == []
    full = tree(version, ptp={"role": "boundary", "domain": 24, "transport": "l2"}, trust="pcp", lldp={"dcbx": False})
    assert full["service"]["ptp"]["1"]["domain"] == 24
    assert problems(full, version) == []


@pytest.mark.parametrize(("version", "other"), [("5.14", "5.15"), ("5.15", "5.14"), ("5.17", "5.16")])
def test_no_version_takes_the_tree_of_the_other_side(version: str, other: str) -> None:
    full = tree(version, ptp={"role": "boundary"})
    assert problems(full, version) == []
    assert problems(full, other), "the judge sees the difference between the dialects"


def test_the_judge_refuses_what_nvue_refuses() -> None:
    found = tree("5.15")
    assert problems({**found, "quos": {}}, "5.15")
    found["qos"]["pfc-watchdog"]["polling-interval"] = 99
    assert problems(found, "5.15")
    assert problems({"qos": {"roce": {"enable": "on"}}}, "5.15"), "an unknown key the models themselves let pass"
    assert problems({"interface": {"swp1": {"link": {"mtu": {"9000": {}}}}}}, "5.15")


@settings(max_examples=25)
@given(
    speed=st.sampled_from([1, 10, 25, 100, 400, 800, 1600]),
    cable=st.floats(0.1, 10_000),
    percent=st.floats(0.001, 100),
    detect=st.integers(100, 5000),
    poll=st.integers(100, 1000),
    lossless_percent=st.integers(1, 99),
    version=st.sampled_from(["5.9", "5.10", "5.14", "5.18"]),
)
def test_any_numbers_stay_in_range(
    speed: int, cable: float, percent: float, detect: int, poll: int, lossless_percent: int, version: str
) -> None:
    poll = min(poll, detect)
    found = tree(
        version,
        links__0__speed_gbps=speed,
        links__0__cable_m=cable,
        storm_control={"broadcast_percent": percent},
        watchdog={"detect_ms": detect, "poll_ms": poll, "restore_ms": max(poll, 400)},
        buffers={"lossless_percent": lossless_percent},
    )
    assert problems(found, version) == []
    times = found["qos"]["pfc-watchdog"]
    assert times["polling-interval"] * times["robustness"] == detect
    assert times["polling-interval"] >= poll
