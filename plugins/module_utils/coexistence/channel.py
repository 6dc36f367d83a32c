# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the two ends tell each other over TCP: one JSON object a line, with a version.

client                                   server
  hello (traffic class of the probes) ->
                                      <- ready (UDP port of the echo)
  ... probes over UDP, and on further connections "load", which the server fills until they are closed ...
  stamps                              ->                     after each round
                                      <- stamps (of each echo: number, received, sent)
  done                                ->
An end that fails sends {"error": text} in place of any of these.
"""

from __future__ import annotations

import json
import socket
import time

VERSION = 1
LINE_MAX = 4_000_000
NAME = "tickwire_coexistence"


class CoexistenceError(Exception):
    """The measurement can not be made; the text says what, why and what next."""


def line(message: dict[str, object]) -> bytes:
    """A message as it travels."""
    return json.dumps({NAME: VERSION, **message}).encode() + b"\n"


def message(data: bytes) -> dict[str, object]:
    """The message of a line. CoexistenceError for one of something else, another version, or the peer's error."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get(NAME) != VERSION:
        raise CoexistenceError(
            f"{data[:60]!r} is no co-existence measurement of version {VERSION}; "
            "use one version of tickwire.fabric on both ends, and a port that nothing else uses"
        )
    if "error" in found:
        raise CoexistenceError(f"the other end says: {found['error']}")
    return found


class Channel:
    """The client's end: sends a message, waits for the answer until ``timeout_s``."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._sock = sock
        self._timeout_s = timeout_s
        self._buffer = b""

    def send(self, given: dict[str, object]) -> None:
        self._sock.settimeout(self._timeout_s)
        self._sock.sendall(line(given))

    def ask(self, given: dict[str, object]) -> dict[str, object]:
        """Send a message and return the answer. CoexistenceError when it does not come."""
        deadline = time.monotonic() + self._timeout_s
        try:
            self.send(given)
            while b"\n" not in self._buffer:
                self._sock.settimeout(max(0.001, deadline - time.monotonic()))
                data = self._sock.recv(65536)
                if not data or len(self._buffer) > LINE_MAX:
                    raise CoexistenceError("the server ended the connection; its own message says why")
                self._buffer += data
        except OSError as error:
            raise CoexistenceError(f"no answer from the server: {error}; look at its message") from error
        answer, self._buffer = self._buffer.split(b"\n", 1)
        return message(answer)
