# SPDX-License-Identifier: Apache-2.0
"""The built-in imbalance strategy once more, in Python: the same orders on the same feed.

When the shares bid are at least `ratio` times the shares offered it buys `size` at the ask, the other way round it
sells at the bid; once per change of side per instrument.
"""

from tickwire.records import BUY, IOC, NO_TAG, SELL, enter, outweighs

MILLION = 1_000_000

STATE = [("ratio_ppm", "i8"), ("size", "u4"), ("last_side", "u1", 65536)]


def init(state, settings):
    state.ratio_ppm = int(settings.ratio * 1e6 + 0.5)
    state.size = settings.size


def reset(state):
    state.last_side[:] = 0


def on_top(state, event, orders):
    if event.bid == 0 or event.ask == 0:
        return 0
    if outweighs(event.bid_shares, MILLION, event.ask_shares, state.ratio_ppm):
        side, price = BUY, event.ask
    elif outweighs(event.ask_shares, MILLION, event.bid_shares, state.ratio_ppm):
        side, price = SELL, event.bid
    else:
        return 0
    if state.last_side[event.locate] == side:
        return 0
    state.last_side[event.locate] = side
    return enter(orders, 0, event, side, price, state.size, NO_TAG, IOC)
