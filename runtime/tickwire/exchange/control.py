# SPDX-License-Identifier: Apache-2.0
"""The control port: one JSON object per line in, JSON lines out.

    {"command": "replay", "messages": 12012, "rate": 500, "wait_for": "TRADE1", "wait_s": 10}
        -> {"session": "LAB0000001", "messages": 12012, "rate": 500.0} at once (or when TRADE1 has logged in), then
        -> {"done": true, "session": ..., "sent": n, "packets": n, "orders": n, "elapsed_ms": x, "late_max_us": x}
    {"command": "status"} -> the content of the state file

Everything but "command" is optional: the whole file, at `feed.rate`. What is wrong is answered {"error": "..."}.
"""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import TickwireError
from .soupbin import SessionClosed

MAX_LINE = 4096
OUT_LIMIT = 1 << 18
DEFAULT_WAIT_S = 10.0


@dataclass(frozen=True)
class ReplayRequest:
    """A checked replay command; messages None: the whole file, rate None: the configured one."""

    messages: int | None
    rate: float | None
    wait_for: str | None
    wait_s: float


def parse(line: bytes) -> ReplayRequest | None:
    """A request line as ReplayRequest, or None for status; TickwireError on anything else."""
    try:
        request = json.loads(line)
    except ValueError:
        raise TickwireError("not a line of JSON") from None
    if not isinstance(request, dict):
        raise TickwireError('not a JSON object such as {"command": "status"}')
    command = request.pop("command", None)
    if command == "status" and not request:
        return None
    if command != "replay":
        raise TickwireError(f"unknown command {command!r}; known: replay, status (which takes no more keys)")
    messages, rate = request.pop("messages", None), request.pop("rate", None)
    wait_for, wait_s = request.pop("wait_for", None), request.pop("wait_s", DEFAULT_WAIT_S)
    if request:
        raise TickwireError(f"unknown key {next(iter(request))!r}; known: messages, rate, wait_for, wait_s")
    if messages is not None and (isinstance(messages, bool) or not isinstance(messages, int) or messages < 1):
        raise TickwireError(f"messages: {messages!r} is not a whole number above 0")
    if rate is not None and not _number(rate, 1e8):
        raise TickwireError(f"rate: {rate!r} is not a number of messages per second, 0 (unpaced) to 1e8")
    if wait_for is not None and not isinstance(wait_for, str):
        raise TickwireError(f"wait_for: {wait_for!r} is not a user name")
    if not _number(wait_s, 600):
        raise TickwireError(f"wait_s: {wait_s!r} is not a number of seconds, 0 to 600")
    return ReplayRequest(messages, rate, wait_for, float(wait_s))


def _number(value: Any, high: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= high


class ControlConnection:
    """One client of the control port, with the interface of `soupbin.Session` towards the loop."""

    replaced = False

    def __init__(self, sock: socket.socket, peer: str, on_line: Callable[[ControlConnection, bytes], None]) -> None:
        sock.setblocking(False)
        self.sock, self.name, self.on_line = sock, f"control {peer}", on_line
        self._in, self._out = bytearray(), bytearray()
        self.closed = False

    @property
    def wants_write(self) -> bool:
        return bool(self._out)

    def readable(self, now: float) -> None:
        try:
            data = self.sock.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError as error:
            raise SessionClosed(f"connection lost: {error.strerror}", fault=False) from None
        if not data:
            raise SessionClosed("client closed the connection", fault=False)
        self._in += data
        while (end := self._in.find(b"\n")) >= 0:
            line = bytes(self._in[:end])
            del self._in[: end + 1]
            if line.strip():
                self.on_line(self, line)
        if len(self._in) > MAX_LINE:
            raise SessionClosed(f"line longer than {MAX_LINE} bytes")
        self.writable(now)

    def say(self, answer: dict[str, Any]) -> None:
        """Queue one line; it leaves with the next `writable`."""
        self._out += json.dumps(answer).encode() + b"\n"

    def writable(self, now: float) -> None:
        del now
        if not self._out:
            return
        try:
            del self._out[: self.sock.send(self._out)]
        except BlockingIOError:
            if len(self._out) > OUT_LIMIT:
                raise SessionClosed("client stopped reading") from None
        except OSError as error:
            raise SessionClosed(f"connection lost: {error.strerror}", fault=False) from None

    def tick(self, now: float) -> None:
        self.writable(now)

    def end(self) -> None:
        raise SessionClosed("exchange is stopping", fault=False)

    def close(self, final: bytes = b"") -> None:
        del final
        self.closed = True
        self.sock.close()
