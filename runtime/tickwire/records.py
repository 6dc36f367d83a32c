# SPDX-License-Identifier: Apache-2.0
"""For strategies in Python: the records of core/strategy.h and the helpers to read and fill them (needs numba).

Every name here may be used inside the functions of a strategy file. Prices are in 1/10000 dollar, 0 for an empty side;
times in ns since midnight. Shares and times, unsigned in C, are signed here: numba would make a floating point number
of an unsigned 64-bit integer and a signed one, and none of them ever reaches 2^63.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import types

from . import _core

BUY, SELL = ord("B"), ord("S")
ENTER, REPLACE, CANCEL = ord("E"), ord("R"), ord("C")
DAY, IOC = ord("0"), ord("3")
TRADING = ord("T")
LEG = 1
NO_TAG = 0xFFFFFFFF
MAX_ORDERS = 8
FAILED = 0xFFFFFFFF
_BIDS, _ASKS = 0, 1

# struct tw_update.kind
ACCEPTED, REPLACED, EXECUTED, CANCELED = ord("A"), ord("U"), ord("E"), ord("C")
REJECTED, BROKEN, REFUSED = ord("J"), ord("B"), ord("R")

_FIELDS: dict[str, dict[str, str]] = {
    "tw_level": {"price": "u4", "orders": "u4", "shares": "i8"},
    "tw_event": {
        "time_ns": "i8",
        "bid_shares": "i8",
        "ask_shares": "i8",
        "books": "u8",  # addresses, for the functions below that tell of levels
        "level_at": "u8",
        "level_count": "u8",
        "position": "i8",
        "bid": "u4",
        "ask": "u4",
        "locate": "u2",
        "trading_state": "u1",
    },
    "tw_order": {
        "price": "u4",
        "shares": "u4",
        "tag": "u4",
        "locate": "u2",
        "side": "u1",
        "action": "u1",
        "time_in_force": "u1",
        "flags": "u1",
    },
    "tw_update": {
        "time_ns": "i8",
        "position": "i8",
        "reference": "u4",
        "tag": "u4",
        "price": "u4",
        "shares": "u4",
        "open_shares": "u4",
        "locate": "u2",
        "side": "u1",
        "kind": "u1",
    },
    "tw_strategy_settings": {
        "max_instruments": "u4",
        "size": "u4",
        "ratio": "f8",
        "edge_bps": "f8",
        "skew_bps": "f8",
        "max_position": "u4",
        "requote_ticks": "u4",
    },
}


def _dtype(record: str) -> np.dtype[Any]:
    """The record as the C core lays it out; a field that is not where or what it is here is a defect of this file."""
    layout, fields = _core.strategy_layout()[record], _FIELDS[record]
    size = layout[""][1]
    for name, kind in fields.items():
        if layout[name][1] != np.dtype(kind).itemsize:
            raise AssertionError(f"{record}.{name}: {layout[name][1]} bytes in the core, {kind} here")
    offsets = [layout[name][0] for name in fields]
    return np.dtype(
        {"names": list(fields), "formats": list(fields.values()), "offsets": offsets, "itemsize": size}, align=True
    )


class Level(NamedTuple):
    """One price of one side, as bid_level and ask_level give it: a copy, since the books are the engine's."""

    price: int
    shares: int
    orders: int


LEVEL, EVENT, ORDER, UPDATE, SETTINGS = (_dtype(record) for record in _FIELDS)

_HELPER: dict[str, Any] = {"error_model": "numpy", "boundscheck": True, "inline": "never"}


def symbol(text: str) -> int:
    """A stock as `on_instrument` gets it; for constants of a file: `TICK = symbol("TICK")`."""
    if not 1 <= len(text) <= 8 or not text.isascii():
        raise ValueError(f"{text!r} is not a symbol of 1 to 8 ASCII characters")
    return int(np.frombuffer(text.ljust(8).encode(), np.int64)[0])


def _outweighs(typingctx: Any, a: Any, x: Any, b: Any, y: Any) -> Any:
    """outweighs(a, x, b, y): whether a * x >= b * y, for signed integers of 64 bits, with 128 bits for the products."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        wide = [builder.sext(argument, ir.IntType(128)) for argument in arguments]
        return builder.icmp_signed(">=", builder.mul(wide[0], wide[1]), builder.mul(wide[2], wide[3]))

    return types.boolean(types.int64, types.int64, types.int64, types.int64), codegen


_POINTER, _NUMBER = ir.IntType(8).as_pointer(), ir.IntType(32)


def _called(builder: ir.IRBuilder, result: Any, arguments: Any) -> Any:
    """Calls a function of an event: its address, that of the books, and numbers."""
    numbers = arguments[2:]
    function = ir.FunctionType(result, [_POINTER, *[_NUMBER] * len(numbers)]).as_pointer()
    return builder.call(builder.inttoptr(arguments[0], function), [builder.inttoptr(arguments[1], _POINTER), *numbers])


def _level_at(typingctx: Any, level_at: Any, books: Any, locate: Any, side: Any, nth: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return _called(builder, _POINTER, arguments)

    return types.voidptr(types.uint64, types.uint64, types.uint32, types.uint32, types.uint32), codegen


def _level_count(typingctx: Any, level_count: Any, books: Any, locate: Any, side: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return _called(builder, _NUMBER, arguments)

    return types.uint32(types.uint64, types.uint64, types.uint32, types.uint32), codegen


# Called without the first argument, which a checker of types cannot know.
outweighs: Any = numba.extending.intrinsic(_outweighs)
_at: Any = numba.extending.intrinsic(_level_at)
_count: Any = numba.extending.intrinsic(_level_count)


@numba.njit(**_HELPER)
def bid_levels(event):
    """How many bid levels there are."""
    return np.int64(_count(event.level_count, event.books, event.locate, _BIDS))


@numba.njit(**_HELPER)
def bid_level(event, n):
    """The bid level n behind the best (0: the best): its price, shares and orders. n < bid_levels(event)."""
    if n < 0 or n >= bid_levels(event):
        raise IndexError("bid_level: n must be below bid_levels(event)")
    level = numba.carray(_at(event.level_at, event.books, event.locate, _BIDS, n), (1,), LEVEL)[0]
    return Level(level.price, level.shares, level.orders)


@numba.njit(**_HELPER)
def ask_levels(event):
    """How many ask levels there are."""
    return np.int64(_count(event.level_count, event.books, event.locate, _ASKS))


@numba.njit(**_HELPER)
def ask_level(event, n):
    """The ask level n behind the best (0: the best): its price, shares and orders. n < ask_levels(event)."""
    if n < 0 or n >= ask_levels(event):
        raise IndexError("ask_level: n must be below ask_levels(event)")
    level = numba.carray(_at(event.level_at, event.books, event.locate, _ASKS, n), (1,), LEVEL)[0]
    return Level(level.price, level.shares, level.orders)


@numba.njit(**_HELPER)
def _fill(orders, i, source, action, side, price, shares, tag, time_in_force, flags):
    order = orders[i]
    order.price = price
    order.shares = shares
    order.tag = tag
    order.locate = source.locate
    order.side = side
    order.action = action
    order.time_in_force = time_in_force
    order.flags = flags
    return i + 1


@numba.njit(**_HELPER)
def enter(orders, i, source, side, price, shares, tag=NO_TAG, time_in_force=DAY, flags=0):
    """Ask for a new order as orders[i], in the instrument of `source` (the event or update). Returns i + 1."""
    return _fill(orders, i, source, ENTER, side, price, shares, tag, time_in_force, flags)


@numba.njit(**_HELPER)
def replace(orders, i, source, tag, side, price, shares):
    """Ask for another price and size of the open order with this tag. Returns i + 1."""
    return _fill(orders, i, source, REPLACE, side, price, shares, tag, DAY, 0)


@numba.njit(**_HELPER)
def cancel(orders, i, source, tag):
    """Ask to cancel the open order with this tag. Returns i + 1."""
    return _fill(orders, i, source, CANCEL, BUY, 0, 0, tag, DAY, 0)
