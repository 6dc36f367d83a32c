# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the arithmetic of buffers and latency has to know of a switch chip.

Cells and delays of Spectrum and ``virtual`` are those of ``platform/mellanox/asic_table.j2`` in SONiC's buildimage. The
other makers publish none: their chips count as ``generic``, the largest cell and the longest delays of all that are
known, so that a headroom errs to the large side.

Buffers are what SONiC's device profiles give the whole egress lossless pool, that is all packet memory of the chip
(``buffers_defaults_t0.j2`` of SN2700, SN3700, SN4700, SN5600, SN5640, SN6600, AS7116, 7060CX, 7260CX3, 7050CX3 and
7060X6-64PE). Latencies, port to port and cut-through: Arista's data sheets of 7050X (550 to 650 ns) and 7050X3 (from
800 ns), the Linley newsletter of July 2017 on Spectrum-2 (300 ns).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Device

GENERIC = "generic"


@dataclass(frozen=True)
class Asic:
    """Cell in bytes; delays in units of 1024 bytes as SONiC's table has them; port to port latency in ns; buffer in kB.

    ``tile``: packets cross a tile, 120 ns at line rate (Spectrum-4 and 5). ``extra_xoff_bytes``: added to xoff.
    ``modifier_kib``: buffer for descriptors of packet changes; a chip that has it mirrors without a reserve.
    ``buffer_kb`` and ``latency_ns`` are None where no public figure was found. ``published`` is false where cell and
    delays are those of the generic chip.
    """

    cell_bytes: int
    pipeline_latency_kib: float = 19
    mac_phy_delay_kib: float = 0.8
    tile: bool = False
    extra_xoff_bytes: int = 0
    modifier_kib: int = 0
    latency_ns: int | None = None
    buffer_kb: int | None = None
    published: bool = True


def _generic(buffer_kb: int | None = None, latency_ns: int | None = None) -> Asic:
    return Asic(
        256,
        pipeline_latency_kib=42,
        tile=True,
        extra_xoff_bytes=18 * 1024,
        latency_ns=latency_ns,
        buffer_kb=buffer_kb,
        published=False,
    )


ASICS = {
    "spectrum1": Asic(96, buffer_kb=13_945),
    "spectrum2": Asic(144, buffer_kb=34_287, latency_ns=300),
    "spectrum3": Asic(144, buffer_kb=60_817),
    "spectrum4": Asic(192, tile=True, buffer_kb=158_229),
    "spectrum5": Asic(192, tile=True, buffer_kb=136_209),
    "spectrum6": Asic(
        256, pipeline_latency_kib=42, extra_xoff_bytes=18 * 1024, modifier_kib=32 * 1024, buffer_kb=226_492
    ),
    "trident2": _generic(12_766, 650),
    "trident3": _generic(32_599, 800),
    "tomahawk1": _generic(15_982),
    "tomahawk2": _generic(42_349),
    "tomahawk3": _generic(),
    "tomahawk5": _generic(165_660),
    "jericho2": _generic(),
    "cloudscale": _generic(),
    "virtual": Asic(128, pipeline_latency_kib=18),
    GENERIC: _generic(),
}
# a switch whose latency is not known counts with the longest that is
SLOWEST_NS = max(asic.latency_ns for asic in ASICS.values() if asic.latency_ns is not None)


def asic_of(device: Device) -> Asic:
    """The chip of a device; ``generic`` where the intent names none."""
    return ASICS[device.asic or GENERIC]
