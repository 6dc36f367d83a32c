# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The largest PCIe read request of a card: bits 14 to 12 of the Device Control register, 128 bytes times two to it.

The register is at offset 8 of the PCI Express capability (id 0x10), which the capability list of the configuration
space leads to (PCI Express Base Specification, 7.5.3). It is what ``setpci CAP_EXP+08.w`` reads and writes.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ..system import System
from .ethtool import NotSupported

STATUS, HAS_CAPABILITIES, FIRST, EXPRESS, CONTROL = 0x06, 0x10, 0x34, 0x10, 0x08
SHIFT, MASK = 12, 0x7000


def config_path(system: System, interface: str) -> Path:
    """The card's configuration space; NotSupported for what is no PCI function."""
    path = system.path(f"sys/class/net/{interface}/device/config")
    if not path.exists():
        raise NotSupported("the interface is no PCI function of its own")
    return path


def _control(config: bytes) -> int:
    """Offset of the Device Control register."""
    if len(config) < 64 or not struct.unpack_from("<H", config, STATUS)[0] & HAS_CAPABILITIES:
        raise NotSupported("the card has no PCI capabilities that can be read")
    offset, seen = config[FIRST] & 0xFC, set[int]()
    while offset and offset not in seen and offset + CONTROL + 2 <= len(config):
        if config[offset] == EXPRESS:
            return offset + CONTROL
        seen.add(offset)
        offset = config[offset + 1] & 0xFC
    raise NotSupported("the card has no PCI Express capability")


def read_request(system: System, interface: str) -> int:
    """Bytes; NotSupported where there is none."""
    config = config_path(system, interface).read_bytes()[:256]
    return 128 << ((struct.unpack_from("<H", config, _control(config))[0] & MASK) >> SHIFT)


def write_request(system: System, interface: str, size: int) -> None:
    """Set it to so many bytes, a power of two from 128 to 4096; the other bits stay."""
    path = config_path(system, interface)
    with path.open("r+b", buffering=0) as file:
        config = file.read(256)
        offset = _control(config)
        value = struct.unpack_from("<H", config, offset)[0] & ~MASK | ((size // 128).bit_length() - 1) << SHIFT
        file.seek(offset)
        file.write(struct.pack("<H", value))
