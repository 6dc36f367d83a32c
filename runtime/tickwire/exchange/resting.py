# SPDX-License-Identifier: Apache-2.0
"""Orders of clients, and where they rest: by price and time, one instrument beside the replayed book's."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any

BUY, SELL = 0, 1
TRADING = "T"  # a trading state of the feed
CONTINUOUS = "N"  # the cross type of an order that is for no cross


@dataclass(slots=True, eq=False)
class Order:
    """An order of a client; `open` shares of it wait, `executed` counts those of the whole chain of replaces."""

    owner: Any
    key: int | str  # UserRefNum or token
    symbol: str
    side: int  # BUY or SELL
    price: int  # limit, 1/10000 dollar
    open: int
    executed: int = 0
    reference: int = 0
    entry: dict[str, Any] = field(default_factory=dict)  # as it was entered, for the answers that repeat it
    since: int = 0  # feed messages applied when it came to rest
    ahead: int = 0  # shares of the feed ahead of it at its price
    cross: str = CONTINUOUS  # the cross it waits for


class Resting:
    """Resting orders of one side of one instrument, by price and then time."""

    __slots__ = ("sign", "levels", "keys")

    def __init__(self, side: int) -> None:
        self.sign = 1 if side == SELL else -1
        self.levels: dict[int, list[Order]] = {}
        self.keys: list[int] = []  # signed prices, the best first

    def add(self, order: Order) -> None:
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = []
            bisect.insort(self.keys, order.price * self.sign)
        level.append(order)

    def remove(self, order: Order) -> None:
        level = self.levels[order.price]
        level.remove(order)
        if not level:
            del self.levels[order.price]
            del self.keys[bisect.bisect_left(self.keys, order.price * self.sign)]

    def best(self) -> int | None:
        """The best price, None when the side is empty."""
        return self.keys[0] * self.sign if self.keys else None

    def orders(self) -> list[Order]:
        """All of them, by price and time."""
        return [order for key in self.keys for order in self.levels[key * self.sign]]


class Instrument:
    """What is known of one instrument beside the replayed book."""

    __slots__ = ("symbol", "locate", "state", "resting", "taken", "joined", "crosses", "crossed")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.locate = -1  # the feed has not named it
        self.state = TRADING
        self.resting = (Resting(BUY), Resting(SELL))
        self.taken: tuple[dict[int, int], dict[int, int]] = ({}, {})  # of the feed's side: price -> shares
        self.joined: dict[int, int] = {}  # references of the feed that came behind an order of ours -> when
        self.crosses: dict[str, list[Order]] = {}  # cross type -> the orders that wait for it, by time
        self.crossed: set[str] = set()  # those the feed has printed

    @property
    def watched(self) -> bool:
        resting, taken = self.resting, self.taken
        return bool(resting[0].keys or resting[1].keys or taken[0] or taken[1] or self.crosses)
