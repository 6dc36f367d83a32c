# SPDX-License-Identifier: Apache-2.0
"""The samples of a shared block, as struct block_sample of core/block.h lays them out."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tickwire import _core

RECORD = struct.Struct("=QQQQII")
CLOCKS = {name: number for number, name in enumerate(_core.stamp_clocks())}


class Sample(NamedTuple):
    receive_ns: int
    transmit_ns: int
    receive_software_ns: int = 0
    transmit_software_ns: int = 0
    clock: int = CLOCKS["software"]
    reserved: int = 0


def pack(samples: Iterable[Sample]) -> bytes:
    return b"".join(RECORD.pack(*sample) for sample in samples)


def unpack(block: str) -> Iterator[Sample]:
    return map(Sample._make, RECORD.iter_unpack(_core.block_samples(block)))
