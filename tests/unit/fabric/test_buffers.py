# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The buffer of a switch: what headroom and system take of it, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.asic import ASICS
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.buffers import (
    SwitchBuffer,
    buffer_findings,
    lossless_pool_bytes,
    port_buffers,
    switch_buffer,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import Finding
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.headroom import headroom
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.settings import Buffers
from tests.unit.fabric.intents import star

KIB = 1024


def of_leaf(intent: dict[str, Any]) -> tuple[SwitchBuffer, list[Finding]]:
    fabric = parse_intent(intent)
    device, ports = fabric.devices["leaf1"], fabric.ports_of("leaf1")
    buffer = switch_buffer(device, ports, port_buffers(device, ports))
    return buffer, list(buffer_findings(device, buffer))


def test_each_port_has_headroom_and_the_system_its_part() -> None:
    """100 Gb/s, 5 m, MTU 9214: 109568 + 19456; two groups of 19 KiB and 10 KiB of mirror each; 256 KiB in all."""
    buffer, found = of_leaf(star(hosts=32))
    assert buffer.headroom_bytes == 32 * (109568 + 19456)
    assert buffer.reserved_bytes == buffer.headroom_bytes + 32 * (2 * 19 + 10) * KIB + 256 * KIB
    assert (buffer.total_bytes, buffer.shared_bytes) == (60_817_000, 60_817_000 - buffer.reserved_bytes)
    assert buffer.per_port_bytes == 60_817_000 // 32 and found == []


def test_ports_of_eight_lanes_take_twice_a_pipeline_less_one() -> None:
    buffer, _found = of_leaf(star(hosts=2, speed_gbps=400))
    assert buffer.reserved_bytes - buffer.headroom_bytes == 2 * (2 * 37 + 10) * KIB + 256 * KIB


def test_spectrum6_has_a_pool_of_descriptors_and_no_mirror() -> None:
    buffer, _found = of_leaf(star(hosts=2, asic="spectrum6"))
    assert buffer.reserved_bytes - buffer.headroom_bytes == 2 * 2 * 42 * KIB + 256 * KIB + 32 * KIB * KIB


def test_a_shared_pool_has_what_the_groups_do_not() -> None:
    """Each group xon, each port 10 KiB, and half of the xoff that is left."""
    buffer, _found = of_leaf(star(hosts=32, buffers={"shared_headroom_ratio": 2}))
    assert buffer.headroom_bytes == 32 * 19456 + 32 * 10 * KIB + 32 * (109568 - 10 * KIB) // 2


def test_two_lossless_lanes_take_two_groups() -> None:
    intent = star(hosts=1)
    intent["lanes"] = {
        **intent["lanes"],
        "orders": {"dscp": [34], "priority": 4, "lossless": True, "share": 20},
        "bulk": {"dscp": [0], "priority": 0, "share": 30, "default": True},
    }
    fabric = parse_intent(intent)
    (port,) = port_buffers(fabric.devices["leaf1"], fabric.ports_of("leaf1"))
    assert dict(port.groups) == {"trading": 3, "orders": 4}
    assert of_leaf(intent)[0].headroom_bytes == 2 * (109568 + 19456)


def test_a_port_without_a_lossless_lane_has_no_headroom() -> None:
    intent = star(hosts=2)
    intent["vlans"]["storage"] = {"id": 120, "lanes": ["bulk"]}
    intent["links"][1]["vlan"] = "storage"
    assert of_leaf(intent)[0].headroom_bytes == 109568 + 19456


def test_headroom_over_the_buffer_is_refused() -> None:
    """32 ports of 400 Gb/s over 2 km on a chip of 13.9 MB."""
    _buffer, (finding,) = of_leaf(star(hosts=32, speed_gbps=400, cable_m=2000, asic="spectrum1"))
    assert (finding.severity, finding.rule, finding.device) == ("error", "headroom-over-buffer", "leaf1")
    assert finding.path == "fabric.devices.leaf1" and "above the buffer of 13945000" in finding.message


def test_the_intents_buffer_is_taken_before_the_chips() -> None:
    buffer, (finding,) = of_leaf(star(hosts=2, buffers={"total_kb": 800}))
    assert buffer.total_bytes == 800_000 and finding.rule == "buffer-per-port"
    assert "400000 bytes of buffer per port" in finding.message and finding.severity == "advice"
    assert of_leaf(star(hosts=2, buffers={"total_kb": 2000}))[1] == []


def test_an_unknown_buffer_is_told_and_not_guessed() -> None:
    buffer, (finding,) = of_leaf(star(asic="generic"))
    assert buffer.total_bytes is None and buffer.shared_bytes is None and buffer.per_port_bytes is None
    assert (finding.severity, finding.rule) == ("advice", "buffer-unknown")
    assert of_leaf(star(asic="generic", buffers={"total_kb": 32_000}))[1] == []


def test_without_lossless_lanes_nothing_is_said() -> None:
    intent = star(asic="generic")
    intent["lanes"] = {"bulk": {"dscp": [0], "priority": 0, "share": 100, "default": True}}
    buffer, found = of_leaf(intent)
    assert buffer.headroom_bytes == 0 and found == []


def test_a_system_that_divides_the_pool_gives_lossless_lanes_their_percent() -> None:
    intent = star(os="cumulus", version="5.15", buffers={"lossless_percent": 60})
    for port, link in enumerate(intent["links"], 1):
        link["a"] = f"leaf1:swp{port}"
    fabric = parse_intent(intent)
    device = fabric.devices["leaf1"]
    buffer, _found = of_leaf(intent)
    assert buffer.shared_bytes and lossless_pool_bytes(device, buffer) == buffer.shared_bytes * 60 // 100


# xoff by speed and cable that SONiC's device profiles publish: Tomahawk (th/gen BALANCED), Tomahawk 2 (th2/7260),
# Tomahawk 3 (Z9332F), Trident 3 (7050CX3)
PUBLISHED = [
    ("tomahawk1", 100, 5, 165568),
    ("tomahawk1", 100, 40, 177632),
    ("tomahawk1", 100, 300, 268736),
    ("tomahawk1", 25, 5, 53248),
    ("tomahawk1", 25, 300, 79040),
    ("tomahawk1", 50, 300, 141856),
    ("tomahawk2", 100, 300, 101088),
    ("tomahawk2", 40, 5, 29536),
    ("tomahawk3", 100, 5, 68580),
    ("tomahawk3", 400, 5, 178562),
    ("tomahawk3", 400, 300, 373888),
    ("tomahawk3", 400, 1000, 836676),
    ("trident3", 100, 5, 160000),
]


@pytest.mark.parametrize(("asic", "speed", "cable", "xoff"), PUBLISHED)
def test_chips_without_a_formula_get_no_less_than_their_makers_say(
    asic: str, speed: int, cable: int, xoff: int
) -> None:
    assert headroom(ASICS[asic], speed, cable, 9214, Buffers()).xoff_bytes >= xoff
