# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the arithmetic of buffers and latency has to know of a switch chip.

Spectrum and ``virtual``: platform/mellanox/asic_table.j2 of SONiC's buildimage. ``generic`` stands for a chip whose
table is not public: the largest cell and the slowest pipeline of those that are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Device


@dataclass(frozen=True)
class Asic:
    """Cell in bytes; delays in units of 1024 bytes as SONiC's table has them; port to port latency in ns; buffer in kB.

    ``tile``: packets cross a tile, 120 ns at line rate (Spectrum-4 and 5). ``extra_xoff_bytes``: added to xoff.
    ``buffer_kb`` and ``latency_ns`` are None where no public figure was found.
    """

    cell_bytes: int
    pipeline_latency_kib: float = 19
    mac_phy_delay_kib: float = 0.8
    tile: bool = False
    extra_xoff_bytes: int = 0
    latency_ns: int | None = None
    buffer_kb: int | None = None


ASICS = {
    "spectrum1": Asic(96),
    "spectrum2": Asic(144),
    "spectrum3": Asic(144),
    "spectrum4": Asic(192, tile=True),
    "spectrum5": Asic(192, tile=True),
    "spectrum6": Asic(256, pipeline_latency_kib=42, extra_xoff_bytes=18 * 1024),
    # Broadcom's tables are not public: the figures of generic. EOS has its own buffer commands for this family.
    "trident": Asic(256, pipeline_latency_kib=42, tile=True, extra_xoff_bytes=18 * 1024),
    "virtual": Asic(128, pipeline_latency_kib=18),
    "generic": Asic(256, pipeline_latency_kib=42, tile=True, extra_xoff_bytes=18 * 1024),
}


def asic_of(device: Device) -> Asic:
    """The chip of a device; ``generic`` where the intent names none."""
    return ASICS[device.asic or "generic"]
