# SPDX-License-Identifier: Apache-2.0
"""Statistics of latency samples, defined once so that every report means the same by the same word.

Percentile p of n sorted samples is the nearest rank, sample number ceil(p / 100 * n) counted from one: always a sample
that was really measured. The standard deviation is the population's. No sample is dropped before any of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

BINS_PER_DECADE = 20
FEWEST_FOR_P99_9 = 1000  # with fewer samples the nearest rank of p99.9 is the largest sample
NEAR_MEAN = 0.05  # "consistent within 95 % of the mean": the share of samples not further than this from it


def p99_9(ordered: Sequence[int]) -> int | None:
    """p99.9 of samples sorted ascending; None, "not measured", with fewer than FEWEST_FOR_P99_9."""
    return percentile(ordered, 99.9) if len(ordered) >= FEWEST_FOR_P99_9 else None


def percentile(ordered: Sequence[int], p: float) -> int:
    """Nearest-rank percentile of samples sorted ascending, 0 < p <= 100. ValueError without samples."""
    if not ordered:
        raise ValueError("a percentile needs at least one sample")
    if not 0 < p <= 100:
        raise ValueError(f"percentile {p} is outside 0..100")
    # Exact: in floating point 99.9 / 100 * 1000 is above 999 and would take the next sample.
    rank = math.ceil(Fraction(str(p)) / 100 * len(ordered))
    return ordered[rank - 1]


def jitter(ordered: Sequence[int], mean: float, stddev: float) -> dict[str, float]:
    """Four readings of "jitter" as fractions (not per cent), since sources rarely say which one they mean."""
    scale = mean if mean > 0 else 1.0
    near = sum(1 for sample in ordered if abs(sample - mean) <= NEAR_MEAN * mean)
    return {
        "stddev_over_mean": stddev / scale,
        "p99_minus_min_over_mean": (percentile(ordered, 99) - ordered[0]) / scale,
        "max_minus_min_over_mean": (ordered[-1] - ordered[0]) / scale,
        "share_within_5_percent_of_mean": near / len(ordered),
    }


def histogram(ordered: Sequence[int], bins_per_decade: int = BINS_PER_DECADE) -> list[list[int]]:
    """Log-spaced [lower, upper, count] bins (lower <= sample < upper, integers) from the smallest sample's to the
    largest's, empty ones between included, so that the counts add up to the number of samples."""
    if not ordered:
        return []
    if ordered[0] < 0:
        raise ValueError(f"a latency of {ordered[0]} is below zero")

    def edge(n: int) -> int:
        return 0 if n < 0 else round(10 ** (n / bins_per_decade))

    def bin_of(sample: int) -> int:
        if sample < 1:
            return -1
        n = int(math.log10(sample) * bins_per_decade)
        while edge(n) > sample:
            n -= 1
        while edge(n + 1) <= sample:
            n += 1
        return n

    first, last = bin_of(ordered[0]), bin_of(ordered[-1])
    counts = [0] * (last - first + 1)
    at = first
    for sample in ordered:
        while edge(at + 1) <= sample:
            at += 1
        counts[at - first] += 1
    bins = [[edge(n), edge(n + 1), counts[n - first]] for n in range(first, last + 1)]
    return [b for b in bins if b[0] < b[1]]  # below 10 ns neighbouring edges round to the same integer


def summary(samples: Sequence[int]) -> dict[str, Any]:
    """Figures of latency samples in ns, any order. Without samples every figure is None and the histogram empty; p99.9
    is None with too few."""
    ordered = sorted(samples)
    if not ordered:
        names = ("min_ns", "mean_ns", "median_ns", "p99_ns", "p99_9_ns", "max_ns", "stddev_ns", "jitter")
        return {"samples": 0, **dict.fromkeys(names), "histogram": []}
    mean = sum(ordered) / len(ordered)
    stddev = math.sqrt(math.fsum((sample - mean) ** 2 for sample in ordered) / len(ordered))
    return {
        "samples": len(ordered),
        "min_ns": ordered[0],
        "mean_ns": mean,
        "median_ns": percentile(ordered, 50),
        "p99_ns": percentile(ordered, 99),
        "p99_9_ns": p99_9(ordered),
        "max_ns": ordered[-1],
        "stddev_ns": stddev,
        "jitter": jitter(ordered, mean, stddev),
        "histogram": histogram(ordered),
    }
