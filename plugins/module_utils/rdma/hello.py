# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the two ends of an RDMA ping tell each other over TCP: one JSON object a line, with a version.

client                      server
  hello  (queue pair)  ->                    each end opens its device only after the TCP connection stands, so that it
                       <-  hello             can tell the other end what failed instead of leaving it to a time-out
  ready                ->                    both queue pairs can receive now
                       <-  ready
  ... ping-pong over RDMA; over UD the server answers until it hears done ...
  done (figures)       ->
An end that fails sends {"error": text} in place of any of these.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Mapping
from typing import Any

VERSION = 3
LINE_LIMIT = 16384
HELLO_FIELDS = {
    "host": str,
    "device": str,
    "transport": str,
    "roce_version": int,
    "qpn": int,
    "psn": int,
    "gid": str,
    "mtu": int,
    "iterations": int,
    "warmup": int,
    "size_bytes": int,
}


class PingError(Exception):
    """A step of an RDMA ping failed; the text names device, peer, step, reason and next step.

    ``risen`` has what ``counters.risen`` found by then under ``errors_risen`` and ``others_risen``, and is empty where
    the counters were not read.
    """

    def __init__(
        self,
        device: str,
        peer: str,
        step: str,
        reason: str,
        next_step: str,
        risen: Mapping[str, dict[str, int]] | None = None,
    ) -> None:
        advice = "" if "Next: " in reason else ". Next: %s" % next_step
        super().__init__("RDMA ping over %s with %s failed at '%s': %s%s" % (device, peer, step, reason, advice))
        self.step = step
        self.reason = reason
        self.risen = dict(risen or {})


class PeerFailed(Exception):
    """The other end said that it failed, and why."""


class Channel:
    """Line-wise JSON over a connected TCP socket; every wait ends at a deadline (``time.monotonic`` seconds)."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    def send(self, message: dict[str, Any], deadline: float) -> None:
        """Send one message; raises TimeoutError or OSError."""
        self._sock.settimeout(_left(deadline))
        self._sock.sendall(json.dumps(dict(message, tickwire_rdma_ping=VERSION)).encode() + b"\n")

    def receive(self, expected: str, deadline: float) -> dict[str, Any]:
        """Return the next message, which has to be of the kind ``expected``.

        Raises PeerFailed when the peer reports its failure or closes, TimeoutError at the deadline, ValueError for
        anything that is not of this protocol and version.
        """
        while b"\n" not in self._buffer:
            if len(self._buffer) > LINE_LIMIT:
                raise ValueError("a line longer than %d bytes: that is no RDMA ping of Tickwire" % LINE_LIMIT)
            self._sock.settimeout(_left(deadline))
            chunk = self._sock.recv(4096)
            if not chunk:
                raise PeerFailed("it closed the connection before its %s" % expected)
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return _message(line, expected)

    def waiting(self) -> bool:
        """Whether the peer said something, or went; never waits, reads nothing."""
        return bool(self._buffer) or bool(select.select([self._sock], [], [], 0)[0])

    def failure_waiting(self) -> None:
        """Raise PeerFailed or ValueError if the peer already said that it failed or has gone; never waits, reads
        nothing else."""
        if not self.waiting():
            return
        ahead = self._buffer or self._sock.recv(LINE_LIMIT, socket.MSG_PEEK)
        if not ahead:
            raise PeerFailed("it closed the connection")
        if b"\n" in ahead and b'"error"' in ahead.split(b"\n", 1)[0]:
            _message(ahead.split(b"\n", 1)[0], "error")


def check_hello(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise ValueError when the other end's hello lacks a field, has one of a wrong type, or asks for another
    exchange."""
    for name, kind in HELLO_FIELDS.items():
        if not isinstance(theirs.get(name), kind) or isinstance(theirs.get(name), bool):
            raise ValueError("its hello has no usable %s: %r" % (name, theirs.get(name)))
    for name in ("transport", "roce_version", "iterations", "warmup", "size_bytes"):
        if mine[name] != theirs[name]:
            raise ValueError("%s is %s here and %s there: give both ends the same" % (name, mine[name], theirs[name]))


def _message(line: bytes, expected: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        raise ValueError("%r is no JSON: that is no RDMA ping of Tickwire" % line[:60]) from None
    version = message.get("tickwire_rdma_ping") if isinstance(message, dict) else None
    if version != VERSION:
        raise ValueError(
            "its protocol version is %r, here it is %d: use one version of tickwire.fabric for both ends"
            % (version, VERSION)
        )
    if "error" in message:
        raise PeerFailed(str(message["error"]))
    if message.get("kind") != expected:
        raise ValueError("it sent %r where %r was due" % (message.get("kind"), expected))
    return message


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("time is up")
    return left
