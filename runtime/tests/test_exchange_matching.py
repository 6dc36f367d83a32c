# SPDX-License-Identifier: Apache-2.0
"""The matcher against a slow exchange that knows every share, on random feeds and orders; then the rules by example."""

from __future__ import annotations

from typing import Any

from exchange_reference import BUY, SELL, Own, SlowExchange
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire import _core
from tickwire.exchange.matching import Matcher
from tickwire.exchange.resting import Order

LOCATE, SYMBOL = 7, "TAAAA"
ACCOUNTS = ("ONE", "TWO", "THREE")


class Pair:
    """The matcher and the slow exchange, given the same; each step must be told the same way."""

    def __init__(self, named_first: bool) -> None:
        self.matcher = Matcher(_core.Book(max_orders=1024, max_instruments=16), self)
        self.slow = SlowExchange()
        self.told: dict[tuple[Any, ...], int] = {}
        self.orders: dict[int, tuple[Order, Own]] = {}
        self.references = 0
        self.named = False
        self.bought = self.sold = 0  # by clients, from and to the feed
        if named_first:
            self.feed("R", stock=SYMBOL)

    # the matcher's report
    def executed(self, order: Order, shares: int, price: int, flag: str, match_number: int) -> None:
        assert shares > 0 and order.open >= 0
        self.say(("E", order.owner, order.key, price, flag), shares)

    def canceled(self, order: Order, shares: int, reason: str) -> None:
        self.say(("C", order.owner, order.key, 0, reason), shares)

    def say(self, key: tuple[Any, ...], shares: int) -> None:
        self.told[key] = self.told.get(key, 0) + shares

    # steps
    def check(self) -> None:
        assert list(self.told.items()) == list(self.slow.said.items())
        self.told, self.slow.said = {}, {}
        open_orders = {own.key: own.open for own in self.slow.own}
        assert {key: order.open for key, (order, _) in self.orders.items() if order.open} == open_orders
        instrument = self.matcher.instruments.get(SYMBOL)
        if instrument is not None:
            for side in (BUY, SELL):
                taken = {price: n for (of, price), n in self.slow.taken.items() if n and of == side}
                assert instrument.taken[side] == taken
            watched = bool(self.matcher.watch[LOCATE // 8] >> LOCATE % 8 & 1)
            assert watched == (instrument.watched or not self.named)

    def feed(self, kind: str, **fields: Any) -> None:
        self.named = self.named or kind in "RHAFP"
        message = _core.itch_encode({"type": kind, "stock_locate": LOCATE, **fields})
        if self.matcher.watch[LOCATE // 8] >> LOCATE % 8 & 1 or kind in "RH":
            self.matcher.message(message)
        else:  # as the follower does
            self.matcher.book.apply(message)
            self.matcher.applied += 1

    def enter(self, account: int, side: int, price: int, shares: int, immediate: bool) -> None:
        self.references += 1
        key = self.references
        order = Order(ACCOUNTS[account], key, SYMBOL, side, price, shares, reference=key)
        own = Own(ACCOUNTS[account], key, side, price, shares)
        self.orders[key] = order, own
        self.matcher.enter(order, immediate)
        self.slow.enter(own, immediate)

    def cancel(self, pick: int, shares: int) -> None:
        alive = [pair for pair in self.orders.values() if pair[0].open]
        if alive:
            order, own = alive[pick % len(alive)]
            shares = min(shares, order.open)
            self.matcher.reduce(order, shares, "U")
            self.slow.cancel(own, shares, "U")

    # the feed's steps: a valid history that never crosses itself
    def add(self, side: int, price: int, shares: int, kind: str = "A") -> None:
        price = self._uncrossed(side, price)
        self.references += 1
        letter = "BS"[side]
        self.feed(kind, order_reference=self.references, side=letter, price=price, shares=shares, stock=SYMBOL)
        self.slow.add(self.references, side, price, shares)

    def _uncrossed(self, side: int, price: int) -> int:
        far = [order.price for order in self.slow.feed.values() if order.side != side]
        if far and side == BUY:
            return min(price, min(far) - 1)
        return max(price, max(far) + 1) if far else price

    def execute(self, side: int, shares: int, kind: str) -> None:
        best = [order for order in self.slow.feed.values() if order.side == side]
        if best:
            price = max(o.price for o in best) if side == BUY else min(o.price for o in best)
            reference = next(r for r, o in self.slow.feed.items() if (o.side, o.price) == (side, price))
            shares = min(shares, self.slow.feed[reference].shares)
            self.feed(kind, order_reference=reference, executed_shares=shares)
            self.slow.executed(reference, shares)

    def _pick(self, pick: int) -> int | None:
        return list(self.slow.feed)[pick % len(self.slow.feed)] if self.slow.feed else None

    def shrink(self, pick: int, shares: int) -> None:
        if (reference := self._pick(pick)) is not None and self.slow.feed[reference].shares > shares:
            self.feed("X", order_reference=reference, cancelled_shares=shares)
            self.slow.shrink(reference, shares)

    def delete(self, pick: int) -> None:
        if (reference := self._pick(pick)) is not None:
            self.feed("D", order_reference=reference)
            self.slow.shrink(reference, self.slow.feed[reference].shares)

    def replace(self, pick: int, price: int, shares: int) -> None:
        if (reference := self._pick(pick)) is not None:
            order = self.slow.feed[reference]
            price = self._uncrossed(order.side, price)
            self.references += 1
            new = self.references
            self.feed("U", original_reference=reference, new_reference=new, price=price, shares=shares)
            self.slow.shrink(reference, order.shares)
            self.slow.add(new, order.side, price, shares)

    def hidden(self, price: int, shares: int) -> None:
        self.feed("P", side="B", price=price, shares=shares, stock=SYMBOL)
        self.slow.hidden_trade(price, shares)

    def state(self, letter: str) -> None:
        self.feed("H", stock=SYMBOL, trading_state=letter)
        self.slow.state(letter)


side, price, shares = st.integers(0, 1), st.integers(95, 105), st.integers(1, 9)
pick = st.integers(0, 1 << 16)
STEPS = st.one_of(
    st.tuples(st.just("add"), side, price, shares, st.sampled_from("AF")),
    st.tuples(st.just("add"), side, price, shares),
    st.tuples(st.just("enter"), st.integers(0, 2), side, price, shares, st.booleans()),
    st.tuples(st.just("enter"), st.integers(0, 2), side, price, shares, st.just(False)),
    st.tuples(st.just("execute"), side, shares, st.sampled_from("EC")),
    st.tuples(st.just("cancel"), pick, shares),
    st.tuples(st.just("shrink"), pick, shares),
    st.tuples(st.just("delete"), pick),
    st.tuples(st.just("replace"), pick, price, shares),
    st.tuples(st.just("hidden"), price, shares),
    st.tuples(st.just("state"), st.sampled_from("TTHQP")),
)


@settings(max_examples=250)
@given(st.booleans(), st.lists(STEPS, max_size=60))
def test_every_step_is_as_the_slow_exchange_has_it(named_first: bool, steps: list[tuple[Any, ...]]) -> None:
    pair = Pair(named_first)
    for name, *arguments in steps:
        getattr(pair, name)(*arguments)
        pair.check()
