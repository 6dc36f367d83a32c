# SPDX-License-Identifier: Apache-2.0
"""Order entry and matcher of the exchange without sockets, for the tests of its rules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from exchange_clients import plain

from tickwire import _core
from tickwire.exchange.matching import Matcher
from tickwire.exchange.ouch import OrderEntry
from tickwire.exchange.soupbin import Account

LOCATE, SYMBOL = 3, "TAAAA"


class Rig:
    """Order entry with a matcher, accounts A and B of one version, and a small feed."""

    def __init__(self, version: str, matching: bool = True) -> None:
        self.version = version
        self.copied: list[tuple[str, str, dict[str, Any]]] = []
        self.entry = OrderEntry(copy=lambda account, way, message: self.copied.append((account.username, way, message)))
        self.book = _core.Book(max_orders=1024, max_instruments=16)
        if matching:
            self.entry.matcher = Matcher(self.book, self.entry)
        self.accounts = {name: Account(name, "secret", version=version) for name in "AB"}
        self.read = {name: 0 for name in "AB"}

    def send(self, account: str, *messages: bytes) -> list[dict[str, Any]]:
        for message in messages:
            self.entry(SimpleNamespace(account=self.accounts[account]), message)  # type: ignore[arg-type]
        return self.said(account)

    def said(self, account: str) -> list[dict[str, Any]]:
        """What an account was told since the last look."""
        journal = self.accounts[account].journal
        fresh, self.read[account] = journal.messages[self.read[account] :], len(journal.messages)
        return [plain(self.version, message) for message in fresh]

    def feed(self, kind: str, **fields: Any) -> None:
        assert self.entry.matcher is not None
        self.entry.matcher.message(_core.itch_encode({"type": kind, "stock_locate": LOCATE, **fields}))

    def offer(self, reference: int, side: str, shares: int, price: int) -> None:
        """An order of the feed."""
        self.feed("A", order_reference=reference, side=side, shares=shares, price=price, stock=SYMBOL)


def brief(answers: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(answer.get(name) for name in ("type", "key", *names)) for answer in answers]
