"""Tokens of the kernel command line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import (
    Token,
    differences,
    format_cmdline,
    parse_cmdline,
    parse_wanted,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.grub import parse_drop_in, render_drop_in


def lacks(found: str, wanted: str) -> list[str]:
    return [item.key for item in differences(parse_cmdline(found), parse_cmdline(wanted))]


def test_tokens_keep_order_and_repetition() -> None:
    text = "hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=512"
    assert parse_cmdline(text) == [
        Token("hugepagesz", "1G"),
        Token("hugepages", "8"),
        Token("hugepagesz", "2M"),
        Token("hugepages", "512"),
    ]
    assert format_cmdline(parse_cmdline(text)) == text


def test_quotes_are_read_as_the_kernel_reads_them() -> None:
    wanted = [Token("ro"), Token("dyndbg", "file x.c +p"), Token("quiet")]
    # As a person writes it, and as GRUB hands it over.
    assert parse_cmdline('ro dyndbg="file x.c +p" quiet') == wanted
    assert parse_cmdline('ro "dyndbg=file x.c +p"\tquiet\n') == wanted
    assert format_cmdline(wanted) == 'ro dyndbg="file x.c +p" quiet'


def test_a_value_may_be_empty_and_may_hold_an_equals_sign() -> None:
    assert parse_cmdline("a= root=UUID=5e7b b") == [Token("a", ""), Token("root", "UUID=5e7b"), Token("b")]


def test_what_follows_two_dashes_is_for_init() -> None:
    assert parse_cmdline("quiet -- isolcpus=1") == [Token("quiet")]


def test_tokens_are_compared_whole() -> None:
    assert lacks("isolcpus=2-7", "isolcpus=2") == ["isolcpus"]
    assert lacks("xisolcpus=2", "isolcpus=2") == ["isolcpus"]
    assert lacks("isolcpus=2", "isolcpus=2") == []


def test_another_value_beside_ours_contradicts_it() -> None:
    assert lacks("isolcpus=2 isolcpus=1", "isolcpus=1") == ["isolcpus"]
    assert lacks("isolcpus=1 isolcpus=1", "isolcpus=1") == []


def test_hugepage_pairs_are_compared_in_their_order() -> None:
    wanted = "hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=512"
    assert lacks("hugepagesz=1G quiet hugepages=8 hugepagesz=2M hugepages=512", wanted) == []
    assert lacks("hugepagesz=2M hugepages=512 hugepagesz=1G hugepages=8", wanted) == ["hugepages"]
    assert lacks("hugepagesz=1G hugepages=512 hugepagesz=2M hugepages=8", wanted) == ["hugepages"]
    assert lacks(wanted + " hugepages=1", wanted) == ["hugepages"]


def test_consoles_add_up() -> None:
    assert lacks("console=tty0 console=ttyS0,115200", "console=ttyS0,115200") == []
    assert lacks("console=tty0", "console=ttyS0,115200") == ["console"]


def test_dashes_and_underscores_in_a_key_are_the_same() -> None:
    assert lacks("rcu-nocbs=1", "rcu_nocbs=1") == []


def test_order_between_keys_means_nothing() -> None:
    assert lacks("b=2 a=1", "a=1 b=2") == []


def test_a_difference_says_both_sides() -> None:
    [difference] = differences(parse_cmdline("nohz_full=2 nohz_full=3"), parse_cmdline("nohz_full=1"))
    assert (difference.wanted, difference.found) == ("nohz_full=1", "nohz_full=2 nohz_full=3")


def test_wanted_tokens_are_one_per_item() -> None:
    assert parse_wanted(["quiet", " skew_tick=1 ", 'dyndbg="file x.c +p"']) == [
        Token("quiet"),
        Token("skew_tick", "1"),
        Token("dyndbg", "file x.c +p"),
    ]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("", "one token per list item"),
        ("a b", "one token per list item"),
        ("memmap=1G$4G", r"'\$' cannot be carried"),
        ("a=`id`", "'`' cannot be carried"),
        ("a=b\\c", r"'\\\\' cannot be carried"),
        ("a='b'", '"\'" cannot be carried'),
        ('a=b"c"', "'\"' cannot be carried"),
        ("a;b=1", "a parameter name has no blank"),
    ],
)
def test_wanted_tokens_that_are_refused(item: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_wanted([item])


KEYS = st.text("abz09._-", min_size=1, max_size=8).filter(lambda text: text != "--")
VALUES = st.none() | st.text("abz09,:/=.-+ ;", max_size=12).map(str.strip)


@settings(max_examples=200)
@given(st.lists(st.builds(Token, KEYS, VALUES), max_size=6))
def test_tokens_survive_being_written_down(tokens: list[Token]) -> None:
    assert parse_cmdline(format_cmdline(tokens)) == tokens
    assert parse_drop_in(render_drop_in(tokens)) == tokens
    assert differences(tokens, tokens) == []
