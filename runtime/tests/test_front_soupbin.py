# SPDX-License-Identifier: Apache-2.0
"""Server side of SoupBinTCP, over a socket pair and with a clock of the test's own."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.exchange import soupbin
from tickwire.exchange.ouch import OrderEntry
from tickwire.exchange.soupbin import Account, Journal, Session, SessionClosed, packet

SESSION = "LAB0000001"


def login(username="TRADE1", password="tickwire", session="", sequence="1"):
    return packet(b"L", f"{username:<6}{password:<10}{session:<10}{sequence:>20}".encode())


def echo(session, message):
    session.account.journal.append(message)


class Rig:
    """A Session at one end of a socket pair, its client at the other; what the server says is in `said`."""

    def __init__(self, account=None, on_message=None, heartbeat_s=1.0):
        self.account = account or Account("TRADE1", "tickwire")
        server, self.client = socket.socketpair()
        self.client.setblocking(False)
        self.session = Session(server, "test", {"TRADE1": self.account}, SESSION, on_message or echo, heartbeat_s, 0.0)

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

    def tenfold(session, message):
        echo(session, message * 10)

    with Rig(account, on_message=tenfold) as rig:
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
