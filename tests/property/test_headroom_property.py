# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headroom never gets less when there is more of what it is for."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.asic import ASICS
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.headroom import Headroom, headroom
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import SPEEDS_GBPS
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.settings import Buffers

SPEED = st.sampled_from(SPEEDS_GBPS)
CABLE_M = st.floats(0.1, 10_000)
MTU = st.integers(1280, 9216)
BUFFERS = st.builds(
    Buffers,
    lossless_mtu=st.integers(64, 9216),
    gearbox_ns=st.integers(0, 10_000),
    shared_headroom_ratio=st.integers(0, 8),
)


def grew(less: Headroom, more: Headroom) -> bool:
    return all(low <= high for low, high in zip(dataclasses.astuple(less), dataclasses.astuple(more), strict=True))


@given(st.sampled_from(sorted(ASICS)), SPEED, SPEED, CABLE_M, CABLE_M, MTU, MTU, BUFFERS)
def test_monotone_in_speed_cable_and_mtu(
    name: str, slow: int, fast: int, near: float, far: float, small: int, large: int, buffers: Buffers
) -> None:
    slow, fast, near, far, small, large = *sorted((slow, fast)), *sorted((near, far)), *sorted((small, large))
    asic = ASICS[name]
    base = headroom(asic, slow, near, small, buffers)
    assert grew(base, headroom(asic, fast, near, small, buffers))
    assert grew(base, headroom(asic, slow, far, small, buffers))
    assert grew(base, headroom(asic, slow, near, large, buffers))


@given(st.sampled_from(sorted(ASICS)), SPEED, CABLE_M, MTU, BUFFERS)
def test_whole_kib_that_add_up(name: str, speed: int, cable: float, mtu: int, buffers: Buffers) -> None:
    found = headroom(ASICS[name], speed, cable, mtu, buffers)
    assert all(value > 0 and value % 1024 == 0 for value in dataclasses.astuple(found))
    if buffers.shared_headroom_ratio:
        assert found.size_bytes == found.xon_bytes
    else:
        assert found.size_bytes >= found.xoff_bytes + found.xon_bytes


@given(SPEED, CABLE_M, MTU, BUFFERS)
def test_the_generic_chip_needs_no_less_than_any_other(speed: int, cable: float, mtu: int, buffers: Buffers) -> None:
    generic = headroom(ASICS["generic"], speed, cable, mtu, buffers)
    assert all(grew(headroom(asic, speed, cable, mtu, buffers), generic) for asic in ASICS.values())
