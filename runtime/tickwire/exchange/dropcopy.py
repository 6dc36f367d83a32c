# SPDX-License-Identifier: Apache-2.0
"""The drop copy: every order message in and out as a line of JSON, appended to a file.

    {"time_ns": ..., "account": "TRADE1", "version": "5.0", "direction": "in" | "out", "message": {"type": "O", ...}}

`time_ns` is since the epoch, the message as `_core.ouch_decode` has it (an appendage in hexadecimal digits); executions
are the messages "E" out. Lines are written together, a batch for each turn of the exchange's loop. A file that cannot
be written costs the lines and one warning, never an order; what was lost is counted.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any

from .soupbin import Account

log = logging.getLogger("tickwire.exchange.dropcopy")

RETRY_S = 1.0  # between attempts to open the file


class DropCopy:
    """Lines on their way to the file at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = 0  # written
        self.lost = 0
        self._batch: list[bytes] = []
        self._file = -1
        self._retry_at = 0.0
        self._torn = False  # the last write ended inside of a line
        self._warned = False

    def __call__(self, account: Account, direction: str, message: dict[str, Any]) -> None:
        line = {
            "time_ns": time.time_ns(),
            "account": account.username,
            "version": account.version,
            "direction": direction,
            "message": message,
        }
        self._batch.append(json.dumps(line, default=bytes.hex).encode() + b"\n")

    def flush(self) -> None:
        """Write what has come since the last call."""
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        try:
            self._write(batch)
        except OSError as error:
            self.lost += len(batch)
            if not self._warned:
                self._warned = True
                log.warning("exchange.drop_copy %s: %s; lines are lost and counted", self.path, error.strerror)

    def _write(self, batch: list[bytes]) -> None:
        """Write the lines of `batch`; takes from it what was written."""
        if self._file < 0:
            if time.monotonic() < self._retry_at:
                raise OSError(0, "not open")
            self._retry_at = time.monotonic() + RETRY_S
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        data = (b"\n" if self._torn else b"") + b"".join(batch)
        start = len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        finally:
            self._count(batch, start - len(data))

    def _count(self, batch: list[bytes], written: int) -> None:
        """Take from `batch` the lines that `written` bytes hold whole."""
        if self._torn and written:
            written -= 1
            self._torn = False
        whole = 0
        while whole < len(batch) and written >= len(batch[whole]):
            written -= len(batch[whole])
            whole += 1
        self._torn = self._torn or written > 0
        self.lines += whole
        del batch[:whole]

    def close(self) -> None:
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
