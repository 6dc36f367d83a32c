# SPDX-License-Identifier: Apache-2.0
"""ITCH messages and files for the tests of the core."""

from __future__ import annotations

import array
import gzip
from functools import cache
from pathlib import Path

from tickwire import _core

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "itch"
RITCH = "ex20101224.TEST_ITCH_50.gz"
SYNTHETIC = "syn100k.itch.gz"

SMALL = {"engine": {"max_orders": 4096, "max_instruments": 64, "max_samples": 1024}}


@cache
def itch_file(name: str) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """(data, index, messages) of a file of the fixtures."""
    data = gzip.decompress((FIXTURES / name).read_bytes())
    index, _ = _core.itch_frame_index(data)
    entries = array.array("Q")
    entries.frombytes(index)
    return data, index, tuple(data[entry >> 16 : (entry >> 16) + (entry & 0xFFFF)] for entry in entries)


def message(type_: str, locate: int = 1, **fields: int | str) -> bytes:
    return _core.itch_encode({"type": type_, "stock_locate": locate, **fields})


def add(reference: int, side: str, shares: int, price: int, locate: int = 1, stock: str = "TICK") -> bytes:
    return message(
        "A", locate, order_reference=reference, side=side, shares=shares, stock=stock, price=price, timestamp=reference
    )


def imbalance(first: int, count: int, locate: int = 1) -> list[bytes]:
    """Messages on an empty book that make the imbalance strategy send exactly `count` orders, sides in turn.

    First one order a side, in balance; then a large order joins one side's best and leaves before the other's turn.
    """
    messages = [add(first, "B", 100, 10000, locate), add(first + 1, "S", 100, 10010, locate)]
    for i in range(count):
        reference = first + 2 + i
        side, price = ("B", 10000) if i % 2 == 0 else ("S", 10010)
        messages.append(add(reference, side, 1000, price, locate))
        messages.append(message("D", locate, order_reference=reference))
    return messages
