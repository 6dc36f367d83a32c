# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from typing import Any

import pytest
from core_messages import RITCH, SYNTHETIC, add, itch_file, message
from core_reference_book import ReferenceBook
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire import _core


def books_of(book: _core.Book, locates: range) -> dict[int, Any]:
    both = {locate: (book.depth(locate, "B", 10**6), book.depth(locate, "S", 10**6)) for locate in locates}
    return {locate: sides for locate, sides in both.items() if sides != ([], [])}


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """Valid histories: every event is about a live order and takes off no more than it has."""
    live: dict[int, int] = {}
    history: list[bytes] = []
    prices = st.integers(1, 40).map(lambda tick: tick * 100)  # few prices, so that levels are shared
    for reference in range(1, draw(st.integers(1, 120))):
        kind = draw(st.sampled_from("AAAFECXDU")) if live else "A"
        shares = draw(st.integers(1, 500))
        if kind in "AF":
            fields = {"side": draw(st.sampled_from("BS")), "shares": shares, "stock": "X", "price": draw(prices)}
            history.append(message(kind, draw(st.integers(0, 3)), order_reference=reference, **fields))
            live[reference] = shares
            continue
        old = draw(st.sampled_from(sorted(live)))
        shares = min(shares, live[old])
        if kind in "EC":
            history.append(message(kind, order_reference=old, executed_shares=shares))
        elif kind == "X":
            history.append(message("X", order_reference=old, cancelled_shares=shares))
        elif kind == "D":
            history.append(message("D", order_reference=old))
        else:
            new = {"original_reference": old, "new_reference": reference, "shares": shares, "price": draw(prices)}
            history.append(message("U", **new))
            live[reference] = shares
        live[old] -= shares
        if kind in "DU" or live[old] == 0:
            del live[old]
    return history


@settings(max_examples=200)
@given(histories())
def test_a_valid_history_gives_the_books_of_the_reference(history: list[bytes]) -> None:
    book, reference = _core.Book(4096, 8), ReferenceBook()
    for body in history:
        book.apply(body)
        reference.apply(_core.itch_decode(body))
        locate = _core.itch_decode(body)["stock_locate"]
        bids, asks = reference.books().get(locate, ([], []))
        assert book.top(locate) == (*(bids[0][:2] if bids else (0, 0)), *(asks[0][:2] if asks else (0, 0)))
    assert books_of(book, range(8)) == reference.books()
    stats = book.stats()
    assert stats.pop("live_orders") == len(reference.orders)
    assert set(stats.values()) == {0} and reference.errors == 0


@pytest.mark.parametrize(("name", "instruments"), [(RITCH, 4), (SYNTHETIC, 501)])
def test_a_whole_file_gives_the_books_of_the_reference(name: str, instruments: int) -> None:
    book, reference = _core.Book(100_000, instruments), ReferenceBook()
    for number, body in enumerate(itch_file(name)[2]):
        book.apply(body)
        reference.apply(_core.itch_decode(body))
        if number % 10_000 == 0:
            assert books_of(book, range(instruments)) == reference.books()
    assert books_of(book, range(instruments)) == reference.books()
    stats = book.stats()
    assert stats.pop("live_orders") == len(reference.orders)
    assert sum(stats.values()) == reference.errors


def test_deep_books_of_one_side_grow_and_shrink() -> None:
    """2,000 levels inserted in random order, then taken off in another: array growth and binary search."""
    chance = random.Random(5)
    prices = [100 * tick for tick in range(1, 2001)]
    book, reference = _core.Book(4096, 2), ReferenceBook()
    orders = list(enumerate(chance.sample(prices, len(prices)), 1))
    for side, first in (("B", 0), ("S", 2000)):
        for number, price in orders:
            book.apply(add(first + number, side, number, price))
            reference.apply(_core.itch_decode(add(first + number, side, number, price)))
    assert books_of(book, range(2)) == reference.books()
    for number in chance.sample(range(1, 4001), 3000):
        book.apply(message("D", order_reference=number))
        reference.apply({"type": "D", "order_reference": number})
    assert books_of(book, range(2)) == reference.books()
    assert book.stats()["live_orders"] == 1000


def test_partial_execution_and_cancel_leave_the_rest() -> None:
    book = _core.Book()
    book.apply(add(1, "B", 300, 10000))
    book.apply(add(2, "B", 50, 10000))
    book.apply(message("E", order_reference=1, executed_shares=100))
    assert book.depth(1, "B", 9) == [(10000, 250, 2)]
    book.apply(message("C", order_reference=1, executed_shares=100, execution_price=9990))
    assert book.depth(1, "B", 9) == [(10000, 150, 2)]
    book.apply(message("X", order_reference=1, cancelled_shares=100))
    assert book.depth(1, "B", 9) == [(10000, 50, 1)]
    book.apply(message("U", original_reference=2, new_reference=3, shares=70, price=9900))
    assert book.top(1) == (9900, 70, 0, 0)


def test_messages_about_unknown_orders_are_counted_and_change_nothing() -> None:
    book = _core.Book()
    book.apply(add(1, "S", 100, 10000))
    before = book.depth(1, "S", 9)
    book.apply(message("E", order_reference=2, executed_shares=1))
    book.apply(message("D", order_reference=2))
    book.apply(message("X", order_reference=2, cancelled_shares=1))
    book.apply(message("U", original_reference=2, new_reference=3, shares=1, price=1))
    book.apply(add(1, "B", 5, 9000))  # the reference is taken
    book.apply(add(9, "B", 0, 9000))
    assert book.depth(1, "S", 9) == before and book.depth(1, "B", 9) == []
    stats = book.stats()
    assert (stats["unknown_orders"], stats["duplicate_orders"], stats["bad_quantities"]) == (4, 1, 1)


def test_taking_more_than_there_is_removes_the_order_and_is_counted() -> None:
    book = _core.Book()
    book.apply(add(1, "S", 100, 10000))
    book.apply(message("E", order_reference=1, executed_shares=101))
    assert book.top(1) == (0, 0, 0, 0)
    assert book.stats()["bad_quantities"] == 1 and book.stats()["live_orders"] == 0


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    book = _core.Book(max_orders=3, max_instruments=2)
    for reference in range(1, 6):
        book.apply(add(reference, "B", 100, 1000 * reference))
    assert [level[0] for level in book.depth(1, "B", 9)] == [3000, 2000, 1000]
    book.apply(add(7, "B", 1, 1, locate=2))
    stats = book.stats()
    assert (stats["live_orders"], stats["overflow_orders"], stats["overflow_instruments"]) == (3, 2, 1)
    book.apply(message("D", order_reference=2))
    book.apply(add(8, "B", 100, 8000))
    assert book.top(1) == (8000, 100, 0, 0)


def second_home(reference: int) -> int:
    """Where the second table of 64 slots looks first: multiplied by 2^64 over the golden ratio, top six bits."""
    return (reference * 0x9E3779B97F4A7C15 % 2**64) >> 58


WINDOW = 1 << 17  # slots of the smallest window
CLASHING = [slot + turn * WINDOW for turn in range(700) for slot in (0, 1, WINDOW - 1)]
COLLIDING = [reference for reference in CLASHING if second_home(reference) in (0, 1, 2, 62, 63)][:40]


@given(st.lists(st.sampled_from(COLLIDING), max_size=200))
def test_the_order_table_forgets_nothing(toggles: list[int]) -> None:
    """References that want the same slots of both tables, around the end of the second, come and go in any order."""
    book, live = _core.Book(32, 1), set[int]()
    for reference in toggles:
        if reference in live:
            book.apply(message("D", 0, order_reference=reference))
            live.remove(reference)
        elif len(live) < 32:
            book.apply(add(reference, "B", 1, reference % 2**32, locate=0))
            live.add(reference)
    assert [level[0] for level in book.depth(0, "B", 99)] == sorted((r % 2**32 for r in live), reverse=True)
    assert [book.order(reference) for reference in COLLIDING] == [
        (0, "B", reference % 2**32, 1) if reference in live else None for reference in COLLIDING
    ]
    assert book.stats()["unknown_orders"] == 0 and book.stats()["live_orders"] == len(live)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (1, 65537), (1 << 29, 1)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="Book: max_orders"):
        _core.Book(*sizes)


def test_wrong_calls_are_refused() -> None:
    book = _core.Book(16, 4)
    with pytest.raises(ValueError, match="no ITCH 5.0 message"):
        book.apply(b"A" * 35)
    with pytest.raises(ValueError, match="stock locate 4"):
        book.top(4)
    with pytest.raises(ValueError, match="side"):
        book.depth(1, "X", 1)
    with pytest.raises(ValueError, match="stock locate 4"):
        book.status(4)
    with pytest.raises(OverflowError):
        book.order(2**64)


def test_a_range_of_a_file_is_applied_as_its_messages_are() -> None:
    data, index, messages = itch_file(SYNTHETIC)
    whole, parts = _core.Book(100_000, 501), _core.Book(100_000, 501)
    for body in messages[:30_000]:
        whole.apply(body)
    assert sum(parts.apply_range(data, index, first, 1000) for first in range(0, 30_000, 1000)) == 30_000
    assert parts.apply_range(data, index, len(messages), 0) == 0
    assert books_of(parts, range(501)) == books_of(whole, range(501))
    assert parts.stats() == whole.stats()


def test_a_range_skips_what_is_no_message_and_refuses_what_is_not_there() -> None:
    frames = [add(1, "B", 100, 10000), b"z" * 9, b"D" * 20, add(2, "B", 100, 9000)]
    data = b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)
    index, _ = _core.itch_frame_index(data)
    book = _core.Book(16, 4)
    assert book.apply_range(data, index, 0, 4) == 2
    assert book.stats()["live_orders"] == 2
    for first, count in ((-1, 1), (0, 5), (5, 0), (0, -1), (3, 2**62)):
        with pytest.raises(ValueError, match="of an index of 4"):
            book.apply_range(data, index, first, count)
    with pytest.raises(ValueError, match="is not inside the 30 bytes of data"):
        book.apply_range(data[:30], index, 0, 2)


def test_orders_status_and_trades_can_be_asked_for() -> None:
    book = _core.Book(16, 4)
    assert book.status(1) == {
        "stock": "",
        "trading_state": "T",
        "lower_band": 0,
        "upper_band": 0,
        "system_event": "",
    }
    book.apply(message("S", 0, event_code="Q"))
    book.apply(message("H", 1, stock="TICK", trading_state="P"))
    collar = {"reference_price": 100000, "upper_price": 110000, "lower_price": 90000}
    book.apply(message("J", 1, stock="TICK", **collar))
    assert book.status(1) == {
        "stock": "TICK",
        "trading_state": "P",
        "lower_band": 90000,
        "upper_band": 110000,
        "system_event": "Q",
    }
    book.apply(add(2**40 + 5, "S", 300, 10000, locate=3))
    book.apply(message("X", 3, order_reference=2**40 + 5, cancelled_shares=100))
    assert book.order(2**40 + 5) == (3, "S", 10000, 200) and book.order(5) is None
    for type_ in "PPPQBB":
        book.apply(message(type_))
    assert book.trades() == {"hidden": 3, "crosses": 1, "broken": 2}
