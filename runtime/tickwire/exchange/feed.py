# SPDX-License-Identifier: Apache-2.0
"""The market data feed: a thread that drives `_core.Replay`, which paces and sends in C without the GIL.

Messages leave at the file's own pace times `speed`, or at `rate` messages a second, on line A and, where it is
configured, line B; core/pacer.h has the rules of due times, core/line.h those of the faults each line makes.

Each replay is a MoldUDP64 session of its own and stands for a trading day. Once a second when idle the feed sends a
heartbeat of the session to come or, after a replay, the end of the session that was: a listener that lost the packets
at the end still learns of it, and what it measured stays readable until the next replay.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import _core
from ..errors import TickwireError
from ..itchfile import ItchFile
from .arrivals import Inbox
from .dut import Outcome, Plan, Prober

log = logging.getLogger("tickwire.exchange.feed")

IDLE_S = 1.0
END_PACKETS, END_GAP_S = 3, 0.05
GRACE_S = 0.25  # for orders still on their way when the session has ended


FAULTS = ("loss_a", "loss_b", "duplicate_a", "duplicate_b", "reorder_a", "reorder_b")


@dataclass
class Job:
    """One replay: what to send, and afterwards how it went."""

    messages: int
    rate: float
    speed: float = 0.0
    faults: dict[str, float] = field(default_factory=dict)  # FAULTS and "seed", where they differ from the settings
    session: str = ""
    result: dict[str, Any] | None = None
    error: str = ""
    stopped: bool = False
    plan: Plan | None = None  # not None: the messages leave one at a time, to time a device
    outcome: Outcome | None = None  # of that

    @property
    def pace(self) -> str:
        if self.plan is not None:
            return "one at a time"
        if self.speed:
            return f"speed {self.speed:g}"
        return f"{self.rate:g}/s" if self.rate else "full speed"


class Feed:
    """Owns the sending thread. `on_done` is called there with a finished job."""

    def __init__(
        self,
        file: ItchFile,
        exchange: dict[str, Any],
        on_done: Callable[[Job], None],
        inbox: Inbox | None = None,
    ) -> None:
        self.file, self.settings, self.on_done = file, exchange["feed"], on_done
        self.inbox = inbox if inbox is not None else Inbox()  # where orders come while a device is timed
        self._prefix = exchange["exchange"]["session_prefix"]
        # Sessions must not repeat over restarts, or a listener would take the new one for one that it knows.
        self._number = int(time.time())
        self._fresh = True
        self._stopping = threading.Event()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="tickwire-feed", daemon=True)
        self.busy = False
        self.replays = 0
        self.sent = 0
        self._job: Job | None = None
        self._replay = self._open()

    @property
    def session(self) -> str:
        digits = 10 - len(self._prefix)
        return f"{self._prefix}{self._number % 10**digits:0{digits}d}"

    def _open(self) -> _core.Replay:
        try:
            return _core.Replay(
                self.file.data,
                self.file.index,
                group=self.settings["group"],
                port=self.settings["port"],
                interface=self.settings["interface"],
                session=self.session,
                messages_per_packet=self.settings["messages_per_packet"],
                tos=self.settings["tos"],
                group_b=self.settings.get("group_b", ""),
                port_b=self.settings.get("port_b", 0),
                interface_b=self.settings.get("interface_b", ""),
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise TickwireError(f"{reason}; see `ip -br address`, and feed.interface in the configuration") from None

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Begin a replay; sets `job.session`. TickwireError when one is running or the feed cannot be opened."""
        if self.busy:
            raise TickwireError(f"replay {self.session} is running; wait for it to end")
        if not self._fresh:
            self._number += 1
            self._replay = self._open()
        self._fresh = False
        self.busy = True
        job.session = self.session
        self._job = job
        self._impair(job)
        self._jobs.put(job)

    def _impair(self, job: Job) -> None:
        """Each line's probabilities: the replay's own, else those of the settings."""
        chosen = {**self.settings, **job.faults}
        for line, suffix in (("A", "a"), ("B", "b")):
            odds = {name: float(chosen.get(f"{name}_{suffix}", 0.0)) for name in ("loss", "duplicate", "reorder")}
            self._replay.impair(line, **odds, seed=int(chosen.get("seed", 1)))

    @property
    def sequence_sent(self) -> int:
        """Sequence number of the last message of the present session that was sent, 0 for none."""
        return self._replay.sent()

    @property
    def replay(self) -> _core.Replay:
        """Of the present session."""
        return self._replay

    def cut_short(self) -> Job:
        """End the running replay where it is; its session ends as any other. TickwireError when none is running."""
        if not self.busy or self._job is None:
            raise TickwireError("no replay is running")
        self._job.stopped = True
        self._replay.stop()
        return self._job

    def stop(self) -> None:
        """End a running replay and the thread."""
        self._stopping.set()
        self._replay.stop()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        complained = ""
        while not self._stopping.is_set():
            try:
                job = self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                try:
                    self._idle()
                    complained = ""
                except OSError as error:
                    if str(error) != complained:  # once, not once a second
                        complained = str(error)
                        log.warning("feed: idle packet not sent: %s", error)
                continue
            if job is not None:
                self._run(job)

    def _idle(self) -> None:
        if self._fresh:
            self._replay.heartbeat()
        else:
            self._replay.end_of_session()

    def _send(self, job: Job) -> dict[str, Any]:
        return self._replay.run(job.rate, 0, job.messages, job.speed)

    def _probe(self, job: Job, plan: Plan) -> dict[str, Any]:
        began = time.monotonic_ns()
        prober = Prober(plan, self._replay, self.inbox, lambda: job.stopped or self._stopping.is_set())
        job.outcome = prober.run(job.messages)
        ticks = prober.attribution.counts.ticks
        nothing = dict.fromkeys(("lost", "duplicated", "reordered"), 0)
        return {
            **{"messages": ticks, "packets": ticks, "elapsed_ns": time.monotonic_ns() - began, "late_max_ns": 0},
            **{"line_a": nothing, "line_b": nothing},
        }

    def _run(self, job: Job) -> None:
        log.info("replay %s: %d messages at %s", job.session, job.messages, job.pace)
        try:
            job.result = self._probe(job, job.plan) if job.plan else self._send(job)
            self.sent += job.result["messages"]
            for _packet in range(END_PACKETS):
                self._replay.end_of_session()
                self._stopping.wait(END_GAP_S)
        except (OSError, TickwireError) as error:
            job.error = str(error)
            log.error("replay %s failed: %s", job.session, error)
        self._stopping.wait(GRACE_S)
        self.replays += 1
        self.busy = False
        self.on_done(job)
