# SPDX-License-Identifier: Apache-2.0
"""`tickwire status --live`: the picture of a running engine, drawn again every interval.

On a terminal it is drawn in place on the alternate screen, each picture in one write and every line over the one before
it, so that nothing flickers; at the end the screen is what it was. Elsewhere the pictures follow one another. An engine
that is not there yet, ends, or is started again (its block is then another file) is shown as such; rates begin anew.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from . import status
from .errors import TickwireError

_SHARE = 0.1  # of the time may go into percentiles: with millions of samples they take a while

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_BOLD, _RED, _GREEN, _PLAIN = "\x1b[1m", "\x1b[1;31m", "\x1b[32m", "\x1b[0m"
_BAD = re.compile(r"\b(HANGS|KILLED|FULL|STALE(?: FEED)?|SILENT|STRATEGY FAILED|HALTED|not running)\b")
_GOOD = re.compile(r"(?<=  )(live|trading|ok)\b")
_TITLE = re.compile(r"\b(FEED|ORDERS|TICK TO (?:TRADE|ACKNOWLEDGEMENT)|BOOKS)\b")


def paint(line: str) -> str:
    """Colours for a terminal: titles bold, trouble red, health green. Nothing is moved."""
    line = _BAD.sub(rf"{_RED}\1{_PLAIN}", line)
    line = _GOOD.sub(rf"{_GREEN}\1{_PLAIN}", line)
    return _TITLE.sub(rf"{_BOLD}\1{_PLAIN}", line)


class View:
    """Pictures of one block over time. `clock` is monotonic seconds; `wall` a time of day for people."""

    def __init__(
        self,
        path: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        self.path = path
        self.clock = clock
        self.wall = wall
        self.before: tuple[float, object, dict[str, int]] | None = None
        self.latency: dict[str, Any] | None = None
        self.latency_of: tuple[object, ...] = ()
        self.latency_due = 0.0

    def _identity(self, state: dict[str, Any]) -> object:
        try:
            found = os.stat(self.path)
        except OSError:
            return (state["pid"], None)
        return (state["pid"], found.st_dev, found.st_ino)

    def _rates(self, identity: object, counters: dict[str, int]) -> dict[str, float]:
        now, before = self.clock(), self.before
        self.before = (now, identity, counters)
        if before is None or before[1] != identity or now <= before[0]:
            return {}
        changes = {name: value - before[2][name] for name, value in counters.items()}
        if min(changes.values()) < 0:
            return {}
        return {name: change / (now - before[0]) for name, change in changes.items()}

    def _percentiles(self, identity: object, state: dict[str, Any]) -> dict[str, Any] | None:
        of = (identity, state["feed_session"], state["samples"])
        start = self.clock()
        other = of[:2] != self.latency_of[:2]
        if of != self.latency_of and (other or start >= self.latency_due):
            self.latency, self.latency_of = status.percentiles(self.path), of
            self.latency_due = start + (self.clock() - start) / _SHARE
        return self.latency

    def lines(self) -> list[str]:
        """The picture now."""
        try:
            state = status.read(self.path)
        except TickwireError as error:
            self.before = None
            return [f"waiting for {self.path}", "", str(error)]
        if state["component"] == "exchange":
            return status.values(state)
        identity = self._identity(state)
        counters = {name: state[name] for name in status.RATES if name in state}
        counters["refused"] = sum(status.refusals(state).values())
        rates = self._rates(identity, counters) if state["alive"] else {}
        return status.picture(state, rates, self._percentiles(identity, state), self.wall())


def fit(lines: list[str], columns: int, rows: int) -> list[str]:
    """What of a picture a terminal of this size shows; the last line tells of what it does not."""
    if len(lines) > rows:
        hidden = len(lines) - rows + 1
        lines = [*lines[: rows - 1], f"... {hidden} more lines: enlarge the terminal, or see --json"]
    return [line[:columns] for line in lines]


@contextmanager
def _screen(out: TextIO) -> Iterator[None]:
    """The alternate screen, and back to what it was, however this ends; SIGTERM ends it like Ctrl-C."""

    def end(signum: int, frame: object) -> None:
        del signum, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    out.write(_ENTER)
    out.flush()
    try:
        yield
    finally:
        out.write(_LEAVE)
        out.flush()
        signal.signal(signal.SIGTERM, before)


def draw(lines: list[str], columns: int, rows: int, colour: bool) -> str:
    """The bytes that draw a picture over the one before it."""
    shown = fit(lines, columns, rows)
    painted = [paint(line) if colour else line for line in shown]
    return _HOME + "\r\n".join(line + _REST_OF_LINE for line in painted) + _REST_OF_SCREEN


def follow(
    view: View, interval_s: float, out: TextIO, sleep: Callable[[float], None] = time.sleep, terminal: bool = False
) -> None:
    """Show `view` on `out` until KeyboardInterrupt."""
    colour = "NO_COLOR" not in os.environ
    due = view.clock()
    while True:
        lines = view.lines()
        if terminal:
            size = shutil.get_terminal_size()
            out.write(draw(lines, size.columns, size.lines, colour))
        else:
            out.write("\n".join(lines) + "\n\n")
        out.flush()
        due = max(due + interval_s, view.clock())  # a machine that slept is not owed the pictures it missed
        sleep(max(0.0, due - view.clock()))


def run(path: str, interval_s: float) -> int:
    """`tickwire status --live`; Ctrl-C is how it ends."""
    view = View(path)
    try:
        if sys.stdout.isatty():
            with _screen(sys.stdout):
                follow(view, interval_s, sys.stdout, terminal=True)
        else:
            follow(view, interval_s, sys.stdout)
    except KeyboardInterrupt:
        pass
    return 0
