# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole plan: its order, its shape as data and text, what is told once, and what it costs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.costs import change_costs
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import Finding
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.plan_text import plan_text
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.planner import (
    Plan,
    at_least,
    headline,
    make_plan,
    merged,
    plain,
    summary,
)
from tests.unit.fabric.intents import racks, star

ROOT = Path(__file__).parents[3]
PATHS = [
    {"name": "order", "hops": ["h1", "leaf1", "spine1", "leaf2", "h2"], "lane": "trading", "target_ns": 1000},
    {"name": "hedge", "hops": ["h1", "leaf1", "spine2", "leaf2", "h2"], "lane": "trading"},
]


def plan_of(intent: dict[str, Any]) -> Plan:
    return make_plan(parse_intent(intent))


def bad() -> dict[str, Any]:
    """An intent with an error of each part, and all else."""
    intent = copy.deepcopy(racks(paths=PATHS, latency={"orders": {"pair": ["order", "hedge"]}}))
    intent["devices"]["spine1"].update(mtu=9100, asic="generic")
    intent["devices"]["leaf1"]["buffers"] = {"total_kb": 400}
    intent["devices"]["leaf2"]["buffers"] = {"alpha_exponent": -7, "total_kb": 20_000}
    return intent


def test_a_sound_fabric() -> None:
    plan = plan_of(racks())
    assert plan.findings == ()
    assert summary(plan)[0] == "Plan of racks: 4 switches, 6 links: 0 errors, 0 warnings, 0 advice"
    assert [f"{one.device}:{one.port.name}" for one in plan.headroom[:3]] == [
        "leaf1:Ethernet0",
        "leaf1:Ethernet4",
        "leaf1:Ethernet8",
    ]
    assert len(plan.headroom) == 10, "each end that is a switch's"
    assert plan.deadlock.lanes == ("trading",)


def test_every_error_is_told_worst_first() -> None:
    plan = plan_of(bad())
    severities = [one.severity for one in plan.findings]
    assert severities == sorted(severities, key=["error", "warning", "advice"].index)
    assert {one.rule for one in at_least(plan, "error")} == {
        "mtu",
        "headroom-over-buffer",
        "ecn-before-pfc",
        "latency-target",
    }
    assert {one.rule for one in plan.findings} >= {"buffer-unknown", "latency-unknown"}
    assert at_least(plan, "never") == [] and len(at_least(plan, "advice")) == len(plan.findings)
    assert headline(plan).startswith("Plan of racks: 4 switches, 6 links: 5 errors")


def test_a_circle_of_pauses_is_a_finding_of_the_plan() -> None:
    ring = [("a", "b"), ("b", "c"), ("c", "a")]
    intent = star(hosts=0)
    intent["devices"] = {name: {"os": "sonic", "asic": "spectrum3"} for name in "abc"}
    intent["links"] = [
        {"a": f"{one}:Ethernet0", "b": f"{other}:Ethernet4", "speed_gbps": 100, "cable_m": 5} for one, other in ring
    ]
    intent["paths"] = [{"name": "".join(hops), "hops": list(hops), "lane": "trading"} for hops in ("abc", "bca", "cab")]
    plan = plan_of({**intent, "routing": "given"})
    (finding,) = at_least(plan, "error")
    assert finding.rule == "pfc-deadlock" and finding in plan.deadlock.findings
    assert plain(plan)["deadlock"]["findings"]


def test_as_plain_data() -> None:
    document = json.loads(json.dumps(plain(plan_of(bad()))))
    assert document["headroom"][0] == {
        "device": "leaf1",
        "port": "Ethernet0",
        "peer": "h1:e0",
        "speed_gbps": 25,
        "cable_m": 2,
        "mtu": 9214,
        "priority_groups": {"trading": 3},
        "xoff_bytes": 47104,
        "xon_bytes": 19456,
        "size_bytes": 66560,
    }
    order, _hedge = document["latency"]["paths"]
    parts = ("serialisation_ns", "propagation_ns", "switch_ns", "host_ns")
    assert order["total_ns"] == pytest.approx(sum(order[part] for part in parts), abs=0.3)
    assert sum(part["ns"] for part in order["parts"]) == pytest.approx(order["total_ns"], abs=0.6)
    (pair,) = document["latency"]["orders"]
    assert pair["slowest"] == "hedge" and pair["legs"][1]["behind_ns"] == 41
    assert document["buffers"][0]["device"] == "leaf1" and document["buffers"][0]["per_port_bytes"] == 133333
    assert document["deadlock"]["lanes"] == ["trading"]


def test_as_text() -> None:
    text = plan_text(plan_of(bad()))
    for heading in (
        "Findings",
        "PFC deadlock",
        "Latency by path",
        "Orders of several legs",
        "Buffer by",
        "Headroom of",
    ):
        assert heading in text
    assert all(len(line) <= 120 for line in text.splitlines())
    (row,) = [line for line in text.splitlines() if line.startswith("leaf1:Ethernet0 ")]
    assert row.split() == ["leaf1:Ethernet0", "25", "2", "9214", "trading", "3", "47,104", "19,456", "66,560"]


def test_what_is_the_same_for_many_is_told_once_with_their_number() -> None:
    advice = [Finding("advice", "rule", f"fabric.devices.s{n}", "the same", f"s{n}") for n in range(9)]
    error = [Finding("error", "rule", f"fabric.devices.s{n}", "the same", f"s{n}") for n in range(2)]
    other = Finding("warning", "rule", "fabric.links[0]", "the same")
    found = merged([*advice, *error, other, other])
    assert [one.message for one in found] == ["the same (also at s1, s2, s3, s4, s5 and 3 more)", *["the same"] * 4]
    assert found[0].path == "fabric.devices.s0"


def test_a_long_list_is_cut_in_the_summary_only() -> None:
    intent = star(hosts=40)
    intent["devices"].update({f"h{port}": {"trust": "pcp"} for port in range(40)})
    plan = plan_of(intent)
    assert len(at_least(plan, "error")) == 40
    assert summary(plan)[31] == "... and 10 findings more"


def test_what_many_switches_cost_is_one_line_of_the_summary() -> None:
    assert summary(plan_of(racks()))[1:] == [
        "leaf1, leaf2, spine1, spine2: what the platform does not let a patch change needs a config reload: every port "
        "goes down for it"
    ]


@pytest.mark.parametrize(
    ("os", "over", "said"),
    [
        ("cumulus", {"ptp": {"role": "boundary"}}, ["restarts switchd", "packet buffer"]),
        ("cumulus", {}, ["packet buffer"]),
        ("nxos", {}, ["network-qos"]),
        ("sonic", {}, ["config reload"]),
        ("eos", {"asic": "trident3"}, ["platform trident mmu"]),
        ("eos", {"asic": "jericho2"}, []),
        ("linux", {}, []),
    ],
)
def test_what_a_change_costs(os: str, over: dict[str, Any], said: list[str]) -> None:
    names = {"eos": "Ethernet{}", "nxos": "Ethernet1/{}", "cumulus": "swp{}", "sonic": "Ethernet{}", "linux": "swp{}"}
    intent = star(os=os, asic=over.pop("asic", "spectrum3"), **over)
    for port, link in enumerate(intent["links"], 1):
        link["a"] = "leaf1:" + names[os].format(port)
    costs = list(change_costs(parse_intent(intent).devices["leaf1"]))
    assert len(costs) == len(said) and all(part in cost for part, cost in zip(said, costs, strict=True))
    intent["lanes"] = {"bulk": {"dscp": [0], "priority": 0, "share": 100, "default": True}}
    if os != "nxos" and "ptp" not in over:
        assert list(change_costs(parse_intent(intent).devices["leaf1"])) == [], "no lossless lane, no buffer to carve"


@pytest.mark.parametrize("inventory", ["example", "lab"])
def test_our_own_inventories_have_no_error_and_no_warning(inventory: str) -> None:
    intent = yaml.safe_load((ROOT / f"inventories/{inventory}/group_vars/all.yml").read_text())["fabric"]
    assert at_least(plan_of(intent), "warning") == []
