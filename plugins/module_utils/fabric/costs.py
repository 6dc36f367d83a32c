# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change costs on a switch, as far as the intent alone tells: the worst case, when all of it is new there."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Device


def change_costs(device: Device) -> Iterator[str]:
    """A sentence for each thing that applying the intent may disrupt on this switch; nothing when nothing does."""
    lossless = bool(device.settings.lossless) or any(one.lossless for one in device.port_settings.values())
    ptp = device.settings.ptp.role != "none"
    if device.os == "cumulus" and ptp:
        yield "PTP that is not on yet restarts switchd, which resets every port"
    if device.os == "nxos" and lossless:
        yield "a network-qos policy that is new or changes carves the buffers of all ports anew, which drops traffic"
    if device.os == "sonic" and lossless:
        yield "buffer pools and profiles that change need a config reload, which drops traffic until ports are up again"
    if device.os == "eos" and lossless and device.asic in ("trident2", "trident3"):
        yield "a platform trident mmu profile that is new or changes carves the buffers anew, which drops traffic"
