# SPDX-License-Identifier: Apache-2.0
"""Asking a running exchange for what a benchmark needs, over its control port."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from ..errors import TickwireError

POLL_S = 0.05
COMES_S = 5.0  # for an engine and an exchange that were started a moment ago
SLACK_S = 30.0
_STOP_S = 2.0  # for the exchange to say that it has stopped a replay


class Control:
    """Client of the exchange's control port."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.where = f"{host}:{port}"
        try:
            self.sock = socket.create_connection((host, port), timeout=timeout_s)
        except OSError as error:
            raise TickwireError(
                f"exchange {self.where}: {error.strerror or error}; is `tickwire exchange` running there, "
                "and is this its control port?"
            ) from None
        self.lines = self.sock.makefile("rb")

    def close(self) -> None:
        self.lines.close()
        self.sock.close()

    def send(self, **request: Any) -> None:
        self.sock.sendall(json.dumps(request).encode() + b"\n")

    def stop(self) -> None:
        """End the replay that was begun here, as far as the exchange still listens."""
        said = b""
        with contextlib.suppress(OSError):
            self.sock.settimeout(_STOP_S)
            self.send(command="stop")
            # Its answer is waited for, because closing at once could take the command with it. Not from `lines`: a
            # file of a socket cannot be read any more after a time-out.
            while not (b'"stopped"' in said or b'"error"' in said) and (more := self.sock.recv(4096)):
                said += more

    def answer(self, timeout_s: float) -> dict[str, Any]:
        """The next line; TickwireError on {"error": ...}, a closed connection, or after the time-out."""
        self.sock.settimeout(max(0.001, timeout_s))
        try:
            line = self.lines.readline()
        except TimeoutError:
            raise TickwireError(f"exchange {self.where}: no answer in time; see its log, or raise --timeout") from None
        except OSError as error:
            raise TickwireError(f"exchange {self.where}: connection lost: {error.strerror}") from None
        if not line:
            raise TickwireError(f"exchange {self.where}: closed the control connection; see its log")
        try:
            answer = json.loads(line)
        except ValueError:
            raise TickwireError(
                f"exchange {self.where}: {line[:80]!r} is not JSON; is this its control port?"
            ) from None
        if not isinstance(answer, dict) or "error" in answer:
            raise TickwireError(f"exchange {self.where}: {answer['error'] if isinstance(answer, dict) else answer}")
        return answer


def soon(what: Callable[[], Any], deadline: float) -> Any:
    """What `what` returns, once it does not raise a TickwireError any more; that error after the deadline."""
    while True:
        try:
            return what()
        except TickwireError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)
