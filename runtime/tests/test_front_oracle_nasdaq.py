# SPDX-License-Identifier: Apache-2.0
"""Nasdaq's own clients of SoupBinTCP and OUCH (PyPI: nasdaq-protocols) against our exchange: its rules and ours agree.

The package brings the OUCH session and a framework for messages, but no messages: those are declared here in it, from
the table of fields that tests/oracles/test_oracle_ouch.py holds against the specification.
"""

import asyncio
import threading
from typing import Any

import pytest
from exchange_clients import VERSIONS, key_of
from nasdaq_protocols import ouch, soup
from nasdaq_protocols.common.message import structures, types

from tickwire import _core, config, generate, itchfile
from tickwire.exchange.server import Exchange

TIME_LIMIT_S = 15
_INTEGERS = {1: types.Byte, 2: types.UnsignedShortBE, 4: types.UnsignedIntBE, 8: types.UnsignedLongBE}


def declare(version: str) -> tuple[type, dict[tuple[bool, str], type]]:
    """A session class of Nasdaq's and the message classes of one version, by direction (to the exchange: True)."""
    base = type(f"Message{version}", (ouch.Message,), {}, app_name=f"OUCH{version}")
    messages = {}
    for inbound in (True, False):
        for letter in _core.ouch_types(inbound, version):
            fields = []
            for name, kind, _, length in _core.ouch_fields(letter, inbound, version):
                if kind in ("char", "alpha"):
                    fields.append(structures.Field(name, types.FixedIsoString(length)))
                else:
                    fields.append(structures.Field(name, _INTEGERS[length]))
            empty = {"type": letter}
            bare = sum(length for *_, length in _core.ouch_fields(letter, inbound, version)) + 1
            if len(_core.ouch_encode(empty, inbound, version)) == bare + 2:
                fields.append(structures.Field("appendage_length", types.UnsignedShortBE))
            record = type("BodyRecord", (structures.Record,), {"Fields": fields})
            messages[inbound, letter] = type(
                f"{letter}{version}{inbound}",
                (base,),
                {"BodyRecord": record},
                app_name=f"OUCH{version}",
                indicator=ord(letter),
                direction="incoming" if inbound else "outgoing",
            )
    session = type(f"Session{version}", (ouch.ClientSession,), {"decode": lambda self, data: base.from_bytes(data)})
    return session, messages


DECLARED = {version: declare(version) for version in VERSIONS}


@pytest.fixture
def exchange(tmp_path, free_ports):
    """A running exchange over loopback; yields it, and the address of its order port."""
    orders, control, feed = free_ports(3)
    itchfile.write(tmp_path / "feed.itch", generate.generate(100, 1, 1))
    accounts = "".join(
        f'[[orders.accounts]]\nusername = "{name}"\npassword = "secret"\nversion = "{version}"\n'
        for name, version in (("NASDAQ", "5.0"), ("OTHER5", "5.0"), ("NASD42", "4.2"), ("OTHER4", "4.2"))
    )
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
        {accounts}
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
        opened, first, second = [await session.receive_msg() for _ in range(3)]
        assert _core.ouch_decode(opened.data, False)["event_code"] == "S"
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
        for _ in range(4):  # the first is the start of the day
            await session.receive_msg()
        session.logout()
        again = await soup.connect_async(address, "NASDAQ", "secret", session_id=server.session, sequence=3)
        assert again.sequence == 2  # it counts what it has; the next it awaits is 3
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


# --- Nasdaq's OUCH session


class Trader:
    """Nasdaq's OUCH session of one version, with its messages."""

    def __init__(self, session: Any, version: str) -> None:
        self.session, self.version, self.messages = session, version, DECLARED[version][1]

    @classmethod
    async def connect(cls, address: tuple[str, int], user: str, version: str) -> "Trader":
        session_class = DECLARED[version][0]
        session = await ouch.connect_async(address, user, "secret", "", sequence=1, session_factory=session_class)
        trader = cls(session, version)
        assert (await trader.next("S")).event_code == "S"
        return trader

    def send(self, letter: str, **fields: Any) -> None:
        message = self.messages[True, letter]()
        record = message.BodyRecord
        for field in record.Fields:
            default = 0 if field.name == "appendage_length" or field.type in _INTEGERS.values() else ""
            setattr(message.record, field.name, fields.pop(field.name, default))
        assert not fields
        self.session.send_message(message)

    async def next(self, letter: str) -> Any:
        message = await self.session.receive_message()
        assert isinstance(message, self.messages[False, letter]), message
        return message.record

    def enter(self, n: int, side: str, shares: int, price: int, immediate: bool = False) -> None:
        common = {"side": side, "price": price, "display": "Y", "capacity": "P", "intermarket_sweep": "N"}
        common["cross_type"] = "N"
        if self.version == "5.0":
            tif = "3" if immediate else "0"
            self.send("O", user_ref_num=n, quantity=shares, symbol="NOFEED", time_in_force=tif, cl_ord_id="X", **common)
        else:
            tif = 0 if immediate else 99998
            more = {"firm": "TICK", "customer_type": "N"}
            self.send("O", order_token=f"TOKEN{n}", shares=shares, stock="NOFEED", time_in_force=tif, **more, **common)

    def replace(self, original: int, n: int, shares: int, price: int) -> None:
        common = {"price": price, "display": "Y", "intermarket_sweep": "N"}
        if self.version == "5.0":
            ids = {"orig_user_ref_num": original, "user_ref_num": n, "cl_ord_id": "X"}
            self.send("U", quantity=shares, time_in_force="0", **ids, **common)
        else:
            ids = {"existing_order_token": f"TOKEN{original}", "order_token": f"TOKEN{n}"}
            self.send("U", shares=shares, time_in_force=99998, **ids, **common)

    def cancel(self, n: int, shares: int) -> None:
        names = ("user_ref_num", "quantity") if self.version == "5.0" else ("order_token", "shares")
        self.send("X", **{names[0]: key_of(self.version, n), names[1]: shares})

    async def told(self, letter: str) -> tuple[Any, int]:
        """Key and shares of the next message, in the names of its version."""
        record = await self.next(letter)
        key = "user_ref_num" if self.version == "5.0" else "order_token"
        shares = {"C": "decrement_shares", "E": "executed_shares"}.get(letter, "shares")
        return getattr(record, key), getattr(record, "quantity" if self.version == "5.0" else shares)


@pytest.mark.parametrize(("version", "users"), [("5.0", ("NASDAQ", "OTHER5")), ("4.2", ("NASD42", "OTHER4"))])
def test_nasdaqs_ouch_session_trades_replaces_and_cancels(exchange, version, users):
    server, address = exchange

    async def trade():
        maker, taker = [await Trader.connect(address, user, version) for user in users]
        maker.enter(1, "B", 100, 1_000_000)
        assert await maker.told("A") == (key_of(version, 1), 100)
        maker.replace(1, 2, 90, 1_000_100)
        assert await maker.told("U") == (key_of(version, 2), 90)
        taker.enter(1, "S", 30, 1_000_000, immediate=True)
        assert await taker.told("A") == (key_of(version, 1), 30)
        taken, made = await taker.next("E"), await maker.next("E")
        price = "price" if version == "5.0" else "execution_price"
        assert (getattr(taken, price), taken.liquidity_flag) == (1_000_100, "R")
        assert (getattr(made, price), made.liquidity_flag) == (1_000_100, "A")
        assert taken.match_number == made.match_number
        server.entry.break_trade(taken.match_number)
        server._wake()
        assert (await maker.next("B")).match_number == (await taker.next("B")).match_number == taken.match_number
        maker.cancel(2, 50)
        assert await maker.told("C") == (key_of(version, 2), 40)
        taker.enter(2, "S", 30, 1_000_000, immediate=True)
        assert [await taker.told(letter) for letter in "AEC"] == [
            (key_of(version, 2), shares) for shares in (30, 20, 10)
        ]
        assert await maker.told("E") == (key_of(version, 2), 20)
        maker.enter(3, "X", 1, 1)
        rejected = await maker.next("J")
        assert rejected.reason == (9 if version == "5.0" else "O")
        if version == "5.0":
            for letter, answer, n in (("D", "G", 4), ("E", "K", 5)):
                taker.send(letter, user_ref_num=n, firm="TICK")
                told = await taker.next(answer)
                assert (told.user_ref_num, told.firm) == (n, "TICK")
        for trader in (maker, taker):
            await trader.session.close()

    within_limit(trade())
