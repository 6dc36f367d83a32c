# SPDX-License-Identifier: Apache-2.0
"""Order entry in both versions of OUCH: what is answered, in what order, with which codes."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from exchange_clients import VERSIONS, about, enter, key_of, replace
from exchange_rig import SYMBOL, Rig, brief
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core
from tickwire.errors import TickwireError
from tickwire.exchange.soupbin import ProtocolError, Session, SessionClosed, packet


@pytest.fixture(params=VERSIONS)
def rig(request):
    return Rig(request.param)


def test_an_order_is_accepted_as_it_was_entered(rig):
    v = rig.version
    first, second = rig.send("A", enter(v, 1, quantity=300), enter(v, 2, side="T", price=5_000_000))
    assert (first["type"], first["key"], first["shares"], first["price"]) == ("A", key_of(v, 1), 300, 1_000_000)
    assert (first["symbol"], first["side"], first["order_state"]) == (SYMBOL, "B", "L")
    assert (first["order_reference"], second["order_reference"], second["side"]) == (1, 2, "T")
    assert 0 < first["timestamp"] < 86400 * 10**9
    sent = _core.ouch_decode(enter(v, 1, quantity=300), True, v)
    answered = _core.ouch_decode(rig.accounts["A"].journal.get(1), False, v)
    for name in set(sent) & set(answered) - {"type"}:
        assert answered[name] == sent[name], name
    assert (rig.entry.counters.orders, rig.entry.counters.accepted) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "X"}, (0x0009, "O")),
        ({"quantity": 0}, (0x0013, "Z")),
        ({"quantity": 1_000_000}, (0x0013, "Z")),
        ({"symbol": ""}, (0x0017, "S")),
        ({"price": 0}, (0x001D, "X")),
        ({"price": 2_000_000_000}, (0x001D, "X")),
        ({"cross_type": "S"}, (0x0014, "R")),
    ],
)
def test_impossible_orders_are_rejected_with_the_versions_reason(rig, changes, code):
    v = rig.version
    answers = rig.send("A", enter(v, 3, **changes), enter(v, 3))
    # The number of a rejected order is used up: the second is a repetition.
    assert brief(answers, "reason") == [("J", key_of(v, 3), code[VERSIONS.index(v)])]
    assert (rig.entry.counters.rejected, rig.entry.counters.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("version", "changes", "code"),
    [
        ("5.0", {"time_in_force": "1"}, 0x000F),
        ("5.0", {"appendage": _core.ouch_appendage_encode({"min_qty": 100})}, 0x000D),
        ("5.0", {"appendage": _core.ouch_appendage_encode({"post_only": "P"})}, 0x000F),
        ("5.0", {"appendage": _core.ouch_appendage_encode({"price_type": "P"})}, 0x000F),
        ("5.0", {"appendage": b"\x09\x02"}, 0x000F),
        ("4.2", {"minimum_quantity": 100}, "N"),
        ("4.2", {"time_in_force": 100_000}, "O"),
    ],
)
def test_what_is_not_done_here_is_rejected_not_passed_over(version, changes, code):
    rig = Rig(version)
    assert brief(rig.send("A", enter(version, 1, **changes)), "reason") == [("J", key_of(version, 1), code)]


def test_numbers_are_used_once_a_day_whatever_the_connection(rig):
    v = rig.version
    assert [a["type"] for a in rig.send("A", enter(v, 5))] == ["A"]
    assert rig.send("A", enter(v, 5)) == []  # as from another connection: nothing is kept in the session
    assert [a["type"] for a in rig.send("B", enter(v, 5))] == ["A"]
    lower = rig.send("A", enter(v, 4))
    assert [a["type"] for a in lower] == ([] if v == "5.0" else ["A"])  # tokens need no order
    assert rig.entry.counters.duplicates == (2 if v == "5.0" else 1)


def test_account_query_tells_the_next_number():
    rig = Rig("5.0")
    query = _core.ouch_encode({"type": "Q"}, True)
    assert rig.send("A", query)[0]["next_user_ref_num"] == 1
    assert rig.send("A", enter("5.0", 41), query)[1]["next_user_ref_num"] == 42


def test_an_order_takes_what_is_displayed_within_its_limit_and_no_share_twice(rig):
    v = rig.version
    rig.offer(1, "S", 100, 1_000_000)
    rig.offer(2, "S", 200, 1_000_100)
    rig.offer(3, "S", 500, 1_000_300)
    a = rig.send("A", enter(v, 1, quantity=350, price=1_000_200, immediate=True))
    key = key_of(v, 1)
    assert brief(a, "shares", "price", "flag", "reason") == [
        ("A", key, 350, 1_000_200, None, None),
        ("E", key, 100, 1_000_000, "R", None),
        ("E", key, 200, 1_000_100, "R", None),
        ("C", key, 50, None, None, "I"),
    ]
    assert a[1]["match"] != a[2]["match"]
    b = rig.send("B", enter(v, 1, quantity=10, price=1_000_200, immediate=True))
    assert brief(b, "shares", "reason")[1:] == [("C", key, 10, "I")]
    rig.offer(4, "S", 30, 1_000_100)  # only what is new
    b = rig.send("B", enter(v, 2, quantity=100, price=1_000_200, immediate=True))
    assert brief(b, "shares", "price")[1:] == [("E", key_of(v, 2), 30, 1_000_100), ("C", key_of(v, 2), 70, None)]


def test_a_resting_order_waits_for_those_ahead_of_it(rig):
    v = rig.version
    rig.offer(1, "B", 100, 999_900)
    rig.send("A", enter(v, 1, quantity=60, price=999_900))
    rig.offer(2, "B", 500, 999_900)  # comes behind it
    rig.feed("E", order_reference=1, executed_shares=100)
    assert rig.said("A") == []
    rig.feed("E", order_reference=2, executed_shares=50)
    rig.feed("E", order_reference=2, executed_shares=50)
    key = key_of(v, 1)
    assert brief(rig.said("A"), "shares", "price", "flag") == [
        ("E", key, 50, 999_900, "A"),
        ("E", key, 10, 999_900, "A"),
    ]


def test_the_other_side_comes_to_a_resting_order(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=60, price=1_000_000))
    rig.offer(1, "S", 100, 999_800)
    assert brief(rig.said("A"), "shares", "price", "flag") == [("E", key_of(v, 1), 60, 1_000_000, "A")]
    left = rig.send("B", enter(v, 1, quantity=100, price=999_800, immediate=True))
    assert brief(left, "shares")[1:] == [("E", key_of(v, 1), 40), ("C", key_of(v, 1), 60)]


def test_two_accounts_trade_with_one_match_number(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=100, price=1_000_000, symbol="NOFEED"))
    taker = rig.send("B", enter(v, 9, side="S", quantity=30, price=990_000, symbol="NOFEED"))
    maker = rig.said("A")
    assert brief(taker, "shares", "price", "flag")[1:] == [("E", key_of(v, 9), 30, 1_000_000, "R")]
    assert brief(maker, "shares", "price", "flag") == [("E", key_of(v, 1), 30, 1_000_000, "A")]
    assert taker[1]["match"] == maker[0]["match"]


def test_an_account_does_not_trade_with_itself(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=100, symbol="NOFEED"))
    answers = rig.send("A", enter(v, 2, side="S", quantity=30, symbol="NOFEED"))
    assert brief(answers, "shares", "reason")[1:] == [("C", key_of(v, 2), 30, "Q")]
    assert rig.said("A") == [] and rig.entry.counters.executions == 0


def test_cancel_in_part_and_whole(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=100, symbol="NOFEED"))
    rig.send("B", enter(v, 1, side="S", quantity=30, symbol="NOFEED"))
    rig.said("A")
    key = key_of(v, 1)
    assert brief(rig.send("A", about(v, "X", 1, 50)), "shares", "reason") == [("C", key, 50, "U")]  # 30 of 50 are done
    assert rig.send("A", about(v, "X", 1, 50)) == [] == rig.send("A", about(v, "X", 2, 0))
    assert brief(rig.send("A", about(v, "X", 1, 0)), "shares") == [("C", key, 20)]
    assert rig.send("A", about(v, "X", 1, 0)) == []
    assert rig.entry.counters.ignored == 3
    assert rig.send("B", enter(v, 2, side="S", quantity=30, symbol="NOFEED", immediate=True))[1]["type"] == "C"


def test_replace_counts_what_the_chain_has_executed(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=100, symbol="NOFEED"))
    rig.send("B", enter(v, 1, side="S", quantity=30, symbol="NOFEED"))
    rig.said("A")
    (replaced,) = rig.send("A", replace(v, 1, 2, 90, 1_000_500))
    assert (replaced["type"], replaced["key"], replaced["original"]) == ("U", key_of(v, 2), key_of(v, 1))
    assert (replaced["shares"], replaced["price"], replaced["side"], replaced["symbol"]) == (
        60,
        1_000_500,
        "B",
        "NOFEED",
    )
    assert replaced["order_reference"] == 3 and rig.entry.counters.replaced == 1
    taken = rig.send("B", enter(v, 2, side="S", quantity=999, price=1_000_500, symbol="NOFEED", immediate=True))
    assert brief(taken, "shares", "price")[1] == ("E", key_of(v, 2), 60, 1_000_500)


def test_replace_of_what_is_not_open_or_with_a_used_number_is_ignored(rig):
    v = rig.version
    rig.send("A", enter(v, 1))
    assert rig.send("A", replace(v, 7, 8, 100, 1_000_000)) == []
    assert rig.send("A", replace(v, 1, 1, 100, 1_000_000)) == []
    assert [a["type"] for a in rig.send("A", enter(v, 8))] == ["A"]  # 8 is still free


def test_replace_with_something_wrong_cancels_and_leaves_its_number_free(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=100))
    assert brief(rig.send("A", replace(v, 1, 2, 100, 0)), "shares", "reason") == [("C", key_of(v, 1), 100, "U")]
    assert [a["type"] for a in rig.send("A", enter(v, 2))] == ["A"]


def test_replace_into_a_trade(rig):
    v = rig.version
    rig.offer(1, "S", 40, 1_000_000)
    rig.send("A", enter(v, 1, quantity=100, price=990_000))
    answers = rig.send("A", replace(v, 1, 2, 100, 1_000_000, immediate=True))
    assert brief(answers, "shares") == [("U", key_of(v, 2), 100), ("E", key_of(v, 2), 40), ("C", key_of(v, 2), 60)]


def test_modify_reduces_and_changes_the_kind_of_a_sale_only(rig):
    v = rig.version
    rig.send("A", enter(v, 1, side="S", quantity=100))
    assert rig.send("A", about(v, "M", 1, 80, side="B")) == []
    (modified,) = rig.send("A", about(v, "M", 1, 80, side="T"))
    assert (modified["type"], modified["key"], modified["shares"], modified["side"]) == ("M", key_of(v, 1), 80, "T")
    assert brief(rig.send("A", about(v, "X", 1)), "shares") == [("C", key_of(v, 1), 80)]


def test_mass_cancel_of_a_symbol_and_of_all():
    rig = Rig("5.0")
    rig.send("A", enter("5.0", 1), enter("5.0", 2, symbol="OTHER"), enter("5.0", 3))
    mass = {"type": "C", "firm": "TICK"}
    answers = rig.send("A", _core.ouch_encode({**mass, "user_ref_num": 4, "symbol": SYMBOL}, True))
    assert brief(answers) == [("X", 4), ("C", 1), ("C", 3)] and answers[0]["symbol"] == SYMBOL
    assert rig.send("A", _core.ouch_encode({**mass, "user_ref_num": 4}, True)) == []
    assert brief(rig.send("A", _core.ouch_encode({**mass, "user_ref_num": 5}, True))) == [("X", 5), ("C", 2)]


def test_market_orders_take_any_price_and_never_rest(rig):
    v, market = rig.version, 0x7FFFFFFF
    rig.offer(1, "S", 10, 1_500_000_000)
    rig.offer(2, "B", 10, 100)
    bought = rig.send("A", enter(v, 1, quantity=15, price=market))
    sold = rig.send("A", enter(v, 2, side="S", quantity=15, price=market))
    assert brief(bought, "shares", "price")[1:] == [
        ("E", key_of(v, 1), 10, 1_500_000_000),
        ("C", key_of(v, 1), 5, None),
    ]
    assert brief(sold, "shares", "price")[1:] == [("E", key_of(v, 2), 10, 100), ("C", key_of(v, 2), 5, None)]


def test_halted_instruments_take_no_orders_and_keep_those_they_have(rig):
    v = rig.version
    rig.feed("R", stock=SYMBOL)
    rig.send("A", enter(v, 1, quantity=50, price=1_000_000))
    rig.feed("H", stock=SYMBOL, trading_state="H")
    code = (0x0007, "H")[VERSIONS.index(v)]
    assert brief(rig.send("A", enter(v, 2)), "reason") == [("J", key_of(v, 2), code)]
    assert brief(rig.send("A", replace(v, 1, 3, 50, 990_000)), "reason") == [("J", key_of(v, 3), code)]
    rig.offer(1, "S", 20, 999_900)
    assert rig.said("A") == []
    rig.feed("H", stock=SYMBOL, trading_state="Q")
    immediate = rig.send("A", enter(v, 4, immediate=True))
    assert brief(immediate, "reason")[1:] == [("C", key_of(v, 4), "I")]
    rig.feed("H", stock=SYMBOL, trading_state="T")
    assert brief(rig.said("A"), "shares", "price") == [("E", key_of(v, 1), 20, 999_900)]


def test_a_broken_trade_is_told_to_both_sides_once(rig):
    v = rig.version
    rig.send("A", enter(v, 1, symbol="NOFEED"))
    match = rig.send("B", enter(v, 2, side="S", symbol="NOFEED"))[1]["match"]
    rig.said("A")
    assert sorted(rig.entry.break_trade(match, "E")) == ["A", "B"]
    for account, n in (("A", 1), ("B", 2)):
        assert brief(rig.said(account), "match", "reason") == [("B", key_of(v, n), match, "E")]
    with pytest.raises(TickwireError, match=f"match_number: {match} is no trade here"):
        rig.entry.break_trade(match)


def test_the_end_of_the_feed_session_cancels_what_rests(rig):
    v = rig.version
    rig.send("A", enter(v, 1, quantity=70))
    rig.entry.matcher.restart(rig.book)
    assert brief(rig.said("A"), "shares", "reason") == [("C", key_of(v, 1), 70, "T")]
    assert rig.send("A", about(v, "X", 1)) == [] and rig.entry.traders["A"].orders == {}


def test_without_matching_orders_are_accepted_and_that_is_all(rig):
    v = rig.version
    rig = Rig(v, matching=False)
    answers = rig.send("A", enter(v, 1, immediate=True), about(v, "X", 1), enter(v, 1), enter(v, 2, price=0))
    assert brief(answers) == [("A", key_of(v, 1)), ("J", key_of(v, 2))]
    assert rig.entry.counters.ignored == 1 and rig.entry.traders["A"].orders == {}


def test_the_drop_copy_has_every_message_both_ways(rig):
    v = rig.version
    rig.offer(1, "S", 40, 1_000_000)
    rig.send("A", enter(v, 1, quantity=100, immediate=True))
    assert [(who, way, message["type"]) for who, way, message in rig.copied] == [
        ("A", "in", "O"),
        ("A", "out", "A"),
        ("A", "out", "E"),
        ("A", "out", "C"),
    ]


def test_what_is_no_ouch_ends_the_session(rig):
    session = SimpleNamespace(account=rig.accounts["A"])
    for message in (b"", b"!", b"O", enter(rig.version, 1)[:-1], b"Oxxx"):
        with pytest.raises(ProtocolError):
            rig.entry(session, message)
    assert rig.entry.counters.orders == 0


@given(
    st.sampled_from(VERSIONS), st.lists(st.binary(max_size=60) | st.sampled_from([b"\1"] * 2), max_size=5), st.data()
)
def test_no_bytes_do_more_than_close_the_session(version, payloads, data):
    """Valid requests with damaged bytes, and plain garbage."""
    rig = Rig(version)
    account = rig.accounts["A"]
    server, client = socket.socketpair()
    session = Session(server, "test", {"A": account}, "LAB0000001", rig.entry, 1.0, 0.0)
    valid = [
        enter(version, 1),
        replace(version, 1, 2, 100, 1),
        about(version, "X", 2, 1),
        about(version, "M", 1, side="B"),
    ]
    for n in range(data.draw(st.integers(0, 4))):
        message = bytearray(valid[n])
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
        payloads.append(bytes(message))
    try:
        client.send(packet(b"L", f"{'A':<6}{'secret':<10}{'':<10}{'1':>20}".encode()))
        session.readable(0.0)
        for payload in payloads:
            client.send(packet(b"U", payload))
            session.readable(0.0)
    except SessionClosed as reason:
        assert str(reason)
    finally:
        session.close()
        client.close()
