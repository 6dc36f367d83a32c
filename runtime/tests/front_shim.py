# SPDX-License-Identifier: Apache-2.0
"""The library `c/shim.c`: what preloaded processes see in place of the machine's clock, disk and network card."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

_ORDERS = struct.Struct("=qq")
_CARD = struct.Struct("=16sIIiIIiiiiiiIII4x")  # struct fake_card of c/fake_card.h, padded as in the shim's own struct
_SOFTWARE, _HARDWARE = 0x1A, 0x45
ALL, PTP_V2_EVENT = 1, 12  # HWTSTAMP_FILTER_


class Card(NamedTuple):
    """A card as mlx5's driver describes it, on an interface the machine has."""

    name: bytes = b""
    address: int = 0
    so_timestamping: int = _SOFTWARE | _HARDWARE
    clock: int = 0
    tx_types: int = 0b11
    rx_filters: int = 0b11
    get_error: int = 0
    set_error: int = 0
    grants: int = -1
    flags: int = 0
    tx_type: int = 0
    rx_filter: int = 0
    sets: int = 0
    mute: int = 0
    late: int = 0


class Shim:
    """Compiled into `directory`; a process that is started with `env` follows what is set here."""

    def __init__(self, directory: Path) -> None:
        self.library, self.file = directory / "shim.so", directory / "shim.orders"
        source = Path(__file__).parent / "c" / "shim.c"
        flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run(
            [*os.environ.get("CC", "cc").split(), *flags, "-o", str(self.library), str(source), "-ldl"], check=True
        )
        self.file.write_bytes(_ORDERS.pack(0, 0) + _CARD.pack(*Card()))

    @property
    def env(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "TICKWIRE_SHIM": str(self.file)}

    def set(self, shift_s: int = 0, disk_error: int = 0) -> None:
        self._write(0, _ORDERS.pack(shift_s, disk_error))

    @property
    def card(self) -> Card:
        values = _CARD.unpack(self.file.read_bytes()[_ORDERS.size :])
        return Card(values[0].rstrip(b"\0"), *values[1:])

    def set_card(self, card: Card) -> None:
        self._write(_ORDERS.size, _CARD.pack(*card))

    def _write(self, offset: int, data: bytes) -> None:
        with self.file.open("r+b", buffering=0) as file:  # in place: it is mapped
            file.seek(offset)
            file.write(data)
