# SPDX-License-Identifier: Apache-2.0
"""The built-in strategies against models in plain Python, whatever book and exchange do."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from core_messages import RITCH, SYNTHETIC, itch_file
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire import _core

LOCATE, LAST_PRICE = 1, 1_999_999_900


def tick(price: int) -> int:
    return 100 if price >= 10_000 else 1


# --- market maker: where it quotes


@given(
    bid=st.integers(1, 30_000) | st.integers(1, 2_000_000_000),
    width=st.integers(1, 300) | st.integers(1, 1_000_000),
    edge=st.integers(0, 10_000_000),
    skew=st.integers(0, 10_000_000),
    position=st.integers(-2000, 2000),
)
@settings(max_examples=400)
def test_the_maker_quotes_where_its_formula_says(bid: int, width: int, edge: int, skew: int, position: int) -> None:
    table = {"name": "market_maker", "symbols": ["T"], "edge_bps": edge / 1000, "skew_bps": skew / 1000, "size": 1}
    maker = _core.Strategy({**table, "max_position": 1000})
    assert maker.name(LOCATE, "T")
    ask = bid + width
    orders = maker.event({"locate": LOCATE, "bid": bid, "ask": ask, "position": position})
    quotes = {order["side"]: order["price"] for order in orders}

    held = max(-1000, min(1000, position))
    # The inventory's shift is rounded to 1/1000 bps towards zero.
    shift = Fraction(int(Fraction(skew * held, 1000)), 10**7)
    mid = Fraction(bid + ask, 2)
    sell = math.ceil(max(mid * (1 + Fraction(edge, 10**7) - shift), Fraction(bid + 1)))
    sell = -(-sell // 100) * 100 if sell > 10_000 else sell
    buy = math.floor(min(mid * (1 - Fraction(edge, 10**7) - shift), Fraction(min([ask, sell]) - 1)))
    buy = min(buy, LAST_PRICE)
    buy -= buy % tick(buy) if buy > 0 else 0
    expected = {}
    if buy > 0 and position + 1 <= 1000:
        expected["B"] = buy
    if sell <= LAST_PRICE and position - 1 >= -1000:
        expected["S"] = sell
    assert quotes == expected
    for side, price in quotes.items():
        assert price % tick(price) == 0
        assert price < ask if side == "B" else price > bid


# --- market maker: what it does while anything happens


class Market:
    """Engine and exchange around a maker of one instrument: what is open, and what is under way."""

    MAX_POSITION, SIZE = 500, 100

    def __init__(self, requote_ticks: int) -> None:
        table = {
            "name": "market_maker",
            "symbols": ["OTHER", "T"],
            "edge_bps": 3.0,
            "skew_bps": 10.0,
            "size": self.SIZE,
        }
        self.maker = _core.Strategy({**table, "max_position": self.MAX_POSITION, "requote_ticks": requote_ticks})
        assert self.maker.name(LOCATE, "T") and not self.maker.name(2, "X")
        self.bid, self.ask, self.state, self.position = 0, 0, "T", 0
        self.open: dict[int, dict[str, Any]] = {}  # tag -> order as the exchange has it
        self.sent: dict[int, dict[str, Any]] = {}  # tag -> the one request under way
        self.known: set[int] = set()  # tags that had an answer
        self.refusing = False

    def take(self, orders: list[dict[str, Any]]) -> None:
        assert len({order["tag"] for order in orders}) == len(orders)
        for order in orders:
            self.check(order)
            if self.refusing and order["action"] != "C":
                open_shares = self.open.get(order["tag"], {}).get("shares", 0)
                self.update("R", order, order["price"], order["shares"], open_shares)
            else:
                self.sent[order["tag"]] = order
            self.check_worst_case()

    def check(self, order: dict[str, Any]) -> None:
        tag = order["tag"]
        assert tag in (2, 3) and order["side"] == "BS"[tag % 2] and order["locate"] == LOCATE
        assert tag not in self.sent, "two requests of one tag under way"
        if order["action"] == "C" and tag not in self.open:
            assert tag not in self.known, "nothing to cancel"
        else:
            assert (order["action"] == "E") == (tag not in self.open), "at most one open order a tag"
        if order["action"] != "C":
            assert self.state == "T" and 0 < self.bid < self.ask, "a quote without a market"
            assert order["price"] < self.ask if order["side"] == "B" else order["price"] > self.bid, "it would take"
            assert order["shares"] == self.SIZE and order["time_in_force"] == "0"

    def worst(self, tag: int) -> tuple[int, list[int]]:
        """Most shares that may yet be executed of a tag, and the prices at which."""
        parts = [self.open[tag]] if tag in self.open else []
        wish = self.sent.get(tag)
        if wish and (wish["action"] == "E" or (wish["action"] == "R" and parts)):  # nothing replaces what is gone
            parts.append(wish)
        return sum(part["shares"] for part in parts), [part["price"] for part in parts]

    def check_worst_case(self) -> None:
        (buys, buy_prices), (sells, sell_prices) = self.worst(2), self.worst(3)
        assert self.position + buys <= self.MAX_POSITION and self.position - sells >= -self.MAX_POSITION
        if buy_prices and sell_prices:
            assert max(buy_prices) < min(sell_prices), "it would trade with itself"

    def update(self, kind: str, order: dict[str, Any], price: int, shares: int, open_shares: int) -> None:
        if kind != "R" or order["action"] == "C":
            self.known.add(order["tag"])
        about = {"kind": kind, "tag": order["tag"], "side": order["side"], "locate": LOCATE, "position": self.position}
        self.take(self.maker.update({**about, "price": price, "shares": shares, "open_shares": open_shares}))

    def move(self, bid: int, width: int, state: str) -> None:
        self.bid, self.ask, self.state = bid, bid + width if bid and width else 0, state
        event = {"locate": LOCATE, "bid": bid, "ask": self.ask, "trading_state": state, "position": self.position}
        self.take(self.maker.event({**event, "bid_shares": 1, "ask_shares": 1}))

    def answer(self, tag: int, good: bool) -> None:
        """The exchange takes the request under way, or rejects it."""
        order = self.sent.pop(tag, None)
        if order is None:
            return
        old = self.open.get(tag)
        if order["action"] == "C" and old:
            del self.open[tag]
            self.update("C", order, old["price"], old["shares"], 0)
        elif order["action"] == "C":
            self.update("R", order, 0, 0, 0)
        elif good and (order["action"] == "E" or old):
            self.open[tag] = dict(order)
            self.update("A" if order["action"] == "E" else "U", order, order["price"], order["shares"], order["shares"])
        else:
            self.update("J", order, order["price"], order["shares"], old["shares"] if old else 0)

    def execute(self, tag: int, shares: int) -> None:
        order = self.open.get(tag)
        if order is None:
            return
        shares = min(shares, order["shares"])
        order["shares"] -= shares
        self.position += shares if order["side"] == "B" else -shares
        late = self.sent.get(tag)
        if order["shares"] == 0:
            del self.open[tag]
            if late and late["action"] == "C":  # nothing is left to cancel, and nobody says so
                del self.sent[tag]
        self.update("E", order, order["price"], shares, order["shares"])
        if order["shares"] == 0 and late and late["action"] == "R":
            del self.sent[tag]
            self.update("J", late, late["price"], late["shares"], 0)

    def cancel(self, tag: int) -> None:
        """The exchange cancels of its own accord."""
        order, late = self.open.get(tag), self.sent.get(tag)
        if order is None or late is not None:
            return
        del self.open[tag]
        self.update("C", order, order["price"], order["shares"], 0)


MOVES = st.one_of(
    st.tuples(st.just("move"), st.integers(9_000, 11_000), st.integers(0, 300), st.sampled_from("TTTTTHPQ")),
    st.tuples(st.just("move"), st.sampled_from([0, 100_000, 100_100, 100_200]), st.integers(1, 500), st.just("T")),
    st.tuples(st.just("answer"), st.sampled_from([2, 3]), st.sampled_from([True, True, True, False])),
    st.tuples(st.just("execute"), st.sampled_from([2, 3]), st.sampled_from([1, 50, 99, 100])),
    st.tuples(st.just("cancel"), st.sampled_from([2, 3])),
    st.tuples(st.just("refuse"), st.booleans()),
    st.tuples(st.just("reset")),
)


def happen(market: Market, what: tuple[Any, ...]) -> None:
    if what[0] == "refuse":
        market.refusing = what[1]
    elif what[0] == "reset":
        market.bid = market.ask = 0
        market.maker.reset()
        market.maker.name(LOCATE, "T")
    else:
        getattr(market, what[0])(*what[1:])


@given(st.lists(MOVES, max_size=80), st.integers(1, 3), st.sampled_from([-500, -400, -350, 0, 350, 400, 500]))
@settings(max_examples=300)
def test_the_maker_is_safe_whatever_happens(moves: list[tuple[Any, ...]], requote_ticks: int, position: int) -> None:
    market = Market(requote_ticks)
    market.position = position
    for what in moves:
        happen(market, what)
    # And it is not stuck: once all is answered, a calm market is quoted where it should be, a halted one not at all.
    market.refusing = False
    market.position = 0
    for bid in (90_000, 120_000, 121_000, 122_000, 123_000):
        market.move(bid, 200, "T")
        for tag in (2, 3, 2, 3, 2, 3):
            market.answer(tag, True)
    market.move(123_000, 200, "T")
    assert not market.sent
    assert {tag: order["price"] for tag, order in market.open.items()} == {2: 123_000, 3: 123_200}
    market.move(123_000, 200, "H")
    for tag in (2, 3):
        market.answer(tag, True)
    assert not market.open and not market.sent


# --- spread


class Spread:
    """A reference of the spread taker, with its own mean and positions."""

    def __init__(self, weights: list[int], edge: int, size: int, most: int) -> None:
        self.names = ["AAA", "BBB", "CCC", "DDD"][: len(weights)]
        legs = [{"symbol": name, "weight": weight} for name, weight in zip(self.names, weights, strict=True)]
        table = {"name": "spread", "legs": legs, "edge_bps": edge / 1000, "size": size, "max_position": most}
        self.strategy = _core.Strategy(table)
        for n, name in enumerate(self.names):
            assert self.strategy.name(n + 1, name)
        self.weights, self.edge, self.size, self.most = weights, edge, size, most
        self.tops = [(0, 0, 0, 0)] * len(weights)
        self.positions = [0] * len(weights)
        self.mean, self.changes, self.pending = 0, 0, set[int]()

    def expected(self) -> list[tuple[str, int, int]]:
        if any(bid == 0 or ask <= bid for bid, _, ask, _ in self.tops):
            return []
        legs = list(zip(self.weights, self.tops, self.positions, strict=True))
        mid2 = sum(weight * (top[0] + top[2]) for weight, top, _ in legs)
        gross2 = sum(abs(weight) * (top[0] + top[2]) for weight, top, _ in legs)
        fair2 = int(Fraction(self.mean, 256))
        result: list[tuple[str, int, int]] = []
        for direction in (1, -1):
            price = sum(weight * (top[2] if weight * direction > 0 else top[0]) for weight, top, _ in legs)
            edge = direction * (fair2 - 2 * price) * 10**7
            if self.changes >= 256 and not self.pending and not result and edge >= self.edge * gross2:
                units = self.size
                for weight, top, position in legs:
                    change = weight * direction
                    room = self.most * abs(weight) - (position if change > 0 else -position)
                    shown = top[3] if change > 0 else top[1]
                    units = max(0, min(units, room // abs(weight), shown // abs(weight)))
                if units:
                    result = [
                        ("B", top[2], units * abs(weight))
                        if weight * direction > 0
                        else ("S", top[0], units * abs(weight))
                        for weight, top, _ in legs
                    ]
                break
        self.mean = mid2 * 256 if self.changes == 0 else self.mean + mid2 - int(Fraction(self.mean, 256))
        self.changes += 1
        return result

    def move(self, n: int, top: tuple[int, int, int, int]) -> None:
        self.tops[n] = top
        expected = self.expected()
        event = dict(zip(("bid", "bid_shares", "ask", "ask_shares"), top, strict=True))
        orders = self.strategy.event({**event, "locate": n + 1, "position": self.positions[n]})
        assert [(order["side"], order["price"], order["shares"]) for order in orders] == expected
        if orders:
            assert [order["locate"] for order in orders] == list(range(1, len(self.weights) + 1)), "a lone leg"
            assert all(order["flags"] == 1 and order["time_in_force"] == "3" for order in orders)
            self.pending = {order["tag"] for order in orders}
            self.group = orders

    def finish(self, tag: int, filled: int) -> None:
        """The exchange executes up to `filled` shares of a leg and cancels the rest."""
        if tag not in self.pending:
            return
        order = self.group[tag]
        filled = min(filled, order["shares"])
        self.positions[tag] += filled if order["side"] == "B" else -filled
        assert abs(self.positions[tag]) <= self.most * abs(self.weights[tag])
        about = {"tag": tag, "side": order["side"], "position": self.positions[tag], "price": order["price"]}
        rest = order["shares"] - filled
        if filled:
            assert self.strategy.update({**about, "kind": "E", "shares": filled, "open_shares": rest}) == []
        if rest:
            assert self.strategy.update({**about, "kind": "C", "shares": rest, "open_shares": 0}) == []
        self.pending.remove(tag)


@given(
    weights=st.lists(st.integers(-3, 3).filter(bool), min_size=2, max_size=4),
    edge=st.integers(0, 3000),
    most=st.integers(50, 400),
    data=st.data(),
)
@settings(max_examples=60)
def test_the_spread_does_what_its_reference_does(weights: list[int], edge: int, most: int, data: st.DataObject) -> None:
    spread = Spread(weights, edge, 100, most)
    for n in range(256 + len(weights)):
        spread.move(n % len(weights), (10_000, 500, 10_100, 500))
    steps = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(weights) - 1), st.integers(0, 30), st.integers(1, 2), st.integers(0, 900)),
            max_size=60,
        )
    )
    for n, cents, width, shares in steps:
        bid = 9_000 + 100 * cents if cents else 0
        spread.move(n, (bid, shares, bid + 100 * width if bid else 0, 900 - shares))
        spread.finish((n + shares) % len(weights), shares)


# --- files, and what is refused


def test_imbalance_asks_for_what_it_always_did() -> None:
    for name, orders in ((SYNTHETIC, 1188), (RITCH, 11)):
        data, index, _ = itch_file(name)
        assert _core.strategy_try({"ratio": 3.0}, data, index)["enters"] == orders


def test_a_measured_trial_makes_the_same_calls() -> None:
    data, index, _ = itch_file(SYNTHETIC)
    plain, measured = (_core.strategy_try({}, data, index, measured=kind) for kind in (False, True))
    for key in ("messages", "calls", "enters", "refused"):
        assert plain[key] == measured[key]
    assert plain["elapsed_ns"] == 0 and measured["elapsed_ns"] > 0 and measured["overhead_ns"] > 0


def test_symbols_limit_what_a_strategy_sees() -> None:
    data, index, _ = itch_file(SYNTHETIC)
    every = _core.strategy_try({}, data, index)
    some = _core.strategy_try({"symbols": ["B", "C"]}, data, index)
    assert 0 < some["calls"] < every["calls"] and _core.strategy_try({"symbols": ["NONE"]}, data, index)["calls"] == 0


def test_the_maker_trades_in_a_trial() -> None:
    data, index, _ = itch_file(SYNTHETIC)
    counts = _core.strategy_try({"name": "market_maker", "symbols": ["B", "C", "D"], "edge_bps": 1.0}, data, index)
    assert counts["enters"] > 0 and counts["executed"] > 0 and counts["refused"] == counts["endless"] == 0


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"name": "magic"}, 'no strategy "magic"; built in: imbalance, market_maker, spread'),
        ({"edge_bps": -1.0}, "edge_bps: -1.0 must be a number from 0 to 10000"),
        ({"skew_bps": "x"}, "skew_bps: 'x' must be a number"),
        ({"max_position": 0}, "max_position: 0 must be an integer from 1"),
        ({"requote_ticks": True}, "requote_ticks: True must be an integer"),
        ({"symbols": "TICK"}, "symbols: 'TICK' must be a list of at most 64"),
        ({"symbols": ["X"] * 65}, "must be a list of at most 64"),
        ({"symbols": ["NINECHARS"]}, "'NINECHARS' must be a symbol"),
        ({"legs": [{"symbol": "A", "weight": 0}]}, "legs\\[0\\]"),
        ({"legs": [{"symbol": "A", "weight": 1}, {"symbol": "A", "weight": 2}]}, "legs\\[1\\]: its symbol is that of"),
        ({"legs": [5]}, "legs\\[0\\]: 5 must have a symbol"),
        ({"name": "market_maker"}, "symbols: market_maker quotes what is named here"),
        ({"name": "spread", "legs": [{"symbol": "A", "weight": 1}]}, "legs: spread needs 2 to 4, not 1"),
        ({"file": "x.py"}, "file: is not compiled"),
        ({"addresses": {"footprint": 0, "tags": 0, "on_top": 1}}, "footprint must be 1"),
        ({"addresses": {"footprint": 8, "tags": 0}}, "addresses.on_top: must be the address"),
        ({"addresses": {"footprint": 8, "tags": 0, "on_top": "x"}}, "addresses.on_top: must be the address"),
        ({"addresses": {"footprint": 8, "tags": 0, "on_top": 4096, "init": 0}}, "addresses.init: must be the address"),
    ],
)
def test_a_wrong_table_is_named_with_its_rule(table: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^strategy.*{text}"):
        _core.Strategy(table)
