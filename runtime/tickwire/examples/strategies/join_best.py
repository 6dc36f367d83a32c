# SPDX-License-Identifier: Apache-2.0
"""Join the best bid: one resting buy order of `size` shares at the best bid of one instrument, moved along with it.

It shows on_instrument, tags and on_update: a strategy knows of its orders what the updates say, and asks for one thing
at a time. It stops buying at `max_position` and never sells, so it is an example and no way to earn money.
"""

from tickwire.records import BUY, EXECUTED, TRADING, cancel, enter, replace, symbol

WATCHED = symbol("B")
TAGS = 1
QUOTE = 0  # the one tag

STATE = [
    ("size", "i8"),
    ("max_position", "i8"),
    ("price", "u4"),  # of the open order
    ("open_shares", "u4"),  # 0: none is open
    ("waiting", "u1"),  # a request is under way
    ("refused_at", "u4"),  # best bid of the last refusal: not again at that price
]


def init(state, settings):
    state.size = settings.size
    state.max_position = settings.max_position


def on_instrument(state, locate, stock):
    return stock == WATCHED


def on_top(state, event, orders):
    if state.waiting:
        return 0
    room = event.position + state.size <= state.max_position
    wanted = room and event.bid != 0 and event.trading_state == TRADING
    if state.open_shares == 0:
        if not wanted or event.bid == state.refused_at:
            return 0
        state.waiting = 1
        state.price = event.bid
        return enter(orders, 0, event, BUY, event.bid, state.size, QUOTE)
    if not wanted:
        state.waiting = 1
        return cancel(orders, 0, event, QUOTE)
    if event.bid == state.price or event.bid == state.refused_at:
        return 0
    state.waiting = 1
    return replace(orders, 0, event, QUOTE, BUY, event.bid, state.size)


def on_update(state, update, orders):
    if update.kind != EXECUTED:  # an execution is no answer: a request may still be under way
        state.waiting = 0
    if update.reference == 0:  # refused: what was open still is
        state.refused_at = update.price
        return 0
    state.open_shares = update.open_shares
    if update.open_shares != 0:
        state.price = update.price
    return 0
