"""A bootable MBR disk out of GRUB's two images: no loop device, no grub-install.

Layout, in sectors of 512 bytes: 0 the MBR (boot.img with a partition table), 1.. core.img in the gap, then at
`start_sector` the only partition. boot.img as shipped reads its next stage from sector 1, and the first sector of
core.img reads the rest from sector 2, so both can be placed as they are.
"""

from __future__ import annotations

import struct
from pathlib import Path

SECTOR = 512
LINUX = 0x83


def partition_entry(start_sector: int, sectors: int) -> bytes:
    """One active Linux partition as 16 bytes of an MBR; CHS fields say "use LBA"."""
    return struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", LINUX, b"\xfe\xff\xff", start_sector, sectors)


def master_boot_record(boot_img: bytes, start_sector: int, sectors: int) -> bytes:
    """The 512 bytes of sector 0. ValueError when `boot_img` is not GRUB's boot sector."""
    if len(boot_img) != SECTOR or boot_img[510:] != b"\x55\xaa":
        raise ValueError(f"boot.img has {len(boot_img)} bytes and must be a boot sector of {SECTOR}")
    table = partition_entry(start_sector, sectors) + bytes(48)
    return boot_img[:440] + b"TKWR\0\0" + table + b"\x55\xaa"


def write_boot_sectors(disk: Path, boot_img: bytes, core_img: bytes, start_sector: int) -> None:
    """Make the raw image `disk`, with a file system at `start_sector`, bootable by BIOS."""
    room = (start_sector - 1) * SECTOR
    if len(core_img) > room:
        raise ValueError(f"core.img has {len(core_img)} bytes, the gap before the partition has {room}")
    sectors = disk.stat().st_size // SECTOR - start_sector
    with disk.open("r+b") as out:
        out.write(master_boot_record(boot_img, start_sector, sectors))
        out.write(core_img)
