# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change costs on a switch, as far as the intent alone tells: the worst case, when all of it is new there."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Device


def change_costs(device: Device) -> Iterator[str]:
    """A sentence for each thing that applying the intent may disrupt on this switch; nothing when nothing does."""
    lossless = bool(device.settings.lossless) or any(one.lossless for one in device.port_settings.values())
    if device.os == "cumulus" and device.settings.ptp.role != "none":
        yield "PTP that is not on yet restarts switchd: every port goes down and comes up again"
    if device.os == "cumulus" and lossless:
        yield "traffic pools, PFC or maps that change carve the packet buffer anew: all ports lose packets for a moment"
    if device.os == "nxos":
        yield "a network-qos policy that is new or changes carves the buffers anew: all ports lose packets for a moment"
    if device.os == "sonic" and lossless:
        yield "what the platform does not let a patch change needs a config reload: every port goes down for it"
    if device.os == "eos" and lossless and (device.asic or "").startswith("trident"):
        yield "a platform trident mmu profile that is new or changes divides the buffer anew: all ports lose packets"
