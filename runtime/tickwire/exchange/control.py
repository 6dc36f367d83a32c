# SPDX-License-Identifier: Apache-2.0
"""The control port: one JSON object per line in, JSON lines out.

    {"command": "replay", "messages": 12012, "rate": 500, "wait_for": "TRADE1", "wait_s": 10}
        -> {"session": "LAB0000001", "messages": 12012, "rate": 500.0, "speed": 0.0} at once (or when TRADE1 has
           logged in), then
        -> {"done": true, "session": ..., "sent": n, "packets": n, "orders": n, "elapsed_ms": x, "late_max_us": x,
            "line_a": {"lost": n, "duplicated": n, "reordered": n}, "line_b": {...}}
    {"command": "dut", "samples": 1000, "warmup": 100, "answer_ms": 10, "quiet_ms": 1, "user": "TRADE1"}
        -> as replay; the messages leave one at a time, each when the one before is answered or its time is over.
           "messages" as above. The figures are in the state file
    {"command": "stop"} -> {"stopped": "LAB0000001"}: the replay ends where it is; who began it gets its "done"
    {"command": "break", "match_number": 17, "reason": "S"} -> {"broken": 17, "accounts": ["TRADE1"]}
    {"command": "status"} -> the content of the state file

Everything of a replay is optional: the whole file, and the configuration's pace and faults. Keys: messages, rate (0:
unpaced), speed (not 0: instead of a rate), loss_a, loss_b, duplicate_a, duplicate_b, reorder_a, reorder_b, seed,
wait_for and wait_s. A replay goes on when its client leaves; anybody may stop it. What is wrong is answered
{"error": "..."}.
"""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import TickwireError
from .feed import FAULTS
from .ouch import BREAK_REASONS
from .soupbin import SessionClosed

MAX_LINE = 4096
OUT_LIMIT = 1 << 18
DEFAULT_WAIT_S = 10.0
MOST_SAMPLES = 1_000_000


@dataclass(frozen=True)
class ReplayRequest:
    """A checked replay command; None: what is configured (messages: the whole file)."""

    messages: int | None = None
    rate: float | None = None
    speed: float | None = None
    faults: dict[str, float] = field(default_factory=dict)
    wait_for: str | None = None
    wait_s: float = DEFAULT_WAIT_S


@dataclass(frozen=True)
class DutRequest:
    """A checked dut command: time the device of `user` (None: the one that is logged in)."""

    samples: int
    warmup: int
    answer_ms: float
    quiet_ms: float
    messages: int | None = None
    user: str | None = None


@dataclass(frozen=True)
class BreakRequest:
    """A checked break command."""

    match_number: int
    reason: str


@dataclass(frozen=True)
class PlainRequest:
    """A command without more keys: status or stop."""

    command: str


Request = ReplayRequest | DutRequest | BreakRequest | PlainRequest
_REPLAY_KEYS = ("messages", "rate", "speed", *FAULTS, "seed", "wait_for", "wait_s")


def parse(line: bytes) -> Request:
    """A checked request line; TickwireError says what is wrong with it."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise TickwireError("not a line of JSON") from None
    if not isinstance(request, dict):
        raise TickwireError('not a JSON object such as {"command": "status"}')
    command = request.pop("command", None)
    if command == "replay":
        return _replay(request)
    if command == "dut":
        return _dut(request)
    if command == "break":
        return _break(request)
    if command in ("status", "stop") and not request:
        return PlainRequest(command)
    raise TickwireError(f"unknown command {command!r}; known: replay, dut, break, and without more keys status, stop")


def _known(request: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in request:
        if key not in keys:
            raise TickwireError(f"unknown key {key!r}; known: {', '.join(keys)}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _replay(request: dict[str, Any]) -> ReplayRequest:
    _known(request, _REPLAY_KEYS)
    messages, wait_for = request.get("messages"), request.get("wait_for")
    if messages is not None and (not _whole(messages) or messages < 1):
        raise TickwireError(f"messages: {messages!r} is not a whole number above 0")
    for key, high, text in (
        ("rate", 1e8, "number of messages per second, 0 (unpaced) to 1e8"),
        ("speed", 1e6, "number, 0 (the rate counts) to 1e6"),
        ("wait_s", 600, "number of seconds, 0 to 600"),
        *((key, 0.5, "probability, 0 to 0.5") for key in FAULTS),
    ):
        value = request.get(key)
        if value is not None and not _number(value, high):
            raise TickwireError(f"{key}: {value!r} is not a {text}")
    seed = request.get("seed")
    if seed is not None and not (_whole(seed) and 0 <= seed <= 1 << 62):
        raise TickwireError(f"seed: {seed!r} is not a whole number, 0 to 2^62")
    if wait_for is not None and not isinstance(wait_for, str):
        raise TickwireError(f"wait_for: {wait_for!r} is not a user name")
    faults = {key: request[key] for key in (*FAULTS, "seed") if request.get(key) is not None}
    wait_s = request.get("wait_s")
    return ReplayRequest(
        messages,
        request.get("rate"),
        request.get("speed"),
        faults,
        wait_for,
        DEFAULT_WAIT_S if wait_s is None else float(wait_s),
    )


def _dut(request: dict[str, Any]) -> DutRequest:
    _known(request, ("samples", "warmup", "answer_ms", "quiet_ms", "messages", "user"))
    asked: dict[str, Any] = {"samples": 1000, "warmup": 100, "answer_ms": 10.0, "quiet_ms": 1.0, **request}
    for key, low, high in (("samples", 1, MOST_SAMPLES), ("warmup", 0, MOST_SAMPLES), ("messages", 1, 1 << 40)):
        if key in asked and not (_whole(asked[key]) and low <= asked[key] <= high):
            raise TickwireError(f"{key}: {asked[key]!r} is not a whole number, {low} to {high}")
    for key, high in (("answer_ms", 60_000), ("quiet_ms", 10_000)):
        if not _number(asked[key], high):
            raise TickwireError(f"{key}: {asked[key]!r} is not a number of milliseconds, 0 to {high}")
    if "user" in asked and not isinstance(asked["user"], str):
        raise TickwireError(f"user: {asked['user']!r} is not a user name")
    return DutRequest(**asked)


def _break(request: dict[str, Any]) -> BreakRequest:
    _known(request, ("match_number", "reason"))
    match_number, reason = request.get("match_number"), request.get("reason", "S")
    if not isinstance(match_number, int) or isinstance(match_number, bool) or match_number < 1:
        raise TickwireError(f"match_number: {match_number!r} is not a whole number above 0")
    if not isinstance(reason, str) or len(reason) != 1 or reason not in BREAK_REASONS:
        raise TickwireError(f"reason: {reason!r} is not one of the letters {', '.join(BREAK_REASONS)}")
    return BreakRequest(match_number, reason)


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
