# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headroom against what SONiC's own script gave, run in Redis."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.asic import ASICS
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.headroom import Headroom, headroom, port_headroom
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import SPEEDS_GBPS, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.settings import Buffers
from tests.unit.fabric.intents import star
from tests.unit.fabric.test_intent import changed

CABLES_M = (5, 40, 100, 300)
# xoff by chip and speed at those cables, MTU 9214, small packets only
TABLE = {
    ("spectrum3", 25): (47104, 51200, 56320, 75776),
    ("spectrum3", 100): (109568, 122880, 145408, 221184),
    ("spectrum3", 400): (212992, 266240, 357376, 659456),
    ("spectrum4", 25): (48128, 52224, 57344, 76800),
    ("spectrum4", 100): (113664, 126976, 149504, 225280),
    ("spectrum4", 400): (231424, 283648, 374784, 677888),
}
POINTS = [
    (asic, speed, cable, xoff)
    for (asic, speed), row in TABLE.items()
    for cable, xoff in zip(CABLES_M, row, strict=True)
]


@pytest.mark.parametrize(("asic", "speed", "cable", "xoff"), POINTS)
def test_the_points_that_the_script_gave(asic: str, speed: int, cable: int, xoff: int) -> None:
    assert headroom(ASICS[asic], speed, cable, 9214, Buffers()).xoff_bytes == xoff


def test_the_worked_example() -> None:
    """Spectrum-2, 100 Gb/s, 5 m, MTU 9100: 1024 + 3 * (9100 + 631.3 + 819.2 + 25216) is 106 KiB."""
    assert headroom(ASICS["spectrum2"], 100, 5, 9100, Buffers()) == Headroom(108544, 19456, 128000)


def test_eight_lanes_double_xon_and_add_a_packet() -> None:
    narrow = headroom(ASICS["spectrum3"], 400, 5, 9214, Buffers(serdes_lanes=4))
    assert narrow == Headroom(212992, 19456, 212992 + 19456)
    wide = headroom(ASICS["spectrum3"], 400, 5, 9214, Buffers())
    assert wide == Headroom(212992, 38912, 261120), "212992 + 38912 + 9214 is 261118, in whole KiB"


def test_a_shared_pool_has_the_xoff() -> None:
    assert headroom(ASICS["spectrum2"], 100, 5, 9100, Buffers(shared_headroom_ratio=2)) == Headroom(
        108544, 19456, 19456
    )


@pytest.mark.parametrize(
    ("asic", "speed", "cable", "mtu", "buffers", "expected"),
    [
        ("spectrum1", 200, 40, 4737, Buffers(small_packet_percent=0, serdes_lanes=2), (51200, 19456, 70656)),
        (
            "spectrum1",
            400,
            498,
            4674,
            Buffers(small_packet_percent=50, lossless_mtu=8245, serdes_lanes=4),
            (330752, 19456, 350208),
        ),
        (
            "spectrum1",
            800,
            40,
            9214,
            Buffers(gearbox_ns=400, small_packet_percent=70, shared_headroom_ratio=2),
            (222208, 38912, 38912),
        ),
        # exactly 2 KiB below the worst case
        ("spectrum2", 100, 5, 9214, Buffers(small_packet_percent=50, lossless_mtu=67), (106496, 19456, 125952)),
    ],
)
def test_packets_that_are_not_all_small(
    asic: str, speed: int, cable: int, mtu: int, buffers: Buffers, expected: tuple[int, int, int]
) -> None:
    """As the script gave them: with gearbox, shared pool, and the 2 KiB more without one."""
    assert headroom(ASICS[asic], speed, cable, mtu, buffers) == Headroom(*expected)


def test_spectrum6_takes_18_kib_more() -> None:
    """Cell 256: 4 times; 1024 + 4 * 35766.5 is 141 KiB."""
    assert headroom(ASICS["spectrum6"], 100, 5, 9100, Buffers()) == Headroom(
        (141 + 18) * 1024, 42 * 1024, (141 + 18 + 42) * 1024
    )


def test_a_gearbox_counts_twice() -> None:
    """400 ns at 100 Gb/s is 100000 * 400 / 8192 bytes, both ways, three times in cells."""
    plain = headroom(ASICS["spectrum2"], 100, 5, 9100, Buffers())
    assert headroom(ASICS["spectrum2"], 100, 5, 9100, Buffers(gearbox_ns=400)).xoff_bytes == 138240 > plain.xoff_bytes


@pytest.mark.parametrize(("lower", "higher"), list(itertools.pairwise(SPEEDS_GBPS)))
@pytest.mark.parametrize("asic", ASICS)
def test_no_faster_port_gets_less(asic: str, lower: int, higher: int) -> None:
    slow, fast = (headroom(ASICS[asic], speed, 5, 9214, Buffers()) for speed in (lower, higher))
    assert slow.xoff_bytes <= fast.xoff_bytes and slow.size_bytes <= fast.size_bytes


def test_of_a_port_of_the_intent() -> None:
    fabric = parse_intent(
        changed("devices", {"leaf1": {"os": "sonic", "asic": "spectrum2"}})
        | {
            "links": [{"a": "leaf1:Ethernet0", "b": "trade1:ens4", "speed_gbps": 100, "cable_m": 5}],
            "mtu": {"host": 9000, "switch": 9100},
        }
    )
    (port,) = fabric.ports_of("leaf1")
    assert port_headroom(fabric.devices["leaf1"], port) == Headroom(108544, 19456, 128000)
    (host,) = fabric.ports_of("trade1")
    generic = port_headroom(fabric.devices["trade1"], host)
    assert generic == headroom(ASICS["generic"], 100, 5, 9000, Buffers()), "a device whose chip is not told"


def test_a_cable_counts_in_whole_metres() -> None:
    found = []
    for cable_m in (4.01, 5, 5.01):
        fabric = parse_intent(star(cable_m=cable_m, speed_gbps=800))
        found.append(port_headroom(fabric.devices["leaf1"], fabric.ports_of("leaf1")[0]).xoff_bytes)
    assert found[0] == found[1] < found[2]
