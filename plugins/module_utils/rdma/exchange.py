# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ping-pong itself: to and fro between two endpoints that are connected, the client with the clock.

Over a reliable connection (RC) every message comes or the ping fails. A datagram (UD) may be lost: each carries its
number, one without an answer for ``LOSS_S`` is counted as lost, and an answer that comes later is left out.
"""

from __future__ import annotations

import time
from typing import Callable, Protocol

LOSS_S = 1.0  # beyond any round trip of a fabric, and of emulated machines that stall
LOST_IN_A_ROW = 5  # then there is no path for datagrams, and waiting for each of them tells nothing more


class Ends(Protocol):
    """What of ``pingpong.Endpoint`` is used here."""

    def send(self, number: int) -> None:
        """Post one message; a datagram carries the number."""

    def receive(self, deadline: float, idle: Callable[[], None]) -> int:
        """Wait for one message; the number of a datagram. TimeoutError at the deadline."""

    def flush(self, deadline: float) -> None:
        """Wait until every message sent has been acknowledged."""


class Talk(Protocol):
    """What of ``hello.Channel`` is used here."""

    def waiting(self) -> bool:
        """Whether the peer said something, or went."""

    def failure_waiting(self) -> None:
        """Raise when the peer said that it failed, or went."""


def measure(end: Ends, talk: Talk, warmup: int, iterations: int, deadline: float) -> list[float]:
    """Return the half round trips in microseconds, each message answered; TimeoutError tells how far it came."""
    samples = []
    for number in range(-warmup, iterations):
        start = time.perf_counter_ns()
        try:
            end.send(0)
            end.receive(deadline, talk.failure_waiting)
        except TimeoutError:
            raise TimeoutError("%d of %d iterations done" % (max(0, number), iterations)) from None
        if number >= 0:
            samples.append((time.perf_counter_ns() - start) / 2000)
    return samples


def echo(end: Ends, talk: Talk, count: int, deadline: float) -> None:
    """Answer ``count`` messages."""
    for number in range(count):
        try:
            end.receive(deadline, talk.failure_waiting)
        except TimeoutError:
            raise TimeoutError("%d of %d messages came" % (number, count)) from None
        end.send(0)
    end.flush(deadline)


def measure_datagrams(end: Ends, talk: Talk, warmup: int, iterations: int, deadline: float) -> tuple[list[float], int]:
    """Return the half round trips in microseconds of the datagrams that were answered, and how many were not.

    Lost ones of the warm-up are not counted. RuntimeError after ``LOST_IN_A_ROW``, or when none was answered.
    """
    samples: list[float] = []
    lost = in_a_row = 0
    for number in range(warmup + iterations):
        until = min(deadline, time.monotonic() + LOSS_S)
        start = time.perf_counter_ns()
        try:
            end.send(number)
            while end.receive(until, talk.failure_waiting) != number:
                pass  # the answer to one that was given up
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    "%d of %d iterations done, %d datagrams lost" % (max(0, number - warmup), iterations, lost)
                ) from None
            lost += number >= warmup
            in_a_row += 1
            if in_a_row == LOST_IN_A_ROW:
                raise RuntimeError(
                    "%d datagrams in a row got no answer within %g s each, after %d that did"
                    % (in_a_row, LOSS_S, len(samples))
                ) from None
            continue
        in_a_row = 0
        if number >= warmup:
            samples.append((time.perf_counter_ns() - start) / 2000)
    if not samples:
        raise RuntimeError("none of %d datagrams got an answer within %g s" % (iterations, LOSS_S))
    return samples, lost


class _Said(Exception):
    """The client said something: it has all it wants."""


def echo_datagrams(end: Ends, talk: Talk, deadline: float) -> None:
    """Answer whatever comes until the client says something: how many datagrams get here nobody knows."""

    def listen() -> None:
        talk.failure_waiting()
        if talk.waiting():
            raise _Said

    count = 0
    try:
        while True:
            end.send(end.receive(deadline, listen))
            count += 1
    except _Said:
        return
    except TimeoutError:
        raise TimeoutError("%d datagrams came" % count) from None
