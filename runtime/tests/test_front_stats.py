# SPDX-License-Identifier: Apache-2.0
"""Statistics: the definitions, against the standard library and against properties."""

import math
import statistics

import pytest
from core_samples import CLOCKS, Sample, pack
from hypothesis import given
from hypothesis import strategies as st

from tickwire.bench import samples as stamped
from tickwire.bench import stats

samples = st.lists(st.integers(0, 10**10), min_size=1, max_size=300)


def test_nearest_rank_by_hand():
    ordered = list(range(1, 1001))
    assert stats.percentile(ordered, 50) == 500
    assert stats.percentile(ordered, 99) == 990
    assert stats.percentile(ordered, 99.9) == 999  # not 1000: no floating point in the rank
    assert stats.percentile(ordered, 100) == 1000
    assert stats.percentile([7], 0.1) == 7
    assert stats.percentile([15, 20, 35, 40, 50], 30) == 20


@pytest.mark.parametrize("p", [0, -1, 100.1])
def test_percentiles_outside_are_refused(p):
    with pytest.raises(ValueError, match="outside"):
        stats.percentile([1], p)


@given(samples, st.floats(0.1, 100))
def test_a_percentile_is_a_sample_with_enough_samples_below(values, p):
    ordered = sorted(values)
    value = stats.percentile(ordered, p)
    assert value in ordered
    assert sum(1 for sample in ordered if sample <= value) >= p / 100 * len(ordered) - 1e-6
    assert sum(1 for sample in ordered if sample < value) < p / 100 * len(ordered) + 1e-6


@given(samples)
def test_summary_agrees_with_the_standard_library(values):
    figures = stats.summary(values)
    assert figures["samples"] == len(values)
    assert figures["min_ns"] <= figures["median_ns"] <= figures["p99_ns"] <= figures["max_ns"]
    assert figures["p99_9_ns"] is None  # under 1000 samples it would be the largest one
    assert figures["median_ns"] == statistics.median_low(values)
    assert math.isclose(figures["mean_ns"], statistics.fmean(values), abs_tol=1e-6)
    assert math.isclose(figures["stddev_ns"], statistics.pstdev(values), rel_tol=1e-9, abs_tol=1e-3)


@given(samples, st.integers(1, 1000))
def test_jitter_does_not_depend_on_the_unit(values, factor):
    one = stats.summary(values)["jitter"]
    other = stats.summary([factor * value for value in values])["jitter"]
    for name in ("stddev_over_mean", "p99_minus_min_over_mean", "max_minus_min_over_mean"):
        assert math.isclose(one[name], other[name], rel_tol=1e-9, abs_tol=1e-9)


def test_jitter_by_hand():
    figures = stats.summary([90, 100, 104, 106])
    assert figures["mean_ns"] == 100
    assert figures["jitter"]["share_within_5_percent_of_mean"] == 0.5
    assert figures["jitter"]["max_minus_min_over_mean"] == 0.16
    assert figures["jitter"]["p99_minus_min_over_mean"] == 0.16
    assert figures["jitter"]["stddev_over_mean"] == pytest.approx(math.sqrt(152 / 4) / 100)


@given(samples)
def test_every_sample_is_in_exactly_one_bin(values):
    bins = stats.histogram(sorted(values))
    assert sum(count for _, _, count in bins) == len(values)
    assert all(lower < upper for lower, upper, _ in bins)
    assert all(here[1] == there[0] for here, there in zip(bins, bins[1:], strict=False))
    for lower, upper, count in bins:
        assert count == sum(1 for value in values if lower <= value < upper)
    assert bins[0][2] > 0 and bins[-1][2] > 0


def test_bins_are_log_spaced():
    bins = stats.histogram([1000, 100_000])
    assert len(bins) == 2 * stats.BINS_PER_DECADE + 1
    ratios = [upper / lower for lower, upper, _ in bins]
    assert max(ratios) < 1.125 and min(ratios) > 1.118


def test_nothing_measured_is_said_and_not_made_up():
    figures = stats.summary([])
    assert figures["samples"] == 0 and figures["histogram"] == []
    assert figures["median_ns"] is None and figures["jitter"] is None
    with pytest.raises(ValueError, match="below zero"):
        stats.histogram([-1])


@given(st.lists(st.tuples(st.integers(0, 2**63), st.integers(0, 10**9)), max_size=50))
def test_latencies_of_stamp_pairs(pairs):
    found = stamped.read(pack(Sample(rx, rx + delta) for rx, delta in pairs))
    assert found.latencies == [delta for _, delta in pairs]
    assert (found.negative, found.others, found.software) == (0, {}, [])
    assert found.clock == ("software" if pairs else "none")


def test_a_transmit_before_its_receive_is_not_a_latency():
    found = stamped.read(pack([Sample(100, 90), Sample(100, 107)]))
    assert (found.latencies, found.negative) == ([7], 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(CLOCKS)[1:]), st.integers(0, 10**6), st.one_of(st.none(), st.integers(0, 9))),
        min_size=1,
        max_size=40,
    )
)
def test_clocks_are_never_mixed_in_one_figure(orders):
    """Latencies of one clock, the other clocks' samples counted, the kernel's beside those of the chosen clock."""
    raw = pack(
        Sample(5, 5 + took, 7 if more is not None else 0, 7 + took + more if more is not None else 0, CLOCKS[clock])
        for clock, took, more in orders
    )
    found = stamped.read(raw)
    mine = [(took, more) for clock, took, more in orders if clock == found.clock]
    assert found.latencies == [took for took, _ in mine]
    assert found.software == [took + more for took, more in mine if more is not None]
    assert len(mine) + sum(found.others.values()) == len(orders) and found.clock not in found.others
    assert all(len(mine) >= count for count in found.others.values())


def test_the_kernels_figures_beside_the_cards():
    found = stamped.read(pack(Sample(0, n, 10, 10 + 2 * n, CLOCKS["hardware"]) for n in (1, 2, 3)))
    beside = stamped.beside(found)
    assert beside is not None and (beside["samples"], beside["median_ns"], beside["max_ns"]) == (3, 4, 6)
    assert stamped.beside(stamped.read(pack([Sample(1, 2)]))) is None
