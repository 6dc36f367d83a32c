# SPDX-License-Identifier: Apache-2.0
"""A small exchange double for the engine's loopback tests: SoupBinTCP server and MoldUDP64 sender, plain sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from tickwire import _core

ACCEPTED = b"A" + b"LOOP".rjust(10) + b"1".rjust(20)
Answer = Callable[[bytes], list[bytes]]


def soup(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">H", 1 + len(payload)) + kind + payload


def accept_order(message: bytes) -> list[bytes]:
    """OUCH Accepted for an Enter Order, as a sequenced SoupBinTCP packet."""
    order = _core.ouch_decode(message, True)
    fields = {name: value for name, value in order.items() if name != "type"}
    accepted = {"type": "A", "timestamp": 1, "order_reference": 7, "order_state": "L", **fields}
    return [soup(b"S", _core.ouch_encode(accepted, False))]


class Exchange:
    """Accepts order sessions on `address`, one after the other, and sends the feed to `feed_port`.

    A thread reads what the client sends. An Account Query is answered at once, unless `settles` is False.
    """

    def __init__(
        self,
        login_answer: bytes = soup(b"A", ACCEPTED[1:]),
        answer: Answer = accept_order,
        settles: bool = True,
        address: str = "127.0.0.1",
    ) -> None:
        self.settles = settles
        self.address = address
        self.listener = socket.create_server((address, 0))
        self.port: int = self.listener.getsockname()[1]
        self.feed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.feed.bind((address, 0))
        self.feed_port = free_udp_port()
        self.login_answer = login_answer
        self.answer = answer
        self.login = b""
        self.packets: list[tuple[bytes, bytes]] = []
        self.connection: socket.socket | None = None
        self.logged_in = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def orders(self) -> list[dict[str, Any]]:
        """Enter Orders so far."""
        return [_core.ouch_decode(payload, True) for kind, payload in list(self.packets) if payload[:1] == b"O"]

    def send_feed(self, packet: bytes, to: str = "127.0.0.1") -> None:
        self.feed.sendto(packet, (to, self.feed_port))

    def send_orders(self, packet: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(packet)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # close alone leaves a thread waiting in accept
        self.listener.close()
        self.feed.close()
        if self.connection is not None:
            self.connection.close()

    def _serve(self) -> None:
        while True:
            try:
                self.connection, _ = self.listener.accept()
            except OSError:
                return  # closed by the test
            with contextlib.suppress(OSError):  # the connection, by the test or by the engine
                self._serve_one(self.connection)

    def _serve_one(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while header := stream.read(3):
            (length,) = struct.unpack(">H", header[:2])
            self._on_packet(header[2:], stream.read(length - 1))

    def _on_packet(self, kind: bytes, payload: bytes) -> None:
        self.packets.append((kind, payload))
        if kind == b"L":
            self.login = payload
            self.send_orders(self.login_answer)
            self.logged_in.set()
        elif kind == b"U" and payload[:1] == b"Q":
            if self.settles:
                settled = {"type": "Q", "timestamp": 1, "next_user_ref_num": 1}
                self.send_orders(soup(b"S", _core.ouch_encode(settled, False)))
        elif kind == b"U":
            for packet in self.answer(payload):
                self.send_orders(packet)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
