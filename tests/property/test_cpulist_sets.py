"""CPU lists and masks: any set survives the way through text, and any text of a set means that set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import (
    format_cpu_list,
    format_cpu_mask,
    parse_cpu_list,
    parse_cpu_mask,
)

CPUS = st.frozensets(st.integers(0, 300))


@given(CPUS)
def test_a_list_reads_back(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(format_cpu_list(cpus)) == cpus


@given(CPUS)
def test_a_list_is_the_shortest(cpus: frozenset[int]) -> None:
    """No two neighbours in it could be one range."""
    ranges = [item.split("-") for item in format_cpu_list(cpus).split(",") if item]
    assert all(int(after[0]) - int(before[-1]) > 1 for before, after in zip(ranges, ranges[1:], strict=False))


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20)), max_size=8))
def test_overlapping_ranges_in_any_order_are_their_union(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" for first, more in ranges)
    assert parse_cpu_list(text) == {cpu for first, more in ranges for cpu in range(first, first + more + 1)}


@given(CPUS, st.integers(0, 3), st.integers(0, 7), st.booleans())
def test_a_mask_reads_back_whatever_zeros_lead_it(cpus: frozenset[int], groups: int, zeros: int, upper: bool) -> None:
    first, *rest = format_cpu_mask(cpus).split(",")
    padded = ",".join(["00000000"] * groups + [first.rjust(min(8, len(first) + zeros), "0"), *rest])
    assert parse_cpu_mask(padded.upper() if upper else padded) == cpus


@given(CPUS)
def test_a_mask_is_the_number_with_one_bit_per_cpu(cpus: frozenset[int]) -> None:
    assert int(format_cpu_mask(cpus).replace(",", ""), 16) == sum(2**cpu for cpu in cpus)
