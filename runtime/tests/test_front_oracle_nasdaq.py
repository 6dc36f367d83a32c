# SPDX-License-Identifier: Apache-2.0
"""Nasdaq's own SoupBinTCP client (PyPI: nasdaq-protocols) against our exchange: its rules and ours agree."""

import asyncio
import threading

import pytest
from nasdaq_protocols import soup

from tickwire import _core, config, generate, itchfile
from tickwire.exchange.server import Exchange

TIME_LIMIT_S = 15


@pytest.fixture
def exchange(tmp_path, free_ports):
    """A running exchange over loopback; yields it, and the address of its order port."""
    orders, control, feed = free_ports(3)
    itchfile.write(tmp_path / "feed.itch", generate.generate(100, 1, 1))
    settings = config.parse(
        f"""
        [exchange]
        itch_file = "{tmp_path}/feed.itch"
        block = "{tmp_path}/exchange.json"
        [feed]
        group = "127.0.0.1"
        port = {feed}
        interface = "127.0.0.1"
        [orders]
        address = "127.0.0.1"
        port = {orders}
        heartbeat_ms = 100
        [[orders.accounts]]
        username = "NASDAQ"
        password = "secret"
        [control]
        port = {control}
        """,
        config.EXCHANGE,
        "test",
    )
    server = Exchange(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server, ("127.0.0.1", orders)
    server.stop()
    thread.join(TIME_LIMIT_S)
    assert not thread.is_alive()


def enter_order(reference):
    return _core.ouch_encode(
        {
            "type": "O",
            "user_ref_num": reference,
            "side": "B",
            "quantity": 100,
            "symbol": "TAAAA",
            "price": 1_234_500,
            "time_in_force": "0",
            "display": "Y",
            "capacity": "P",
            "intermarket_sweep": "N",
            "cross_type": "N",
            "cl_ord_id": f"N{reference}",
        },
        True,
    )


def within_limit(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, TIME_LIMIT_S))


def test_nasdaqs_client_logs_in_sends_an_order_and_receives_accepted(exchange):
    server, address = exchange

    async def trade():
        # Its heartbeat monitor closes the session when ours fail to come within the interval.
        session = await soup.connect_async(
            address, "NASDAQ", "secret", client_heartbeat_interval=1, server_heartbeat_interval=1
        )
        assert session.session_id.session == server.session
        session.send_unseq_data(enter_order(1))
        session.send_unseq_data(enter_order(2))
        first, second = await session.receive_msg(), await session.receive_msg()
        await asyncio.sleep(2.5)  # two of its intervals with nothing but heartbeats both ways
        assert session.is_active()
        session.send_unseq_data(enter_order(3))
        third = await session.receive_msg()
        session.logout()
        return first, second, third

    replies = within_limit(trade())
    assert all(isinstance(reply, soup.SequencedData) for reply in replies)
    accepted = [_core.ouch_decode(reply.data, False) for reply in replies]
    assert [(a["type"], a["user_ref_num"], a["order_reference"]) for a in accepted] == [
        ("A", 1, 1),
        ("A", 2, 2),
        ("A", 3, 3),
    ]
    assert accepted[0]["price"] == 1_234_500 and accepted[0]["cl_ord_id"] == "N1"
    assert server.entry.counters.accepted == 3


def test_nasdaqs_client_resumes_from_the_sequence_it_asks_for(exchange):
    server, address = exchange

    async def trade():
        session = await soup.connect_async(address, "NASDAQ", "secret")
        for reference in (1, 2, 3):
            session.send_unseq_data(enter_order(reference))
        for _ in range(3):
            await session.receive_msg()
        session.logout()
        again = await soup.connect_async(address, "NASDAQ", "secret", session_id=server.session, sequence=2)
        assert again.sequence == 1  # it counts what it has; the next it awaits is 2
        replies = [await again.receive_msg(), await again.receive_msg()]
        again.logout()
        return replies

    accepted = [_core.ouch_decode(reply.data, False) for reply in within_limit(trade())]
    assert [a["user_ref_num"] for a in accepted] == [2, 3]


@pytest.mark.parametrize(
    ("user", "password", "session", "code"),
    [("NASDAQ", "wrong", "", "NOT_AUTHORIZED"), ("NASDAQ", "secret", "OTHER", "SESSION_NOT_AVAILABLE")],
)
def test_nasdaqs_client_understands_our_rejection(exchange, user, password, session, code):
    async def attempt():
        await soup.connect_async(exchange[1], user, password, session_id=session)

    with pytest.raises(ConnectionRefusedError, match=code):
        within_limit(attempt())


def test_nasdaqs_client_sees_the_end_of_the_session(exchange):
    server, address = exchange

    async def wait_for_end():
        session = await soup.connect_async(address, "NASDAQ", "secret")
        server.stop()
        while not session.is_closed():
            await asyncio.sleep(0.02)

    within_limit(wait_for_end())


def test_every_packet_nasdaq_defines_for_clients_is_one_we_know():
    """Encoded by their classes, taken by our session without complaint."""
    import socket

    from tickwire.exchange.soupbin import Account, Session, SessionClosed

    ours, theirs = socket.socketpair()
    session = Session(ours, "oracle", {"NASDAQ": Account("NASDAQ", "secret")}, "LAB0000001", lambda *_: None, 1.0, 0.0)
    for message in (
        soup.Debug("hello"),
        soup.LoginRequest("NASDAQ", "secret", "", "1"),
        soup.ClientHeartbeat(),
        soup.UnSequencedData(b"x"),
    ):
        theirs.send(message.to_bytes()[1])
        session.readable(0.0)
    accepted = soup.SoupMessage.from_bytes(theirs.recv(100))[1]
    assert accepted == soup.LoginAccepted("LAB0000001", 1)
    theirs.send(soup.LogoutRequest().to_bytes()[1])
    with pytest.raises(SessionClosed, match="logged out"):
        session.readable(0.0)
    session.close(b"")
    theirs.close()
