# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Statistics of latency samples: every sample kept, nearest-rank percentiles, population deviation.

The runtime's ``tickwire bench`` defines its figures in the same way, so that figures of both can stand in one table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

PERCENTILES = (("median", 50), ("p90", 90), ("p99", 99), ("p99_9", "99.9"))


def percentile(ordered: Sequence[float], percent: float | str) -> float:
    """Return the nearest-rank percentile of an ascending sequence.

    The rank is ceil(percent / 100 * n), counted from 1; percent is in (0, 100]. The product is exact: in binary
    floating point 99.9 / 100 * 1000 is a little above 999, and its ceiling would be one rank too high. Raises
    ValueError for no samples or a percent outside (0, 100].
    """
    share = Fraction(str(percent)) / 100
    if not 0 < share <= 1:
        raise ValueError("percent %s is not above 0 and at most 100" % (percent,))
    if not ordered:
        raise ValueError("a percentile of no samples is not defined")
    return ordered[math.ceil(share * len(ordered)) - 1]


def jitter(ordered: Sequence[float]) -> dict[str, float | None]:
    """Return the four defined jitter figures of an ascending sequence, each without unit (None when the mean is 0).

    "Jitter" alone is undefined in the field, so each figure is named by its formula.
    """
    count = len(ordered)
    mean = math.fsum(ordered) / count
    near = sum(1 for sample in ordered if abs(sample - mean) <= 0.05 * mean)
    ratios: dict[str, float] = {
        "stddev_over_mean": _stddev(ordered, mean),
        "p99_minus_min_over_mean": percentile(ordered, 99) - ordered[0],
        "max_minus_min_over_mean": ordered[-1] - ordered[0],
    }
    result: dict[str, float | None] = {name: value / mean if mean else None for name, value in ratios.items()}
    result["share_within_5_percent_of_mean"] = near / count
    return result


def summarise(samples: Sequence[float], unit: str) -> dict[str, Any]:
    """Return count, min, mean, median, p90, p99, p99_9, max and stddev (population) of samples, and their jitter.

    Every figure but the count carries the unit in its name: ``summarise([1.0], "us")["median_us"]``. Raises
    ValueError for no samples.
    """
    if not samples:
        raise ValueError("no samples to summarise")
    ordered = sorted(samples)
    mean = math.fsum(ordered) / len(ordered)
    figures = {"min": ordered[0], "mean": mean, "max": ordered[-1], "stddev": _stddev(ordered, mean)}
    figures.update({name: percentile(ordered, percent) for name, percent in PERCENTILES})
    result: dict[str, Any] = {"%s_%s" % (name, unit): value for name, value in figures.items()}
    result["samples"] = len(ordered)
    result["jitter"] = jitter(ordered)
    return result


def histogram(samples: Sequence[float], bins: int = 60) -> list[list[float]]:
    """Return [[lower, upper, count], ...] over equal ratios from the smallest to the largest sample.

    Latencies spread over decades, so the buckets are logarithmic; every sample is counted, the largest one in the last
    bucket. Samples must be above 0. Empty buckets are left out. Raises ValueError for no samples or one not above 0.
    """
    if not samples:
        raise ValueError("no samples for a histogram")
    low, high = min(samples), max(samples)
    if low <= 0:
        raise ValueError("sample %s is not above 0: a logarithmic histogram cannot hold it" % low)
    if low == high:
        return [[low, high, len(samples)]]
    step = math.log(high / low) / bins
    edges = [low * math.exp(step * i) for i in range(bins)] + [high]
    counts = [0] * bins
    for sample in samples:
        counts[min(bins - 1, int(math.log(sample / low) / step))] += 1
    return [[edges[i], edges[i + 1], count] for i, count in enumerate(counts) if count]


def _stddev(samples: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((sample - mean) ** 2 for sample in samples) / len(samples))
