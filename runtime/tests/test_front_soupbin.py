# SPDX-License-Identifier: Apache-2.0
"""Server side of SoupBinTCP and order entry, over a socket pair and with a clock of the test's own."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core
from tickwire.exchange import soupbin
from tickwire.exchange.ouch import OrderEntry
from tickwire.exchange.soupbin import Account, Journal, ProtocolError, Session, SessionClosed, packet

SESSION = "LAB0000001"


def login(username="TRADE1", password="tickwire", session="", sequence="1"):
    return packet(b"L", f"{username:<6}{password:<10}{session:<10}{sequence:>20}".encode())


def enter_order(reference=1, **changes):
    fields = {
        "type": "O",
        "user_ref_num": reference,
        "side": "B",
        "quantity": 100,
        "symbol": "TAAAA",
        "price": 1_000_000,
        "time_in_force": "0",
        "display": "Y",
        "capacity": "P",
        "intermarket_sweep": "N",
        "cross_type": "N",
        "cl_ord_id": f"ORDER{reference}",
    }
    return _core.ouch_encode({**fields, **changes}, True)


class Rig:
    """A Session at one end of a socket pair, its client at the other; what the server says is in `said`."""

    def __init__(self, account=None, on_message=None, heartbeat_s=1.0):
        self.account = account or Account("TRADE1", "tickwire")
        server, self.client = socket.socketpair()
        self.client.setblocking(False)
        self.session = Session(
            server, "test", {"TRADE1": self.account}, SESSION, on_message or (lambda _, m: m), heartbeat_s, 0.0
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()
        self.client.close()

    def send(self, *packets, now=0.0):
        for data in packets:
            self.client.send(data)
            self.session.readable(now)

    def packets(self):
        """Packets that the server has sent since the last call, as (type, payload)."""
        data = b""
        try:
            while chunk := self.client.recv(1 << 20):
                data += chunk
        except BlockingIOError:
            pass
        found = []
        while data:
            length = int.from_bytes(data[:2], "big")
            found.append((data[2:3], data[3 : 2 + length]))
            data = data[2 + length :]
        return found


def closed(rig, *packets, now=0.0):
    with pytest.raises(SessionClosed) as caught:
        rig.send(*packets, now=now)
    return caught.value


def test_login_is_accepted_with_session_and_sequence():
    with Rig() as rig:
        rig.send(login())
        assert rig.packets() == [(b"A", b"LAB0000001" + b"1".rjust(20))]
        assert rig.account.session is rig.session


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"password": "wrong"}, b"A"),
        ({"username": "NOBODY"}, b"A"),
        ({"username": ""}, b"A"),
        ({"session": "LAB0000002"}, b"S"),
        ({"session": SESSION, "sequence": "2"}, b"S"),
    ],
)
def test_bad_login_is_rejected_with_the_protocols_code(wrong, code):
    with Rig() as rig:
        reason = closed(rig, login(**wrong))
        assert reason.final == packet(b"J", code)
        assert f"rejected ({code.decode()})" in str(reason)
        rig.session.close(reason.final)
        assert rig.packets() == [(b"J", code)]
        assert rig.account.session is None


def test_users_and_passwords_are_compared_without_case_and_padding():
    with Rig() as rig:
        rig.send(login(username="trade1", password="TICKWIRE"))
        assert rig.packets()[0][0] == b"A"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0", "packet length 0 is outside"),
        (b"\xff\xff", "packet length 65535 is outside"),
        (packet(b"U", b"x"), "type 'U' before login"),
        (packet(b"R"), "type 'R' before login"),
        (packet(b"L", b"short"), "login of 5 bytes"),
        (packet(b"\xff"), "type '\\xff' before login"),
        (login(sequence="one"), "sequence 'one', not a number"),
        (login() + login(), "type 'L' after login"),
        (login() + packet(b"R", b"x"), "heartbeat with 1 bytes"),
        (login() + packet(b"O"), "client logged out"),
        (b"", ""),
    ],
)
def test_wrong_packets_close_the_session_with_a_reason(data, reason):
    with Rig() as rig:
        if not data:
            rig.client.shutdown(socket.SHUT_WR)
            with pytest.raises(SessionClosed, match="client closed the connection"):
                rig.session.readable(0.0)
            return
        assert reason in str(closed(rig, data))


@given(st.lists(st.integers(1, 40), max_size=30), st.data())
def test_any_split_of_the_stream_gives_the_same_messages(lengths, data):
    seen = []
    payloads = [bytes([n]) * n for n in lengths]
    stream = login() + packet(b"+", b"hello") + b"".join(packet(b"U", payload) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    with Rig(on_message=lambda _, message: seen.append(message)) as rig:
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if end > begin:
                rig.send(stream[begin:end])
        assert seen == payloads


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_close_the_session(data):
    for prefix in (b"", login()):
        with Rig(on_message=OrderEntry()) as rig:
            try:
                if prefix + data:
                    rig.send(prefix + data)
            except SessionClosed as reason:
                assert str(reason)


def test_heartbeats_when_silent_and_the_end_of_patience():
    with Rig(heartbeat_s=1.0) as rig:
        rig.send(login())
        rig.packets()
        rig.session.tick(0.5)
        assert rig.packets() == []
        rig.session.tick(1.0)
        rig.session.tick(1.5)
        assert rig.packets() == [(b"H", b"")]
        rig.send(packet(b"R"), now=14.0)
        rig.session.tick(28.0)
        with pytest.raises(SessionClosed, match="nothing heard for 15 s"):
            rig.session.tick(29.5)


def test_a_client_that_never_logs_in_is_closed():
    with Rig() as rig:
        rig.session.tick(9.0)
        with pytest.raises(SessionClosed, match="no login within 10 s"):
            rig.session.tick(10.5)


def test_the_end_is_said_before_the_connection_closes():
    with Rig() as rig:
        rig.send(login())
        rig.packets()
        with pytest.raises(SessionClosed) as caught:
            rig.session.end()
        rig.session.close(caught.value.final)
        assert rig.packets() == [(b"Z", b"")]


def test_a_client_comes_back_to_where_it_was():
    account = Account("TRADE1", "tickwire")
    with Rig(account) as rig:
        rig.send(login(), *(packet(b"U", bytes([n])) for n in (1, 2, 3)))
        assert [payload for _, payload in rig.packets()][1:] == [b"\1", b"\2", b"\3"]
    for asked, sequence, again in (("2", b"2", [b"\2", b"\3"]), ("4", b"4", []), ("0", b"4", []), ("9", b"4", [])):
        with Rig(account) as rig:
            rig.send(login(sequence=asked))
            accepted, *rest = rig.packets()
            assert accepted == (b"A", SESSION.encode() + sequence.rjust(20))
            assert rest == [(b"S", payload) for payload in again]


def test_a_second_login_replaces_the_first():
    account = Account("TRADE1", "tickwire")
    with Rig(account) as first, Rig(account) as second:
        first.send(login())
        second.send(login())
        assert first.session.replaced and not second.session.replaced
        first.session.close()
        assert account.session is second.session


def test_a_client_that_stops_reading_is_dropped_with_bounded_memory():
    account = Account("TRADE1", "tickwire", Journal(keep=500))
    with Rig(account, on_message=lambda _, message: message * 10) as rig:
        rig.send(login())
        most = 0
        with pytest.raises(SessionClosed, match=r"client stopped reading: \d+ messages behind"):
            for _ in range(100_000):
                rig.send(packet(b"U", b"x" * 100))
                most = max(most, len(rig.session._out))
        assert most <= soupbin.OUT_LIMIT + 1100
        assert len(account.journal.messages) < 1000


def test_journal_forgets_the_oldest():
    journal = Journal(keep=10)
    for n in range(1, 101):
        assert journal.next == n
        journal.append(bytes([n]))
        assert journal.get(n) == bytes([n]) and len(journal.messages) < 20
    assert journal.oldest == 91 and journal.get(91) == bytes([91])


# --- order entry


def answer(entry, session, message):
    reply = entry(session, message)
    return None if reply is None else _core.ouch_decode(reply, False)


def test_enter_order_is_accepted_with_time_and_reference():
    entry = OrderEntry()
    with Rig(on_message=entry) as rig:
        rig.send(login(), packet(b"U", enter_order(7)), packet(b"U", enter_order(8)))
        _, first, second = rig.packets()
        accepted = _core.ouch_decode(first[1], False)
        sent = _core.ouch_decode(enter_order(7), True)
        assert accepted["type"] == "A" and accepted["order_state"] == "L"
        assert {key: accepted[key] for key in sent if key != "type"} == {k: v for k, v in sent.items() if k != "type"}
        assert 0 < accepted["timestamp"] < 86400 * 10**9
        assert accepted["order_reference"] == 1
        assert _core.ouch_decode(second[1], False)["order_reference"] == 2
    assert (entry.counters.orders, entry.counters.accepted) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"side": "X"}, 0x0009),
        ({"quantity": 0}, 0x0013),
        ({"quantity": 1_000_000}, 0x0013),
        ({"symbol": ""}, 0x0017),
        ({"price": 0}, 0x000F),
    ],
)
def test_impossible_orders_are_rejected_with_ouchs_reason(changes, reason):
    entry = OrderEntry()
    with Rig() as rig:
        reply = answer(entry, rig.session, enter_order(3, **changes))
    assert (reply["type"], reply["user_ref_num"], reply["reason"]) == ("J", 3, reason)
    assert entry.counters.rejected == 1 and entry.counters.accepted == 0


def test_a_repeated_order_is_ignored():
    entry = OrderEntry()
    with Rig() as rig:
        assert answer(entry, rig.session, enter_order(5))["type"] == "A"
        assert answer(entry, rig.session, enter_order(5)) is None
        assert answer(entry, rig.session, enter_order(4)) is None
        assert answer(entry, rig.session, enter_order(6))["type"] == "A"
    assert (entry.counters.orders, entry.counters.accepted, entry.counters.duplicates) == (4, 2, 2)


def test_what_comes_later_is_ignored_and_what_is_no_ouch_is_refused():
    entry = OrderEntry()
    with Rig() as rig:
        assert entry(rig.session, b"X\0\0\0\1\0\0\0\0") is None
        assert entry.counters.ignored == 1
        for message in (b"", b"!", b"O", enter_order()[:-1], b"Oxxx"):
            with pytest.raises(ProtocolError):
                entry(rig.session, message)
    assert entry.counters.orders == 0
