# SPDX-License-Identifier: Apache-2.0
"""The risk checks against a model in Python, at random; and every limit: itself passes, one beyond is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tickwire import _core

U32, U64, I64 = 2**32 - 1, 2**64 - 1, 2**63 - 1
NS = 10**9
OPEN = {
    "max_size": U32,
    "max_notional": U64,
    "collar_bps": U32,
    "max_position": U32,
    "max_open_orders": U32,
    "max_orders_per_s": U32,
}
ORDER = {"price": 10_000, "shares": 100, "side": "B", "action": "E"}
VIEW: dict[str, Any] = {"bid": 9990, "ask": 10_010, "trading_state": "T"}


def check(limits: dict[str, int], order: dict[str, Any], view: dict[str, Any], nth: int = 0) -> str:
    return _core.Risk(OPEN | limits).check(ORDER | order, VIEW | view, nth)


def numbers(most: int, least: int = 0) -> st.SearchStrategy[int]:
    """Small ones, ordinary ones and the largest there are."""
    near = [n for n in (least, 0, 1, 2, most - 1, most) if least <= n <= most]
    return st.one_of(
        st.sampled_from(near), st.integers(max(least, -20_000), min(most, 20_000)), st.integers(least, most)
    )


def expected(limits: dict[str, int], order: dict[str, Any], view: dict[str, Any], nth: int) -> set[str]:
    """All the reasons against an order, from the words of core/risk.h and with numbers that cannot overflow."""
    against = set()
    price, shares, replaced = order["price"], order["shares"], view["replaced_open"]
    if not 1 <= shares <= limits["max_size"]:
        against.add("size")
    if price * shares > limits["max_notional"]:
        against.add("notional")
    mid = Fraction(view["bid"] + view["ask"], 2)
    collar = min(limits["collar_bps"], 2**31 - 1)
    if not (view["bid"] and view["ask"] and price) or abs(price - mid) > mid * collar / 10_000:
        against.add("collar")
    if order["side"] == "B":
        exposure = view["position"] + max(view["open_buys"] - replaced, 0) + shares
    else:
        exposure = -view["position"] + max(view["open_sells"] - replaced, 0) + shares
    if exposure > limits["max_position"]:
        against.add("position")
    if view["open_orders"] + nth + (0 if replaced else 1) > limits["max_open_orders"]:
        against.add("open_orders")
    if nth >= limits["max_orders_per_s"]:
        against.add("rate")
    if view["stale"]:
        against.add("stale")
    if view["trading_state"] != "T":
        against.add("halted")
    if price < view["lower_band"] or (view["upper_band"] and price > view["upper_band"]):
        against.add("band")
    return against


REASONS = (
    "size notional collar position open_orders rate duplicate restricted killed stale halted band leg tag full".split()
)
LIMITS = st.fixed_dictionaries({name: numbers(most) for name, most in OPEN.items()})
ORDERS = st.fixed_dictionaries(
    {"price": numbers(U32), "shares": numbers(U32), "side": st.sampled_from("BS"), "action": st.sampled_from("ER")}
)
VIEWS = st.fixed_dictionaries(
    {
        **dict.fromkeys(("bid", "ask", "open_orders", "replaced_open", "lower_band", "upper_band"), numbers(U32)),
        **dict.fromkeys(("open_buys", "open_sells"), numbers(U64)),
        "position": numbers(I64, -I64 - 1),
        "stale": st.sampled_from((0, 0, 1, 255)),
        "trading_state": st.sampled_from("TTTHPQ"),
    }
)


@settings(max_examples=600)
@given(LIMITS, ORDERS, VIEWS, numbers(U32))
def test_any_order_is_judged_as_the_model_does(
    limits: dict[str, int], order: dict[str, Any], view: dict[str, Any], nth: int
) -> None:
    against = expected(limits, order, view, nth)
    risk = _core.Risk(limits)
    assert risk.check(order, view, nth) == next((reason for reason in REASONS if reason in against), "passed")
    risk.kill(True)
    against.add("killed")
    assert risk.check(order, view, nth) == next(reason for reason in REASONS if reason in against)
    assert risk.check(order | {"action": "C"}, view, nth) == "passed"


@given(st.integers(1, U32), st.integers(1, 999_999))
def test_size(limit: int, price: int) -> None:
    view = {"bid": price, "ask": price}
    assert check({"max_size": limit}, {"shares": limit, "price": price}, view) == "passed"
    assert check({"max_size": limit - 1}, {"shares": limit, "price": price}, view) == "size"


@given(st.integers(1, U32), st.integers(1, U32))
def test_notional(price: int, shares: int) -> None:
    order, view = {"price": price, "shares": shares}, {"bid": price, "ask": price}
    assert check({"max_notional": price * shares}, order, view) == "passed"
    assert check({"max_notional": price * shares - 1}, order, view) == "notional"


@given(st.integers(1, U32), st.integers(1, U32), st.integers(1, 10_000), st.booleans())
def test_collar(bid: int, ask: int, bps: int, above: bool) -> None:
    """The farthest price within the collar, in whole 1/10000 dollars, and its neighbour outside."""
    mid = Fraction(bid + ask, 2)
    far = mid * (10_000 + bps) // 10_000 if above else -(mid * (10_000 - bps) // -10_000)
    beyond = far + (1 if above else -1)
    assume(1 <= far <= U32 and 0 <= beyond <= U32)
    assume(far == mid or (far > mid) == above)  # a narrow collar about the mid of an odd sum holds no price at all
    view = {"bid": bid, "ask": ask}
    assert check({"collar_bps": bps}, {"price": int(far), "shares": 1}, view) == "passed"
    assert check({"collar_bps": bps}, {"price": int(beyond), "shares": 1}, view) == "collar"


@given(st.integers(-1_000_000, 1_000_000), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 10_000))
def test_position(position: int, open_shares: int, replaced: int, shares: int) -> None:
    taken = min(replaced, open_shares)
    limit = position + open_shares - taken + shares
    assume(limit >= 1)
    buy = {"position": position, "open_buys": open_shares, "open_sells": 77, "replaced_open": replaced}
    sell = {"position": -position, "open_sells": open_shares, "open_buys": 77, "replaced_open": replaced}
    for side, view in (("B", buy), ("S", sell)):
        order = {"side": side, "shares": shares}
        assert check({"max_position": limit}, order, view) == "passed"
        assert check({"max_position": limit - 1}, order, view) == "position"


@given(st.integers(0, U32 - 1), st.integers(0, 8))
def test_open_orders(open_orders: int, nth: int) -> None:
    limit = open_orders + nth + 1
    assume(limit <= U32)
    assert check({"max_open_orders": limit}, {}, {"open_orders": open_orders}, nth) == "passed"
    assert check({"max_open_orders": limit - 1}, {}, {"open_orders": open_orders}, nth) == "open_orders"
    replaces = {"open_orders": open_orders, "replaced_open": 1}
    assert check({"max_open_orders": limit - 1}, {"action": "R"}, replaces, nth) == "passed"


@given(st.integers(2, U32 - 1))
def test_bands(band: int) -> None:
    for price, lower, upper in ((band, "passed", "passed"), (band - 1, "band", "passed"), (band + 1, "passed", "band")):
        order, mid = {"price": price, "shares": 1}, {"bid": band, "ask": band}
        assert check({}, order, mid | {"lower_band": band}) == lower
        assert check({}, order, mid | {"upper_band": band}) == upper


@given(
    st.lists(st.text("ABC ", min_size=1, max_size=8).map(str.rstrip).filter(bool), max_size=12),
    st.text("ABC", min_size=1, max_size=3),
)
def test_restricted(symbols: list[str], stock: str) -> None:
    """The same whether the list or the name comes first."""
    said = "restricted" if stock in symbols else "passed"
    first, second = _core.Risk(OPEN), _core.Risk(OPEN)
    first.name(3, stock)
    first.restrict(symbols)
    second.restrict(symbols)
    second.name(3, stock)
    for risk in (first, second):
        assert risk.check({**ORDER, "locate": 3}, VIEW) == said
        assert risk.check({**ORDER, "locate": 2}, VIEW) == ("restricted" if symbols else "passed")
        risk.restrict([])
        assert risk.check({**ORDER, "locate": 3}, VIEW) == "passed"


class Rate(RuleBasedStateMachine):
    """The bucket against exact arithmetic, under clocks that jump both ways."""

    @initialize(limit=st.integers(1, 5000), now=st.integers(0, 10**15))
    def start(self, limit: int, now: int) -> None:
        self.risk = _core.Risk(OPEN | {"max_orders_per_s": limit})
        self.limit, self.now, self.level = limit, now, Fraction(limit)
        self.risk.tick(now)

    @rule(step=st.one_of(st.integers(0, 20_000_000), st.integers(-(10**13), 10**13)))
    def tick(self, step: int) -> None:
        before, self.now = self.now, max(self.now + step, 0)
        self.risk.tick(self.now)
        if self.now > before:
            self.level = min(self.level + Fraction((self.now - before) * self.limit, NS), Fraction(self.limit))

    @rule(share=st.floats(0, 1))
    def send(self, share: float) -> None:
        for _ in range(round(share * int(self.level))):
            self.risk.sent(ORDER, 0)
            self.level -= 1

    @rule(limit=st.integers(1, 5000))
    def change(self, limit: int) -> None:
        self.risk.set_limits(OPEN | {"max_orders_per_s": limit})
        self.limit, self.level = limit, min(self.level, Fraction(limit))

    @invariant()
    def allows_what_is_in_the_bucket(self) -> None:
        allowed = int(self.level)
        assert self.risk.check(ORDER, VIEW, allowed) == "rate"
        assert allowed == 0 or self.risk.check(ORDER, VIEW, allowed - 1) == "passed"


TestRate = Rate.TestCase
TestRate.settings = settings(max_examples=40, stateful_step_count=25)


class Duplicates(RuleBasedStateMachine):
    """Up to four orders a side are remembered; time of messages and clock go where they like."""

    WINDOW_MS = 5

    @initialize()
    def start(self) -> None:
        self.risk = _core.Risk(OPEN | {"duplicate_ms": self.WINDOW_MS}, 2)
        self.clock, self.counted, self.time = 10**12, 0, 10**12
        self.risk.tick(self.clock)
        self.sent: dict[tuple[int, str], list[tuple[int, int, int, int]]] = {}

    def refused(self, locate: int, side: str, price: int, shares: int) -> bool:
        window = self.WINDOW_MS * 10**6
        for p, s, time, counted in self.sent.get((locate, side), [])[-4:]:
            since = self.time - time if self.time >= time else self.counted - counted
            if (p, s) == (price, shares) and since < window:
                return True
        return False

    @rule(step=st.one_of(st.integers(0, 6_000_000), st.integers(-(10**12), 10**12)))
    def message(self, step: int) -> None:
        self.time = max(self.time + step, 0)

    @rule(step=st.one_of(st.integers(0, 6_000_000), st.integers(-(10**12), 10**12)))
    def tick(self, step: int) -> None:
        step = max(step, -self.clock)
        self.clock += step
        self.counted += max(step, 0)
        self.risk.tick(self.clock)

    @rule(
        locate=st.integers(0, 1), side=st.sampled_from("BS"), price=st.integers(9999, 10_001), shares=st.integers(1, 2)
    )
    def order(self, locate: int, side: str, price: int, shares: int) -> None:
        order = {"locate": locate, "side": side, "price": price, "shares": shares}
        said = self.risk.check(order, VIEW | {"time_ns": self.time})
        assert said == ("duplicate" if self.refused(locate, side, price, shares) else "passed")
        if said == "passed":
            self.risk.sent(order, self.time)
            self.sent.setdefault((locate, side), []).append((price, shares, self.time, self.counted))

    @rule()
    def an_hour_passes_and_nothing_is_a_duplicate(self) -> None:
        self.clock += 3600 * NS
        self.counted += 3600 * NS
        self.time += 3600 * NS
        self.risk.tick(self.clock)


TestDuplicates = Duplicates.TestCase
TestDuplicates.settings = settings(max_examples=60, stateful_step_count=40)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: _core.Risk({"max_sise": 1}), "'max_sise' is no field"),
        (lambda: _core.Risk({"max_size": 2**32}), "max_size: 4294967296 must be an integer that fits"),
        (lambda: _core.Risk({"max_size": -1}), "max_size: -1 must be"),
        (lambda: _core.Risk(OPEN, 0), "max_instruments 0"),
        (lambda: _core.Risk(OPEN).check({"side": "BB"}, {}), "side: 'BB' must be one ASCII character"),
        (lambda: _core.Risk(OPEN).check({}, {"position": 2**63}), "position: 9223372036854775808"),
        (lambda: _core.Risk(OPEN).restrict(["NINECHARS"]), "symbol 'NINECHARS'"),
        (lambda: _core.Risk(OPEN).restrict([f"S{n}" for n in range(257)]), "257 symbols are more than 256"),
    ],
)
def test_wrong_records_are_named(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
