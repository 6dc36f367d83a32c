# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Figures of latency histograms, in microseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Histogram:
    """One CPU's latencies. buckets: lower bound in us to samples; over: samples beyond the last bucket.

    min_us, avg_us and max_us are the tool's own, of every sample, those beyond the last bucket too.
    """

    cpu: int
    buckets: Mapping[float, int]
    over: int
    min_us: float
    avg_us: float
    max_us: float

    @property
    def samples(self) -> int:
        return sum(self.buckets.values()) + self.over


def percentile_us(histograms: Sequence[Histogram], percent: int) -> float:
    """Nearest-rank percentile over all samples: the lower bound of the bucket that holds it.

    The maximum where it lies beyond the last bucket, since no more is known of these samples than that. ValueError
    without samples.
    """
    samples = sum(histogram.samples for histogram in histograms)
    if not samples:
        raise ValueError("a percentile of no samples is not defined")
    rank = math.ceil(samples * percent / 100)
    merged: dict[float, int] = {}
    for histogram in histograms:
        for bound, count in histogram.buckets.items():
            merged[bound] = merged.get(bound, 0) + count
    seen = 0
    for bound in sorted(merged):
        seen += merged[bound]
        if seen >= rank:
            return bound
    return max(histogram.max_us for histogram in histograms)


def figures(histograms: Sequence[Histogram]) -> dict[str, Any]:
    """samples, beyond (the last bucket), min_us, avg_us, p99_us and max_us of all; ValueError without samples."""
    used = [histogram for histogram in histograms if histogram.samples]
    p99_us = percentile_us(used, 99)
    samples = sum(histogram.samples for histogram in used)
    return {
        "samples": samples,
        "beyond": sum(histogram.over for histogram in used),
        "min_us": min(histogram.min_us for histogram in used),
        "avg_us": round(sum(histogram.avg_us * histogram.samples for histogram in used) / samples, 3),
        "p99_us": p99_us,
        "max_us": max(histogram.max_us for histogram in used),
    }
