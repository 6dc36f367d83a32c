# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a switch has the buffer for its headroom, and what is left to share.

What the system takes besides the headroom is that of SONiC's pool arithmetic, sonic-swss
``cfgmgr/buffer_pool_mellanox.lua``; other systems publish theirs not, and count with the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .asic import asic_of
from .findings import ADVICE, ERROR, Finding
from .headroom import KIB, LANES_OF_WIDE_PORT, Headroom, port_headroom, serdes_lanes
from .model import Device, DevicePort

MANAGEMENT_POOL_BYTES = 256 * KIB
MIRROR_BYTES_PER_PORT = 10 * KIB
PRIVATE_HEADROOM_BYTES = 10 * KIB  # of each lossless port when the xoff is in a shared pool
SHARED_HEADROOM_BYTES = 655_360  # of a shared pool that nothing asks for
ADVISED_PER_PORT_BYTES = (1_000_000, 4_000_000)
DIVIDED = ("cumulus",)  # systems that divide the pool between lossless and lossy lanes


@dataclass(frozen=True)
class PortBuffer:
    """Headroom of each of the priority groups ``groups`` (lane -> group) of one port of a switch."""

    device: str
    port: DevicePort
    groups: tuple[tuple[str, int], ...]
    headroom: Headroom


@dataclass(frozen=True)
class SwitchBuffer:
    """Buffer of one switch in bytes.

    ``reserved_bytes`` is what headroom and system take for themselves, ``headroom_bytes`` the headroom in it.
    ``shared_headroom_bytes`` is the part of it that all ports' headroom shares. ``total_bytes`` and ``shared_bytes``,
    what is left, are None when nobody told how large the buffer is.
    """

    device: str
    ports: int
    headroom_bytes: int
    reserved_bytes: int
    shared_headroom_bytes: int
    total_bytes: int | None
    shared_bytes: int | None

    @property
    def per_port_bytes(self) -> int | None:
        return None if self.total_bytes is None else self.total_bytes // self.ports


def port_buffers(device: Device, ports: tuple[DevicePort, ...]) -> tuple[PortBuffer, ...]:
    """The ports of a switch that carry a lossless lane."""
    return tuple(
        PortBuffer(
            device.name,
            port,
            tuple((lane.name, port.settings.priority_group(lane)) for lane in port.lossless),
            port_headroom(device, port),
        )
        for port in ports
        if port.lossless
    )


def switch_buffer(device: Device, ports: tuple[DevicePort, ...], lossless: tuple[PortBuffer, ...]) -> SwitchBuffer:
    """The buffer of a switch with those ports; ``lossless`` are its :func:`port_buffers`."""
    asic, buffers = asic_of(device), device.settings.buffers
    sizes = sum(len(one.groups) * one.headroom.size_bytes for one in lossless)
    shared_headroom = 0
    if buffers.shared_headroom_ratio:
        private = PRIVATE_HEADROOM_BYTES * len(lossless)
        beyond = sum(
            len(one.groups) * (one.headroom.xoff_bytes + one.headroom.xon_bytes - one.headroom.size_bytes)
            for one in lossless
        )
        asked = -(-max(0, beyond - private) // buffers.shared_headroom_ratio)
        shared_headroom = asked or SHARED_HEADROOM_BYTES
        sizes += private + shared_headroom
    pipeline = int(asic.pipeline_latency_kib * KIB)
    system = MANAGEMENT_POOL_BYTES + asic.modifier_kib * KIB
    for port in ports:
        wide = serdes_lanes(port.speed_gbps, port.settings.buffers) == LANES_OF_WIDE_PORT
        # one group for the lossy lanes and one for management, each of a pipeline's worth
        system += 2 * (2 * pipeline - KIB if wide else pipeline)
        system += 0 if asic.modifier_kib else MIRROR_BYTES_PER_PORT
    total_kb = buffers.total_kb if buffers.total_kb is not None else asic.buffer_kb
    total = None if total_kb is None else total_kb * 1000
    shared = None if total is None else max(0, total - sizes - system)
    return SwitchBuffer(device.name, len(ports), sizes, sizes + system, shared_headroom, total, shared)


def lossless_pool_bytes(device: Device, buffer: SwitchBuffer) -> int | None:
    """What lossless lanes share: all that is left, or their percent of it where the system divides it."""
    if buffer.shared_bytes is None or device.os not in DIVIDED:
        return buffer.shared_bytes
    return buffer.shared_bytes * device.settings.buffers.lossless_percent // 100


def buffer_findings(device: Device, buffer: SwitchBuffer) -> Iterator[Finding]:
    """Headroom over the buffer is an error; less per port than the guidance says is advice."""
    if not buffer.headroom_bytes:
        return
    path = f"fabric.devices.{device.name}"
    chip = device.asic or "generic"
    if buffer.total_bytes is None:
        said = (
            f"buffer of the chip {chip} is not known, so neither headroom nor ECN is compared with it; give "
            "buffers.total_kb of the device"
        )
        yield Finding(ADVICE, "buffer-unknown", path, said, device.name)
        return
    if buffer.reserved_bytes > buffer.total_bytes:
        said = (
            f"headroom {buffer.headroom_bytes} bytes and {buffer.reserved_bytes - buffer.headroom_bytes} of the system "
            f"are {buffer.reserved_bytes} bytes, above the buffer of {buffer.total_bytes}; shorten cables, carry "
            "lossless lanes on fewer ports, or set buffers.shared_headroom_ratio"
        )
        yield Finding(ERROR, "headroom-over-buffer", path, said, device.name)
        return
    per_port = buffer.total_bytes // buffer.ports
    low, high = ADVISED_PER_PORT_BYTES
    if per_port < low:
        said = (
            f"{per_port} bytes of buffer per port in use ({buffer.total_bytes} for {buffer.ports}), below the "
            f"{low // 1_000_000} to {high // 1_000_000} MB advised for lossless ports; bursts pause the sender early"
        )
        yield Finding(ADVICE, "buffer-per-port", path, said, device.name)
