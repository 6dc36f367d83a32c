# SPDX-License-Identifier: Apache-2.0
"""The engine over real sockets on lo: two lines, one at a time lossy, and a re-request server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_exchange import Exchange
from core_messages import imbalance

from tickwire import _core

PATIENCE_S = 10.0
BODIES = imbalance(1, 30)  # 62 messages, 30 orders
LAST = len(BODIES)


class Server:
    """Answers re-requests with what fits `per_reply` messages, every third request not at all."""

    def __init__(self, per_reply: int) -> None:
        self.per_reply = per_reply
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.asked: list[tuple[int, int]] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            request, client = self.socket.recvfrom(64)
            if request == b"":  # from `close`
                return
            session, sequence, count = _core.mold_request_decode(request)
            self.asked.append((sequence, count))
            if len(self.asked) % 3 != 0:
                messages = BODIES[sequence - 1 : sequence - 1 + min(count, self.per_reply)]
                self.socket.sendto(_core.mold_encode(session, sequence, messages), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.thread.join(PATIENCE_S)
        self.socket.close()


class Lines:
    """An engine that listens to line A on 127.0.0.1 and line B on 127.0.0.2."""

    def __init__(self, exchange: Exchange, block: Path, **feed: Any) -> None:
        self.exchange = exchange
        self.block = str(block)
        addresses = {"group": "127.0.0.1", "group_b": "127.0.0.2", "interface": "127.0.0.1"}
        ports = {"port": exchange.feed_port, "port_b": exchange.feed_port}
        self.engine = _core.Engine(
            {
                "engine": {
                    "block": self.block,
                    "idle_after_ms": 1,
                    "max_orders": 4096,
                    "max_instruments": 64,
                    "max_samples": 64,
                },
                "feed": {**addresses, **ports, **feed},
                "orders": {
                    "host": "127.0.0.1",
                    "port": exchange.port,
                    "username": "TRADE1",
                    "password": "tickwire",
                },
            }
        )
        self.engine.open()
        self.engine.connect()
        self.thread = threading.Thread(target=self.engine.run, daemon=True)
        self.thread.start()
        self.wait_for("state", "live")

    def send(self, line: str, packet: bytes) -> None:
        address = {"A": "127.0.0.1", "B": "127.0.0.2"}[line]
        self.exchange.feed.sendto(packet, (address, self.exchange.feed_port))

    def wait_for(self, key: str, value: Any) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while (block := _core.block_read(self.block))[key] != value:
            assert time.monotonic() < deadline, f"{key} is not {value!r} within {PATIENCE_S} s: {block}"
            time.sleep(0.002)
        return block

    def stop(self) -> None:
        self.engine.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = Exchange()
    yield exchange
    exchange.close()


def test_each_line_fills_the_gaps_of_the_other(exchange: Exchange, tmp_path: Path) -> None:
    lines = Lines(exchange, tmp_path / "block", gap_timeout_ms=60_000)
    for sequence in range(1, LAST + 1):
        packet = _core.mold_encode("DAY", sequence, [BODIES[sequence - 1]])
        if sequence % 3 != 0:
            lines.send("A", packet)
        if sequence % 5 != 1 or sequence == 1:
            lines.send("B", packet)
    missing = [sequence for sequence in range(2, LAST + 1) if sequence % 3 == 0 and sequence % 5 == 1]
    for sequence in missing:  # late, on line A
        lines.send("A", _core.mold_encode("DAY", sequence, [BODIES[sequence - 1]]))
    lines.send("A", _core.mold_end_of_session("DAY", LAST + 1))
    block = lines.wait_for("feed_ended", True)
    assert (block["messages"], block["messages_lost"], block["stale"]) == (LAST, 0, False)
    assert block["gaps"] == block["gaps_closed"] > 0
    assert block["book_errors"] == 0 and block["orders_sent"] == 30
    assert block["packets_b"] > 0 and block["requests"] == 0
    lines.stop()


@pytest.mark.parametrize("late", [False, True])
def test_what_both_lines_lose_comes_from_the_server(exchange: Exchange, tmp_path: Path, late: bool) -> None:
    """Joined late: ten messages were sent before anything was heard of the session; no order goes out on old tops."""
    server = Server(per_reply=4)
    ask = {"request_host": "127.0.0.1", "request_port": server.socket.getsockname()[1], "request_ms": 5}
    lines = Lines(exchange, tmp_path / "block", gap_timeout_ms=60_000, **ask)
    if not late:
        lines.send("A", _core.mold_encode("DAY", 1, []))
        lines.wait_for("feed_session", "DAY")  # the other line may be read first
    for sequence in (*range(11, 20), *range(40, 50), *range(60, LAST)):
        lines.send("AB"[sequence % 2], _core.mold_encode("DAY", sequence, [BODIES[sequence - 1]]))
    lines.send("B", _core.mold_end_of_session("DAY", LAST + 1))
    block = lines.wait_for("feed_ended", True)
    assert (block["messages"], block["messages_lost"], block["stale"]) == (LAST, 0, False)
    assert block["book_errors"] == 0
    assert (block["orders_sent"], block["risk_stale"]) == ((0, 30) if late else (30, 0))
    assert block["requests"] >= len(server.asked) > 10
    assert block["packets_requested"] >= 11  # 10 + 20 + 10 + 1 messages in fours
    assert {first for first, _ in server.asked} >= {1, 20, 50, LAST}
    lines.stop()
    server.close()


def test_without_a_server_a_gap_ends_trading_until_the_next_session(exchange: Exchange, tmp_path: Path) -> None:
    lines = Lines(exchange, tmp_path / "block", gap_timeout_ms=20)
    lines.send("A", _core.mold_encode("DAY1", 1, BODIES[:10]))
    orders = lines.wait_for("messages", 10)["orders_sent"]
    lines.send("B", _core.mold_encode("DAY1", 13, BODIES[12:]))
    block = lines.wait_for("messages", LAST - 2)
    assert (block["messages_lost"], block["stale"], block["next_sequence"]) == (2, True, LAST + 1)
    assert block["orders_sent"] == orders == 4
    lines.send("B", _core.mold_encode("DAY2", 1, BODIES))
    lines.wait_for("orders_sent", orders + 30)
    block = lines.wait_for("stale", False)
    assert (block["feed_session"], block["book_errors"]) == ("DAY2", 0)
    lines.stop()


def test_a_server_that_is_away_is_no_failure_of_the_feed(exchange: Exchange, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ask = {"request_host": "127.0.0.1", "request_port": port, "request_ms": 1, "gap_timeout_ms": 50}
    lines = Lines(exchange, tmp_path / "block", **ask)
    lines.send("A", _core.mold_encode("DAY", 1, BODIES[:2]))
    lines.send("A", _core.mold_encode("DAY", 4, BODIES[3:4]))
    block = lines.wait_for("messages_lost", 1)
    assert (block["stale"], block["state"]) == (True, "live")
    lines.stop()
