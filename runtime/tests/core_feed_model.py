# SPDX-License-Identifier: Apache-2.0
"""What the feed should do, said in single messages and without any buffer: the model its tests compare it with."""

from __future__ import annotations

from dataclasses import dataclass, field

MS = 1_000_000
REQUEST_MESSAGES = 103  # what surely is enough to fill one reply: (1472 - 20) // (2 + 12)
TIMEOUT_MS, REQUEST_MS = 100, 10


def body(day: str, sequence: int) -> bytes:
    """The message every sender has at this place, as long as its sequence makes it."""
    return f"{day}/{sequence}".encode() + b"." * (sequence % 5)


@dataclass
class Model:
    """A feed that never has too much to keep. Times in ns."""

    request: bool
    day: str = ""
    previous: str = ""
    running: bool = False
    next: int = 0
    held: dict[int, int] = field(default_factory=dict)  # sequence: when it came first
    end: int | None = None  # of the session, while it waits behind a gap
    ended_lines: set[str] = field(default_factory=set)
    gap: bool = False
    gap_lost: bool = False
    furthest: int = 0
    furthest_ns: int = 0
    progress_ns: int = 0
    since_ns: int = 0
    looked_ns: int | None = None
    due_ns: int = 0
    stale: bool = False
    gaps: int = 0
    gaps_closed: int = 0
    messages_lost: int = 0
    out_of_session: int = 0
    sessions: int = 0
    ends: int = 0
    now: int = 0

    def standing(self, day: str, line: str, restarts: bool) -> bool:
        """Is a packet of `day` one of the running session, which it may begin?"""
        known = day in (self.day, self.previous) and self.sessions > 0
        if self.running and day == self.day:
            return True
        if line == "R" or (known and not (restarts and not self.running and line in self.ended_lines)):
            self.out_of_session += 1
            return False
        return True

    def begin(self, day: str, sequence: int) -> None:
        if self.gap:
            self.messages_lost += self.furthest - self.next
        if self.day != day:
            self.previous = self.day
        self.day, self.running, self.stale, self.gap, self.end = day, True, False, False, None
        self.next = 1 if self.request else sequence
        self.late = self.request and sequence > 1
        self.held, self.ended_lines = {}, set()
        self.sessions += 1

    def reveal(self, end: int, now: int) -> None:
        if not self.gap:
            self.gap, self.gap_lost, self.furthest, self.due_ns = True, False, 0, 0
            self.since_ns = self.progress_ns = now
            self.gaps += 1
        if end > self.furthest:
            self.furthest, self.furthest_ns = end, now

    def close(self) -> None:
        self.gap = self.late = False
        self.gaps_closed += not self.gap_lost

    def hole_end(self) -> int:
        return min([self.furthest, *self.held, *([] if self.end is None else [self.end])])

    def settle(self, own: bool, answer: bool, own_end: int) -> list[bytes]:
        """Deliver what is held from `next` on.

        `own`: the packet of the moment, an answer or not, brought the messages up to `own_end` of it.
        """
        out = []
        while self.next in self.held:
            out.append(body(self.day, self.next))
            del self.held[self.next]
            self.next += 1
        if out and self.gap:
            if own:
                self.progress_ns = self.now
            if self.next >= self.furthest:
                self.close()
            else:
                revealed = self.held[min(self.held)] if self.held else self.furthest_ns
                self.since_ns = max(revealed, self.progress_ns)
                if answer or self.next > own_end:
                    self.due_ns = 0
        if self.end is not None and self.end <= self.next:
            self.finish()
        return out

    def data(self, day: str, sequence: int, count: int, line: str) -> list[bytes]:
        if not self.standing(day, line, sequence == 1):
            return []
        if not (self.running and day == self.day):
            self.begin(day, sequence)
        if sequence > self.next:
            self.reveal(sequence + count, self.now)
        own = sequence <= self.next
        for at in range(max(sequence, self.next), sequence + count):
            self.held.setdefault(at, self.now)
        return self.settle(own, line == "R", sequence + count) if own else []

    def bare(self, day: str, sequence: int, ends: bool, line: str) -> None:
        if not self.running and day == self.day and self.sessions > 0:
            if ends:
                self.ended_lines.add(line)
            return
        if not self.standing(day, line, False):
            return
        if not (self.running and day == self.day):
            self.begin(day, sequence)
        if ends and sequence < self.next:
            self.out_of_session += 1
            return
        if ends:
            self.ended_lines.add(line)
        if sequence > self.next:
            self.reveal(sequence, self.now)
            if ends:
                self.end = sequence if self.end is None else min(self.end, sequence)
        elif ends:
            self.finish()

    def finish(self) -> None:
        if self.gap:
            self.close()
        self.held, self.end, self.running = {}, None, False
        self.ends += 1

    def tick(self) -> tuple[list[tuple[int, int]], list[bytes]]:
        """(requests as (sequence, count), messages a declared gap held back)."""
        away = self.looked_ns is not None and self.now - self.looked_ns >= TIMEOUT_MS * MS // 2
        self.looked_ns = self.now
        if not self.gap:
            return [], []
        if away and self.request:
            self.since_ns = self.progress_ns = self.now
        if self.now - self.since_ns >= TIMEOUT_MS * MS:
            end = self.hole_end()
            self.messages_lost += end - self.next
            self.next, self.stale, self.gap_lost = end, True, True
            if self.next >= self.furthest:
                self.close()
            return [], self.settle(False, False, 0)
        if self.request and self.now >= self.due_ns:
            self.due_ns = self.now + REQUEST_MS * MS
            return [(self.next, min(self.hole_end() - self.next, REQUEST_MESSAGES))], []
        return [], []
