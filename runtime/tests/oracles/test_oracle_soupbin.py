# SPDX-License-Identifier: Apache-2.0
"""Nasdaq's own nasdaq-protocols reads what the engine sends, and the engine reads what it sends."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from core_exchange import Exchange
from nasdaq_protocols import soup

from tickwire import _core


def test_login_and_heartbeat_are_understood_both_ways(tmp_path: Path) -> None:
    _, accepted = soup.LoginAccepted("NASDAQ1", 17).to_bytes()
    exchange = Exchange(login_answer=accepted)
    engine = _core.Engine(
        {
            "engine": {"block": str(tmp_path / "b"), "max_orders": 64, "max_instruments": 4, "max_samples": 4},
            "feed": {"group": "127.0.0.1", "port": exchange.feed_port, "interface": "127.0.0.1"},
            "orders": {
                "host": "127.0.0.1",
                "port": exchange.port,
                "username": "TRADE1",
                "password": "secret",
                "session": "NASDAQ1",
                "heartbeat_ms": 100,
            },
        }
    )
    engine.open()
    engine.connect()
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(engine.run()))
    thread.start()
    deadline = time.monotonic() + 20
    while len(exchange.packets) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    _, end = soup.EndOfSession().to_bytes()
    exchange.send_orders(end)
    while engine.session()[0] != "closed" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.session() == ("closed", "the exchange ended the order session")
    engine.stop()
    thread.join(20)
    exchange.close()

    raw = [(len(payload) + 1).to_bytes(2, "big") + kind + payload for kind, payload in exchange.packets]
    login = soup.SoupMessage.from_bytes(raw[0])[1]
    assert isinstance(login, soup.LoginRequest)
    assert (login.user, login.password, login.session, login.sequence) == ("TRADE1", "secret", "NASDAQ1", "1")
    query = soup.SoupMessage.from_bytes(raw[1])[1]
    assert isinstance(query, soup.UnSequencedData) and query.data == b"Q"
    assert isinstance(soup.SoupMessage.from_bytes(raw[2])[1], soup.ClientHeartbeat)
    assert results == ["stopped"]
