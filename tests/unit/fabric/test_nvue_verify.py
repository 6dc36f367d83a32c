# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a Cumulus Linux switch back: findings field by field, and its counters in the common shape."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.counters import COMMANDS, counters
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.desired import desired
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.values import Quantity, quantity
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nvue.verify import State, drift
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import Pause, Queue, WatchdogEvents
from tests.devices.nvue_intent import intent

FABRIC = parse_intent(intent())


def found(applied: dict[str, Any], running: dict[str, Any] | None = None) -> list[tuple[str, str, str]]:
    state = State(applied, {"swp1": {tuple(path.split("/")): answer for path, answer in (running or {}).items()}})
    return [(one.severity, one.path, one.message) for one in drift(FABRIC, "leaf1", state)]


@pytest.fixture
def applied() -> dict[str, Any]:
    return copy.deepcopy(desired(FABRIC, "leaf1"))


def test_what_is_wanted_has_no_findings(applied: dict[str, Any]) -> None:
    assert found(applied) == []


def test_each_field_that_differs_is_named(applied: dict[str, Any]) -> None:
    applied["interface"]["swp1"]["link"]["mtu"] = 1500
    del applied["interface"]["swp2"]["qos"]["pfc-watchdog"]
    applied["interface"]["swp3"]["storm-control"] = {"unknown-unicast": 1, "broadcast": 3376, "multicast": 9}
    applied["qos"]["pfc-watchdog"]["robustness"] = 3
    assert {(path, message.split(";")[0]) for severity, path, message in found(applied) if severity == "error"} == {
        ("leaf1:swp1 link mtu", "is 1500, wanted 9214"),
        ("leaf1:swp2 qos pfc-watchdog state", "is missing, wanted enable"),
        ("leaf1:swp3 storm-control unknown-unicast", "is 1, wanted 1688"),
        ("leaf1 qos pfc-watchdog robustness", "is 3, wanted 2"),
    }


def test_what_is_not_ours_and_contradicts_is_a_warning(applied: dict[str, Any]) -> None:
    applied["interface"]["swp9"] = {
        "qos": {"pfc": {"profile": "theirs"}},
        "bridge": {"domain": {"br_default": {"vlan": {"110": {}, "7": {}}}}},
    }
    applied["interface"]["swp2"]["qos"]["remark"] = {"profile": "theirs"}
    applied["qos"]["pfc"]["default-global"] = {"switch-priority": {"4": {}}}
    applied["service"] = {"ptp": {"1": {"state": "enabled"}}}
    assert [(severity, path) for severity, path, message in found(applied)] == [
        ("warning", "leaf1:swp2 qos remark"),
        ("warning", "leaf1:swp9 qos pfc"),
        ("warning", "leaf1:swp9 bridge"),
        ("warning", "leaf1 qos pfc default-global"),
        ("warning", "leaf1 service ptp 1"),
    ]


# Spectrum-4 has cells of 192 bytes and programs marks in 64 of them: 400000 becomes 405504
@pytest.mark.parametrize("low", [400_000, "405504", "396 KB", "390.63 KB"])
def test_marks_are_rounded_up_to_cells(applied: dict[str, Any], low: object) -> None:
    marks = {"3": {"ecn": "enable", "min-threshold": low, "max-threshold": "1.53 MB"}}
    assert found(applied, {"qos/congestion-control": {"traffic-class": marks}}) == []


@pytest.mark.parametrize("low", [399_999, 412_288, "146.48 KB"])
def test_marks_that_are_others_are_drift(applied: dict[str, Any], low: object) -> None:
    marks = {"3": {"ecn": "enable", "min-threshold": low, "max-threshold": "1.53 MB"}}
    there = found(applied, {"qos/congestion-control": {"traffic-class": marks}})
    assert [path for severity, path, message in there] == [
        "leaf1:swp1 qos congestion-control traffic-class 3 min-threshold"
    ]


def test_what_the_ports_run(applied: dict[str, Any]) -> None:
    running = {
        "link": {"mtu": 1500},
        "qos/pfc": {"switch-priority": "3,4", "rx": "disable", "tx": "enable"},
        "qos/pfc-watchdog": {"state": "disabled"},
        "qos/congestion-control": {"traffic-class": {"3": {"ecn": "disable"}}},
    }
    assert [path for severity, path, message in found(applied, running)] == [
        "leaf1:swp1 link mtu",
        "leaf1:swp1 qos pfc switch-priority",
        "leaf1:swp1 qos pfc rx",
        "leaf1:swp1 qos pfc-watchdog state",
        "leaf1:swp1 qos congestion-control traffic-class 3 ecn",
    ]
    assert found(applied, {"link": {}, "qos/pfc": {"switch-priority": ["3"]}}) == []


@pytest.mark.parametrize(
    ("said", "value"),
    [
        (159744, Quantity(159744)),
        ("159744", Quantity(159744)),
        ("150000 B", Quantity(150000)),
        ("0 Bytes", Quantity(0)),
        ("156 KB", Quantity(159744, 512)),
        ("146.48 KB", Quantity(149996, 6)),
        ("1.43 MB", Quantity(1499464, 5243)),
        ("92824.38 GB", Quantity(99669419092869, 5368710)),
        (1.0, Quantity(1)),
        ("n/a", None),
        ("-", None),
        ("inf", None),
        ("", None),
        (True, None),
        ("5 apples", None),
    ],
)
def test_numbers_as_nvue_shows_them(said: object, value: Quantity | None) -> None:
    assert quantity(said) == value


# the tables of the user guide ("Quality of Service", "RDMA over Converged Ethernet"), as the JSON of the same names
QOS = {
    "pfc-stats": {
        "3": {
            "rx-pause-frames": 14,
            "rx-pause-duration": "896",
            "tx-pause-frames": "142",
            "tx-pause-duration": "36.0 KB",
        }
    },
    "egress-queue-stats": {"3": {"tx-frames": 7, "tx-bytes": "1.43 MB", "tx-uc-buffer-discards": "0 Bytes"}},
    "ingress-buffer-stats": {"3": {"rx-frames": 9, "rx-buffer-discards": "2 Bytes"}},
}
ROCE = {
    "rx-stats": {
        "rx-pfc-stats": {"pause-duration": 0, "pause-packets": 5},
        "rx-roce-stats": {"pg-max-usage": "144 Bytes", "no-buffer-discard": 1},
    },
    "tx-stats": {
        "tx-ecn-stats": {"ecn-marked-packets": 693777677344},
        "tx-pfc-stats": {"pause-duration": 7, "pause-packets": 6},
        "tx-roce-stats": {"tc-max-usage": "16.02 MB", "tc-usage": 0, "unicast-no-buffer-discard": 3, "roce-packets": 8},
    },
}
DOG = {"state": "enabled", "status": {"3": {"status": "DEADLOCK", "deadlock-count": 2}, "0": {"status": "OK"}}}
POOLS = {"0": {"name": "roce-reserved-ingress", "size": "15.16 MB", "max-usage": "7.90 MB"}}


def answers(port: str, *given: Any) -> dict[str, Any]:
    return {command.format(port=port): answer for command, answer in zip(COMMANDS, given, strict=True)}


def test_counters_of_every_port() -> None:
    read = counters({**answers("swp1", QOS, DOG, {}, {}), **answers("swp2", {}, DOG, ROCE, POOLS)})
    one, two = read.ports["swp1"], read.ports["swp2"]
    assert one.pfc == {"3": Pause(14, 142, 896, 36864)}
    assert one.watchdog == {"3": WatchdogEvents("stormed", 2), "0": WatchdogEvents("operational")}
    assert one.queues["3"] == Queue(tx_packets=7, dropped_packets=0)
    assert one.priority_groups["3"].dropped_packets == 2
    assert two.pfc == {"all": Pause(5, 6, 0, 7)}
    assert two.queues["roce"] == Queue(8, 3, 693777677344, 0, 16798188)
    assert two.priority_groups["roce"].shared_watermark_bytes == 144
    assert read.pools == {"roce-reserved-ingress": 8283750}


def test_counters_as_text_lists_and_nothing() -> None:
    rows = [{"switch-priority": 3, "rx-pause-frames": "n/a", "tx-pause-frames": 1}]
    read = counters(
        answers("swp1", {"pfc-stats": rows}, '{"status": [{"traffic-class": 3, "status": "OK"}]}', "", None)
    )
    assert read.ports["swp1"].pfc == {"3": Pause(None, 1, None, None)}
    assert read.ports["swp1"].watchdog["3"].state == "operational"
    assert counters({}).ports == {}
