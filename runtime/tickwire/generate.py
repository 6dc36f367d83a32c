# SPDX-License-Identifier: Apache-2.0
"""A seeded generator of ITCH 5.0 message streams that look like a trading day.

The mix of messages is fitted to a published day: CppTrader's README prints the counters of its market manager over
Nasdaq's own file 01302017.NASDAQ_ITCH50 (283,238,832 messages, 152,865,456 orders added, 5,663,712 executed, 8,371
instruments). An order added there is an Add Order or the new half of an Order Replace, so A, F and U together are 54 %
and executions 2.0 % of all messages. The finer split is inferred, not published; `SHARES` stays inside of:

    Add Order A and F   43-46 %, about 1 % of them with attribution (F)
    Order Delete D      41 %
    Order Replace U     8-11 %
    Order Executed      1.9 %, E and C together
    Order Cancel X      0.8-1.1 %
    Trade P, NOII I     1.3 % together

Start-of-day messages (S, and R, H, Y for every instrument) come first; the shares are those of what follows. The counts
are exact, only the order is drawn: types are drawn without replacement from their quotas.

Histories are valid: references are unique, every E, C, X, D and U refers to a live order, and no order shrinks below
zero. Books never cross: a price is drawn relative to the best of the other side. A slowly turning pressure per
instrument makes one side add more and the other side be hit more, so mid and top-of-book imbalance move as on a real
day. Instruments are drawn by Zipf's law. Books are some tens of levels deep; with `deep` a fifth of the
orders stands far behind the best price, up to `DEEP_TICKS`, so that with enough orders the busiest books have the
2,400 levels of a real day.

The same seed gives the same bytes on every machine: only `random.Random.random` is used, which Python keeps stable.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
import random
import struct
from collections import Counter
from collections.abc import Iterator

from .errors import TickwireError

# Per cent of the messages after the start of day, see the module's docstring; they add up to 100.
SHARES = {"A": 44.9, "D": 41.2, "U": 9.7, "E": 1.9, "X": 1.0, "P": 1.3}
_F_OF_ADDS, _C_OF_EXECUTIONS, _I_OF_TRADES = 0.01, 0.05, 0.7
MAX_INSTRUMENTS = 16384
START_MESSAGES_PER_INSTRUMENT = 3

DEEP_TICKS = 2600
_TICK = 100  # one cent in 1/10000 dollar
_OPEN_NS = (9 * 60 + 30) * 60 * 10**9
_MEAN_GAP_NS = 82_000  # 283 million messages in six and a half hours

_HEAD = ">cHHHI"  # type, locate, tracking, timestamp as 16 + 32 bits
_SYSTEM = struct.Struct(_HEAD + "c")
_DIRECTORY = struct.Struct(_HEAD + "8sccIcc2scccccIc")
_ACTION = struct.Struct(_HEAD + "8scc4s")
_REG_SHO = struct.Struct(_HEAD + "8sc")
_ADD = struct.Struct(_HEAD + "QcI8sI")
_ADD_MPID = struct.Struct(_HEAD + "QcI8sI4s")
_EXECUTED = struct.Struct(_HEAD + "QIQ")
_EXECUTED_PRICE = struct.Struct(_HEAD + "QIQcI")
_CANCEL = struct.Struct(_HEAD + "QI")
_DELETE = struct.Struct(_HEAD + "Q")
_REPLACE = struct.Struct(_HEAD + "QQII")
_TRADE = struct.Struct(_HEAD + "QcI8sIQ")
_NOII = struct.Struct(_HEAD + "QQc8sIIIcc")


class _Instrument:
    """One instrument's live orders: references by price level, best prices as heaps with lazy removal."""

    __slots__ = ("locate", "symbol", "anchor", "pressure", "levels", "heaps", "live", "recent")

    def __init__(self, locate: int, symbol: bytes, anchor: int) -> None:
        self.locate, self.symbol, self.anchor = locate, symbol, anchor
        self.pressure = 0.0  # -1 sellers, +1 buyers
        self.levels: tuple[dict[int, dict[int, None]], ...] = ({}, {})  # bids, asks: price -> references by age
        self.heaps: tuple[list[int], ...] = ([], [])  # signed so that the best price is the smallest
        self.live = [0, 0]
        self.recent: list[int] = []  # references by age, some no longer live

    def best(self, side: int) -> int:
        """Best price of the side (0 bid, 1 ask), in 1/10000 dollar; 0 when it is empty."""
        heap, levels, sign = self.heaps[side], self.levels[side], 1 if side else -1
        while heap and heap[0] * sign not in levels:
            heapq.heappop(heap)
        return heap[0] * sign if heap else 0

    def insert(self, side: int, price: int, reference: int) -> None:
        level = self.levels[side].get(price)
        if level is None:
            level = self.levels[side][price] = {}
            heapq.heappush(self.heaps[side], price if side else -price)
        level[reference] = None
        self.live[side] += 1
        self.recent.append(reference)

    def remove(self, side: int, price: int, reference: int) -> None:
        level = self.levels[side][price]
        del level[reference]
        if not level:
            del self.levels[side][price]
        self.live[side] -= 1


class _Market:
    """All instruments and live orders, and one method per kind of message; each returns the encoded message."""

    KEEP = 2  # orders that deletes and executions leave on each side of a book that has been opened

    def __init__(self, seed: int, instruments: int, messages: int, deep: bool) -> None:
        self.random = random.Random(seed).random
        self.deep = deep
        floor = DEEP_TICKS + 400 if deep else 0  # no price of a deep book is cut off at zero
        self.books = [
            _Instrument(n + 1, _symbol(n), (floor + int(500 * math.exp(3.5 * self.random()))) * _TICK)
            for n in range(instruments)
        ]
        self.zipf = list(itertools.accumulate(1.0 / (n + 1) for n in range(instruments)))
        self.orders: dict[int, tuple[_Instrument, int, int, int]] = {}  # reference -> book, side, price, shares
        self.references = itertools.count(1)
        self.matches = itertools.count(1)
        self.now = _OPEN_NS
        self.mean_gap = min(_MEAN_GAP_NS, 6.4 * 3600e9 / messages)

    # --- draws
    def pick(self) -> _Instrument:
        return self.books[bisect.bisect(self.zipf, self.random() * self.zipf[-1])]

    def geometric(self, p: float) -> int:
        return int(math.log(1.0 - self.random()) / math.log(1.0 - p))

    def shares(self) -> int:
        if self.random() < 0.15:
            return 1 + int(self.random() * 99)
        return 100 * (1 + self.geometric(0.35))

    def side(self, book: _Instrument) -> int:
        """Side of an arriving order: 0 buy, 1 sell. The pressure turns slowly and is pulled back to the anchor."""
        mid = (book.best(0) + book.best(1)) / 2 or book.anchor
        pull = (mid - book.anchor) / (0.02 * book.anchor)
        book.pressure = max(-1.0, min(1.0, 0.97 * book.pressure + 0.3 * (self.random() - 0.5) - 0.01 * pull))
        return int(self.random() > 0.5 + 0.3 * book.pressure)

    def price(self, book: _Instrument, side: int) -> int:
        """A price on the grid that does not cross: improves, joins or stands behind the best of its side."""
        sign = 1 if side else -1
        own, other = book.best(side), book.best(1 - side)
        if not own:
            start = (other + sign * 2 * _TICK) if other else book.anchor + sign * _TICK
            return max(_TICK, start)
        roll = self.random()
        room = (own - other) * sign // _TICK - 1 if other else 1
        lean = 1.0 - sign * book.pressure  # 0..2: who is under pressure quotes behind, not at the best
        if room > 0 and roll < (0.15 + 0.1 * min(room, 5)) * lean:
            return own - sign * _TICK * (1 + int(self.random() * room / 2))
        if roll < 0.5 * lean:
            return own
        return max(_TICK, own + sign * _TICK * self.distance())

    def distance(self) -> int:
        """Ticks behind the best price."""
        roll = self.random() if self.deep else 1.0
        if roll < 0.33:
            return 1 + int(self.random() * DEEP_TICKS)
        if roll < 0.43:
            return int(DEEP_TICKS ** self.random())
        return 1 + self.geometric(0.25)

    def victim(self, wanted: int = 1) -> tuple[int, tuple[_Instrument, int, int, int]] | None:
        """A live order with at least `wanted` shares that may leave its book; mostly a recent one. None: no luck."""
        for _attempt in range(12):
            book = self.pick()
            if self.random() < 0.5 * abs(book.pressure):
                # Quotes at the best of the side under pressure are pulled first: this is what moves the price.
                side = int(book.pressure > 0)
                reference = next(reversed(book.levels[side][book.best(side)])) if book.live[side] > self.KEEP else 0
                if reference and self.orders[reference][3] >= wanted:
                    return reference, self.orders[reference]
            recent = book.recent
            while recent and recent[-1] not in self.orders:
                recent.pop()
            if not recent:
                continue
            at = len(recent) - 1 - int(len(recent) * self.random() ** 3)
            reference = recent[at]
            order = self.orders.get(reference)
            if order is None:
                recent.pop(at)
            elif book.live[order[1]] > self.KEEP and order[3] >= wanted:
                return reference, order
        return None

    # --- messages
    def head(self, kind: bytes, book: _Instrument) -> tuple[bytes, int, int, int, int]:
        self.now += int(-math.log(1.0 - self.random()) * self.mean_gap) + 1
        return kind, book.locate, 0, self.now >> 32, self.now & 0xFFFFFFFF

    def add(self) -> bytes:
        book = self.pick()
        side = self.side(book)
        if book.live[side] >= self.KEEP > book.live[1 - side]:
            side = 1 - side  # open the other side of a young book first
        price, shares, reference = self.price(book, side), self.shares(), next(self.references)
        book.insert(side, price, reference)
        self.orders[reference] = book, side, price, shares
        body = (reference, b"S" if side else b"B", shares, book.symbol, price)
        if self.random() < _F_OF_ADDS:
            return _ADD_MPID.pack(*self.head(b"F", book), *body, b"TWMM")
        return _ADD.pack(*self.head(b"A", book), *body)

    def delete(self) -> bytes | None:
        found = self.victim()
        if not found:
            return None
        reference, (book, side, price, _shares) = found
        book.remove(side, price, reference)
        del self.orders[reference]
        return _DELETE.pack(*self.head(b"D", book), reference)

    def cancel(self) -> bytes | None:
        found = self.victim(wanted=2)
        if not found:
            return None
        reference, (book, side, price, shares) = found
        cancelled = 1 + int(self.random() * (shares - 1))
        self.orders[reference] = book, side, price, shares - cancelled
        return _CANCEL.pack(*self.head(b"X", book), reference, cancelled)

    def replace(self) -> bytes | None:
        found = self.victim()
        if not found:
            return None
        old, (book, side, price, _shares) = found
        book.remove(side, price, old)
        del self.orders[old]
        price, shares, new = self.price(book, side), self.shares(), next(self.references)
        book.insert(side, price, new)
        self.orders[new] = book, side, price, shares
        return _REPLACE.pack(*self.head(b"U", book), old, new, shares, price)

    def execute(self) -> bytes | None:
        """The oldest order at the best price is hit: asks by buyers, bids by sellers, as the pressure has it."""
        for _attempt in range(12):
            book = self.pick()
            side = 1 - self.side(book)
            if book.live[side] <= self.KEEP:
                continue
            price = book.best(side)
            reference = next(iter(book.levels[side][price]))
            shares = self.orders[reference][3]
            executed = shares if shares < 2 or self.random() < 0.7 else 1 + int(self.random() * (shares - 1))
            if executed == shares:
                book.remove(side, price, reference)
                del self.orders[reference]
            else:
                self.orders[reference] = book, side, price, shares - executed
            if self.random() < _C_OF_EXECUTIONS:
                at_price = price + (-_TICK if side else _TICK) // 2  # half a cent better for the aggressor
                body = (reference, executed, next(self.matches), b"Y", at_price)
                return _EXECUTED_PRICE.pack(*self.head(b"C", book), *body)
            return _EXECUTED.pack(*self.head(b"E", book), reference, executed, next(self.matches))
        return None

    def trade(self) -> bytes:
        """A trade against a hidden order (P) or an imbalance indicator (I); neither touches the displayed book."""
        book = self.pick()
        bid, ask = book.best(0) or book.anchor, book.best(1) or book.anchor
        if self.random() < _I_OF_TRADES:
            direction = b"BSN"[int(self.random() * 3) :][:1]
            imbalance = 0 if direction == b"N" else self.shares()
            noii = (self.shares(), imbalance, direction, book.symbol, bid, ask, bid, b"O", b"L")
            return _NOII.pack(*self.head(b"I", book), *noii)
        trade = (0, b"B", self.shares(), book.symbol, (bid + ask) // 2, next(self.matches))
        return _TRADE.pack(*self.head(b"P", book), *trade)

    def start_of_day(self) -> Iterator[bytes]:
        def head(kind: bytes, locate: int, hour: float) -> tuple[bytes, int, int, int, int]:
            now = int(hour * 3600e9)
            return kind, locate, 0, now >> 32, now & 0xFFFFFFFF

        yield _SYSTEM.pack(*head(b"S", 0, 3.0), b"O")
        for book in self.books:
            fields = (book.symbol, b"Q", b"N", 100, b"N", b"C", b"Z ", b"P", b"N", b"N", b"1", b"N", 0, b"N")
            yield _DIRECTORY.pack(*head(b"R", book.locate, 3.1), *fields)
        for book in self.books:
            yield _ACTION.pack(*head(b"H", book.locate, 3.2), book.symbol, b"T", b" ", b"    ")
        for book in self.books:
            yield _REG_SHO.pack(*head(b"Y", book.locate, 3.3), book.symbol, b"0")
        yield _SYSTEM.pack(*head(b"S", 0, 4.0), b"S")
        yield _SYSTEM.pack(*head(b"S", 0, 9.5), b"Q")


def _symbol(n: int) -> bytes:
    letters = ""
    for _attempt in range(4):
        n, digit = divmod(n, 26)
        letters = chr(65 + digit) + letters
    return f"T{letters}".ljust(8).encode()


def start_messages(instruments: int) -> int:
    """How many start-of-day messages come before the first order."""
    return 3 + START_MESSAGES_PER_INSTRUMENT * instruments


def generate(messages: int, seed: int, instruments: int, deep: bool = False) -> Iterator[bytes]:
    """Yield exactly `messages` ITCH 5.0 message bodies; the same for the same arguments. TickwireError on bad ones."""
    if not 1 <= instruments <= MAX_INSTRUMENTS:
        raise TickwireError(f"--instruments {instruments} is outside 1..{MAX_INSTRUMENTS}")
    body = messages - start_messages(instruments)
    if body < 1:
        raise TickwireError(
            f"--messages {messages} is too few: {instruments} instruments need {start_messages(instruments)} "
            f"start-of-day messages before the first order; raise --messages or lower --instruments"
        )
    market = _Market(seed, instruments, messages, deep)
    yield from market.start_of_day()
    makers = {
        "A": market.add,
        "D": market.delete,
        "U": market.replace,
        "E": market.execute,
        "X": market.cancel,
        "P": market.trade,
    }
    quota = {kind: int(body * share / 100.0) for kind, share in SHARES.items()}
    quota["A"] += body - sum(quota.values())
    for left in range(body, 0, -1):
        draw = int(market.random() * left)
        kind = "A"
        for candidate, count in quota.items():
            if draw < count:
                kind = candidate
                break
            draw -= count
        message = makers[kind]()
        if message is None:
            # Nothing may leave the books yet (the first messages): grow them first, the quota is kept for later.
            kind = "A" if quota["A"] else kind
            message = market.add()
        quota[kind] -= 1
        yield message


def count_types(messages: Iterator[bytes], counts: Counter[str]) -> Iterator[bytes]:
    """Pass messages through, counting their types."""
    for message in messages:
        counts[chr(message[0])] += 1
        yield message
