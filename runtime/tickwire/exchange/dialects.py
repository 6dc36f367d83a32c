# SPDX-License-Identifier: Apache-2.0
"""What differs between OUCH 5.0 and 4.2: names of fields, codes, and which answers exist.

An order is entered as the decoded Enter Order, kept as `Order.entry`; a Replace Order overrides what it carries. Rules
and codes are from Nasdaq's "OUCH 5.0 Order Entry Specification" and "O*U*C*H Version 4.2".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .. import _core
from .matching import CROSS_FLAGS
from .resting import BUY, CONTINUOUS, SELL, Order
from .soupbin import ProtocolError

MAX_SHARES = 999_999
MARKET_PRICE = 0x7FFFFFFF  # the price of a market order
LAST_LIMIT = 1_999_999_900  # $199,999.99
SIDES = {"B": BUY, "S": SELL, "T": SELL, "E": SELL}

# Name of a reason -> code of Rejected in 5.0 and in 4.2.
REASONS: dict[str, tuple[int, str]] = {
    "halted": (0x0007, "H"),
    "side": (0x0009, "O"),
    "firm": (0x000C, "L"),
    "minimum": (0x000D, "N"),
    "other": (0x000F, "O"),
    "quantity": (0x0013, "Z"),
    "cross": (0x0014, "R"),
    "symbol": (0x0017, "S"),
    "price": (0x001D, "X"),
}


class Dialect(ABC):
    """Names of one version; the field's own name here -> the version's."""

    version: str
    index: int  # of the version in REASONS
    key: str
    original: str
    shares: str
    symbol: str
    replaceable: tuple[str, ...]  # what a Replace Order carries of an entry

    def decode(self, message: bytes) -> dict[str, Any]:
        """A client's message; ProtocolError on one that no client of this version sends."""
        try:
            return _core.ouch_decode(message, True, version=self.version)
        except ValueError as error:
            raise ProtocolError(str(error)) from None

    def encode(self, fields: dict[str, Any]) -> bytes:
        return _core.ouch_encode(fields, False, version=self.version)

    @abstractmethod
    def immediate(self, entry: dict[str, Any]) -> bool:
        """Whether what does not trade at once is canceled."""

    @abstractmethod
    def firm(self, entry: dict[str, Any]) -> str:
        """The firm that an order without a flaw names; "" stands for the account's own."""

    def flaw(self, entry: dict[str, Any]) -> str:
        """Why an order cannot be accepted, a name of REASONS; "" when it can."""
        if entry["side"] not in SIDES:
            return "side"
        if not 1 <= entry[self.shares] <= MAX_SHARES:
            return "quantity"
        if not entry[self.symbol]:
            return "symbol"
        if not 1 <= entry["price"] <= LAST_LIMIT and entry["price"] != MARKET_PRICE:
            return "price"
        if entry["cross_type"] != CONTINUOUS and entry["cross_type"] not in CROSS_FLAGS:
            return "cross"
        return self._own_flaw(entry)

    @abstractmethod
    def _own_flaw(self, entry: dict[str, Any]) -> str:
        """Why this version does not take the order, a name of REASONS; "" when it does."""

    # --- answers
    @abstractmethod
    def accepted(self, order: Order, timestamp: int) -> dict[str, Any]:
        """Accepted."""

    @abstractmethod
    def replaced(self, order: Order, original: Any, timestamp: int) -> dict[str, Any]:
        """Replaced, of an order whose key was `original`."""

    def _booked(self, kind: str, order: Order, timestamp: int) -> dict[str, Any]:
        return {
            **order.entry,
            "type": kind,
            "timestamp": timestamp,
            self.key: order.key,
            self.shares: order.open,
            "order_reference": order.reference,
            "order_state": "L",
        }

    def about(self, kind: str, key: Any, timestamp: int, **fields: Any) -> dict[str, Any]:
        """An answer about the order `key`."""
        return {"type": kind, "timestamp": timestamp, self.key: key, **fields}

    @abstractmethod
    def canceled(self, order: Order, shares: int, reason: str, timestamp: int) -> dict[str, Any]:
        """Canceled, by so many shares."""

    @abstractmethod
    def executed(self, order: Order, shares: int, price: int, flag: str, match: int, timestamp: int) -> dict[str, Any]:
        """Executed, at `price` in units of 0.0001 dollars."""

    def rejected(self, key: Any, reason: str, entry: dict[str, Any], timestamp: int) -> dict[str, Any]:
        return self.about("J", key, timestamp, reason=REASONS[reason][self.index])

    def broken(self, order: Order, match: int, reason: str, timestamp: int) -> dict[str, Any]:
        return self.about("B", order.key, timestamp, match_number=match, reason=reason)

    def modified(self, order: Order, timestamp: int) -> dict[str, Any]:
        fields = {"side": order.entry["side"], self.shares: order.open}
        return self.about("M", order.key, timestamp, **fields)


class Ouch50(Dialect):
    version, index = "5.0", 0
    key, original, shares, symbol = "user_ref_num", "orig_user_ref_num", "quantity", "symbol"
    replaceable = ("quantity", "price", "time_in_force", "display", "intermarket_sweep", "cl_ord_id", "appendage")

    def immediate(self, entry: dict[str, Any]) -> bool:
        return bool(entry["time_in_force"] == "3")

    def firm(self, entry: dict[str, Any]) -> str:
        return str(_core.ouch_appendage_decode(entry.get("appendage", b"")).get("firm", ""))

    def _own_flaw(self, entry: dict[str, Any]) -> str:
        if entry["time_in_force"] not in ("0", "3", "5", "6", "E"):
            return "other"
        try:
            options = _core.ouch_appendage_decode(entry.get("appendage", b""))
        except ValueError:
            return "other"
        if options.get("min_qty"):
            return "minimum"
        # What would change how the order is matched, and is not done here, is refused rather than passed over.
        unusual = ("max_floor", "peg_offset", "discretion_price", "discretion_peg_offset", "random_reserves")
        asks = any(options.get(name) for name in unusual)
        kinds = options.get("price_type", "L") != "L" or options.get("post_only", "N") == "P"
        return "other" if asks or kinds else ""

    def accepted(self, order: Order, timestamp: int) -> dict[str, Any]:
        return self._booked("A", order, timestamp)

    def replaced(self, order: Order, original: Any, timestamp: int) -> dict[str, Any]:
        return {**self._booked("U", order, timestamp), self.original: original}

    def canceled(self, order: Order, shares: int, reason: str, timestamp: int) -> dict[str, Any]:
        return self.about("C", order.key, timestamp, quantity=shares, reason=reason)

    def executed(self, order: Order, shares: int, price: int, flag: str, match: int, timestamp: int) -> dict[str, Any]:
        return self.about(
            "E", order.key, timestamp, quantity=shares, price=price, liquidity_flag=flag, match_number=match
        )

    def rejected(self, key: Any, reason: str, entry: dict[str, Any], timestamp: int) -> dict[str, Any]:
        return {**super().rejected(key, reason, entry, timestamp), "cl_ord_id": entry.get("cl_ord_id", "")}

    def broken(self, order: Order, match: int, reason: str, timestamp: int) -> dict[str, Any]:
        return {**super().broken(order, match, reason, timestamp), "cl_ord_id": order.entry["cl_ord_id"]}


class Ouch42(Dialect):
    version, index = "4.2", 1
    key, original, shares, symbol = "order_token", "existing_order_token", "shares", "stock"
    replaceable = ("shares", "price", "time_in_force", "display", "intermarket_sweep", "minimum_quantity")
    LONGEST_SECONDS = 99_999  # and 99,998: market hours, 99,999: system hours

    def immediate(self, entry: dict[str, Any]) -> bool:
        return bool(entry["time_in_force"] == 0)

    def firm(self, entry: dict[str, Any]) -> str:
        return str(entry["firm"])

    def _own_flaw(self, entry: dict[str, Any]) -> str:
        if entry["minimum_quantity"]:
            return "minimum"
        return "other" if entry["time_in_force"] > self.LONGEST_SECONDS else ""

    def accepted(self, order: Order, timestamp: int) -> dict[str, Any]:
        answer = self._booked("A", order, timestamp)
        del answer["customer_type"]  # not repeated
        return answer

    def replaced(self, order: Order, original: Any, timestamp: int) -> dict[str, Any]:
        answer = {**self._booked("U", order, timestamp), "previous_order_token": original}
        del answer["customer_type"]
        return answer

    def canceled(self, order: Order, shares: int, reason: str, timestamp: int) -> dict[str, Any]:
        return self.about("C", order.key, timestamp, decrement_shares=shares, reason=reason)

    def executed(self, order: Order, shares: int, price: int, flag: str, match: int, timestamp: int) -> dict[str, Any]:
        return self.about(
            "E",
            order.key,
            timestamp,
            executed_shares=shares,
            execution_price=price,
            liquidity_flag=flag,
            match_number=match,
        )


DIALECTS: dict[str, Dialect] = {"5.0": Ouch50(), "4.2": Ouch42()}
