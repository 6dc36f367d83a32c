# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""module_utils/stats.py against the definitions and against Python's statistics module."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils import stats

SAMPLES = st.lists(st.floats(min_value=1e-3, max_value=1e9), min_size=1, max_size=400)
PERCENTS = st.sampled_from([1, 5, 25, 50, 75, 90, 99, 99.9, "99.9", "99.99", 100])


@given(SAMPLES, PERCENTS)
def test_percentile_is_the_smallest_sample_with_enough_samples_at_or_below(samples, percent):
    ordered = sorted(samples)
    value = stats.percentile(ordered, percent)
    share = Fraction(str(percent)) / 100
    assert value in samples
    assert sum(1 for sample in samples if sample <= value) >= share * len(samples)
    assert sum(1 for sample in samples if sample < value) < share * len(samples)


@given(st.integers(min_value=1, max_value=2000))
def test_rank_over_known_positions(count):
    ordered = list(range(1, count + 1))
    for percent, share in ((50, Fraction(1, 2)), (99, Fraction(99, 100)), (99.9, Fraction(999, 1000))):
        assert stats.percentile(ordered, percent) == math.ceil(share * count)


def test_no_rounding_of_the_rank():
    assert stats.percentile(list(range(1, 1001)), 99.9) == 999, "99.9 / 100 * 1000 is 999.0000000000001 in binary"
    assert stats.percentile(list(range(1, 1001)), "99.9") == 999


@pytest.mark.parametrize("percent", [0, -1, 100.1])
def test_percent_out_of_range(percent):
    with pytest.raises(ValueError, match="percent"):
        stats.percentile([1.0], percent)


def test_nothing_to_summarise():
    for call in (lambda: stats.percentile([], 50), lambda: stats.summarise([], "us"), lambda: stats.histogram([])):
        with pytest.raises(ValueError, match="samples"):
            call()


@given(SAMPLES)
def test_summary_against_the_statistics_module(samples):
    summary = stats.summarise(samples, "us")
    assert summary["samples"] == len(samples)
    assert (summary["min_us"], summary["max_us"]) == (min(samples), max(samples))
    assert math.isclose(summary["mean_us"], statistics.fmean(samples), rel_tol=1e-12)
    assert math.isclose(summary["stddev_us"], statistics.pstdev(samples), rel_tol=1e-6, abs_tol=1e-6)
    assert summary["median_us"] == statistics.median_low(samples)
    assert summary["min_us"] <= summary["median_us"] <= summary["p90_us"] <= summary["p99_us"]
    assert summary["p99_us"] <= summary["p99_9_us"] <= summary["max_us"]


@given(SAMPLES)
def test_jitter_by_its_formulas(samples):
    figures = stats.summarise(samples, "ns")
    jitter, mean = figures["jitter"], figures["mean_ns"]
    assert math.isclose(jitter["stddev_over_mean"], figures["stddev_ns"] / mean)
    assert math.isclose(jitter["p99_minus_min_over_mean"], (figures["p99_ns"] - figures["min_ns"]) / mean)
    assert math.isclose(jitter["max_minus_min_over_mean"], (figures["max_ns"] - figures["min_ns"]) / mean)
    near = [sample for sample in samples if abs(sample - mean) <= 0.05 * mean]
    assert jitter["share_within_5_percent_of_mean"] == len(near) / len(samples)


def test_jitter_of_a_mean_of_zero_has_no_ratio():
    assert stats.jitter([0.0, 0.0])["stddev_over_mean"] is None
    assert stats.jitter([0.0, 0.0])["share_within_5_percent_of_mean"] == 1.0


@given(SAMPLES, st.integers(min_value=1, max_value=100))
def test_histogram_counts_every_sample_once(samples, bins):
    buckets = stats.histogram(samples, bins)
    assert sum(bucket[2] for bucket in buckets) == len(samples)
    assert all(count > 0 and lower <= upper for lower, upper, count in buckets)
    assert all(left[1] <= right[0] * (1 + 1e-9) for left, right in zip(buckets, buckets[1:], strict=False))
    assert math.isclose(buckets[0][0], min(samples)) and math.isclose(buckets[-1][1], max(samples))
    for lower, upper, count in buckets:
        inside = sum(1 for sample in samples if lower * (1 - 1e-9) <= sample <= upper * (1 + 1e-9))
        assert inside >= count


def test_histogram_refuses_what_a_logarithm_cannot_hold():
    with pytest.raises(ValueError, match="not above 0"):
        stats.histogram([1.0, 0.0])
