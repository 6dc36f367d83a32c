# SPDX-License-Identifier: Apache-2.0
"""Price-time matching of the clients' orders, among themselves and against the replayed book.

The replayed book is history: nobody in it reacts to our clients, and what they trade does not change it. So that the
same displayed shares are not sold twice, the shares taken from a level are remembered (`Instrument.taken`): an
execution of the feed at that level uses the memory up (it would have hit the same shares), a cancel leaves it, and it
ends with the level. What is available is what is displayed less what was taken.

A client's order rests behind the shares available at its price when it comes. It is executed, at its own price, when

- the feed executes an order of the same side at a worse price, or one that joined the same price later: the shares of
  that execution are ours first, by price and time;
- the feed reports a trade of a hidden order (P) at a worse price, or at its price beyond the shares ahead of it;
- an order of the feed arrives on the other side at its price or better: up to the shares of that order;
- an order of another account comes, as on any exchange.

An order never trades with one of its own account: what is left of the incoming one is canceled (reason Q). An
instrument that the feed has halted (any trading state but T) matches nothing; when it trades again, resting orders
meet the book as if they had just come.

An order for a cross waits beside the book and touches it in no way. When the feed prints that cross (Q), it is executed
at the cross price if that is within its limit: on each side as many shares as the feed's own had, market orders first,
then by price and time. What is left of it is canceled (reason T): its time is over. Resting orders take no part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .. import _core
from .resting import BUY, CONTINUOUS, SELL, TRADING, Instrument, Order

_LETTERS = ("B", "S")
LOCATES = 65536

CANCEL_REQUESTED, CANCEL_IMMEDIATE, CANCEL_EXPIRED, CANCEL_SELF_MATCH = "U", "I", "T", "Q"
ADDED, REMOVED = "A", "R"
CROSS_FLAGS = {"O": "O", "C": "C", "H": "H"}  # cross type -> liquidity flag: opening, closing, halt or IPO


class Report(Protocol):
    """Where the matcher tells what happened to orders. It has changed `open` and `executed` before."""

    def executed(self, order: Order, shares: int, price: int, flag: str, match_number: int) -> None: ...
    def canceled(self, order: Order, shares: int, reason: str) -> None: ...


class Matcher:
    """All instruments of one feed session. Feed messages come in order by `message`, or were applied to `book`."""

    def __init__(self, book: _core.Book, report: Report) -> None:
        self.book, self.report = book, report
        self.match_number = 0
        self.applied = 0  # messages of the feed so far; the follower counts those it applies itself
        self.instruments: dict[str, Instrument] = {}
        self.by_locate: dict[int, Instrument] = {}
        self.watch = bytearray(b"\xff" * (LOCATES // 8))  # a locate's bit: `message` must see what the feed says of it
        self.watched: set[int] = set()  # locates with an order of ours or a level we took from

    def restart(self, book: _core.Book) -> None:
        """The feed session is over: cancel what rests and forget the rest."""
        for instrument in self.instruments.values():
            for side in instrument.resting:
                for order in side.orders():
                    self._cancel(order, CANCEL_EXPIRED)
            for orders in instrument.crosses.values():
                for order in orders:
                    self._cancel(order, CANCEL_EXPIRED)
        self.book, self.applied = book, 0
        self.instruments, self.by_locate = {}, {}
        self.watch[:] = b"\xff" * len(self.watch)
        self.watched.clear()

    # --- orders
    def instrument(self, symbol: str) -> Instrument:
        found = self.instruments.get(symbol)
        if found is None:
            found = self.instruments[symbol] = Instrument(symbol)
        return found

    def halted(self, symbol: str) -> bool:
        """Whether the feed has halted or paused the instrument; it still quotes in state Q."""
        found = self.instruments.get(symbol)
        return found is not None and found.state in "HP"

    def crossed(self, symbol: str, cross: str) -> bool:
        """Whether the feed has printed this cross. There may be another after each halt, so H is never over."""
        found = self.instruments.get(symbol)
        return found is not None and cross != "H" and cross in found.crossed

    def enter_cross(self, order: Order) -> None:
        """Keep an order until its cross."""
        instrument = self.instrument(order.symbol)
        instrument.crosses.setdefault(order.cross, []).append(order)
        self._update_watch(instrument)

    def enter(self, order: Order, immediate: bool) -> None:
        """Match a new order; what is left of it rests, or is canceled when `immediate`."""
        instrument = self.instrument(order.symbol)
        if instrument.state == TRADING:
            self._match(instrument, order)
        if order.open and immediate:
            self._cancel(order, CANCEL_IMMEDIATE)
        elif order.open:
            side = order.side
            taken = instrument.taken[side].get(order.price, 0)
            order.since = self.applied
            order.ahead = max(0, self._displayed(instrument, side, order.price) - taken)
            instrument.resting[side].add(order)
        self._update_watch(instrument)

    def reduce(self, order: Order, shares: int, reason: str) -> None:
        """Cancel `shares` of a resting order; it keeps its place when some stay open."""
        shares = min(shares, order.open)
        order.open -= shares
        if not order.open:
            self.remove(order)
        self.report.canceled(order, shares, reason)

    def remove(self, order: Order) -> None:
        """Take a resting order out without a word: it is being replaced, or has no open share."""
        instrument = self.instruments[order.symbol]
        if order.cross == CONTINUOUS:
            instrument.resting[order.side].remove(order)
        else:
            waiting = instrument.crosses[order.cross]
            waiting.remove(order)
            if not waiting:
                del instrument.crosses[order.cross]
        self._update_watch(instrument)

    # --- matching
    def _match(self, instrument: Instrument, order: Order) -> None:
        far = 1 - order.side
        sign = 1 if far == SELL else -1
        limit = order.price * sign
        resting = instrument.resting[far]
        feed = self._available(instrument, far)
        level = next(feed, None)
        while order.open:
            prices = [price * sign for price in (resting.best(), level and level[0]) if price is not None]
            if not prices or min(prices) > limit:
                return
            price = min(prices) * sign
            available = level[1] if level is not None and level[0] == price else 0
            if not self._match_level(instrument, order, price, available):
                return
            if available:
                level = next(feed, None)

    def _match_level(self, instrument: Instrument, order: Order, price: int, available: int) -> bool:
        """Trade at one price of the other side, in time order. False when the order would meet its own account."""
        far = 1 - order.side
        used = 0
        for own in list(instrument.resting[far].levels.get(price, ())):
            front = min(order.open, min(own.ahead, available) - used)
            if front > 0:
                self._take(instrument, order, price, front)
                used += front
            if not order.open:
                return True
            if own.owner is order.owner:
                self._cancel(order, CANCEL_SELF_MATCH)
                return False
            shares = min(order.open, own.open)
            self._trade((order, own), shares, price, (REMOVED, ADDED))
            if not own.open:
                instrument.resting[far].remove(own)
        rest = min(order.open, available - used)
        if rest > 0:
            self._take(instrument, order, price, rest)
        return True

    def _take(self, instrument: Instrument, order: Order, price: int, shares: int) -> None:
        """Execute against displayed shares of the feed."""
        far = 1 - order.side
        instrument.taken[far][price] = instrument.taken[far].get(price, 0) + shares
        for own in instrument.resting[far].levels.get(price, ()):
            own.ahead = max(0, own.ahead - shares)
        self._trade((order,), shares, price, (REMOVED,))

    def _trade(self, orders: tuple[Order, ...], shares: int, price: int, flags: tuple[str, ...]) -> None:
        self.match_number += 1
        for order in orders:
            order.open -= shares
            order.executed += shares
        for order, flag in zip(orders, flags, strict=True):
            self.report.executed(order, shares, price, flag, self.match_number)

    def _cancel(self, order: Order, reason: str) -> None:
        shares, order.open = order.open, 0
        self.report.canceled(order, shares, reason)

    # --- the replayed book
    def _levels(self, instrument: Instrument, side: int) -> Iterator[tuple[int, int]]:
        """(price, displayed shares), best first."""
        seen, count = 0, 4
        while instrument.locate >= 0:
            levels = self.book.depth(instrument.locate, _LETTERS[side], count)
            for price, shares, _orders in levels[seen:]:
                yield price, shares
            if len(levels) < count:
                return
            seen, count = count, count * 8

    def _available(self, instrument: Instrument, side: int) -> Iterator[tuple[int, int]]:
        """(price, shares displayed and not taken), best first, without the empty ones."""
        taken = instrument.taken[side]
        for price, shares in self._levels(instrument, side):
            shares -= taken.get(price, 0)
            if shares > 0:
                yield price, shares

    def _displayed(self, instrument: Instrument, side: int, price: int) -> int:
        sign = 1 if side == SELL else -1
        for at, shares in self._levels(instrument, side):
            if at * sign >= price * sign:
                return shares if at == price else 0
        return 0

    def _update_watch(self, instrument: Instrument) -> None:
        locate = instrument.locate
        if locate >= 0:
            if not instrument.resting[0].keys and not instrument.resting[1].keys:
                instrument.joined.clear()
            bit = 1 << locate % 8
            if instrument.watched:
                self.watch[locate // 8] |= bit
                self.watched.add(locate)
            else:
                self.watch[locate // 8] &= ~bit
                self.watched.discard(locate)
        elif not instrument.watched:
            self.instruments.pop(instrument.symbol, None)  # the feed does not know it, and nothing of ours is there

    # --- the feed
    def message(self, message: bytes | memoryview) -> None:
        """Apply one message of a watched instrument to the book, and execute what it brings."""
        fields = _core.itch_decode(message)
        self.applied += 1
        kind, locate = fields["type"], fields["stock_locate"]
        order = self.book.order(fields["order_reference"]) if kind in "ECXD" else None
        if kind == "U":
            order = self.book.order(fields["original_reference"])
        self.book.apply(message)
        instrument = self.by_locate.get(locate)
        if instrument is None and kind in "RHAFPQ":
            instrument = self.instrument(fields["stock"])
            instrument.locate = locate
            self.by_locate[locate] = instrument
        if instrument is None:
            return  # about an order whose arrival the file does not have
        if kind == "H":
            self._state(instrument, fields["trading_state"])
        elif kind in "AF":
            self._added(instrument, fields["order_reference"], fields["side"], fields["price"], fields["shares"])
        elif kind == "P":
            self._hidden_trade(instrument, fields["price"], fields["shares"])
        elif kind == "Q":
            self._cross(instrument, fields["cross_type"], fields["cross_price"], fields["shares"])
        elif order is not None:
            letter, price, shares = order[1:4]
            side = _LETTERS.index(letter)
            if kind in "EC":
                shares = min(shares, fields["executed_shares"])
                self._executed(instrument, fields["order_reference"], side, price, shares)
            elif kind == "X":
                self._gone(instrument, fields["order_reference"], side, price, min(shares, fields["cancelled_shares"]))
            elif kind == "D":
                self._gone(instrument, fields["order_reference"], side, price, shares)
            else:
                # The book has both halves already; the new order is not there yet when the old one leaves.
                again = fields["shares"] if fields["price"] == price else 0
                self._gone(instrument, fields["original_reference"], side, price, shares, again)
                self._added(instrument, fields["new_reference"], letter, fields["price"], fields["shares"])
        self._update_watch(instrument)

    def _state(self, instrument: Instrument, state: str) -> None:
        resumed = state == TRADING and instrument.state != TRADING
        instrument.state = state
        if resumed:
            orders = instrument.resting[BUY].orders() + instrument.resting[SELL].orders()
            for order in orders:
                instrument.resting[order.side].remove(order)
            for order in sorted(orders, key=lambda order: order.reference):  # as they came
                self._match(instrument, order)
                if order.open:
                    instrument.resting[order.side].add(order)

    def _fill(self, instrument: Instrument, order: Order, shares: int) -> int:
        """Execute a resting order at its price; returns what of `shares` it took."""
        shares = min(shares, order.open)
        if shares <= 0:
            return 0
        self._trade((order,), shares, order.price, (ADDED,))
        if not order.open:
            instrument.resting[order.side].remove(order)
        return shares

    def _added(self, instrument: Instrument, reference: int, letter: str, price: int, shares: int) -> None:
        side = _LETTERS.index(letter)
        if price in instrument.resting[side].levels:
            instrument.joined[reference] = self.applied
        other = instrument.resting[1 - side]
        sign = 1 if side == SELL else -1
        while shares and instrument.state == TRADING and other.keys:
            best = other.best()
            assert best is not None
            if best * sign < price * sign:
                return
            filled = self._fill(instrument, other.levels[best][0], shares)
            instrument.taken[side][price] = instrument.taken[side].get(price, 0) + filled
            shares -= filled

    def _executed(self, instrument: Instrument, reference: int, side: int, price: int, shares: int) -> None:
        taken = instrument.taken[side]
        used = min(taken.get(price, 0), shares)
        if used:
            taken[price] -= used
        self._trim(instrument, side, price)
        left = self._better(instrument, side, price, shares)
        joined = instrument.joined.get(reference, -1)
        for own in list(instrument.resting[side].levels.get(price, ())):
            if joined <= own.since:
                own.ahead = max(0, own.ahead - (shares - used))
            elif instrument.state == TRADING:
                left -= self._fill(instrument, own, left)

    def _better(self, instrument: Instrument, side: int, price: int, shares: int) -> int:
        """Execute resting orders of `side` at prices better than `price`; returns what is left of `shares`."""
        resting = instrument.resting[side]
        sign = 1 if side == SELL else -1
        while shares and instrument.state == TRADING and resting.keys and resting.keys[0] < price * sign:
            shares -= self._fill(instrument, resting.levels[resting.keys[0] * sign][0], shares)
        return shares

    def _gone(self, instrument: Instrument, reference: int, side: int, price: int, shares: int, again: int = 0) -> None:
        self._trim(instrument, side, price, again)
        joined = instrument.joined.get(reference, -1)
        for own in instrument.resting[side].levels.get(price, ()):
            if joined <= own.since:
                own.ahead = max(0, own.ahead - shares)

    def _trim(self, instrument: Instrument, side: int, price: int, again: int = 0) -> None:
        """The memory of a level is never more than the level displays, less `again` shares that are new."""
        taken = instrument.taken[side]
        if price in taken:
            displayed = self._displayed(instrument, side, price) - again
            taken[price] = max(0, min(taken[price], displayed))
            if not taken[price]:
                del taken[price]

    def _hidden_trade(self, instrument: Instrument, price: int, shares: int) -> None:
        for side in (BUY, SELL):
            shares = self._better(instrument, side, price, shares)
            for own in list(instrument.resting[side].levels.get(price, ())):
                if instrument.state == TRADING:
                    shares -= self._fill(instrument, own, shares - own.ahead)

    def _cross(self, instrument: Instrument, cross: str, price: int, shares: int) -> None:
        instrument.crossed.add(cross)
        orders = instrument.crosses.pop(cross, [])
        for side in (BUY, SELL):
            sign = 1 if side == SELL else -1
            left = shares
            for order in sorted((o for o in orders if o.side == side), key=lambda o: o.price * sign):
                filled = min(order.open, left) if order.price * sign <= price * sign else 0
                if filled:
                    left -= filled
                    self._trade((order,), filled, price, (CROSS_FLAGS[cross],))
        for order in orders:
            if order.open:
                self._cancel(order, CANCEL_EXPIRED)
