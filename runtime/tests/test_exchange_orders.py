# SPDX-License-Identifier: Apache-2.0
"""Order entry in both versions of OUCH: what is answered, in what order, with which codes."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from exchange_clients import VERSIONS, about, enter, key_of, plain, replace
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core
from tickwire.errors import TickwireError
from tickwire.exchange.matching import Matcher
from tickwire.exchange.ouch import OrderEntry
from tickwire.exchange.soupbin import Account, ProtocolError, Session, SessionClosed, packet

LOCATE, SYMBOL = 3, "TAAAA"


class Rig:
    """Order entry with a matcher, accounts A and B of one version, and a small feed."""

    def __init__(self, version: str, matching: bool = True) -> None:
        self.version = version
        self.copied: list[tuple[str, str, dict[str, Any]]] = []
        self.entry = OrderEntry(copy=lambda account, way, message: self.copied.append((account.username, way, message)))
        self.book = _core.Book(max_orders=1024, max_instruments=16)
        if matching:
            self.entry.matcher = Matcher(self.book, self.entry)
        self.accounts = {name: Account(name, "secret", version=version) for name in "AB"}
        self.read = {name: 0 for name in "AB"}

    def send(self, account: str, *messages: bytes) -> list[dict[str, Any]]:
        for message in messages:
            self.entry(SimpleNamespace(account=self.accounts[account]), message)  # type: ignore[arg-type]
        return self.said(account)

    def said(self, account: str) -> list[dict[str, Any]]:
        """What an account was told since the last look."""
        journal = self.accounts[account].journal
        fresh, self.read[account] = journal.messages[self.read[account] :], len(journal.messages)
        return [plain(self.version, message) for message in fresh]

    def feed(self, kind: str, **fields: Any) -> None:
        assert self.entry.matcher is not None
        self.entry.matcher.message(_core.itch_encode({"type": kind, "stock_locate": LOCATE, **fields}))

    def offer(self, reference: int, side: str, shares: int, price: int) -> None:
        """An order of the feed."""
        self.feed("A", order_reference=reference, side=side, shares=shares, price=price, stock=SYMBOL)


@pytest.fixture(params=VERSIONS)
def rig(request):
    return Rig(request.param)


def brief(answers: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(answer.get(name) for name in ("type", "key", *names)) for answer in answers]


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


def cross(rig: Rig, cross_type: str, shares: int, price: int) -> None:
    rig.feed("Q", stock=SYMBOL, cross_type=cross_type, shares=shares, cross_price=price)


def test_orders_for_a_cross_wait_for_it_and_get_its_price(rig):
    v, market = rig.version, 0x7FFFFFFF
    rig.feed("R", stock=SYMBOL)
    rig.offer(1, "S", 500, 900_000)
    accepted = rig.send(
        "A",
        enter(v, 1, cross_type="O", price=1_000_000, quantity=60),
        enter(v, 2, cross_type="O", price=market, quantity=50, immediate=True),
        enter(v, 3, cross_type="O", price=989_900, quantity=10),
        enter(v, 4, cross_type="C", price=1_000_000, quantity=10),
        enter(v, 5, cross_type="O", price=1_000_000, quantity=70),
    )
    assert brief(accepted, "cross_type", "order_state") == [
        ("A", key_of(v, n), c, "L") for n, c in enumerate("OOOCO", 1)
    ]
    rig.send("B", enter(v, 1, side="S", cross_type="O", price=990_000, quantity=25))
    rig.said("B")
    rig.feed("E", order_reference=1, executed_shares=100)  # the continuous market is none of their business
    rig.offer(2, "S", 100, 900_000)
    assert rig.said("A") == [] == rig.said("B")
    cross(rig, "O", 120, 990_000)
    # The market order first, then by time at one price; the third wanted it cheaper.
    assert brief(rig.said("A"), "shares", "price", "flag", "reason") == [
        ("E", key_of(v, 2), 50, 990_000, "O", None),
        ("E", key_of(v, 1), 60, 990_000, "O", None),
        ("E", key_of(v, 5), 10, 990_000, "O", None),
        ("C", key_of(v, 3), 10, None, None, "T"),
        ("C", key_of(v, 5), 60, None, None, "T"),
    ]
    assert brief(rig.said("B"), "shares", "price", "flag") == [("E", key_of(v, 1), 25, 990_000, "O")]
    assert set(rig.entry.traders["A"].orders) == {key_of(v, 4)}
    cross(rig, "C", 1000, 950_000)
    assert brief(rig.said("A"), "shares", "price", "flag") == [("E", key_of(v, 4), 10, 950_000, "C")]
    code = (0x0014, "R")[VERSIONS.index(v)]
    late = rig.send("A", enter(v, 6, cross_type="C"), enter(v, 7, cross_type="O"))
    assert brief(late, "reason") == [("J", key_of(v, 6), code), ("J", key_of(v, 7), code)]
    assert not rig.entry.matcher.instruments[SYMBOL].watched


def test_orders_for_a_cross_are_canceled_replaced_and_end_with_the_day(rig):
    v = rig.version
    rig.send("A", *(enter(v, n, cross_type="O", quantity=100) for n in (1, 2, 3)))
    assert brief(rig.send("A", about(v, "X", 1, 40)), "shares", "reason") == [("C", key_of(v, 1), 60, "U")]
    assert brief(rig.send("A", about(v, "X", 1)), "shares") == [("C", key_of(v, 1), 40)]
    (replaced,) = rig.send("A", replace(v, 2, 4, 80, 1_100_000))
    assert (replaced["type"], replaced["shares"], replaced["cross_type"]) == ("U", 80, "O")
    cross(rig, "O", 50, 1_050_000)  # more than the third would pay, and the feed had fewer shares than the fourth wants
    assert brief(rig.said("A"), "shares", "price", "reason") == [
        ("E", key_of(v, 4), 50, 1_050_000, None),
        ("C", key_of(v, 3), 100, None, "T"),
        ("C", key_of(v, 4), 30, None, "T"),
    ]
    rig.send("A", enter(v, 5, cross_type="C", quantity=70))
    rig.entry.matcher.restart(rig.book)
    assert brief(rig.said("A"), "shares", "reason") == [("C", key_of(v, 5), 70, "T")]
    assert rig.entry.traders["A"].orders == {}


def test_the_cross_that_ends_a_halt_takes_orders_during_it(rig):
    v = rig.version
    rig.feed("R", stock=SYMBOL)
    for n in (1, 3):
        rig.feed("H", stock=SYMBOL, trading_state="H")
        answers = rig.send("A", enter(v, n, cross_type="H", quantity=10), enter(v, n + 1, cross_type="C"))
        assert [answer["type"] for answer in answers] == ["A", "J"]
        cross(rig, "H", 100, 1_000_000)
        rig.feed("H", stock=SYMBOL, trading_state="T")
        assert brief(rig.said("A"), "shares", "flag") == [("E", key_of(v, n), 10, "H")]


LIMITS = st.integers(95, 105) | st.just(0x7FFFFFFF)


@given(
    st.sampled_from(VERSIONS),
    st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("BSTE"), LIMITS, st.integers(1, 9)), max_size=12),
    st.integers(95, 105),
    st.integers(0, 30),
)
def test_a_cross_is_fair(version, orders, price, shares):
    """Nobody beyond the limit, no side more than the feed's own, nobody before a better one, and nothing is left."""
    rig = Rig(version)
    for n, (account, side, limit, quantity) in enumerate(orders, 1):
        rig.send(account, enter(version, n, side=side, price=limit, quantity=quantity, cross_type="O"))
    rig.read = {name: len(account.journal.messages) for name, account in rig.accounts.items()}
    cross(rig, "O", shares, price)
    filled = dict.fromkeys(range(1, len(orders) + 1), 0)
    gone = dict(filled)
    for answer in rig.said("A") + rig.said("B"):
        n = next(n for n in filled if key_of(version, n) == answer["key"])
        gone[n] += answer["shares"]
        if answer["type"] == "E":
            assert answer["price"] == price and answer["flag"] == "O"
            filled[n] += answer["shares"]
    assert list(gone.values()) == [quantity for *_, quantity in orders]
    for buys in (True, False):
        side = [(n, limit, quantity) for n, (_, kind, limit, quantity) in enumerate(orders, 1) if (kind == "B") == buys]
        market = 0x7FFFFFFF
        able = [o for o in side if (o[1] >= price if buys else o[1] <= price or o[1] == market)]
        able.sort(key=lambda o: -o[1] if buys else (0 if o[1] == market else o[1]))
        left = shares
        for n, _, quantity in able:
            assert filled[n] == min(quantity, left)
            left -= filled[n]
        assert all(filled[n] == 0 for n, *_ in side if n not in [o[0] for o in able])


def test_order_entry_is_disabled_for_a_firm_and_enabled_again():
    rig = Rig("5.0")

    def firm(name: str) -> bytes:
        return _core.ouch_appendage_encode({"firm": name})

    def switch(kind: str, n: int, name: str) -> bytes:
        return _core.ouch_encode({"type": kind, "user_ref_num": n, "firm": name}, True)

    rig.send("A", enter("5.0", 1, appendage=firm("TICK"), symbol="NOFEED"))
    (disabled,) = rig.send("A", switch("D", 2, "TICK"))
    assert (disabled["type"], disabled["key"], disabled["firm"]) == ("G", 2, "TICK")
    assert rig.send("A", switch("D", 2, "OTHR")) == [], "a number that was used"
    answers = rig.send(
        "A", enter("5.0", 3, appendage=firm("TICK")), enter("5.0", 4, appendage=firm("OTHR")), enter("5.0", 5)
    )
    assert brief(answers, "reason") == [("J", 3, 0x000C), ("A", 4, None), ("A", 5, None)]
    assert [a["type"] for a in rig.send("B", enter("5.0", 1, appendage=firm("TICK")))] == ["A"], "another account"
    # What is open stays, and can be changed and canceled.
    assert [a["type"] for a in rig.send("A", replace("5.0", 1, 6, 50, 1_000_000), about("5.0", "X", 6))] == ["U", "C"]
    (enabled,) = rig.send("A", switch("E", 7, "TICK"))
    assert (enabled["type"], enabled["key"], enabled["firm"]) == ("K", 7, "TICK")
    assert [a["type"] for a in rig.send("A", enter("5.0", 8, appendage=firm("TICK")))] == ["A"]
    rig.send("A", switch("D", 9, ""))  # the account's own
    answers = rig.send("A", enter("5.0", 10), enter("5.0", 11, appendage=firm("TICK")))
    assert brief(answers, "reason") == [("J", 10, 0x000C), ("A", 11, None)]
    assert rig.entry.counters.ignored == 1


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
