# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Headroom: the buffer behind a pause, for what still arrives after a port asked its peer to stop.

The formula is that of SONiC's dynamic buffers, sonic-swss ``cfgmgr/buffer_headroom_mellanox.lua``, with the chips of
``platform/mellanox/asic_table.j2``. The pause quanta are those of IEEE 802.3 31B.3.7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from .asic import Asic, asic_of
from .model import Device, DevicePort
from .settings import Buffers

KIB = 1024
SMALLEST_PACKET_BYTES = 64
LIGHT_IN_CABLE_M_PER_S = 198_000_000
TILE_NS = 120
COMPENSATION_BYTES = 2 * KIB
LANES_OF_WIDE_PORT = 8
WIDE_FROM_GBPS = 400
QUANTUM_BITS = 512
# Speed in Gb/s -> the quanta a peer may take to obey a pause. A speed without an entry takes that of the next lower
# one: SONiC's fallback of 3.8 KiB would be less than what the slower port needs.
PAUSE_QUANTA = {1: 2, 10: 67, 25: 80, 40: 118, 50: 147, 100: 394, 200: 453, 400: 905, 800: 905}


@dataclass(frozen=True)
class Headroom:
    """Of one lossless priority group of a port.

    ``xoff_bytes`` may arrive after the pause was asked for; ``xon_bytes`` is below which the peer may go on;
    ``size_bytes`` is what the group has for itself: both, or xon alone where a shared headroom pool has the xoff.
    """

    xoff_bytes: int
    xon_bytes: int
    size_bytes: int


def port_headroom(device: Device, port: DevicePort) -> Headroom:
    """Headroom of each lossless priority group of ``port``, from speed, cable, MTU, chip and ``settings.buffers``.

    The cable counts in whole metres, rounded up: the systems that take a length take no other.
    """
    return headroom(asic_of(device), port.speed_gbps, math.ceil(port.cable_m), port.mtu, port.settings.buffers)


@lru_cache(maxsize=4096)
def headroom(asic: Asic, speed_gbps: int, cable_m: float, mtu: int, buffers: Buffers) -> Headroom:
    """The same from the numbers it is made of: Gb/s, metres, bytes."""
    wide = serdes_lanes(speed_gbps, buffers) == LANES_OF_WIDE_PORT
    delay = _delay_bytes(asic, speed_gbps, cable_m, mtu, buffers.gearbox_ns)
    worst = _worst_case_factor(asic.cell_bytes)
    percent = buffers.small_packet_percent
    mean_packet = (percent * SMALLEST_PACKET_BYTES + (100 - percent) * buffers.lossless_mtu) / 100
    # as SONiC has it: one smallest packet per mean packet, whatever the percentage, so that 0 percent is not 0 bytes
    small_bytes_percent = 100 * SMALLEST_PACKET_BYTES / mean_packet
    occupancy = (100 - small_bytes_percent + small_bytes_percent * worst) / 100
    xoff = _kib(buffers.lossless_mtu + delay * occupancy) + asic.extra_xoff_bytes
    shared = buffers.shared_headroom_ratio != 0
    if not shared and percent != 100:
        if xoff + COMPENSATION_BYTES < _kib(buffers.lossless_mtu + delay * worst):
            xoff += COMPENSATION_BYTES
    xon = _kib(asic.pipeline_latency_kib * KIB * (2 if wide else 1))
    return Headroom(xoff, xon, xon if shared else _kib(xoff + xon + (mtu if wide else 0)))


def serdes_lanes(speed_gbps: int, buffers: Buffers) -> int:
    """Lanes of a port: as set, else 8 from 400 Gb/s on and 4 below, which the formula tells from 8 only."""
    if buffers.serdes_lanes is not None:
        return buffers.serdes_lanes
    return LANES_OF_WIDE_PORT if speed_gbps >= WIDE_FROM_GBPS else 4


def _delay_bytes(asic: Asic, speed_gbps: int, cable_m: float, mtu: int, gearbox_ns: int) -> float:
    """Bytes on the way until the peer has stopped: a packet begun, the cable both ways, gearboxes, MAC, peer, tile."""
    speed_mbps = speed_gbps * 1000
    cable = 2 * cable_m * speed_mbps * 1e9 / LIGHT_IN_CABLE_M_PER_S / 8000
    gearbox = speed_mbps * gearbox_ns / (8 * KIB)
    quanta = PAUSE_QUANTA[max(speed for speed in PAUSE_QUANTA if speed <= speed_gbps)]
    peer = quanta * QUANTUM_BITS / 8
    tile = speed_gbps * TILE_NS / 8 if asic.tile else 0
    return mtu + cable + 2 * gearbox + asic.mac_phy_delay_kib * KIB + peer + tile


def _worst_case_factor(cell_bytes: int) -> int:
    """Bytes of cells that a byte of smallest packets takes."""
    if cell_bytes > 2 * SMALLEST_PACKET_BYTES:
        return math.ceil(cell_bytes / SMALLEST_PACKET_BYTES)
    return math.ceil(2 * cell_bytes / (1 + cell_bytes))


def _kib(value: float) -> int:
    """Rounded up to whole KiB."""
    return math.ceil(value / KIB) * KIB
