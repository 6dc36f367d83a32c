# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Listens to the events of one interface and has its settings applied again after each burst of them."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from .netlink import Event

#: A burst has ended when nothing came for so long; it is acted on after the longer time at the latest.
QUIET_S = 0.3
BURST_S = 2.0
#: Applying that changes something makes events itself. When that does not end, it is done ever more seldom.
SLOWEST_S = 60.0
_FEW = 3


class Source(Protocol):
    """Where events come from."""

    sockets: list[socket.socket]

    def receive(self, ready: socket.socket) -> list[Event]:
        """The events that wait in that socket."""


class Follower:
    """Which index the interface has; it changes when a device goes and another one takes the name."""

    def __init__(self, interface: str, find: Callable[[str], int], log: Callable[[str], None]) -> None:
        self.interface = interface
        self.index = find(interface)
        self._find = find
        self._log = log

    def concerns(self, events: Iterable[Event]) -> bool:
        """Whether any of these asks for the settings to be applied again."""
        wanted = False
        for event in events:
            if event.kind == "lost":
                self._log("the kernel dropped events: applying all again")
                self.index, wanted = self._find(self.interface), True
            elif event.kind == "gone" and event.index == self.index and self.index:
                self._log(f"{self.interface} is gone")
                self.index, wanted = 0, False
            elif event.kind == "link" and event.name == self.interface:
                if event.index != self.index:
                    self._log(f"{self.interface} is here")
                self.index, wanted = event.index, True
            elif event.kind == "link" and event.index == self.index and self.index:
                self._log(f"{self.interface} was renamed to {event.name} and is not followed")
                self.index, wanted = 0, False
            elif event.kind == "settings" and event.index == self.index and self.index:
                wanted = True
            elif event.kind == "rdma" and self.index:
                # Whose it is, is seen when it is applied: not every driver says it in the device's path.
                wanted = True
        return wanted


def index_of(interface: str) -> int:
    """Index of an interface, 0 when there is none of that name."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def watch(
    interface: str,
    source: Source,
    apply: Callable[[], int],
    log: Callable[[str], None],
    find: Callable[[str], int] = index_of,
) -> None:
    """Call ``apply`` once now where the interface is here, and after every burst of events, until it is ended.

    ``apply`` returns how many settings it had to change. The process sleeps while nothing happens.
    """
    follower = Follower(interface, find, log)
    if follower.index:
        apply()
    notify("READY=1")
    changing = 0
    while True:
        if not _next_burst(source, follower):
            continue
        count = apply()
        changing = changing + 1 if count else 0
        if changing > _FEW:
            pause_s = min(SLOWEST_S, QUIET_S * 2**changing)
            log(f"settings had to be applied {changing} times in a row: waiting {pause_s:.0f} s before the next time")
            time.sleep(pause_s)


def _next_burst(source: Source, follower: Follower) -> bool:
    """Wait for a burst of events and its end; False when none of it asks for anything."""
    wanted = False
    deadline = None
    while True:
        now = time.monotonic()
        wait_s = None if deadline is None else max(0.0, min(QUIET_S, deadline - now))
        ready, _writable, _failed = select.select(source.sockets, [], [], wait_s)
        if not ready:
            # The end of a burst: where the interface went during it, nothing is left to do.
            return wanted and follower.index != 0
        for one in ready:
            wanted = follower.concerns(source.receive(one)) or wanted
        if not wanted:
            return False
        if deadline is None:
            deadline = now + BURST_S
        elif now >= deadline:
            return follower.index != 0


def notify(state: str) -> None:
    """Tell systemd, where it waits for it (sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect("\0" + address[1:] if address.startswith("@") else address)
        out.sendall(state.encode("ascii"))
