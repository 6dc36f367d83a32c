# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The intent: what it becomes, its defaults, and each refusal with its path and reason."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.mapping import fabric_mapping
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.model import EcnThresholds, Mtu, Watchdog

ROOT = Path(__file__).parents[3]
GONE = object()

SMALLEST: dict[str, Any] = {
    "name": "ldn1",
    "lanes": {
        "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
        "cnp": {"dscp": [48], "priority": 6, "strict": True},
        "bulk": {"dscp": [0, 8], "priority": 0, "share": 40, "default": True},
    },
    "vlans": {"trading": 110, "storage": 120},
    "links": [
        {"a": "leaf1:Ethernet1/1", "b": "trade1:ens4", "speed_gbps": 100, "cable_m": 5},
        {"a": "leaf1:Ethernet1/2", "b": "trade2:ens4", "speed_gbps": 25, "cable_m": 0.5, "vlan": "storage"},
    ],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """SMALLEST with the value at a path such as ``lanes/cnp/dscp`` (GONE: without it)."""
    intent = copy.deepcopy(SMALLEST)
    here: Any = intent
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in way:
        here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
    if value is GONE:
        del here[last]
    else:
        here[last] = value
    return intent


def test_defaults() -> None:
    fabric = parse_intent(SMALLEST)
    assert (fabric.roce_version, fabric.trust, fabric.mtu) == (2, "dscp", Mtu(9000, 9214))
    assert fabric.watchdog == Watchdog(200, 400, "drop")
    assert [link.vlan for link in fabric.links] == ["trading", "storage"]
    assert [lane.name for lane in fabric.bands] == ["cnp", "trading", "bulk"]
    assert fabric.default_lane.name == "bulk"
    assert tuple(fabric.devices) == ("leaf1", "trade1", "trade2")
    assert [device.name for device in fabric.switches] == ["leaf1"], "no os anywhere: more than one link makes a switch"


@pytest.mark.parametrize(("speed", "kmin", "kmax"), [(25, 100, 400), (100, 400, 1600), (400, 1600, 6400)])
def test_ecn_scales_with_the_speed(speed: int, kmin: int, kmax: int) -> None:
    """The three points of the HPCC paper's DCQCN default."""
    trading = parse_intent(SMALLEST).lanes[0]
    assert trading.ecn and trading.ecn.at_speed(speed) == EcnThresholds(kmin * 1000, kmax * 1000, 20)


def test_given_ecn_does_not_scale() -> None:
    lane = parse_intent(changed("lanes/bulk/ecn", {"kmin_kb": 150, "kmax_kb": 1500, "pmax": 100})).lanes[2]
    assert lane.ecn and lane.ecn.at_speed(100) == lane.ecn.at_speed(10) == EcnThresholds(150_000, 1_500_000, 100)
    assert parse_intent(SMALLEST).lanes[2].ecn is None, "a lossy lane marks only when asked to"


def test_ports_of_a_device() -> None:
    fabric = parse_intent(SMALLEST)
    first, second = fabric.ports_of("leaf1")
    assert (first.name, str(first.peer), first.speed_gbps, first.vlan.vid) == ("Ethernet1/1", "trade1:ens4", 100, 110)
    assert (second.link, second.vlan.vid, second.cable_m) == (1, 120, 0.5)
    (host,) = fabric.ports_of("trade2")
    assert (host.name, str(host.peer)) == ("ens4", "leaf1:Ethernet1/2")
    assert fabric.ports_of("nobody") == ()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", GONE, "fabric.name: is missing"),
        ("name", "1st", "fabric.name: '1st' is not a name"),
        ("lane", {}, "fabric.lane: unknown key; did you mean lanes? known here: buffers, devices, lanes"),
        ("roce_version", 3, "fabric.roce_version: 3 is none of 1, 2"),
        ("roce_version", 2.0, "fabric.roce_version: 2.0 is none of 1, 2"),
        ("roce_version", 1, "fabric.trust: dscp needs roce_version 2"),
        ("trust", "cos", "fabric.trust: 'cos' is none of dscp, pcp"),
        ("mtu", 9000, "fabric.mtu: 9000 has to be a mapping"),
        ("mtu/host", 9300, "fabric.mtu.host: 9300 is outside 1280..9216"),
        ("mtu/host", "9000", "fabric.mtu.host: '9000' has to be a whole number from 1280 to 9216"),
        ("mtu/switch", 1500, "fabric.mtu: switch 1500 is below host 9000"),
        ("lanes", {}, "fabric.lanes: is empty"),
        ("lanes/cnp/dscp", [64], "fabric.lanes.cnp.dscp[0]: 64 is outside 0..63"),
        ("lanes/cnp/dscp", [48, 26], "fabric.lanes.cnp.dscp[1]: 26 belongs to fabric.lanes.trading already"),
        ("lanes/cnp/dscp", [48, 48], "fabric.lanes.cnp.dscp[1]: 48 is twice in this lane"),
        ("lanes/cnp/dscp", [], "fabric.lanes.cnp.dscp: is empty"),
        ("lanes/cnp/dscp", 48, "fabric.lanes.cnp.dscp: 48 has to be a list"),
        ("lanes/cnp/priority", 8, "fabric.lanes.cnp.priority: 8 is outside 0..7"),
        ("lanes/cnp/priority", True, "fabric.lanes.cnp.priority: True has to be a whole number"),
        ("lanes/cnp/priority", 3, "fabric.lanes.cnp.priority: 3 belongs to fabric.lanes.trading already"),
        ("lanes/cnp/lossless", True, "fabric.lanes.cnp.lossless: congestion notifications must not wait for a pause"),
        ("lanes/cnp/share", 10, "fabric.lanes.cnp.share: a strict lane is served first and has no share"),
        ("lanes/trading/strict", True, "fabric.lanes.trading: lossless and strict exclude each other"),
        ("lanes/trading/strict", "no", "fabric.lanes.trading.strict: 'no' has to be true or false"),
        ("lanes/trading/share", GONE, "fabric.lanes.trading.share: is missing; a lane that is not strict"),
        (
            "lanes/trading/share",
            61,
            "fabric.lanes: the shares of the lanes that are not strict add up to 101 (trading 61",
        ),
        ("lanes/trading/share", 59, "fabric.lanes: the shares of the lanes that are not strict add up to 99"),
        ("lanes/trading/share", 0, "fabric.lanes.trading.share: 0 is outside 1..100"),
        ("lanes/trading/shar", 1, "fabric.lanes.trading.shar: unknown key; did you mean share?"),
        (
            "lanes/trading/ecn",
            {"kmin_kb": 1600, "kmax_kb": 400},
            "fabric.lanes.trading.ecn: kmin_kb 1600 is above kmax_kb 400",
        ),
        (
            "lanes/trading/ecn",
            {"kmin_kb": 400, "kmax_kb": 400},
            "fabric.lanes.trading.ecn: kmin_kb and kmax_kb are both 400",
        ),
        ("lanes/trading/ecn", {"kmin_kb": 400}, "fabric.lanes.trading.ecn.kmax_kb: is missing; give both thresholds"),
        ("lanes/trading/ecn", {"pmax": 0}, "fabric.lanes.trading.ecn.pmax: 0 is outside 1..100"),
        ("lanes/trading/ecn", {"pmax": 101}, "fabric.lanes.trading.ecn.pmax: 101 is outside 1..100"),
        ("lanes/bulk/default", False, "fabric.lanes: exactly one lane has to be default: true, no lane has it"),
        ("lanes/cnp/default", True, "fabric.lanes: exactly one lane has to be default: true, cnp, bulk all have it"),
        ("lanes/no name", {}, "fabric.lanes.no name: 'no name' is not a name"),
        ("vlans/trading", 0, "fabric.vlans.trading: 0 is outside 1..4094"),
        ("vlans/storage", 4095, "fabric.vlans.storage: 4095 is outside 1..4094"),
        ("vlans/storage", 110, "fabric.vlans.storage: 110 is already the VLAN of fabric.vlans.trading"),
        ("vlans/2nd", 5, "fabric.vlans.2nd: '2nd' is not a name"),
        ("vlans", {}, "fabric.vlans: is empty"),
        ("vlans", {"storage": 120}, "fabric.links[0].vlan: 'trading', the default, is not in fabric.vlans: storage"),
        ("watchdog/detect_ms", 99, "fabric.watchdog.detect_ms: 99 is outside 100..5000"),
        ("watchdog/restore_ms", 60_001, "fabric.watchdog.restore_ms: 60001 is outside 100..60000"),
        ("watchdog/action", "reboot", "fabric.watchdog.action: 'reboot' is none of drop, forward, alert"),
        ("links", [], "fabric.links: is empty"),
        ("links", {}, "fabric.links: {} has to be a list"),
        ("links/0/a", "leaf1", "fabric.links[0].a: 'leaf1' has to be \"device:port\""),
        ("links/0/a", "leaf 1:Ethernet1", "fabric.links[0].a: 'leaf 1:Ethernet1' has to be"),
        ("links/0/a", "leaf1:", "fabric.links[0].a: 'leaf1:' has to be"),
        ("links/0/b", "leaf1:Ethernet9", "fabric.links[0]: both ends are on leaf1"),
        (
            "links/1/a",
            "leaf1:Ethernet1/1",
            "fabric.links[1].a: leaf1:Ethernet1/1 is already the end of fabric.links[0].a",
        ),
        ("links/1/vlan", "backup", "fabric.links[1].vlan: 'backup' is not in fabric.vlans: trading, storage"),
        ("links/1/speed_gbps", 30, "fabric.links[1].speed_gbps: 30 is none of 1, 10, 25"),
        ("links/1/cable_m", 0, "fabric.links[1].cable_m: 0 has to be a length in metres above 0"),
        ("links/1/cable_m", float("nan"), "fabric.links[1].cable_m: nan has to be a length"),
        ("links/1/cable", 3, "fabric.links[1].cable: unknown key; did you mean cable_m?"),
    ],
)
def test_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(IntentError) as error:
        parse_intent(changed(path, value))
    assert str(error.value).startswith(message)
    assert str(error.value) == f"{error.value.path}: {error.value.reason}"


@pytest.mark.parametrize("intent", [None, [], "fabric", {1: 2}])
def test_not_even_a_mapping(intent: object) -> None:
    with pytest.raises(IntentError, match=r"^fabric: "):
        parse_intent(intent)


@pytest.mark.parametrize("inventory", ["lab", "example"])
def test_inventories_of_this_collection_parse(inventory: str) -> None:
    variables = yaml.safe_load((ROOT / "inventories" / inventory / "group_vars/all.yml").read_text())
    fabric = parse_intent(variables["fabric"])
    assert parse_intent(fabric_mapping(fabric)) == fabric


def test_example_inventory_names_the_devices_of_its_intent() -> None:
    """A device of the intent that is no host of the inventory would never be configured."""
    variables = yaml.safe_load((ROOT / "inventories/example/group_vars/all.yml").read_text())
    fabric = parse_intent(variables["fabric"])
    hosts: dict[str, dict[str, Any]] = {}

    def collect(groups: dict[str, Any]) -> None:
        for group in groups.values():
            for name, values in ((group or {}).get("hosts") or {}).items():
                hosts.setdefault(name, {}).update(values or {})
            collect((group or {}).get("children") or {})

    collect(yaml.safe_load((ROOT / "inventories/example/hosts.yml").read_text()))
    assert set(fabric.devices) <= hosts.keys()
    for name, values in hosts.items():
        if "fabric_interface" in values:
            assert values["fabric_interface"] in {port.name for port in fabric.ports_of(name)}, name
