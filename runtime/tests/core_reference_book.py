# SPDX-License-Identifier: Apache-2.0
"""A slow, plain book to judge the fast one by: a dictionary of orders, everything else summed up when asked."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Levels = list[tuple[int, int, int]]


class ReferenceBook:
    def __init__(self) -> None:
        self.orders: dict[int, list[Any]] = {}  # reference -> [locate, side, price, shares]
        self.errors = 0

    def apply(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "A" | "F":
                reference, shares = message["order_reference"], message["shares"]
                self._add(reference, message["stock_locate"], message["side"], message["price"], shares)
            case "E" | "C":
                self._take(message["order_reference"], message["executed_shares"])
            case "X":
                self._take(message["order_reference"], message["cancelled_shares"])
            case "D":
                self.errors += self.orders.pop(message["order_reference"], None) is None
            case "U":
                old = self.orders.pop(message["original_reference"], None)
                if old is None:
                    self.errors += 1
                else:
                    self._add(message["new_reference"], old[0], old[1], message["price"], message["shares"])

    def _add(self, reference: int, locate: int, side: str, price: int, shares: int) -> None:
        if reference in self.orders or shares == 0:
            self.errors += 1
        else:
            self.orders[reference] = [locate, side, price, shares]

    def _take(self, reference: int, shares: int) -> None:
        order = self.orders.get(reference)
        if order is None:
            self.errors += 1
            return
        self.errors += shares > order[3]
        order[3] -= shares
        if order[3] <= 0:
            del self.orders[reference]

    def books(self) -> dict[int, tuple[Levels, Levels]]:
        """{locate: (bids, asks)} as `_core.process_packets` gives them."""
        levels: dict[tuple[int, str], dict[int, list[int]]] = defaultdict(dict)
        for locate, side, price, shares in self.orders.values():
            level = levels[locate, side].setdefault(price, [0, 0])
            level[0] += shares
            level[1] += 1
        rows = {
            key: sorted(((price, level[0], level[1]) for price, level in side.items()), reverse=key[1] == "B")
            for key, side in levels.items()
        }
        return {locate: (rows.get((locate, "B"), []), rows.get((locate, "S"), [])) for locate, _ in rows}
