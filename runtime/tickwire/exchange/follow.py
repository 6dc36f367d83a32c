# SPDX-License-Identifier: Apache-2.0
"""The exchange follows its own feed: what has been sent is applied to the matcher's books.

Messages of instruments in which no order of ours rests and nothing was taken go to the book in C, many at a time; the
others go through the matcher one by one. `follow` works in slices, so that sessions are served while a feed at full
speed runs ahead; orders then meet the books as far as they have been followed.
"""

from __future__ import annotations

import logging
import time

from .. import _core
from ..itchfile import ItchFile
from .feed import Feed
from .matching import LOCATES, Matcher, Report

log = logging.getLogger("tickwire.exchange")

SLICE_S = 0.02
_STRIDE = 1 << 16  # messages between looks at the clock
MAX_ORDERS = 1 << 21  # orders of the feed that live at a time; a full Nasdaq day stays below


def _book(messages: int) -> _core.Book:
    return _core.Book(max_orders=max(1024, min(messages, MAX_ORDERS)), max_instruments=LOCATES)


class Follower:
    """Owns the matcher of the feed's file."""

    def __init__(self, file: ItchFile, report: Report) -> None:
        self.file = file
        self.matcher = Matcher(_book(len(file)), report)
        self._index = memoryview(file.index).cast("Q")
        self._data = memoryview(file.data)

    def follow(self, feed: Feed, limit_s: float = SLICE_S) -> bool:
        """Apply what was sent, for about `limit_s` at most; False when there is more."""
        matcher, replay, sent = self.matcher, feed.replay, feed.sequence_sent
        if matcher.applied >= sent:
            return True
        book, deadline = matcher.book, time.monotonic() + limit_s
        looked = matcher.applied
        while (at := matcher.applied) < sent:
            end = min(sent, at + _STRIDE)
            found = replay.find(at, end, matcher.watch)
            if found > at:
                book.apply_range(self.file.data, self.file.index, at, found - at)
                matcher.applied = found
            if found < end:
                entry = self._index[found]
                matcher.message(self._data[entry >> 16 : (entry >> 16) + (entry & 0xFFFF)])
            if matcher.applied - looked >= 256:
                looked = matcher.applied
                if time.monotonic() > deadline:
                    return False
        return True

    def end(self, feed: Feed) -> None:
        """The feed session is over and has been followed to its end: cancel what rests, forget its books."""
        stats = self.matcher.book.stats()
        faults = {name: count for name, count in stats.items() if name != "live_orders" and count}
        if faults:
            log.warning("books of session %s: %s", feed.session, faults)
        self.matcher.restart(_book(len(self.file)))
