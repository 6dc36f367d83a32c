# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of many latencies stand out: modified z-scores, which a few bad values do not move.

Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (ASQC 1993, chapter 3.3; NIST/SEMATECH e-Handbook of
Statistical Methods, section 1.3.5.17): M = 0.6745 * (x - median) / MAD, where MAD is the median absolute deviation from
the median, and 0.6745 is the 0.75 quantile of the standard normal distribution, which makes MAD / 0.6745 estimate its
standard deviation. Above 3.5 a value is an outlier. Where more than half of the values are equal, MAD is 0, and the
mean absolute deviation takes its place: M = (x - median) / (1.253314 * MeanAD), with sqrt(pi / 2) as its factor.

Only values above the median are marked: a pair that is faster than the others is no fault.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

NORMAL_QUARTILE = 0.6745
CUTOFF = 3.5
MEAN_FACTOR = math.sqrt(math.pi / 2)
#: With fewer, one value more or less makes another the outlier. Six are the pairs of four hosts.
FEWEST = 6


class Spread(NamedTuple):
    """The middle of some values, their deviation (an estimate of the standard deviation), and above what one is an
    outlier; in the unit of the values."""

    median: float
    deviation: float
    limit: float


def spread(values: Sequence[float]) -> Spread | None:
    """Return the spread of values; None for fewer than FEWEST."""
    if len(values) < FEWEST:
        return None
    median = statistics.median(values)
    away = [abs(value - median) for value in values]
    deviation = statistics.median(away) / NORMAL_QUARTILE or MEAN_FACTOR * statistics.fmean(away)
    return Spread(median, deviation, median + CUTOFF * deviation)


def is_outlier(value: float, found: Spread | None) -> bool:
    """Whether a value is above the limit."""
    return found is not None and value > found.limit
