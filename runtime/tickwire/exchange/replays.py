# SPDX-License-Identifier: Apache-2.0
"""What the control port asks for: replays (one at a time), their end, broken trades."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import TickwireError
from .control import BreakRequest, ControlConnection, DutRequest, PlainRequest, ReplayRequest, parse
from .feed import FAULTS, Feed, Job
from .ouch import OrderEntry
from .soupbin import Account
from .timing import Timing

log = logging.getLogger("tickwire.exchange")


def said(answer: dict[str, Any]) -> str:
    """What the log says of a replay that is over."""
    if "error" in answer:
        return str(answer["error"])
    faults = [
        f"{name.replace('_', ' ')}: {count} {what}"
        for name in ("line_a", "line_b")
        for what, count in answer[name].items()
        if count
    ]
    return ", ".join(
        [
            f"{'stopped' if 'stopped' in answer else 'done'} after {answer['elapsed_ms'] / 1e3:.3f} s",
            f"{answer['sent']} messages in {answer['packets']} packets",
            f"{answer['orders']} orders",
            f"at most {answer['late_max_us']:.0f} us late",
            *faults,
        ]
    )


@dataclass
class _Waiting:
    """A replay request whose `wait_for` user has not logged in yet."""

    request: ReplayRequest
    client: ControlConnection
    deadline: float


class Replays:
    """Answers control clients; `status` is what the status command says."""

    def __init__(
        self,
        feed: Feed,
        entry: OrderEntry,
        accounts: dict[str, Account],
        timing: Timing,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self.feed, self.entry, self.accounts, self.timing, self.status = feed, entry, accounts, timing, status
        self.waiting: list[_Waiting] = []
        self.running: tuple[ControlConnection, int] | None = None  # who asked for the replay; orders before it

    def on_line(self, client: ControlConnection, line: bytes) -> None:
        try:
            request = parse(line)
            if isinstance(request, BreakRequest):
                accounts = self.entry.break_trade(request.match_number, request.reason)
                client.say({"broken": request.match_number, "accounts": accounts})
            elif isinstance(request, PlainRequest):
                client.say(self.status() if request.command == "status" else {"stopped": self.feed.cut_short().session})
            elif isinstance(request, DutRequest):
                self._begin_dut(client, request)
            elif request.wait_for is not None and not self._logged_in(request.wait_for):
                self.waiting.append(_Waiting(request, client, time.monotonic() + request.wait_s))
            else:
                self._begin(client, request)
        except TickwireError as error:
            client.say({"error": str(error)})

    def _logged_in(self, username: str) -> bool:
        account = self.accounts.get(username.strip().upper())
        if account is None:
            raise TickwireError(f"wait_for: no account {username!r} in orders.accounts")
        return account.session is not None

    def tick(self, now: float) -> None:
        """Begin the replays whose user has come; give up on the others in time."""
        for waiting in list(self.waiting):
            self._resume(waiting, now)

    def _resume(self, waiting: _Waiting, now: float) -> None:
        request, client = waiting.request, waiting.client
        ready = self._logged_in(request.wait_for or "")
        if not (ready or client.closed or now > waiting.deadline):
            return
        self.waiting.remove(waiting)
        if client.closed:
            return
        try:
            if not ready:
                raise TickwireError(f"{request.wait_for} did not log in within {request.wait_s:g} s")
            self._begin(client, request)
        except TickwireError as error:
            client.say({"error": str(error)})

    def _begin(self, client: ControlConnection, request: ReplayRequest) -> None:
        settings, length = self.feed.settings, len(self.feed.file)
        rate, speed = request.rate, request.speed
        if speed is None:
            # Who asks for a rate wants that rate, whatever speed is configured.
            speed = settings["speed"] if rate is None else 0.0
        job = Job(
            min(request.messages or length, length),
            float(settings["rate"] if rate is None else rate),
            float(speed),
            request.faults,
        )
        self._submit(client, job)

    def _begin_dut(self, client: ControlConnection, request: DutRequest) -> None:
        users = sorted(account.username for account in self.accounts.values() if account.session is not None)
        length = len(self.feed.file)
        job = Job(min(request.messages or length, length), 0.0, faults=dict.fromkeys(FAULTS, 0.0))
        job.plan = self.timing.plan(request, users)
        self._submit(client, job)
        self.timing.begin()

    def _submit(self, client: ControlConnection, job: Job) -> None:
        if self.running is not None:  # to the last word about it, not only to its last packet
            raise TickwireError(f"replay {self.feed.session} is running; wait for it to end, or stop it")
        before = self.entry.counters.orders
        self.feed.submit(job)
        self.running = client, before
        client.say({"session": job.session, "messages": job.messages, "rate": job.rate, "speed": job.speed})

    def finish(self, job: Job) -> ControlConnection | None:
        """Say how a replay went to whoever began it; returns that client unless it has left."""
        assert self.running is not None
        client, before = self.running
        self.running = None
        if job.result is not None and job.outcome is not None:
            try:
                self.timing.finish(job.session, job.outcome)
            except TickwireError as error:
                job.result, job.error = None, str(error)
        if job.result is None:
            answer: dict[str, Any] = {"error": f"replay {job.session}: {job.error}"}
        else:
            answer = {
                "done": True,
                "session": job.session,
                "sent": job.result["messages"],
                "packets": job.result["packets"],
                "orders": self.entry.counters.orders - before,
                "elapsed_ms": round(job.result["elapsed_ns"] / 1e6, 3),
                "late_max_us": round(job.result["late_max_ns"] / 1e3, 3),
                "line_a": job.result["line_a"],
                "line_b": job.result["line_b"],
            }
            if job.stopped:
                answer["stopped"] = True
        log.info("replay %s: %s", job.session, said(answer))
        if client.closed:
            return None
        client.say(answer)
        return client
