# SPDX-License-Identifier: Apache-2.0
"""Order entry: the rules of OUCH 5.0 and 4.2 between the sessions and the matcher.

A request is answered into the account's journal of sequenced messages, which survives lost connections; so does all
that is kept here of an account. What the specifications say of the odd cases, and what is done:

- A UserRefNum (5.0) that is not above all before it, or a token (4.2) that was used before on this account: the
  request is ignored, so that a client may repeat whatever it is unsure of. Rejected orders have used theirs.
- Cancel, Replace or Modify of an order that is not open: silence. A cancel that would leave all that is open: silence.
- Replace with something wrong in it: the order it names is canceled and the new number is not used. In a halt the
  replacement is rejected and the order stays.
- Quantities of Cancel, Modify and Replace count what the chain has executed; those of answers are what is open.
- Disable Order Entry (5.0) of a firm: its new orders are rejected (firm not authorized) until Enable Order Entry. Open
  orders stay, and can be replaced and canceled. A blank firm stands for the orders that name none.
- An order for a cross that was printed before is rejected (invalid cross order). In a halt only orders for the cross
  that ends it are taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import TickwireError
from .dialects import DIALECTS, LAST_LIMIT, SIDES, Dialect
from .matching import CANCEL_REQUESTED, Matcher
from .resting import CONTINUOUS, SELL, Order
from .soupbin import Account, ProtocolError, Session

_DAY_NS = 24 * 3600 * 10**9
KEEP_TRADES = 1 << 16  # that can still be broken
BREAK_REASONS = "ECSX"  # erroneous, consent, supervisory, external

Copy = Callable[[Account, str, dict[str, Any]], None]


@dataclass
class Counters:
    """Since start. `orders` counts Enter Orders; `rejected` has rejected replaces too."""

    orders: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    ignored: int = 0
    replaced: int = 0
    canceled: int = 0
    executions: int = 0
    executed_shares: int = 0
    broken: int = 0


@dataclass(eq=False)
class Trader:
    """What is kept of an account beside its journal."""

    account: Account
    dialect: Dialect
    last_reference: int = 0  # 5.0
    tokens: set[str] = field(default_factory=set)  # 4.2
    disabled: set[str] = field(default_factory=set)  # firms whose order entry is
    orders: dict[int | str, Order] = field(default_factory=dict)  # the open ones
    touched: bool = False  # has messages that were not pumped yet

    def fresh(self, key: Any) -> bool:
        return key > self.last_reference if isinstance(key, int) else key not in self.tokens

    def use(self, key: Any) -> None:
        if isinstance(key, int):
            self.last_reference = key
        else:
            self.tokens.add(key)


class OrderEntry:
    """Answers the messages of all sessions; order references rise over all. `matcher` None: nothing is filled."""

    def __init__(self, matcher: Matcher | None = None, copy: Copy | None = None) -> None:
        self.counters = Counters()
        self.last_reference = 0
        self.matcher, self.copy = matcher, copy
        self.traders: dict[str, Trader] = {}
        self.touched: list[Trader] = []
        self.trades: dict[int, list[Order]] = {}  # match number -> the orders of ours in it

    def __call__(self, session: Session, message: bytes) -> None:
        """Act on one message of a client; ProtocolError on a malformed one."""
        assert session.account is not None
        trader = self.trader(session.account)
        request = trader.dialect.decode(message)
        if self.copy is not None:
            self.copy(trader.account, "in", request)
        action = {
            "O": self._enter,
            "U": self._replace,
            "X": self._cancel,
            "M": self._modify,
            "C": self._mass_cancel,
            "D": self._switch_entry,
            "E": self._switch_entry,
            "Q": self._account_query,
        }.get(request["type"])
        if action is None or (self.matcher is None and request["type"] not in "ODEQ"):
            self.counters.ignored += 1
        else:
            action(trader, request)

    def trader(self, account: Account) -> Trader:
        found = self.traders.get(account.username)
        if found is None:
            found = self.traders[account.username] = Trader(account, DIALECTS[account.version])
        return found

    def system_event(self, account: Account, code: str) -> None:
        """Start ("S") or end ("E") of the day."""
        self._say(self.trader(account), {"type": "S", "timestamp": _now(), "event_code": code})

    def take_touched(self) -> list[Account]:
        """The accounts with answers since the last call."""
        touched, self.touched = self.touched, []
        for trader in touched:
            trader.touched = False
        return [trader.account for trader in touched]

    def _say(self, trader: Trader, answer: dict[str, Any]) -> None:
        trader.account.journal.append(trader.dialect.encode(answer))
        if not trader.touched:
            trader.touched = True
            self.touched.append(trader)
        if self.copy is not None:
            self.copy(trader.account, "out", answer)

    # --- requests
    def _enter(self, trader: Trader, request: dict[str, Any]) -> None:
        dialect, counters = trader.dialect, self.counters
        counters.orders += 1
        key = request[dialect.key]
        if not trader.fresh(key):
            counters.duplicates += 1
            return
        trader.use(key)
        reason = dialect.flaw(request) or self._refusal(trader, request)
        if reason:
            self._reject(trader, key, reason, request)
            return
        counters.accepted += 1
        order = self._order(trader, key, request, request[dialect.shares])
        self._say(trader, dialect.accepted(order, _now()))
        self._work(trader, order)

    def _refusal(self, trader: Trader, entry: dict[str, Any]) -> str:
        """Why a new order without a flaw is not taken now; "" when it is."""
        if trader.disabled and trader.dialect.firm(entry) in trader.disabled:
            return "firm"
        symbol, cross = entry[trader.dialect.symbol], entry["cross_type"]
        if self.matcher is not None and self.matcher.crossed(symbol, cross):
            return "cross"
        return self._halted(symbol, cross)

    def _order(self, trader: Trader, key: Any, entry: dict[str, Any], shares: int) -> Order:
        self.last_reference += 1
        symbol, side = entry[trader.dialect.symbol], SIDES[entry["side"]]
        price = entry["price"]
        if price > LAST_LIMIT and side == SELL:
            price = 0  # a market order, which takes any
        order = Order(trader, key, symbol, side, price, shares, reference=self.last_reference, entry=entry)
        order.cross = entry["cross_type"]
        return order

    def _work(self, trader: Trader, order: Order) -> None:
        if self.matcher is not None:
            trader.orders[order.key] = order
            if order.cross != CONTINUOUS:
                self.matcher.enter_cross(order)
                return
            # A market order cannot rest: it has no price to rest at.
            market = order.entry["price"] > LAST_LIMIT
            self.matcher.enter(order, market or trader.dialect.immediate(order.entry))

    def _halted(self, symbol: str, cross: str) -> str:
        return "halted" if cross != "H" and self.matcher is not None and self.matcher.halted(symbol) else ""

    def _reject(self, trader: Trader, key: Any, reason: str, entry: dict[str, Any]) -> None:
        self.counters.rejected += 1
        self._say(trader, trader.dialect.rejected(key, reason, entry, _now()))

    def _replace(self, trader: Trader, request: dict[str, Any]) -> None:
        assert self.matcher is not None
        dialect = trader.dialect
        original, key = trader.orders.get(request[dialect.original]), request[dialect.key]
        if original is None or not trader.fresh(key):
            self.counters.ignored += 1
            return
        entry = {**original.entry, **{name: request[name] for name in dialect.replaceable if name in request}}
        open_shares = request[dialect.shares] - original.executed
        if dialect.flaw(entry) or open_shares <= 0:
            self.matcher.reduce(original, original.open, CANCEL_REQUESTED)
            return
        trader.use(key)
        if self._halted(original.symbol, original.cross):
            self._reject(trader, key, "halted", entry)
            return
        self.matcher.remove(original)
        del trader.orders[original.key]
        order = self._order(trader, key, entry, open_shares)
        order.executed = original.executed
        self.counters.replaced += 1
        self._say(trader, dialect.replaced(order, original.key, _now()))
        self._work(trader, order)

    def _cancel(self, trader: Trader, request: dict[str, Any]) -> None:
        order = trader.orders.get(request[trader.dialect.key])
        if order is None or not self._reduce(order, request[trader.dialect.shares]):
            self.counters.ignored += 1

    def _reduce(self, order: Order, total: int) -> bool:
        """Leave so much open that no more than `total` shares are executed in all; False when that changes nothing."""
        assert self.matcher is not None
        surplus = order.open - max(0, total - order.executed)
        if surplus > 0:
            self.matcher.reduce(order, surplus, CANCEL_REQUESTED)
        return surplus > 0

    def _modify(self, trader: Trader, request: dict[str, Any]) -> None:
        assert self.matcher is not None
        dialect = trader.dialect
        order = trader.orders.get(request[dialect.key])
        # A sale may change its kind (S, T, E), nothing else its side.
        if order is None or SIDES.get(request["side"]) != order.side or request[dialect.shares] <= order.executed:
            self.counters.ignored += 1
            return
        order.entry = {**order.entry, "side": request["side"]}
        order.open = min(order.open, request[dialect.shares] - order.executed)
        self._say(trader, dialect.modified(order, _now()))

    def _mass_cancel(self, trader: Trader, request: dict[str, Any]) -> None:
        assert self.matcher is not None
        key = request["user_ref_num"]
        if not trader.fresh(key):
            self.counters.ignored += 1
            return
        trader.use(key)
        symbol = request["symbol"]
        self._say(trader, trader.dialect.about("X", key, _now(), firm=request["firm"], symbol=symbol))
        for order in list(trader.orders.values()):
            if not symbol or order.symbol == symbol:
                self.matcher.reduce(order, order.open, CANCEL_REQUESTED)

    def _switch_entry(self, trader: Trader, request: dict[str, Any]) -> None:
        """Disable or Enable Order Entry; both are answered whether or not they change anything."""
        key, firm = request["user_ref_num"], request["firm"]
        if not trader.fresh(key):
            self.counters.ignored += 1
            return
        trader.use(key)
        if request["type"] == "D":
            trader.disabled.add(firm)
        else:
            trader.disabled.discard(firm)
        self._say(trader, trader.dialect.about("G" if request["type"] == "D" else "K", key, _now(), firm=firm))

    def _account_query(self, trader: Trader, request: dict[str, Any]) -> None:
        del request
        self._say(trader, {"type": "Q", "timestamp": _now(), "next_user_ref_num": trader.last_reference + 1})

    # --- the matcher's report
    def executed(self, order: Order, shares: int, price: int, flag: str, match_number: int) -> None:
        trader: Trader = order.owner
        self.counters.executions += 1
        self.counters.executed_shares += shares
        self.trades.setdefault(match_number, []).append(order)
        if len(self.trades) > KEEP_TRADES:
            del self.trades[next(iter(self.trades))]
        if not order.open:
            trader.orders.pop(order.key, None)
        self._say(trader, trader.dialect.executed(order, shares, price, flag, match_number, _now()))

    def canceled(self, order: Order, shares: int, reason: str) -> None:
        trader: Trader = order.owner
        self.counters.canceled += 1
        if not order.open:
            trader.orders.pop(order.key, None)
        self._say(trader, trader.dialect.canceled(order, shares, reason, _now()))

    def break_trade(self, match_number: int, reason: str = "S") -> list[str]:
        """Undo an execution towards all accounts in it; their user names. The shares do not come back to the order."""
        orders = self.trades.pop(match_number, None)
        if orders is None:
            raise TickwireError(f"match_number: {match_number} is no trade here, or broken already, or too long ago")
        self.counters.broken += 1
        for order in orders:
            trader: Trader = order.owner
            self._say(trader, trader.dialect.broken(order, match_number, reason, _now()))
        return [order.owner.account.username for order in orders]


def _now() -> int:
    """Nanoseconds since midnight (UTC)."""
    return time.time_ns() % _DAY_NS


__all__ = ["BREAK_REASONS", "Counters", "OrderEntry", "ProtocolError", "Trader"]
