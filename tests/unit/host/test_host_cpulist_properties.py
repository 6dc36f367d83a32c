"""CPU lists and masks in every spelling that kernels and people use for the same set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import (
    format_cpu_list,
    format_cpu_mask,
    parse_cpu_list,
    parse_cpu_mask,
)

CPUS = st.frozensets(st.integers(0, 300), max_size=40)
BLANKS = st.sampled_from(["", " ", "  ", "\t"])


@given(CPUS)
def test_what_is_printed_is_read_back(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(format_cpu_list(cpus)) == cpus
    assert parse_cpu_mask(format_cpu_mask(cpus)) == cpus


@given(CPUS, st.data())
def test_order_repetition_and_blanks_mean_nothing(cpus: frozenset[int], data: st.DataObject) -> None:
    items = [str(cpu) for cpu in cpus] + format_cpu_list(cpus).split(",")
    items = data.draw(st.permutations([item for item in items if item]))
    text = ",".join(data.draw(BLANKS) + item + data.draw(BLANKS) for item in items)
    assert parse_cpu_list(text + "\n") == cpus


@given(st.integers(0, 200), st.integers(0, 100), st.integers(1, 12), st.data())
def test_strides_are_the_first_so_many_of_each_group(first: int, length: int, group: int, data: st.DataObject) -> None:
    used = data.draw(st.integers(1, group))
    last = first + length
    wanted = {
        cpu for start in range(first, last + 1, group) for cpu in range(start, start + used) if start <= cpu <= last
    }
    assert parse_cpu_list(f"{first}-{last}:{used}/{group}") == wanted


@given(CPUS, st.integers(0, 4), st.booleans())
def test_masks_with_any_width_and_case_are_one_set(cpus: frozenset[int], groups: int, upper: bool) -> None:
    value = sum(1 << cpu for cpu in cpus)
    count = max(1, -(-value.bit_length() // 32)) + groups
    text = ",".join(f"{value >> 32 * (count - 1 - place) & 0xFFFFFFFF:08x}" for place in range(count))
    assert parse_cpu_mask(text.upper() if upper else text) == cpus
    # The first group alone may lack its zeros, as the kernel prints it where the number of CPUs is no multiple of 32.
    head, *rest = text.split(",")
    assert parse_cpu_mask(",".join([head.lstrip("0") or "0", *rest]) + "\n") == cpus


@given(CPUS)
def test_the_printed_list_is_the_shortest_one(cpus: frozenset[int]) -> None:
    ranges = [item.split("-") for item in format_cpu_list(cpus).split(",") if item]
    edges = [(int(item[0]), int(item[-1])) for item in ranges]
    assert all(later[0] > earlier[1] + 1 for earlier, later in zip(edges, edges[1:], strict=False))
    groups = format_cpu_mask(cpus).split(",")
    assert all(len(group) == 8 for group in groups[1:]) and not (len(groups) > 1 and groups[0].startswith("0"))
