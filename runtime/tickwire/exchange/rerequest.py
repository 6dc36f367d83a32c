# SPDX-License-Identifier: Apache-2.0
"""The re-request server of the feed: MoldUDP64 requests over UDP, answered to whoever asks.

A request is session (10), sequence (8) and count (2), without anything behind. The answer is one packet as on the
feed with the messages from that sequence on: as many as were asked for, have been sent, and fit a packet; who needs
more asks again. Nothing is answered that the feed has not sent. Requests of another session, of another size, for
nothing or beyond what was sent are counted and not answered.

The server has a thread of its own. In the exchange's loop a request would wait for the books to follow the feed, tens
of milliseconds under load, and a receiver that has two lines and loses a packet on both closes its gaps one after the
other: at some tens of thousands of packets a second it would run out of room behind them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

from .. import _core
from ..errors import TickwireError
from .feed import Feed

_REQUEST = struct.Struct(">10sQH")
_HEADER = 20
PACKET_MAX = 1472


class RequestServer:
    """Bound when made; answers between `start` and `close`."""

    def __init__(self, feed: Feed, address: str, port: int) -> None:
        self.feed = feed
        self.index = memoryview(feed.file.index).cast("Q")
        self.requests = 0  # answered
        self.ignored = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.sock.bind((address, port))
        except OSError as error:
            self.sock.close()
            raise TickwireError(
                f"feed.request_port: cannot receive on {address}:{port}: {error.strerror}; "
                f"see who holds it with `ss -lunp sport = :{port}`, or choose another feed.request_port"
            ) from None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tickwire-requests", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                request, peer = self.sock.recvfrom(_REQUEST.size + 1)
            except OSError:  # the port of an earlier client is closed
                request, peer = b"", None
            if self._closing.is_set():
                return
            if peer is None:
                continue
            answer = self.answer(request)
            if answer is None:
                self.ignored += 1
                continue
            self.requests += 1
            with contextlib.suppress(OSError):  # whoever missed it asks again
                self.sock.sendto(answer, peer)

    def answer(self, request: bytes) -> bytes | None:
        """The packet that answers a request, None when there is none."""
        if len(request) != _REQUEST.size:
            return None
        session, sequence, count = _REQUEST.unpack(request)
        sent = self.feed.sequence_sent
        if session != self.feed.session.encode("latin-1").ljust(10) or not count or not 1 <= sequence <= sent:
            return None
        messages, length = [], _HEADER
        data = memoryview(self.feed.file.data)
        for entry in self.index[sequence - 1 : min(sequence - 1 + count, sent)]:
            offset, size = entry >> 16, entry & 0xFFFF
            length += 2 + size
            if length > PACKET_MAX:
                break
            messages.append(data[offset : offset + size])
        return _core.mold_encode(self.feed.session, sequence, messages)

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            with contextlib.suppress(OSError):  # an unconnected socket says so, and wakes up all the same
                self.sock.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        self.sock.close()
