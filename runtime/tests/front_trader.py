# SPDX-License-Identifier: Apache-2.0
"""A whole engine on loopback with an exchange double, for the tests of the commands that look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core_exchange import Exchange

from tickwire import _core

PATIENCE_S = 20.0


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Trader:
    """An engine at `block`, logged in at an exchange of its own."""

    def __init__(self, block: Path, **sections: dict[str, Any]) -> None:
        self.block, self.sequence = str(block), 1
        self.exchange = Exchange()
        config: dict[str, dict[str, Any]] = {
            "engine": {
                "name": "t2t",
                "block": self.block,
                "idle_after_ms": 1,
                "max_orders": 4096,
                "max_instruments": 64,
                "max_samples": 1024,
            },
            "feed": {"group": "127.0.0.1", "port": self.exchange.feed_port, "interface": "127.0.0.1"},
            "orders": {"host": "127.0.0.1", "port": self.exchange.port, "username": "T", "password": "p"},
        }
        for name, values in sections.items():
            config.setdefault(name, {}).update(values)
        self.engine = _core.Engine(config)
        self.engine.open()
        self.thread = threading.Thread(target=self.engine.run, daemon=True)
        self.thread.start()
        self.engine.connect()
        until(lambda: self.read()["state"] == "live")

    def read(self) -> dict[str, Any]:
        return _core.block_read(self.block)

    def feed(self, messages: list[bytes], orders: int) -> None:
        """Send messages, one a packet, that make the engine send so many orders in all; returns when all is counted."""
        for message in messages:
            self.exchange.send_feed(_core.mold_encode("DAY1", self.sequence, [message]))
            self.sequence += 1
        until(
            lambda: (
                (self.read()["messages"], self.read()["orders_accepted"], self.read()["samples"])
                == (self.sequence - 1, orders, orders)
            )
        )
        until(lambda: self.read()["top"])

    def stop(self) -> None:
        self.engine.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        self.exchange.close()
