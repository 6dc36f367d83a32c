"""What a Nexus can not have is refused with its path, and what it has of an intent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.nxos.context import context
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.reading import IntentError
from tests.unit.fabric.nxos_samples import intent, rendered

Change = Callable[[dict[str, Any]], object]
LEAF = "fabric.devices.leaf1"


def lanes(**change: dict[str, Any]) -> Change:
    return lambda found: [found["lanes"].setdefault(name, {}).update(values) for name, values in change.items()]


def leaf(**change: Any) -> Change:
    return lambda found: found["devices"]["leaf1"].update(change)


def port(name: str, **change: Any) -> Change:
    return leaf(ports={name: change})


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        (leaf(ptp={"role": "transparent"}), f"{LEAF}.ptp.role", "boundary clock or none"),
        (leaf(ptp={"role": "boundary"}), f"{LEAF}.ptp.source", "is missing"),
        (
            leaf(ptp={"role": "boundary", "source": "10.0.0.1", "transport": "l2"}),
            f"{LEAF}.ptp.transport",
            "goes over ipv4",
        ),
        (
            leaf(ptp={"role": "boundary", "source": "10.0.0.1"}, ports={"Ethernet1/2": {"ptp": {"transport": "l2"}}}),
            f"{LEAF}.ports.Ethernet1/2.ptp.transport",
            "goes over ipv4",
        ),
        (leaf(version="9.2(4)"), f"{LEAF}.lldp.dcbx", "take 9.3"),
        (lanes(bulk={"traffic_class": 1}), f"{LEAF}.lanes.bulk.traffic_class", "qos-group 0"),
        (lanes(bulk={"lossless": True}), f"{LEAF}.lanes.bulk.lossless", "can not be no-drop"),
        (
            lanes(
                voice={"dscp": [46], "priority": 1, "strict": True},
            ),
            f"{LEAF}.lanes.voice.traffic_class",
            "side by side",
        ),
        (lanes(cnp={"priority": 1}), f"{LEAF}.lanes.cnp.traffic_class", "below 3 of trading, which has a share"),
        (
            lambda found: found["lanes"].update({"a" * 29: {"dscp": [8], "priority": 1, "strict": True}}),
            f"{LEAF}.lanes." + "a" * 29,
            "longer than 28",
        ),
        (leaf(mtu=1400), f"{LEAF}.mtu", "below 1500"),
        (port("Ethernet1/2", mtu=9000), f"{LEAF}.ports.Ethernet1/2.mtu", "9000 on Ethernet1/2"),
        (leaf(watchdog={"action": "forward"}), f"{LEAF}.watchdog.action", "drops, or only tells"),
        (leaf(watchdog={"detect_ms": 2000}), f"{LEAF}.watchdog.detect_ms", "20 times poll_ms 100"),
        (leaf(watchdog={"restore_ms": 60000}), f"{LEAF}.watchdog.restore_ms", "600 times poll_ms 100"),
        (
            port("Ethernet1/1", watchdog={"restore_ms": 500}),
            f"{LEAF}.ports.Ethernet1/1.watchdog.restore_ms",
            "one for the switch",
        ),
        (
            port("Ethernet1/1", lanes={"trading": {"priority": 4, "traffic_class": 3}}),
            f"{LEAF}.lanes.trading.priority",
            "pauses one priority",
        ),
    ],
)
def test_refused(change: Change, path: str, reason: str) -> None:
    found = intent()
    change(found)
    with pytest.raises(IntentError) as error:
        context(parse_intent(found), "leaf1")
    assert error.value.path == path
    assert reason in error.value.reason


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(IntentError, match="no link names the device 'leaf9'"):
        context(parse_intent(intent()), "leaf9")


def test_ports_share_names_only_for_the_same_content() -> None:
    found = context(parse_intent(intent()), "leaf1")
    ports: Any = found["ports"]
    assert [ports[name]["classifier"] for name in ports] == ["TICKWIRE-IN", "TICKWIRE-IN-2", "TICKWIRE-IN"]
    assert [ports[name]["scheduler"].rpartition("-")[2] for name in ports] == ["100G", "25G", "400G"]
    # storage does not carry the trading lane: no pause, no watchdog, and its DSCPs are nobody's there
    assert [ports[name]["pfc"] for name in ports] == ["on", "off", "on"]
    assert [ports[name]["watchdog"] for name in ports] == [True, False, True]
    assert found["classifiers"] == {
        "TICKWIRE-IN": {"TICKWIRE-cnp": 6, "TICKWIRE-trading": 3},
        "TICKWIRE-IN-2": {"TICKWIRE-cnp": 6},
    }


def test_priority_is_of_the_highest_queues_without_a_gap() -> None:
    schedulers: Any = context(parse_intent(intent()), "leaf1")["schedulers"]
    queues = schedulers["TICKWIRE-OUT-100G"]
    levels = {name: queue["level"] for name, queue in queues.items() if queue["level"] is not None}
    assert levels == {"c-out-8q-q7": 1, "c-out-8q-q6": 2}
    assert sum(queue["percent"] for queue in queues.values() if queue["percent"] is not None) == 100


def test_trust_of_pcp_matches_cos() -> None:
    found = intent()
    found["trust"] = "pcp"
    assert "  match cos 3\n" in rendered(found) and "match dscp" not in rendered(found)


def test_the_pause_leaves_the_headroom_free_above_it() -> None:
    found = intent()
    found["devices"]["leaf1"].update(asic="spectrum2", buffers={"explicit_headroom": True})
    # the worked example of SONiC's formula at MTU 9214: 100 Gb/s, 5 m: xoff 109568, xon 19456 bytes
    assert "pause buffer-size 129024 pause-threshold 19456 resume-threshold 19456" in rendered(found)


def test_what_is_off_leaves_no_line() -> None:
    found = intent()
    found["lldp"] = {"enabled": False}
    del found["storm_control"], found["devices"]["leaf1"]["ptp"]
    found["lanes"]["trading"]["lossless"] = False
    text = rendered(found)
    for word in ("feature", "storm-control", "watch-dog", "pause", "send-tlv", "ptp"):
        assert word not in text, word
    assert text.count("no lldp transmit") == 3
