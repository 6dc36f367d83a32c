# SPDX-License-Identifier: Apache-2.0
"""The samples of a shared block: of each order the two stamps, both of one clock, and those beside a device's."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .. import _core
from . import stats

RECORD = struct.Struct("=QQQQII")  # struct block_sample of core/block.h
_BESIDE = ("samples", "min_ns", "mean_ns", "median_ns", "p99_ns", "p99_9_ns", "max_ns", "stddev_ns")


@dataclass
class Samples:
    """Tick-to-trade in ns, in the order of sending; of "completion" tick to acknowledgement.

    `latencies` are those of `clock`, the one most samples are of ("none" without any); `software` are of the same
    orders by the stamps beside, the kernel's or, of completions, the engine's, where both came. `others` counts the
    samples of each other clock, which are in no figure: latencies of two clocks are not one distribution. `negative`:
    samples whose clock was set between the two stamps, left out.
    """

    clock: str = "none"
    latencies: list[int] = field(default_factory=list)
    software: list[int] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    negative: int = 0


def read(raw: bytes, from_transmit: bool = False) -> Samples:
    """What `_core.block_samples` gives; `from_transmit`: as an exchange keeps them, whose tick is sent before the order
    is received, so that a latency is receive minus transmit."""
    names = _core.stamp_clocks()
    records = list(RECORD.iter_unpack(raw))
    counts = Counter(record[4] for record in records)
    if not counts:
        return Samples()
    clock = max(counts, key=lambda number: counts[number])
    found = Samples(names[clock], others={names[number]: count for number, count in counts.items() if number != clock})
    for receive_ns, transmit_ns, receive_software_ns, transmit_software_ns, number, _reserved in records:
        if number != clock:
            continue
        latency_ns, software_ns = transmit_ns - receive_ns, transmit_software_ns - receive_software_ns
        if from_transmit:
            latency_ns, software_ns = -latency_ns, -software_ns
        if latency_ns < 0:
            found.negative += 1
            continue
        found.latencies.append(latency_ns)
        if transmit_software_ns and software_ns >= 0:
            found.software.append(software_ns)
    return found


def beside(samples: Samples) -> dict[str, Any] | None:
    """Figures of the stamps beside another clock's; None without any."""
    if not samples.software:
        return None
    figures = stats.summary(samples.software)
    return {name: figures[name] for name in _BESIDE}
