"""Kernel command lines: tokens survive every text on their way, and comparison is by token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import (
    Token,
    differences,
    format_cmdline,
    parse_cmdline,
    parse_wanted,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.grub import parse_drop_in, render_drop_in

KEYS = st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)
VALUES = st.none() | st.text("abc019,:=-_./;&|<>(){}# +", max_size=8)
TOKENS = st.lists(st.builds(Token, KEYS, VALUES), max_size=8)
PLAIN = st.lists(st.builds(Token, st.sampled_from(["a", "b", "c"]), st.sampled_from([None, "1", "2"])), max_size=6)


@given(TOKENS)
def test_a_command_line_reads_back_in_order(tokens: list[Token]) -> None:
    assert parse_cmdline(format_cmdline(tokens)) == tokens


@given(TOKENS)
def test_a_drop_in_reads_back_in_order(tokens: list[Token]) -> None:
    assert parse_drop_in(render_drop_in(tokens)) == tokens


@given(TOKENS)
def test_what_is_printed_is_accepted_as_wanted(tokens: list[Token]) -> None:
    assert parse_wanted([str(token) for token in tokens]) == tokens


@given(PLAIN, PLAIN)
def test_a_command_line_with_others_around_still_says_it(wanted: list[Token], noise: list[Token]) -> None:
    others = [Token("x" + token.key, token.value) for token in noise]
    assert differences(others + wanted + others, wanted) == []


@given(PLAIN, PLAIN)
def test_equal_for_every_key_is_no_difference_and_nothing_else_is(found: list[Token], wanted: list[Token]) -> None:
    def values(tokens: list[Token], key: str) -> list[str | None]:
        every = [token.value for token in tokens if token.key == key]
        return [value for place, value in enumerate(every) if place == 0 or every[place - 1] != value]

    keys = {token.key for token in wanted}
    differing = {key for key in keys if values(found, key) != values(wanted, key)}
    assert {item.key for item in differences(found, wanted)} == differing


@given(
    st.permutations(
        [Token("hugepagesz", "1G"), Token("hugepages", "8"), Token("hugepagesz", "2M"), Token("hugepages", "9")]
    )
)
def test_hugepage_pairs_are_the_same_in_one_order_only(tokens: list[Token]) -> None:
    wanted = parse_cmdline("hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=9")
    assert (differences(tokens, wanted) == []) == (tokens == wanted)
