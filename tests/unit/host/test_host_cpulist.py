"""CPU lists and masks: the texts kernels print, and those that are refused."""

from __future__ import annotations

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import (
    format_cpu_list,
    format_cpu_mask,
    parse_cpu_list,
    parse_cpu_mask,
)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", set()),
        ("\n", set()),
        ("(null)\n", set()),
        ("0", {0}),
        ("0-3,8\n", {0, 1, 2, 3, 8}),
        ("8,0-3", {0, 1, 2, 3, 8}),
        ("1,1-2,2", {1, 2}),
        ("0-7:2/4", {0, 1, 4, 5}),
        ("0-7:1/1", set(range(8))),
    ],
)
def test_lists_of_the_kernel(text: str, cpus: set[int]) -> None:
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a", "'a' is neither a number"),
        ("1,", "'' is neither a number"),
        ("4-N", "'4-N' is neither a number"),
        ("-1", "'-1' is neither a number"),
        ("3-1", "'3-1' ends before it starts"),
        ("0-7:5/4", "uses 5 of every 4"),
        ("0-7:1/0", "uses 1 of every 0"),
        ("0-4294967295", "4294967295 is not below 65536"),
    ],
)
def test_lists_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_cpu_list(text)
    assert f"CPU list '{text}'" in str(caught.value)


def test_lists_are_printed_as_the_kernel_prints_them() -> None:
    assert format_cpu_list({8, 3, 1, 2, 0}) == "0-3,8"
    assert format_cpu_list({1, 2}) == "1-2"
    assert format_cpu_list(set()) == ""


@pytest.mark.parametrize("text", ["f", "0f", "0000000f", "00000000,0000000f", "0,0000000F\n"])
def test_masks_with_leading_zeros_are_one_set(text: str) -> None:
    assert parse_cpu_mask(text) == {0, 1, 2, 3}


def test_masks_have_groups_of_32_bits() -> None:
    assert parse_cpu_mask("1,00000000") == {32}
    assert parse_cpu_mask("80000000,00000001") == {0, 63}
    assert format_cpu_mask({32}) == "1,00000000"
    assert format_cpu_mask({0, 63}) == "80000000,00000001"
    assert format_cpu_mask(set()) == "0"


@pytest.mark.parametrize("text", ["", "g", "1,", "123456789", "0x3"])
def test_masks_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a group of 1 to 8"):
        parse_cpu_mask(text)
