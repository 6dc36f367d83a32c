# SPDX-License-Identifier: Apache-2.0
"""The exchange's matching rules once more, a share at a time and without any index, to compare the matcher with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BUY, SELL = 0, 1


@dataclass(eq=False)
class Displayed:
    """An order of the feed. `sold`: how many of its shares, from the front, our clients have taken."""

    side: int
    price: int
    shares: int
    sold: int = 0


@dataclass(eq=False)
class Own:
    """An order of a client."""

    account: str
    key: int
    side: int
    price: int
    open: int
    ahead: int = 0


def better(side: int, price: int, than: int) -> bool:
    return price > than if side == BUY else price < than


class SlowExchange:
    """One instrument. `said` collects (what, account, key, price, flag or reason) -> shares of the step at hand."""

    def __init__(self) -> None:
        self.feed: dict[int, Displayed] = {}  # by age
        self.own: list[Own] = []  # those that rest, by age
        self.taken: dict[tuple[int, int], int] = {}
        self.behind: dict[Own, set[int]] = {}  # references that joined an order's level after it
        self.trading = True
        self.said: dict[tuple[Any, ...], int] = {}

    def say(self, what: str, order: Own, price: int, flag: str, shares: int = 1) -> None:
        key = (what, order.account, order.key, price, flag)
        self.said[key] = self.said.get(key, 0) + shares

    def displayed(self, side: int, price: int) -> int:
        return sum(order.shares for order in self.feed.values() if (order.side, order.price) == (side, price))

    def available(self, side: int, price: int) -> int:
        return self.displayed(side, price) - self.taken.get((side, price), 0)

    def resting(self, side: int) -> list[Own]:
        """By price and age."""
        return sorted((o for o in self.own if o.side == side), key=lambda o: o.price if side == SELL else -o.price)

    def execute(self, order: Own, price: int, flag: str) -> None:
        assert order.open > 0
        assert not better(order.side, price, order.price), "an order is never executed beyond its limit"
        order.open -= 1
        self.say("E", order, price, flag)
        if not order.open and order in self.own:
            self.own.remove(order)

    def sell_displayed(self, side: int, price: int) -> None:
        """One share of the feed at this price goes to a client: the front one that was not sold before."""
        level = [order for order in self.feed.values() if (order.side, order.price) == (side, price)]
        first = next((order for order in level if order.sold < order.shares), None)
        assert first is not None, "a share of the feed is never sold twice"
        first.sold += 1
        self.taken[side, price] = self.taken.get((side, price), 0) + 1

    # --- clients
    def enter(self, order: Own, immediate: bool) -> None:
        if self.trading:
            self.match(order)
        if order.open and immediate:
            self.cancel(order, order.open, "I")
        elif order.open:
            order.ahead = max(0, self.available(order.side, order.price))
            self.own.append(order)
            self.behind[order] = set()

    def cancel(self, order: Own, shares: int, reason: str) -> None:
        order.open -= shares
        self.say("C", order, 0, reason, shares)
        if not order.open and order in self.own:
            self.own.remove(order)

    def match(self, order: Own) -> None:
        far = 1 - order.side
        while order.open:
            prices = {o.price for o in self.resting(far)}
            prices |= {o.price for o in self.feed.values() if o.side == far and self.available(far, o.price) > 0}
            prices = {price for price in prices if not better(order.side, price, order.price)}
            if not prices:
                return
            price = max(prices) if far == BUY else min(prices)
            queue = [o for o in self.resting(far) if o.price == price]
            if self.available(far, price) > 0 and (not queue or queue[0].ahead > 0):
                self.sell_displayed(far, price)
                for other in queue:
                    other.ahead = max(0, other.ahead - 1)
                self.execute(order, price, "R")
            elif queue[0].account == order.account:
                self.cancel(order, order.open, "Q")
            else:
                self.execute(order, price, "R")
                self.execute(queue[0], price, "A")

    # --- the feed
    def state(self, letter: str) -> None:
        resumed = letter == "T" and not self.trading
        self.trading = letter == "T"
        if resumed:
            waiting, self.own = self.own, []
            for order in waiting:
                self.match(order)
                if order.open:
                    self.own.append(order)

    def add(self, reference: int, side: int, price: int, shares: int) -> None:
        self.feed[reference] = Displayed(side, price, shares)
        for order in self.own:
            if (order.side, order.price) == (side, price):
                self.behind[order].add(reference)
        for _ in range(shares):
            queue = self.resting(1 - side)
            if not self.trading or not queue or better(side, queue[0].price, price):
                return
            self.sell_displayed(side, price)
            self.execute(queue[0], queue[0].price, "A")

    def executed(self, reference: int, shares: int) -> None:
        order = self.feed[reference]
        side, price = order.side, order.price
        self.shrink(reference, shares, executed=True)
        left = self.trade_through(side, price, shares)
        for other in [o for o in self.resting(side) if o.price == price and reference in self.behind[o]]:
            while left and other.open and self.trading:
                self.execute(other, price, "A")
                left -= 1

    def trade_through(self, side: int, price: int, shares: int) -> int:
        while shares and self.trading:
            queue = [o for o in self.resting(side) if better(side, o.price, price)]
            if not queue:
                break
            self.execute(queue[0], queue[0].price, "A")
            shares -= 1
        return shares

    def shrink(self, reference: int, shares: int, executed: bool = False) -> None:
        order = self.feed[reference]
        level = order.side, order.price
        for _ in range(shares):
            order.shares -= 1
            if executed:
                order.sold = max(0, order.sold - 1)
            if executed and self.taken.get(level, 0):
                self.taken[level] -= 1
                continue
            for other in self.own:
                if (other.side, other.price) == level and reference not in self.behind[other]:
                    other.ahead = max(0, other.ahead - 1)
        order.sold = min(order.sold, order.shares)
        if not order.shares:
            del self.feed[reference]
        if level in self.taken:
            self.taken[level] = min(self.taken[level], self.displayed(*level))

    def hidden_trade(self, price: int, shares: int) -> None:
        for side in (BUY, SELL):
            shares = self.trade_through(side, price, shares)
            for order in [o for o in self.resting(side) if o.price == price]:
                while self.trading and order.open and shares > order.ahead:
                    self.execute(order, price, "A")
                    shares -= 1
