# SPDX-License-Identifier: Apache-2.0
"""Nasdaq's own nasdaq-protocols reads what the engine sends, and the engine reads what it sends."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_exchange import Exchange, free_udp_port
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
    while engine.session()[0] != "again" and time.monotonic() < deadline:
        time.sleep(0.01)
    engine.connect()  # it knows where the session ends, and wants it from the beginning
    while len(exchange.packets) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    _, end = soup.EndOfSession().to_bytes()
    exchange.send_orders(end)
    while engine.session()[0] != "closed" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.session() == ("closed", "the exchange ended the order session")
    engine.stop()
    thread.join(20)
    exchange.close()

    read = [
        soup.SoupMessage.from_bytes((len(payload) + 1).to_bytes(2, "big") + kind + payload)[1]
        for kind, payload in exchange.packets[:6]
    ]
    assert isinstance(read[1], soup.LogoutRequest)
    for login, sequence in ((read[0], "0"), (read[2], "1")):
        assert isinstance(login, soup.LoginRequest)
        assert (login.user, login.password, login.session, login.sequence) == ("TRADE1", "secret", "NASDAQ1", sequence)
    for query in read[3:5]:
        assert isinstance(query, soup.UnSequencedData) and query.data == b"Q"
    assert isinstance(read[5], soup.ClientHeartbeat)
    assert results == ["stopped"]


# --- the end of a replay


def answers(*fields: dict[str, Any], version: str = "5.0") -> list[bytes]:
    return [_core.ouch_encode({"timestamp": 1, **each}, False, version) for each in fields]


QUERIED = {"type": "Q", "next_user_ref_num": 8}
STARTED = {"type": "S", "event_code": "S"}
BOOKED = {"side": "B", "price": 10_000, "display": "Y", "order_reference": 9, "order_state": "L", "cross_type": "N"}
# What a day left: answers to queries of engines before among those about an order, which a new journal must not miss.
DAYS = {
    "5.0": answers(
        STARTED, QUERIED, QUERIED, {"type": "A", "user_ref_num": 7, "quantity": 100, "symbol": "TICK", **BOOKED}
    ),
    "4.2": answers(
        STARTED, {"type": "A", "order_token": "TW00000007", "shares": 100, "stock": "TICK", **BOOKED}, version="4.2"
    ),
}
GAP_S = 0.06  # between messages sent again: some exchanges take their time


class Nasdaq(soup.SoupServerSession, session_type="server"):
    """Nasdaq's server session, with a session of one user to send again. `newest`: what sequence 0 asks for."""

    said: list[bytes]
    newest: str
    logged_in: list[Nasdaq]

    async def on_login(self, msg: soup.LoginRequest) -> soup.LoginAccepted:
        self.client_heartbeat_interval = 0.2  # its name for the interval of its own heartbeats
        wanted = int(msg.sequence) or len(self.said) + (self.newest == "next")
        self.at = wanted
        self.sender = asyncio.get_running_loop().create_task(self.send_all())
        self.logged_in.append(self)
        return soup.LoginAccepted("NASDAQ1", wanted)

    async def send_all(self) -> None:
        while True:
            await asyncio.sleep(GAP_S)
            if self.at <= len(self.said):
                self.send_seq_msg(self.said[self.at - 1])
                self.at += 1

    async def on_unsequenced(self, msg: soup.UnSequencedData) -> None:
        if msg.data == b"Q":  # not the cancels of the end
            self.said += answers(QUERIED)


@contextlib.contextmanager
def nasdaq(said: list[bytes], newest: str) -> Iterator[int]:
    """A port of loopback that a server of Nasdaq's listens on, in a thread of its own."""
    made = type("Made", (Nasdaq,), {"said": said, "newest": newest, "logged_in": []}, session_type="server")
    loop, ports = asyncio.new_event_loop(), queue.SimpleQueue[int]()

    async def listen() -> None:
        server = await loop.create_server(made, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])

    async def hang_up() -> None:
        for session in made.logged_in:
            session.sender.cancel()
            # the library's close waits for tasks of its own, which have not always noticed that they were cancelled
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(session.close(), 2)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=2)

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(listen())
        loop.run_forever()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield ports.get(timeout=20)
    finally:
        asyncio.run_coroutine_threadsafe(hang_up(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.mark.parametrize("newest", ["next", "last"])
@pytest.mark.parametrize("version", ["5.0", "4.2"])
def test_nothing_is_settled_before_all_of_the_session_has_come(tmp_path: Path, version: str, newest: str) -> None:
    with nasdaq(list(DAYS[version]), newest) as port:
        block = str(tmp_path / "b")
        engine = _core.Engine(
            {
                "engine": {"block": block, "max_orders": 64, "max_instruments": 4, "max_samples": 4},
                "feed": {"group": "127.0.0.1", "port": free_udp_port(), "interface": "127.0.0.1"},
                "orders": {
                    "host": "127.0.0.1",
                    "port": port,
                    "username": "TRADE1",
                    "password": "x",
                    "version": version,
                },
            }
        )
        engine.open()
        engine.connect()
        thread = threading.Thread(target=engine.run)
        thread.start()
        deadline = time.monotonic() + 20
        state = ""
        while (state := engine.session()[0]) != "live" and time.monotonic() < deadline:
            if state == "again":
                engine.connect()
            time.sleep(0.002)
        open_orders = _core.block_read(block)["open_orders"]
        engine.stop()
        thread.join(20)
    assert (state, open_orders) == ("live", 1)
