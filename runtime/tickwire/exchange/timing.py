# SPDX-License-Identifier: Apache-2.0
"""The exchange's time stamps: whose clock, the orders' arrivals by it, and what the last measurement of a device said.

Stamps are taken as `exchange.timestamps` says, by the rules of the engine's (docs/timestamps.md): a card is switched on
when the exchange starts and put back when it ends. The samples of the last measurement are in a file beside the
state file, written whole or not at all.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import TickwireError
from .arrivals import Inbox, Reader
from .control import DutRequest
from .dut import Outcome, Plan

log = logging.getLogger("tickwire.exchange")


class Timing:
    """Owns the stamping of one exchange process. TickwireError when `exchange.timestamps` cannot be had."""

    def __init__(self, config: dict[str, Any], listener: socket.socket) -> None:
        self.wish: str = config["exchange"]["timestamps"]
        self.inbox = Inbox()
        self.samples_path = Path(f"{config['exchange']['block']}.samples")
        self.last: dict[str, Any] | None = None
        try:
            self.stamping = _core.Stamping(self.wish, config["feed"]["interface"], config["orders"]["address"])
        except OSError as error:
            raise TickwireError(str(error.strerror)) from None
        self.stamping.listen(listener)  # the connections inherit it
        if self.wish != "none":
            log.info("time stamps: %s, %s", self.stamping.clock, self.stamping.reason)
        self._forget()  # those of a process before this one

    def reader(self, sock: socket.socket) -> Reader | None:
        """For a connection that was just accepted; None where nothing is stamped."""
        return Reader(sock, self.inbox) if self.wish != "none" else None

    def plan(self, request: DutRequest, logged_in: list[str]) -> Plan:
        """What the request asks for; TickwireError when it cannot be measured here."""
        if self.stamping.clock == "none":
            raise TickwireError(
                'exchange.timestamps is "none", so ticks and orders have no stamps: set it to "auto" in the '
                "exchange's configuration and start the exchange again"
            )
        return Plan(
            self._user(request.user, logged_in),
            request.samples,
            request.warmup,
            request.answer_ms / 1e3,
            request.quiet_ms / 1e3,
            self.stamping.clock,
            self.wish == "auto",
        )

    def _user(self, wanted: str | None, logged_in: list[str]) -> str:
        there = ", ".join(logged_in) or "nobody"
        if wanted is not None:
            found = [user for user in logged_in if user.strip().upper() == wanted.strip().upper()]
            if not found:
                raise TickwireError(f"user {wanted} is not logged in ({there} is): start the device, and see its log")
            return found[0]
        if len(logged_in) != 1:
            step = "name one with --user" if logged_in else "start the device, and see its log"
            raise TickwireError(f"one device is measured at a time, and {there} is logged in: {step}")
        return logged_in[0]

    def begin(self) -> None:
        """A measurement begins: the samples of the one before are no longer shown."""
        self.last = None
        self._forget()

    def _forget(self) -> None:
        with contextlib.suppress(OSError):  # then the state file says nothing of what is in it
            self.samples_path.unlink()

    def finish(self, session: str, outcome: Outcome) -> None:
        """Show what a measurement gave."""
        beside = self.samples_path.with_name(f".{self.samples_path.name}.new")
        try:
            beside.write_bytes(outcome.records)
            beside.replace(self.samples_path)
        except OSError as error:
            raise TickwireError(f"exchange.block: {self.samples_path} not written: {error.strerror}") from None
        self.last = {"session": session, **outcome.counts}

    def state(self) -> dict[str, Any]:
        """For the state file."""
        return {
            "timestamp_source": self.stamping.clock,
            "timestamp_reason": self.stamping.reason,
            **({"dut": self.last} if self.last else {}),
        }

    def close(self) -> None:
        """Put the cards back."""
        before = self.stamping.reason
        self.stamping.close()
        if self.stamping.reason != before:
            log.warning("%s", self.stamping.reason)
