# SPDX-License-Identifier: Apache-2.0
"""The engine over real sockets on lo, against a small exchange in Python."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import core_samples
import pytest
from core_exchange import Exchange, accept_order, soup
from core_messages import add, imbalance

from tickwire import _core

PATIENCE_S = 20.0


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.002)


class Running:
    """An engine running in a thread of its own."""

    def __init__(self, exchange: Exchange, block: Path, **sections: dict[str, Any]) -> None:
        self.block = str(block)
        config: dict[str, dict[str, Any]] = {
            "engine": {
                "name": "loop",
                "cpu": -1,
                "block": self.block,
                "idle_after_ms": 1,
                "max_orders": 4096,
                "max_instruments": 64,
                "max_samples": 1024,
            },
            "feed": {"group": "127.0.0.1", "port": exchange.feed_port, "interface": "127.0.0.1"},
            "orders": {"host": "127.0.0.1", "port": exchange.port, "username": "TRADE1", "password": "tickwire"},
        }
        for name, values in sections.items():
            config.setdefault(name, {}).update(values)
        self.engine = _core.Engine(config)
        self.result: str | Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Running:
        self.engine.open()
        self.engine.connect()
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            self.result = self.engine.run()
        except Exception as error:
            self.result = error

    def read(self) -> dict[str, Any]:
        return _core.block_read(self.block)

    def wait_for(self, key: str, value: Any) -> dict[str, Any]:
        until(lambda: self.read()[key] == value, f"{key} == {value!r}: {self.read()}")
        return self.read()

    def samples(self) -> list[tuple[int, int]]:
        return [sample[:2] for sample in core_samples.unpack(self.block)]

    def finish(self) -> str | Exception | None:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.result

    def stop(self) -> str | Exception | None:
        self.engine.stop()
        return self.finish()


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = Exchange()
    yield exchange
    exchange.close()


@pytest.fixture
def running(exchange: Exchange, tmp_path: Path) -> Iterator[Running]:
    running = Running(exchange, tmp_path / "t2t.block").start()
    running.wait_for("state", "live")
    yield running
    running.stop()


def test_orders_are_sent_accepted_and_stamped(exchange: Exchange, running: Running) -> None:
    messages = imbalance(first=1, count=20)
    started_ns = time.time_ns()
    for sequence, message in enumerate(messages, 1):
        exchange.send_feed(_core.mold_encode("DAY1", sequence, [message]))
    running.wait_for("messages", len(messages))
    running.wait_for("orders_accepted", 20)
    exchange.send_feed(_core.mold_end_of_session("DAY1", len(messages) + 1))
    block = running.wait_for("feed_ended", True)

    assert (block["feed_session"], block["gaps"], block["messages_lost"]) == ("DAY1", 0, 0)
    assert (block["orders_sent"], block["orders_unsent"], block["orders_rejected"]) == (20, 0, 0)
    assert (block["timestamp_source"], block["priority"]) == ("software", 0)
    assert "lo has no PTP hardware clock, says its driver (ethtool -T lo)" in block["timestamp_reason"]
    assert block["top"] == [
        {
            "locate": 1, "stock": "TICK", "bid": 10000, "bid_size": 100, "ask": 10010, "ask_size": 100,
            "trading_state": "T",
        }
    ]  # fmt: skip
    assert (block["samples"], block["unstamped"], block["samples_dropped"]) == (20, 0, 0)
    samples = running.samples()
    assert len(samples) == block["samples"]
    for receive_ns, transmit_ns in samples:
        assert started_ns <= receive_ns < transmit_ns < time.time_ns()

    orders = exchange.orders()
    assert [order["user_ref_num"] for order in orders] == list(range(1, 21))
    assert {(order["side"], order["price"]) for order in orders} == {("B", 10010), ("S", 10000)}
    assert running.stop() == "stopped"
    assert running.read()["state"] == "stopped"


def test_a_new_feed_session_starts_samples_and_books_anew(exchange: Exchange, running: Running) -> None:
    for session, count in (("DAY1", 6), ("DAY2", 4)):
        messages = imbalance(first=1, count=count)
        for at in range(0, len(messages), 3):
            exchange.send_feed(_core.mold_encode(session, at + 1, messages[at : at + 3]))
        exchange.send_feed(_core.mold_end_of_session(session, len(messages) + 1))
        until(lambda s=session: running.read()["feed_session"] == s, session)
        block = running.wait_for("feed_ended", True)
        assert block["samples"] + block["unstamped"] == count, session
        assert block["next_sequence"] == len(messages) + 1
    assert running.read()["orders_sent"] == 10
    assert running.read()["book_errors"] == 0, "orders of the first day were still there"


def test_an_engine_that_joins_late_does_not_trade_on_half_a_book(exchange: Exchange, running: Running) -> None:
    messages = imbalance(first=1, count=6)
    for sequence, message in enumerate(messages, 1):
        exchange.send_feed(_core.mold_encode("DAY1", 1000 + sequence, [message]))
    exchange.send_feed(_core.mold_end_of_session("DAY1", 1001 + len(messages)))
    block = running.wait_for("feed_ended", True)
    assert block["stale"] and block["messages"] == len(messages)
    assert block["orders_sent"] == 0 and block["risk_stale"] > 0
    exchange.send_feed(_core.mold_encode("DAY2", 1, messages[:1]))
    until(lambda: running.read()["feed_session"] == "DAY2", "the next session")
    running.wait_for("stale", False)


def test_login_request_is_what_the_specification_says(exchange: Exchange, running: Running) -> None:
    assert exchange.login == b"TRADE1" + b"tickwire  " + b" " * 10 + b"0".rjust(20)


def test_multicast_feed_is_joined(exchange: Exchange, tmp_path: Path) -> None:
    group = "239.192.110.77"
    engine = Running(exchange, tmp_path / "b", feed={"group": group, "port": exchange.feed_port}).start()
    engine.wait_for("state", "live")
    data = b"".join(struct.pack(">H", len(m)) + m for m in imbalance(first=1, count=4))
    index, info = _core.itch_frame_index(data)
    replay = _core.Replay(
        data, index, group=group, port=exchange.feed_port, interface="127.0.0.1", session="MC", messages_per_packet=2
    )
    sent = replay.run(2000.0, 0, 100)
    replay.heartbeat()
    replay.end_of_session()
    assert (sent["messages"], sent["packets"]) == (info["messages"], 5)
    block = engine.wait_for("feed_ended", True)
    assert (block["messages"], block["orders_sent"], block["gaps"]) == (info["messages"], 4, 0)
    assert engine.stop() == "stopped"


@pytest.mark.parametrize(
    ("reason", "error", "text"),
    [(b"A", PermissionError, "not authorized"), (b"S", ConnectionRefusedError, "not available")],
)
def test_refused_login_names_user_and_reason(tmp_path: Path, reason: bytes, error: type, text: str) -> None:
    exchange = Exchange(login_answer=soup(b"J", reason))
    result = Running(exchange, tmp_path / "b").start().finish()
    exchange.close()
    assert isinstance(result, error)
    assert "TRADE1" in str(result) and text in str(result)


def test_nobody_listening_is_named(tmp_path: Path) -> None:
    exchange = Exchange()
    exchange.close()
    with pytest.raises(OSError, match=rf"orders 127.0.0.1:{exchange.port}: connect"):
        Running(exchange, tmp_path / "b").start()


def test_address_of_another_machine_is_named(exchange: Exchange, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"feed 239.1.1.1:\d+ on 192.0.2.77: join the group"):
        Running(exchange, tmp_path / "b", feed={"group": "239.1.1.1", "interface": "192.0.2.77"}).start()


def test_block_directory_that_is_missing_is_named(exchange: Exchange, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="block file .*its directory must exist"):
        Running(exchange, tmp_path / "missing" / "b").start()


def test_heartbeats_go_both_ways(exchange: Exchange, tmp_path: Path) -> None:
    engine = Running(exchange, tmp_path / "b", orders={"heartbeat_ms": 100}).start()
    engine.wait_for("state", "live")
    exchange.send_orders(soup(b"H"))
    until(lambda: sum(kind == b"R" for kind, _ in exchange.packets) >= 3, "three client heartbeats")
    until(lambda: engine.read()["heartbeats_out"] >= 3, "heartbeats counted")
    engine.wait_for("heartbeats_in", 1)
    engine.stop()


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_end_of_session_is_told_and_the_feed_goes_on(tmp_path: Path, pieces: int) -> None:
    exchange = Exchange()
    engine = Running(exchange, tmp_path / "b").start()
    engine.wait_for("state", "live")
    for i in range(0, 3, 4 - pieces):  # the packet in pieces, as TCP may deliver it
        exchange.send_orders(soup(b"Z")[i : i + 4 - pieces])
        time.sleep(0.02)
    engine.wait_for("state", "login")
    assert engine.engine.session() == ("closed", "the exchange ended the order session")
    exchange.send_feed(_core.mold_encode("DAY1", 1, imbalance(first=1, count=2)))
    block = engine.wait_for("messages", 6)
    assert (block["orders_sent"], block["top"][0]["bid"]) == (0, 10000)
    assert engine.stop() == "stopped"
    exchange.close()


def test_lost_connection_can_be_made_again_and_order_numbers_go_on(tmp_path: Path) -> None:
    exchange = Exchange()
    engine = Running(exchange, tmp_path / "b").start()
    engine.wait_for("state", "live")
    messages = imbalance(first=1, count=6)
    exchange.send_feed(_core.mold_encode("DAY1", 1, messages[:6]))
    engine.wait_for("orders_accepted", 2)
    assert exchange.connection is not None
    exchange.connection.shutdown(2)
    engine.wait_for("state", "login")
    assert engine.engine.session() == ("closed", "the order connection was closed")
    exchange.send_feed(_core.mold_encode("DAY1", 7, messages[6:10]))  # nobody trades, the books go on
    engine.wait_for("messages", 10)

    exchange.login_answer = soup(b"A", b"LOOP".rjust(10) + b"5".rjust(20))
    engine.engine.connect()
    engine.wait_for("state", "live")
    assert exchange.login.endswith(b"LOOP".ljust(10) + b"0".rjust(20)), "nothing is missing, so the first login is good"
    exchange.send_feed(_core.mold_encode("DAY1", 11, messages[10:]))
    engine.wait_for("orders_accepted", 4)
    assert [order["user_ref_num"] for order in exchange.orders()] == [1, 2, 3, 4]
    assert engine.read()["gaps"] == 0
    engine.stop()
    exchange.close()


def test_what_was_missed_is_asked_for_once_the_end_of_the_session_is_known(tmp_path: Path) -> None:
    exchange = Exchange()
    engine = Running(exchange, tmp_path / "b").start()
    engine.wait_for("state", "live")  # two answers to Account Queries
    assert exchange.connection is not None
    exchange.connection.shutdown(2)
    engine.wait_for("state", "login")
    exchange.login_answer = soup(b"A", b"LOOP".rjust(10) + b"9".rjust(20))
    engine.engine.connect()
    until(lambda: engine.engine.session() == ("again", ""), "the end of the session")
    assert exchange.login.endswith(b"LOOP".ljust(10) + b"0".rjust(20))
    until(lambda: (b"O", b"") in exchange.packets, "logout")
    exchange.login_answer = soup(b"A", b"LOOP".rjust(10) + b"3".rjust(20))
    engine.engine.connect()
    until(
        lambda: exchange.login.endswith(b"LOOP".ljust(10) + b"3".rjust(20)), "the message after the last one answered"
    )
    event = soup(b"S", _core.ouch_encode({"type": "S", "timestamp": 1, "event_code": "S"}, False))
    until(lambda: len([p for p in exchange.packets if p == (b"U", b"Q")]) == 4, "queries")
    # Their answers had the numbers 3 and 4, so they may be old ones: the end is 9.
    for _ in range(4):
        assert engine.read()["state"] == "login"
        exchange.send_orders(event)
    query = soup(b"S", _core.ouch_encode({"type": "Q", "timestamp": 1, "next_user_ref_num": 1}, False))
    exchange.send_orders(query)  # 9: may be the last message there was
    time.sleep(0.05)
    assert engine.read()["state"] == "login"
    exchange.send_orders(query)
    engine.wait_for("state", "live")
    engine.stop()
    exchange.close()


def test_quotes_from_before_a_restart_are_managed_and_not_sent_again(tmp_path: Path) -> None:
    def answer(message: bytes) -> list[bytes]:
        return accept_order(message) if message[:1] == b"O" else []  # it stops while its cancels are unanswered

    exchange = Exchange(answer=answer)
    sections = {
        "strategy": {"name": "market_maker", "size": 100, "max_position": 1000, "edge_bps": 5.0, "symbols": ["TICK"]},
        "risk": {"collar_bps": 500, "max_position": 10_000},
    }
    journal = {"journal": str(tmp_path / "journal"), "journal_name": "loop", "journal_records": 1024}
    book = [add(1, "B", 100, 1_000_000), add(2, "S", 100, 1_000_200)]
    for day, sequence in (("DAY1", 1), ("DAY2", 5)):
        exchange.login_answer = soup(b"A", b"LOOP".rjust(10) + str(sequence).encode().rjust(20))
        engine = Running(exchange, tmp_path / "b", engine=journal, **sections).start()
        engine.wait_for("state", "live")
        exchange.send_feed(_core.mold_encode(day, 1, [*book, add(3, "B", 50, 1_000_000)]))
        engine.wait_for("messages", 3)
        block = engine.wait_for("open_orders", 2)
        assert block["risk_tag"] == block["replaces_sent"] == 0
        engine.stop()
        del engine  # with it, it lets go of the journal
    assert [order["user_ref_num"] for order in exchange.orders()] == [1, 2]
    exchange.close()


def test_a_session_that_is_gone_is_replaced_by_the_running_one(tmp_path: Path) -> None:
    exchange = Exchange()
    engine = Running(exchange, tmp_path / "b").start()
    engine.wait_for("state", "live")
    exchange.login_answer = soup(b"J", b"S")
    exchange.send_orders(soup(b"Z"))
    engine.wait_for("state", "login")
    engine.engine.connect()
    until(lambda: engine.engine.session()[1].startswith('session "LOOP" from message 3 is gone'), "refusal")
    exchange.login_answer = soup(b"A", b"NEXT".rjust(10) + b"1".rjust(20))
    engine.engine.connect()
    engine.wait_for("state", "live")
    assert exchange.login.endswith(b" " * 10 + b"0".rjust(20))
    engine.stop()
    exchange.close()


def test_no_order_goes_out_before_the_exchange_has_said_everything(tmp_path: Path) -> None:
    exchange = Exchange(settles=False)
    engine = Running(exchange, tmp_path / "b").start()
    until(lambda: engine.engine.session()[0] == "settling", "login")
    exchange.send_feed(_core.mold_encode("DAY1", 1, imbalance(first=1, count=2)))
    assert engine.wait_for("messages", 6)["orders_sent"] == 0
    for _ in range(2):  # an exchange that does not know the query: two heartbeats say that it has no more to tell
        assert engine.read()["state"] == "login"
        exchange.send_orders(soup(b"H"))
        time.sleep(0.05)
    engine.wait_for("state", "live")
    engine.stop()
    exchange.close()


def test_a_rejected_order_is_counted(tmp_path: Path) -> None:
    rejected = _core.ouch_encode({"type": "J", "user_ref_num": 1, "reason": 0x13, "cl_ord_id": "TW00000001"}, False)
    exchange = Exchange(answer=lambda _: [soup(b"+", b"a debug packet"), soup(b"S", rejected)])
    engine = Running(exchange, tmp_path / "b").start()
    engine.wait_for("state", "live")
    exchange.send_feed(_core.mold_encode("DAY1", 1, imbalance(first=1, count=1)))
    assert engine.wait_for("orders_rejected", 1)["orders_accepted"] == 0
    engine.stop()
    exchange.close()


def test_pinning_to_a_cpu_that_is_not_there_is_named(exchange: Exchange, tmp_path: Path) -> None:
    result = Running(exchange, tmp_path / "b", engine={"cpu": 1000}).start().finish()
    assert isinstance(result, OSError) and "engine.cpu 1000" in str(result)


def test_run_without_open_is_refused(exchange: Exchange, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="open"):
        Running(exchange, tmp_path / "b").engine.run()


def test_a_file_that_is_no_block_is_refused(tmp_path: Path) -> None:
    for content, text in (
        (b"short", "has 5 bytes, where one of this release has 4096 or more"),
        (b"x" * 8192, "not a tickwire block"),
    ):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(ValueError, match=text):
            _core.block_read(str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError):
        _core.block_samples(str(tmp_path / "none"))
