# SPDX-License-Identifier: Apache-2.0
"""Orders for crosses, and order entry that is disabled for a firm."""

from __future__ import annotations

import pytest
from exchange_clients import VERSIONS, about, enter, key_of, replace
from exchange_rig import SYMBOL, Rig, brief
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core


@pytest.fixture(params=VERSIONS)
def rig(request):
    return Rig(request.param)


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
