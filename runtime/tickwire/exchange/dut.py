# SPDX-License-Identifier: Apache-2.0
"""Timing a device under test: one tick leaves, and the order it causes is waited for.

The device is a black box, so nothing in an order names its tick. What tells them apart is that there is only one: a
tick leaves when the device has answered the one before, or the time for an answer is over, and then been quiet for a
while. An order belongs to the tick that is open when it comes; the first one closes it. What cannot be attributed so is
counted and in no sample:

    further   behind the first order of a tick: a second leg, a quote on the other side, a reaction to our answer
    late      after the time for an answer was over, or with a stamp before that of the tick it seemed to answer
    together  first order of a tick, but read with bytes of another segment, so that its stamp may be another's
    others    of another user
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .. import _core
from ..bench.samples import RECORD
from ..errors import TickwireError
from .arrivals import Arrival, Inbox, Stamps

_RESTLESS_S = 5.0
_STOP_S = 0.1  # between looks at whether to stop
_SETTLE_S = 1.0  # for a card's last transmit stamps
_SETTLE_STEP_S = 0.01


@dataclass(frozen=True)
class Plan:
    """What to measure: `samples` ticks answered by `user` after `warmup` such; how long an answer may take, in s, and
    how long the device must have been quiet before the next tick. `clock`: whose stamps; `or_kernel`: the kernel's
    will do for a tick or order that the card has not stamped."""

    user: str
    samples: int
    warmup: int
    answer_s: float
    quiet_s: float
    clock: str = "software"
    or_kernel: bool = False


@dataclass
class Counts:
    """Ticks sent and answered (those of the warm-up too), and the orders that are in no sample."""

    ticks: int = 0
    answered: int = 0
    further: int = 0
    late: int = 0
    together: int = 0
    others: int = 0


@dataclass
class Attribution:
    """Which order answers which tick. Ticks are numbered from 0 in the order of sending."""

    user: str
    counts: Counts = field(default_factory=Counts)
    answers: list[tuple[int, Arrival]] = field(default_factory=list)
    waiting: bool = False  # a tick is open
    _answered: bool = False  # the last tick was closed by an order

    def sent(self) -> None:
        """The next tick leaves."""
        self.counts.ticks += 1
        self.waiting, self._answered = True, False

    def over(self) -> None:
        """The time for an answer is."""
        self.waiting = False

    def came(self, arrival: Arrival) -> None:
        """Orders have been read."""
        counts = self.counts
        if arrival.user != self.user:
            counts.others += arrival.orders
        elif not self.waiting:
            if self._answered:
                counts.further += arrival.orders
            else:
                counts.late += arrival.orders
        else:
            self.waiting, self._answered = False, True
            counts.answered += 1
            counts.further += arrival.orders - 1
            if arrival.whole:
                self.answers.append((counts.ticks - 1, arrival))
            else:
                counts.together += 1


@dataclass
class Outcome:
    """Counters of a measurement for people and programs, and its samples as `bench/samples.py` reads them."""

    counts: dict[str, Any]
    records: bytes


class Line(Protocol):
    """What is needed of `_core.Replay`."""

    def stamp(self, card: bool, /) -> None: ...
    def run(self, rate: float, first: int, count: int, /) -> dict[str, Any]: ...
    def departures(self) -> list[tuple[int, int, int]]: ...


class Prober:
    """Runs one measurement; `inbox` gets an Arrival for every read that had orders in it."""

    def __init__(self, plan: Plan, line: Line, inbox: Inbox, stopped: Callable[[], bool]) -> None:
        self.plan, self.line, self.inbox = plan, line, inbox
        self.attribution = Attribution(plan.user)
        self.departed: dict[int, Stamps] = {}
        self.stopped = stopped

    def run(self, messages: int) -> Outcome:
        """Ticks are messages 0 to `messages` - 1, until there are enough samples or `stopped` says so. TickwireError
        when the device sends without end."""
        plan, attribution = self.plan, self.attribution
        self.line.stamp(plan.clock == "hardware")
        self.inbox.open()
        try:
            for number in range(messages):
                if self.stopped() or len(attribution.answers) >= plan.warmup + plan.samples:
                    break
                self._tick(number)
        finally:
            self.inbox.close()
        self._settle()
        return outcome(plan, attribution, self.departed)

    def _tick(self, number: int) -> None:
        self.attribution.sent()
        self.line.run(0.0, number, 1)
        self._until_answered()
        self._until_quiet()
        self._collect()

    def _next(self, deadline: float) -> bool:
        arrival = self.inbox.get(deadline - time.monotonic())
        if arrival is not None:
            self.attribution.came(arrival)
        return arrival is not None

    def _until_answered(self) -> None:
        deadline = time.monotonic() + self.plan.answer_s
        while self.attribution.waiting and time.monotonic() < deadline and not self.stopped():
            self._next(min(deadline, time.monotonic() + _STOP_S))
        self.attribution.over()

    def _until_quiet(self) -> None:
        patience = time.monotonic() + self.plan.quiet_s + _RESTLESS_S
        while self._next(time.monotonic() + self.plan.quiet_s):
            if time.monotonic() > patience:
                raise TickwireError(
                    f"{self.plan.user} sent orders for {_RESTLESS_S:g} s after a tick, never "
                    f"{1e3 * self.plan.quiet_s:g} ms apart, so that none can be attributed: have it send on ticks "
                    "only, or lower --quiet-ms"
                )

    def _collect(self) -> None:
        for number, software_ns, hardware_ns in self.line.departures():
            software, hardware = self.departed.get(number, (0, 0))
            self.departed[number] = software or software_ns, hardware or hardware_ns

    def _settle(self) -> None:
        deadline = time.monotonic() + _SETTLE_S
        place = 1 if self.plan.clock == "hardware" else 0
        while True:
            self._collect()
            missing = (n for n, _arrival in self.attribution.answers if not self.departed.get(n, (0, 0))[place])
            if next(missing, None) is None or time.monotonic() > deadline:
                return
            time.sleep(_SETTLE_STEP_S)


def outcome(plan: Plan, attribution: Attribution, departed: dict[int, Stamps]) -> Outcome:
    """Samples of the attributed orders behind the warm-up: from the tick's departure to the order's arrival, both of
    one clock, `plan.clock`, or, where that has not stamped both and `or_kernel`, the kernel's."""
    names = _core.stamp_clocks()
    counts, records = attribution.counts, []
    missing: dict[str, int] = {}
    by_kernel = 0
    for number, arrival in attribution.answers[plan.warmup :]:
        start, end = departed.get(number, (0, 0)), arrival.stamps
        wanted = 1 if plan.clock == "hardware" else 0
        used = wanted
        if not (start[used] and end[used]) and plan.or_kernel:
            used = 0
        if not (start[used] and end[used]):
            what = "receive stamp" if start[used] else "transmit stamp"
            missing[what] = missing.get(what, 0) + 1
        elif end[used] < start[used]:
            counts.late += 1
        else:
            by_kernel += used != wanted
            beside = (end[0], start[0]) if used and start[0] and end[0] else (0, 0)
            clock = names.index("hardware" if used else "software")
            records.append(RECORD.pack(end[used], start[used], *beside, clock, 0))
    return Outcome(
        {
            "user": plan.user,
            "warmup": min(plan.warmup, len(attribution.answers)),
            "answer_ms": 1e3 * plan.answer_s,
            "quiet_ms": 1e3 * plan.quiet_s,
            **vars(counts),
            "samples": len(records),
            "by_kernel": by_kernel,
            "unstamped": sum(missing.values()),
            "unstamped_by": missing,
        },
        b"".join(records),
    )
