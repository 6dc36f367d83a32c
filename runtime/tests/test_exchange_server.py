# SPDX-License-Identifier: Apache-2.0
"""A whole exchange over loopback: fills against a replay, re-requests, control, many sessions, bad clients."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from typing import Any

import pytest
from exchange_clients import TIME_LIMIT_S, Client, Site, about, enter, key_of

from tickwire import _core, config
from tickwire.exchange.replays import said
from tickwire.exchange.soupbin import packet

SYMBOL = "TAAAA"
END_OF_SESSION = 0xFFFF


def feed_file(pause_ns: int = 0) -> list[bytes]:
    """One instrument: 300 shares offered at $100.00 and 200 bid at $99.00; much later the bid is executed."""
    start = 34_200 * 10**9
    messages: list[dict[str, Any]] = [
        {"type": "R", "stock": SYMBOL},
        {"type": "A", "order_reference": 1, "side": "S", "shares": 300, "price": 1_000_000, "stock": SYMBOL},
        {"type": "A", "order_reference": 2, "side": "B", "shares": 200, "price": 990_000, "stock": SYMBOL},
        {"type": "S", "event_code": "Q", "timestamp": start + pause_ns},
        {"type": "A", "order_reference": 3, "side": "S", "shares": 70, "price": 985_000, "stock": SYMBOL},
    ]
    return [_core.itch_encode({"stock_locate": 1, "timestamp": start, **message}) for message in messages]


@pytest.fixture
def start(tmp_path, free_ports):
    """start(messages, ...): a running Site."""
    sites: list[Site] = []

    def make(messages: list[bytes] | None = None, **changes: Any) -> Site:
        site = Site(tmp_path, free_ports(5), feed_file() if messages is None else messages, **changes)
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.close()


def until_sent(control, count: int) -> None:
    """Wait until the exchange has sent and followed `count` messages."""
    deadline = time.monotonic() + TIME_LIMIT_S
    while control.ask(command="status")["followed"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_orders_of_both_versions_are_filled_against_the_replay(start):
    site = start(feed_file(3600 * 10**9), feed="speed = 1.0")
    five, four, control = site.client("FIVE0"), site.client("FOUR0"), site.ask()
    begun = control.ask(command="replay")
    assert begun == {"session": begun["session"], "messages": 5, "rate": 500.0, "speed": 1.0}
    until_sent(control, 3)
    five.send(enter("5.0", 1, quantity=100, immediate=True))
    assert [five.next()["type"] for _ in "AE"] == ["A", "E"]
    four.send(enter("4.2", 1, quantity=250, immediate=True))
    answers = [four.next() for _ in "AEC"]
    assert [(a["type"], a["shares"]) for a in answers] == [("A", 250), ("E", 200), ("C", 50)]
    # One rests between the spread; the other takes it.
    five.send(enter("5.0", 2, quantity=80, price=995_000))
    assert five.next()["type"] == "A"
    four.send(enter("4.2", 2, side="S", quantity=30, price=995_000))
    assert four.next()["type"] == "A" and four.next()["shares"] == 30
    filled = five.next()
    assert (filled["type"], filled["shares"], filled["price"], filled["flag"]) == ("E", 30, 995_000, "A")
    broken = control.ask(command="break", match_number=filled["match"], reason="E")
    assert broken == {"broken": filled["match"], "accounts": ["FOUR0", "FIVE0"]}
    assert (five.next()["match"], four.next()["match"]) == (filled["match"],) * 2
    # The next message of the feed is an hour away; the day ends when somebody says so.
    assert control.ask(command="stop") == {"stopped": begun["session"]}
    done = control.answer()
    assert (done["done"], done["sent"], done["orders"], done["stopped"]) == (True, 3, 4, True)
    ended = five.next()
    assert (ended["type"], ended["shares"], ended["reason"]) == ("C", 50, "T")
    status = control.ask(command="status")
    assert (status["executions"], status["executed_shares"], status["broken"]) == (4, 360, 1)
    assert (status["state"], status["open_orders"], status["followed"]) == ("idle", 0, 0)


def test_the_feed_comes_to_a_resting_order(start):
    site = start()
    five, control = site.client("FIVE0"), site.ask()
    five.send(enter("5.0", 1, quantity=60, price=986_000))  # before the day has begun
    assert five.next()["type"] == "A"
    assert control.ask(command="replay", rate=0)["rate"] == 0.0
    filled = five.next()
    assert (filled["type"], filled["shares"], filled["price"], filled["flag"]) == ("E", 60, 986_000, "A")
    assert control.answer()["sent"] == 5


def test_without_matching_nothing_is_filled(start):
    site = start(exchange="matching = false")
    five, control = site.client("FIVE0"), site.ask()
    control.ask(command="replay", rate=0)
    assert control.answer()["done"]
    five.send(enter("5.0", 1, immediate=True), enter("5.0", 2))
    assert [five.next()["type"], five.next()["type"]] == ["A", "A"]
    assert control.ask(command="status")["executions"] == 0


def test_faults_and_pace_of_one_replay(start):
    site = start(feed=f"seed = 9\ngroup_b = '127.0.0.1'\nport_b = {1}\nrate = 100000")
    control = site.ask()
    begun = control.ask(command="replay", loss_a=0.5, duplicate_b=0.5, reorder_b=0.1, seed=5, speed=1000)
    assert begun["speed"] == 1000.0
    done = control.answer()
    lost = done["line_a"]["lost"]
    assert done["line_b"]["lost"] == 0 and done["line_a"]["duplicated"] == 0
    control.ask(command="replay", loss_a=0.5, seed=5)
    assert control.answer()["line_a"]["lost"] == lost, "the same seed, the same decisions"
    control.ask(command="replay")
    assert control.answer()["line_a"]["lost"] == 0, "the configuration counts again"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"command": "replay", "loss_a": 0.6}, "loss_a: 0.6 is not a probability, 0 to 0.5"),
        ({"command": "replay", "reorder_b": True}, "reorder_b: True is not a probability"),
        ({"command": "replay", "speed": -1}, "speed: -1 is not a number, 0 (the rate counts) to 1e6"),
        ({"command": "replay", "seed": 1.5}, "seed: 1.5 is not a whole number"),
        ({"command": "replay", "lose_a": 0.1}, "unknown key 'lose_a'"),
        ({"command": "break"}, "match_number: None is not a whole number above 0"),
        ({"command": "break", "match_number": 1, "reason": "?"}, "reason: '?' is not one of the letters E, C, S, X"),
        ({"command": "break", "match_number": 1}, "match_number: 1 is no trade here"),
        ({"command": "stop"}, "no replay is running"),
        ({"command": "stop", "now": True}, "unknown command 'stop'"),
    ],
)
def test_wrong_commands_are_named(start, request_, text):
    assert text in start().ask().ask(**request_)["error"]


# --- re-requests


def asked(site: Site, request: bytes, limit_s: float = TIME_LIMIT_S) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(limit_s)
        sock.sendto(request, ("127.0.0.1", site.requests))
        try:
            return sock.recv(2048)
        except TimeoutError:
            return None


def test_what_was_sent_can_be_asked_for_again(start):
    messages = [_core.itch_encode({"type": "D", "order_reference": n}) for n in range(500)]
    site = start(messages, feed="rate = 1000\nmessages_per_packet = 10")
    control = site.ask()
    begun = control.ask(command="replay", messages=100)
    session = begun["session"].encode()
    control.answer()
    for sequence, count, wanted in ((1, 3, 3), (98, 3, 3), (98, 10, 3), (100, 65535, 1), (1, 65535, 69)):
        answer = asked(site, struct.pack(">10sQH", session, sequence, count))
        # As many as fit a packet: 20 bytes of header, 21 a message.
        expected = begun["session"], sequence, wanted, messages[sequence - 1 : sequence - 1 + wanted]
        assert answer is not None and len(answer) <= 1472
        assert _core.mold_decode(answer) == expected
    wrong = [
        struct.pack(">10sQH", session, 101, 1),  # not sent
        struct.pack(">10sQH", session, 0, 1),
        struct.pack(">10sQH", session, 5, 0),
        struct.pack(">10sQH", b"OTHER     ", 5, 1),
        struct.pack(">10sQH", session, 5, 1) + b"x",
        b"",
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.3)
        for request in wrong:
            sock.sendto(request, ("127.0.0.1", site.requests))
        with pytest.raises(TimeoutError):
            sock.recv(2048)
    status = control.ask(command="status")
    assert (status["requests"], status["requests_ignored"]) == (5, len(wrong))


def test_requests_are_answered_while_the_feed_is_sent_and_never_ahead_of_it(start):
    messages = [_core.itch_encode({"type": "D", "order_reference": n}) for n in range(1000)]
    site = start(messages, feed="rate = 100")
    control = site.ask()
    session = control.ask(command="replay")["session"].encode()
    seen = 0
    deadline = time.monotonic() + TIME_LIMIT_S
    while seen < 30 and time.monotonic() < deadline:
        answer = asked(site, struct.pack(">10sQH", session, 1, 50), 0.2)
        if answer is not None:
            seen = _core.mold_decode(answer)[2]
            assert seen <= site.server.feed.sequence_sent
    assert 30 <= seen <= 50
    control.ask(command="stop")


def test_requests_do_not_wait_for_the_order_side(start, monkeypatch):
    """A receiver that has lost packets on both lines has little time; orders and books may be busy."""
    messages = [_core.itch_encode({"type": "D", "order_reference": n}) for n in range(50)]
    site = start(messages)
    control = site.ask()
    session = control.ask(command="replay")["session"].encode()
    control.answer()
    busy, over = threading.Event(), threading.Event()

    def work(pace):
        busy.set()
        over.wait(TIME_LIMIT_S)
        return pace

    monkeypatch.setattr(site.server, "_follow", work)
    assert busy.wait(TIME_LIMIT_S)
    try:
        answer = asked(site, struct.pack(">10sQH", session, 7, 1))
    finally:
        over.set()
    assert answer is not None and _core.mold_decode(answer)[1:3] == (7, 1)


def test_a_listener_that_loses_packets_gets_all_of_the_feed(start):
    """The gaps of a lossy line A, closed by requests alone."""
    messages = [_core.itch_encode({"type": "D", "order_reference": n}) for n in range(200)]
    site = start(messages, feed="rate = 0\nloss_a = 0.5\nduplicate_a = 0.2\nreorder_a = 0.2")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        line.bind(("127.0.0.1", site.feed))
        line.settimeout(TIME_LIMIT_S)
        control = site.ask()
        session = control.ask(command="replay")["session"]
        got: dict[int, bytes] = {}
        while True:
            of, sequence, count, bodies = _core.mold_decode(line.recv(2048))
            if of == session and count == END_OF_SESSION:
                break
            got.update((sequence + n, body) for n, body in enumerate(bodies))
    missing = set(range(1, 201)) - set(got)
    assert len(missing) == control.answer()["line_a"]["lost"] > 50
    for sequence in missing:
        answer = asked(site, struct.pack(">10sQH", session.encode(), sequence, 1))
        assert answer is not None
        got[sequence] = _core.mold_decode(answer)[3][0]
    assert [got[n] for n in range(1, 201)] == messages


# --- sessions


def test_many_sessions_of_both_versions_at_once(start):
    site = start(accounts=20)
    control = site.ask()
    failures: list[BaseException] = []

    def trade(user: str) -> None:
        try:
            client = Client(site.orders, user, "5.0" if user.startswith("FIVE") else "4.2")
            for n in range(1, 26):
                client.send(enter(client.version, n, symbol=user), about(client.version, "X", n))
            answers = [client.next() for _ in range(50)]
            expected = [(kind, key_of(client.version, n)) for n in range(1, 26) for kind in "AC"]
            assert [(a["type"], a["key"]) for a in answers] == expected
            client.close()
        except BaseException as failure:
            failures.append(failure)

    users = [f"{name}{n}" for name in ("FIVE", "FOUR") for n in range(20)]
    threads = [threading.Thread(target=trade, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIME_LIMIT_S)
    assert not failures
    status = control.ask(command="status")
    assert (status["accepted"], status["canceled"], status["open_orders"]) == (1000, 1000, 0)


def test_an_execution_waits_for_a_client_that_has_gone(start):
    site = start()
    five, four = site.client("FIVE0"), site.client("FOUR0")
    five.send(enter("5.0", 1, symbol="NOFEED"))
    assert five.next()["type"] == "A"
    five.close()
    four.send(enter("4.2", 1, side="S", symbol="NOFEED"))
    assert [four.next()["type"], four.next()["type"]] == ["A", "E"]
    again = site.client("FIVE0")
    assert [again.next()["type"], again.next()["type"]] == ["A", "E"]
    # The number of yesterday's connection is used up on this one as well.
    again.send(enter("5.0", 1, symbol="NOFEED"), enter("5.0", 2, symbol="NOFEED"))
    assert again.next()["key"] == 2


def test_a_connection_that_was_replaced_trades_no_more(start):
    """Its client has been told where the session stands, and settled without what it had under way there."""
    site = start()
    old = site.client("FIVE0")
    for n in range(1, 11):
        new = site.client("FIVE0")  # logged in
        with contextlib.suppress(ConnectionError):
            old.send(enter("5.0", n, symbol="NOFEED"))
            while old._packet() != (b"", b""):
                pass
        old = new
    old.send(enter("5.0", 11, symbol="NOFEED"))
    answer = old.next()
    assert (answer["type"], answer["key"], answer["order_reference"]) == ("A", 11, 1)


def test_bad_clients_do_not_disturb_the_good_one(start):
    site = start(accounts=3)
    good = site.client("FIVE0")
    half_open = socket.create_connection(("127.0.0.1", site.orders))
    half_open.sendall(b"\0\x2f")  # the beginning of a login, and never more
    wrong = socket.create_connection(("127.0.0.1", site.orders), timeout=TIME_LIMIT_S)
    wrong.sendall(packet(b"L", f"{'FIVE1':<6}{'guess':<10}{'':<10}{'1':>20}".encode()))
    assert wrong.recv(100) == packet(b"J", b"A") and wrong.recv(100) == b""
    garbage = socket.create_connection(("127.0.0.1", site.orders), timeout=TIME_LIMIT_S)
    garbage.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert garbage.recv(100) == b""
    # Damaged OUCH after a good login, in both versions.
    for user in ("FIVE1", "FOUR1"):
        damaged = site.client(user)
        damaged.send(b"O\0\0")
        while damaged._packet() != (b"", b""):
            pass
    slow = site.client("FIVE2")  # never reads, and is written to all the time
    burst = b"".join(packet(b"U", enter("5.0", n, symbol="SLOW")) for n in range(1, 2001))
    slow.sock.sendall(burst)
    for n in range(1, 200):
        good.send(enter("5.0", n, symbol="GOOD"))
        assert good.next()["key"] == n
    for sock in (half_open, wrong, garbage):
        sock.close()


def test_the_day_is_opened_and_closed_by_system_events(start):
    site = start()
    client = site.client("FOUR0")
    kind, payload = client._packet()
    assert (kind, payload[:1], payload[-1:]) == (b"S", b"S", b"S")
    site.server.stop()
    packets = []
    while (found := client._packet()) != (b"", b""):
        packets.append(found)
    assert packets[-1] == (b"Z", b"")
    assert packets[-2][1][:1] == b"S" and packets[-2][1][-1:] == b"E"


def test_the_drop_copy_and_a_disk_that_is_full(start, tmp_path):
    site = start(exchange=f'drop_copy = "{tmp_path}/drop.jsonl"')
    five = site.client("FIVE0")
    five.send(enter("5.0", 1, symbol="NOFEED"), about("5.0", "X", 1))
    assert [five.next()["type"], five.next()["type"]] == ["A", "C"]
    site.close()
    site.clients.clear()
    lines = [json.loads(line) for line in (tmp_path / "drop.jsonl").read_text().splitlines()]
    orders = [(line["direction"], line["message"]["type"]) for line in lines if line["message"]["type"] != "S"]
    assert orders == [("in", "O"), ("out", "A"), ("in", "X"), ("out", "C")]

    full = start(exchange='drop_copy = "/dev/full"')
    five, control = full.client("FIVE0"), full.ask()
    five.send(enter("5.0", 1, symbol="NOFEED"))
    assert five.next()["type"] == "A"
    assert control.ask(command="status")["drop_copy_lost"] >= 2


# --- configuration


@pytest.mark.parametrize(
    ("feed", "text"),
    [
        ("group_b = '127.0.0.1'\nport_b = 26400", "feed.group_b: 127.0.0.1:26400 is the A line's address"),
        ("loss_b = 0.1", "feed.loss_b: 0.1 has no effect: there is no line B without feed.group_b"),
        ("reorder_a = 0.7", "feed.reorder_a: 0.7 is outside 0..0.5"),
    ],
)
def test_what_makes_no_sense_is_refused(feed, text):
    settings = f"""
[exchange]
itch_file = "x.itch"
[feed]
group = "127.0.0.1"
interface = "127.0.0.1"
{feed}
[orders]
address = "127.0.0.1"
[[orders.accounts]]
username = "A"
password = "B"
"""
    with pytest.raises(config.ConfigError, match=re.escape(text)):
        config.parse(settings, config.EXCHANGE, "x.toml")


def test_a_request_port_in_use_is_named(start, tmp_path):
    site = start()
    from tickwire.errors import TickwireError
    from tickwire.exchange.rerequest import RequestServer

    with pytest.raises(
        TickwireError, match=rf"feed.request_port: cannot receive on 127.0.0.1:{site.requests}: .*ss -lunp"
    ):
        RequestServer(site.server.feed, "127.0.0.1", site.requests)


def test_a_replay_is_over_when_its_end_has_been_told(start):
    """The feed's thread is done with a replay a moment before the books are; no other may begin in between."""
    site = start()
    replays, control = site.server.replays, site.ask()
    assert not site.server.feed.busy
    replays.running = (None, 0)
    assert "is running; wait for it to end, or stop it" in control.ask(command="replay")["error"]
    replays.running = None
    assert control.ask(command="replay", rate=0)["messages"] == 5


def test_the_log_says_in_words_how_a_replay_went() -> None:
    lines = {"line_a": {"lost": 3, "duplicated": 0}, "line_b": {"lost": 0, "duplicated": 0}}
    answer = {"sent": 100, "packets": 90, "orders": 7, "elapsed_ms": 1500.0, "late_max_us": 12.4, **lines}
    text = "after 1.500 s, 100 messages in 90 packets, 7 orders, at most 12 us late, line a: 3 lost"
    assert said(answer) == f"done {text}"
    assert said({**answer, "stopped": True}) == f"stopped {text}"
    assert said({"error": "feed: no route"}) == "feed: no route"
