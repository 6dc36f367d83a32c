# SPDX-License-Identifier: Apache-2.0
"""Server side of SoupBinTCP (Nasdaq, versions 3.00 and 4.00 agree on all that is used here).

A packet is a two-byte big-endian length, a type character that the length counts, and a payload. A client logs in
once ("L"), then sends unsequenced data ("U") and heartbeats ("R"); the server answers "A" or "J", sends sequenced data
("S") and heartbeats ("H"), and "Z" when the session is over. Sequenced messages are numbered from 1 per user and kept,
so a client that comes back asks for the next one it has not seen.
"""

from __future__ import annotations

import hmac
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from .arrivals import ORDERS, Reader

log = logging.getLogger("tickwire.exchange.orders")

MAX_PACKET = 2048  # length field of what a client may send: login 47, OUCH well below
OUT_LIMIT = 1 << 16  # bytes encoded ahead of the socket; the rest waits in the journal
MAX_BACKLOG = 1 << 16  # messages a client may be behind before it is dropped
LOGIN_TIMEOUT_S = 10.0
SILENCE_HEARTBEATS = 15  # the protocol's rule: 15 missed heartbeats of one second

_LOGIN_LENGTH = 46


class SessionClosed(Exception):
    """The session is over; the message says why. `final` is sent first, as far as the socket takes it."""

    def __init__(self, reason: str, final: bytes = b"", *, fault: bool = True) -> None:
        super().__init__(reason)
        self.final = final
        self.fault = fault


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    """One SoupBinTCP packet."""
    return (len(payload) + 1).to_bytes(2, "big") + kind + payload


@dataclass
class Journal:
    """Sequenced messages of one user: the last `keep` of them can be sent again."""

    keep: int = MAX_BACKLOG
    first: int = 1  # sequence of messages[0]
    messages: list[bytes] = field(default_factory=list)

    @property
    def next(self) -> int:
        """Sequence number that the next message will have."""
        return self.first + len(self.messages)

    @property
    def oldest(self) -> int:
        """First sequence number that can be asked for."""
        return max(self.first, self.next - self.keep)

    def append(self, message: bytes) -> None:
        self.messages.append(message)
        if len(self.messages) >= 2 * self.keep:  # forget half at once, so that appending stays cheap
            del self.messages[: self.keep]
            self.first += self.keep

    def get(self, sequence: int) -> bytes:
        return self.messages[sequence - self.first]


@dataclass
class Account:
    """A user who may log in, with everything that survives a lost connection."""

    username: str
    password: str
    journal: Journal = field(default_factory=Journal)
    session: Session | None = None
    version: str = "5.0"  # of OUCH


# Acts on the payload of an unsequenced packet; answers go to the account's journal. ProtocolError ends the session.
OnMessage = Callable[["Session", bytes], None]


class ProtocolError(ValueError):
    """The client sent something that no well-behaved client sends."""


class Session:
    """One client connection. The owner calls `readable`, `writable` and `tick`; SessionClosed means: call `close`."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        accounts: dict[str, Account],
        session_id: str,
        on_message: OnMessage,
        heartbeat_s: float,
        now: float,
        reader: Reader | None = None,
    ) -> None:
        sock.setblocking(False)
        self.sock, self.peer, self.accounts, self.session_id = sock, peer, accounts, session_id
        self.on_message, self.heartbeat_s = on_message, heartbeat_s
        self.reader = reader  # in place of the socket's own recv
        self._orders = 0  # completed by the present read
        self.account: Account | None = None
        self.next_sequence = 0  # next of the journal to encode
        self._in, self._out = bytearray(), bytearray()
        self._opened = self._heard = self._said = self._progress = now

    @property
    def name(self) -> str:
        return f"{self.account.username}@{self.peer}" if self.account else self.peer

    @property
    def wants_write(self) -> bool:
        return bool(self._out)

    def readable(self, now: float) -> None:
        """Take what the socket has, act on every whole packet, answer with one send."""
        try:
            data = self.reader.read() if self.reader is not None else self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            raise SessionClosed(f"connection lost: {error.strerror}", fault=False) from None
        if not data:
            raise SessionClosed("client closed the connection", fault=False)
        self._heard = now
        self._in += data
        at, end = 0, len(self._in)
        while end - at >= 2:
            length = self._in[at] << 8 | self._in[at + 1]
            if not 1 <= length <= MAX_PACKET:
                raise SessionClosed(f"packet length {length} is outside 1..{MAX_PACKET}")
            if end - at < 2 + length:
                break
            self._packet(self._in[at + 2], bytes(self._in[at + 3 : at + 2 + length]), now)
            at += 2 + length
        del self._in[:at]
        if self._orders and self.reader is not None and self.account is not None:
            self.reader.had_orders(self.account.username, self._orders)
        self._orders = 0
        self.pump(now)

    def writable(self, now: float) -> None:
        self.pump(now)

    def tick(self, now: float) -> None:
        """Heartbeats and time limits; call a few times per heartbeat."""
        if self.account is None:
            if now - self._opened > LOGIN_TIMEOUT_S:
                raise SessionClosed(f"no login within {LOGIN_TIMEOUT_S:g} s")
            return
        patience = SILENCE_HEARTBEATS * max(1.0, self.heartbeat_s)
        if now - self._heard > patience:
            raise SessionClosed(f"nothing heard for {patience:g} s")
        if self._out and now - self._progress > patience:
            raise SessionClosed(f"client stopped reading: nothing taken for {patience:g} s")
        if not self._out and now - self._said >= self.heartbeat_s:
            self._out += packet(b"H")
            self.pump(now)

    def pump(self, now: float) -> None:
        """Encode what the journal has beyond the client's sequence, as much as the socket takes."""
        while True:
            if self.account is not None:
                journal = self.account.journal
                if self.next_sequence < journal.oldest:
                    behind = journal.next - self.next_sequence
                    raise SessionClosed(f"client stopped reading: {behind} messages behind")
                while self.next_sequence < journal.next and len(self._out) < OUT_LIMIT:
                    self._out += packet(b"S", journal.get(self.next_sequence))
                    self.next_sequence += 1
            if not self._out:
                return
            try:
                sent = self.sock.send(self._out)
            except BlockingIOError:
                return
            except OSError as error:
                raise SessionClosed(f"connection lost: {error.strerror}", fault=False) from None
            self._said = self._progress = now
            del self._out[:sent]

    def end(self) -> None:
        """Tell the client that the session is over for good."""
        raise SessionClosed("exchange is stopping", packet(b"Z"), fault=False)

    def close(self, final: bytes = b"") -> None:
        """Give the socket up; `final` is sent if there is room for it."""
        if self.account is not None and self.account.session is self:
            self.account.session = None
        try:
            self.sock.setblocking(False)
            if final:
                self.sock.send(bytes(self._out) + final)
        except OSError:
            pass  # the client is gone; what it missed is in the journal
        self.sock.close()

    def _packet(self, kind: int, payload: bytes, now: float) -> None:
        if kind == 0x55 and self.account is not None:  # U, first because it is what orders come in
            self._orders += payload[:1] in ORDERS
            try:
                self.on_message(self, payload)
            except ProtocolError as error:
                raise SessionClosed(f"wrong message: {error}") from None
        elif kind == 0x52 and self.account is not None:  # R
            if payload:
                raise SessionClosed(f"client heartbeat with {len(payload)} bytes of payload")
        elif kind == 0x4C and self.account is None:  # L
            self._login(payload, now)
        elif kind == 0x4F:  # O
            raise SessionClosed("client logged out", fault=False)
        elif kind == 0x2B:  # +
            log.info("%s: debug packet: %s", self.name, ascii(payload[:200].decode("latin-1")))
        else:
            state = "after" if self.account else "before"
            raise SessionClosed(f"wrong packet: type {ascii(chr(kind))} {state} login")

    def _login(self, payload: bytes, now: float) -> None:
        if len(payload) != _LOGIN_LENGTH:
            raise SessionClosed(f"wrong packet: login of {len(payload)} bytes, not {_LOGIN_LENGTH}")
        text = payload.decode("latin-1")
        username, password = text[:6].strip().upper(), text[6:16].strip().upper()
        session, sequence = text[16:26].strip(), text[26:].strip(" \0")
        account = self.accounts.get(username)
        known = account.password.strip().upper() if account else ""
        if account is None or not hmac.compare_digest(known.encode("latin-1"), password.encode("latin-1")):
            raise SessionClosed(f"login of {ascii(username)} rejected (A): wrong user or password", packet(b"J", b"A"))
        if session and session != self.session_id:
            raise SessionClosed(
                f"login of {username} rejected (S): session {ascii(session)} is not {self.session_id}",
                packet(b"J", b"S"),
            )
        if not (sequence.isascii() and sequence.isdigit()):
            raise SessionClosed(f"wrong packet: login asks for sequence {ascii(sequence)}, not a number")
        journal, wanted = account.journal, int(sequence)
        if wanted > journal.next and session or 0 < wanted < journal.oldest:
            raise SessionClosed(
                f"login of {username} rejected (S): sequence {wanted} is outside {journal.oldest}..{journal.next}",
                packet(b"J", b"S"),
            )
        # 0 asks for new messages only. A sequence from before our restart, without naming the session, gets the same.
        self.next_sequence = wanted if 0 < wanted <= journal.next else journal.next
        if account.session is not None:
            account.session.replaced = True
        self.account, account.session = account, self
        self._out += packet(b"A", f"{self.session_id:>10}{self.next_sequence:>20}".encode("latin-1"))
        log.info("%s: logged in, next sequence %d", self.name, self.next_sequence)

    replaced = False  # another connection has logged in as the same user; the owner drops this one before it acts again
