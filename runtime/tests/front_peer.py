# SPDX-License-Identifier: Apache-2.0
"""An exchange double that can stop reading, and remembers what it said as a SoupBinTCP server does."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable

from core_exchange import ACCEPTED, Exchange, accept_order, soup

from tickwire import _core

_SMALL = 4096  # bytes of the receive buffer, so that it is soon full


class Peer(Exchange):
    """Resumes a session where the client asks for, and answers the Account Query from the orders it has read.

    `reads` clear: nothing is read any more, neither here nor by the kernel once its buffer is full.
    """

    def __init__(self, answer: Callable[[bytes], list[bytes]] = accept_order) -> None:
        self.reads = threading.Event()
        self.reads.set()
        self.said: list[bytes] = []  # sequenced packets
        self.answer_order = answer
        self.logins = 0
        super().__init__(answer=self._remember)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)

    def drop(self) -> None:
        """Break the connection: what was not read is gone."""
        assert self.connection is not None
        self.connection.shutdown(socket.SHUT_RDWR)

    def _remember(self, message: bytes) -> list[bytes]:
        if message[:1] == b"O":
            packets = self.answer_order(message)
        else:  # a cancel, of all its shares
            canceled = {"type": "C", "timestamp": 1, "reason": "U", "quantity": 999_999}
            number = _core.ouch_decode(message, True)["user_ref_num"]
            packets = [soup(b"S", _core.ouch_encode({**canceled, "user_ref_num": number}, False))]
        self.said += packets
        return packets

    def _serve_one(self, connection: socket.socket) -> None:
        held = b""
        while True:
            # Looked at again and again, so that a broken connection ends the wait for permission to read.
            if not self.reads.wait(0.01):
                poll = select.poll()
                poll.register(connection, select.POLLRDHUP)
                if poll.poll(0):
                    return
                continue
            if not (more := connection.recv(65536)):
                return
            held += more
            while len(held) >= 2 and len(held) >= (size := 2 + int.from_bytes(held[:2], "big")):
                packet, held = held[:size], held[size:]
                self._on_packet(packet[2:3], packet[3:])

    def _on_packet(self, kind: bytes, payload: bytes) -> None:
        if kind == b"L":
            wanted = int(payload[-20:]) or len(self.said) + 1
            self.login_answer = soup(b"A", ACCEPTED[1:11] + str(wanted).rjust(20).encode())
            self.login_answer += b"".join(self.said[wanted - 1 :])
            self.logins += 1
        if kind == b"U" and payload[:1] == b"Q":
            expected = max((order["user_ref_num"] for order in self.orders()), default=0) + 1
            settled = _core.ouch_encode({"type": "Q", "timestamp": 1, "next_user_ref_num": expected}, False)
            self.packets.append((kind, payload))
            self.said.append(soup(b"S", settled))
            self.send_orders(self.said[-1])
            return
        super()._on_packet(kind, payload)
