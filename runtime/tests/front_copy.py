# SPDX-License-Identifier: Apache-2.0
"""The exchange's drop copy, read as the truth about orders and positions, against the engine's journal."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from front_site import Site

from tickwire import _core


class Copy:
    """What the exchange's drop copy says: the truth about orders and positions."""

    def __init__(self, path: Path) -> None:
        self.entered: list[int] = []
        self.open: dict[int, int] = {}
        self.position: Counter[str] = Counter()
        symbols: dict[int, tuple[str, str]] = {}
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            message, version = entry["message"], entry["version"]
            kind, number = message["type"], self._number(message, "user_ref_num", "order_token")
            if entry["direction"] == "in":
                if kind in "OU":
                    self.entered.append(number)
                continue
            if kind in "AU":
                symbols[number] = (message.get("symbol", message.get("stock", "")), message["side"])
                if kind == "U":
                    self.open.pop(self._number(message, "orig_user_ref_num", "previous_order_token"), None)
                self.open[number] = message["quantity" if version == "5.0" else "shares"]
            elif kind in "EC":
                shares = (
                    message["quantity"]
                    if version == "5.0"
                    else message["executed_shares" if kind == "E" else "decrement_shares"]
                )
                self.open[number] -= shares
                if kind == "E":
                    symbol, side = symbols[number]
                    self.position[symbol] += shares if side == "B" else -shares
        self.open = {number: shares for number, shares in self.open.items() if shares}

    @staticmethod
    def _number(message: dict[str, Any], new: str, old: str) -> int:
        if new in message:
            return int(message[new])
        return int(message[old][2:10], 16) if message.get(old, "").startswith("TW") else 0


def compare(site: Site, copy_path: Path) -> Copy:
    """The ledger of the engine against the drop copy, once both have come to rest."""
    deadline = time.monotonic() + 10
    while True:
        said, copy = _core.journal_read(site.journals[-1]), Copy(copy_path)
        mine = {order["reference"]: order["open_shares"] for order in said["orders"]}
        position = {row["stock"]: row["shares"] for row in said["positions"] if row["shares"]}
        theirs = {symbol: shares for symbol, shares in copy.position.items() if shares}
        if (mine, position) == (copy.open, theirs):
            break
        assert time.monotonic() < deadline, (mine, copy.open, position, theirs)
        time.sleep(0.1)
    assert len(copy.entered) == len(set(copy.entered)), "a number was used twice"
    return copy
