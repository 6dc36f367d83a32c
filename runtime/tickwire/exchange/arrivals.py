# SPDX-License-Identifier: Apache-2.0
"""When orders arrived: stamped reads of the order connections, on their way to the thread that times a device."""

from __future__ import annotations

import queue
import socket
from dataclasses import dataclass

from .. import _core

ORDERS = b"OUXM"  # OUCH requests that enter, replace, cancel or modify

Stamps = tuple[int, int]  # the kernel's and the card's, in ns since the epochs of their clocks; 0: none


@dataclass(frozen=True)
class Arrival:
    """Orders read at once: the stamps of the segment; `whole` when all that was read came in that one segment."""

    user: str
    stamps: Stamps
    whole: bool
    orders: int = 1


class Inbox:
    """Arrivals, from the thread that reads orders to the one that sends ticks; kept only while somebody waits."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._open = False

    def open(self) -> None:
        """Keep what comes from here on, and nothing from before."""
        while self.get(0.0) is not None:
            pass
        self._open = True

    def close(self) -> None:
        self._open = False

    def put(self, arrival: Arrival) -> None:
        if self._open:
            self._queue.put(arrival)

    def get(self, timeout_s: float) -> Arrival | None:
        """The next one; None after the time-out."""
        try:
            return self._queue.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None


class Reader:
    """Reads one order connection with time stamps."""

    def __init__(self, sock: socket.socket, inbox: Inbox) -> None:
        self._reader, self._inbox = _core.StampedReader(sock.fileno()), inbox
        self._stamps, self._whole = (0, 0), False

    def read(self) -> bytes:
        """As socket.recv."""
        data, software_ns, hardware_ns, self._whole = self._reader.read()
        self._stamps = software_ns, hardware_ns
        return data

    def had_orders(self, user: str, orders: int) -> None:
        """The last read completed so many."""
        self._inbox.put(Arrival(user, self._stamps, self._whole, orders))
