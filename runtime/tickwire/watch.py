# SPDX-License-Identifier: Apache-2.0
"""What the engine's housekeeping looks at ten times a second: the shared block, and the kill file.

Everything an operator must know is said once, when it begins and when it ends; counters are for `tickwire status`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _core, limits, status
from .notify import notify

log = logging.getLogger("tickwire.engine")

_STATUS_S = 10.0
_GAPS_S = 10.0
_REJECTS = 16  # as many as the block keeps
_LOW_ROOM = 10_000
_ORDINARY_S = 10.0  # for the first packet and the first answers, after which a thread should have its priority

_FILTER = (
    "has somebody else changed the card's filter (hwstamp_ctl -i INTERFACE shows it; ptp4l sets it when it starts), or "
    "did the packet come from the re-request server?"
)
_UNSTAMPED = {
    "unstamped_receive": "without a receive stamp of its packet: does the kernel stamp at all (engine.timestamps)?",
    "unstamped_transmit": "whose transmit stamp did not come back: a card that stamps one packet at a time leaves out "
    "those of a burst; over verbs the connection ended before the exchange's device had acknowledged the order",
    "unstamped_clocks": f"that was stamped by another clock than its packet: {_FILTER}",
    "by_kernel": "without the card's stamps, so that its sample is by the kernel's: a card that stamps one packet at a "
    f"time leaves out those of a burst; {_FILTER}",
}


class Watcher:
    """Compares the shared block with how it was at the last look."""

    def __init__(self, config: dict[str, Any], control: _core.Control, problem: Callable[[], str] = str) -> None:
        self.config = config
        self.control = control
        self.problem = problem  # of a transport, in words
        self.problem_said = ""
        self.kill_file: str = config["risk"]["kill_file"]
        self.before: dict[str, Any] = {}
        self.ready = False
        self.status_due = 0.0
        self.status_said = ""
        self.gaps_said, self.gaps_due = 0, 0.0
        self.refusals_said: set[str] = set()
        self.room_said = False
        self.damage_said = False
        self.unstamped_said: set[tuple[str, str]] = set()
        self.ordinary_due: float | None = None
        self.stood_s = 0.0  # how long an engine that hangs has stood still; 0: it moves
        self.low_room = min(_LOW_ROOM, config["engine"]["journal_records"] // 2)

    def look(self) -> str | None:
        """One look; what must end the process, if anything."""
        self._look_for_kill_file()
        self._transport()
        try:
            block = _core.block_read(self.config["engine"]["block"])
        except (OSError, ValueError):
            return None
        self._pulse(block)
        self._readiness(block)
        self._flags(block)
        self._feed(block)
        self._orders(block)
        self._stamps(block)
        self._priority(block)
        self._status(block)
        self.before = block
        if block["journal_room"] == 0:
            return "the journal is full: answers of the exchange cannot be booked; start again, which makes room"
        return None

    def _look_for_kill_file(self) -> None:
        there = bool(self.kill_file) and Path(self.kill_file).exists()
        if there and not self.control.read()["killed"]:
            self.control.kill(f"kill file {self.kill_file}")
        self.control.hold(there)

    def _transport(self) -> None:
        problem = self.problem()
        if problem and problem != self.problem_said:
            log.warning("%s", problem)
        elif self.problem_said and not problem:
            log.info("mended: %s", self.problem_said)
        self.problem_said = problem

    def _grown(self, block: dict[str, Any], counter: str) -> int:
        return int(block[counter]) - int(self.before.get(counter, 0))

    def _turned(self, block: dict[str, Any], flag: str) -> bool:
        return bool(block[flag]) != bool(self.before.get(flag, False))

    def _pulse(self, block: dict[str, Any]) -> None:
        stands_s = status.stands_s(block)
        if self.stood_s and not stands_s:
            log.warning("the engine moves again after %.1f s", self.stood_s)
        elif stands_s and not self.stood_s:
            since = time.strftime("%H:%M:%S", time.localtime(time.time() - stands_s))
            calls, function = _core.strategy_call()
            if function:
                log.error(
                    "the engine hangs since %s, in %s of strategy %s (call %d): no order and no cancel goes out; end "
                    "it with SIGTERM, which cancels nothing now, and look with `tickwire strategy check`",
                    since,
                    function,
                    self.config["strategy"]["file"],
                    calls,
                )
            else:
                log.error(
                    "the engine hangs since %s: no order and no cancel goes out; was the process stopped, or does "
                    "something else take its CPU (engine.cpu %d)?",
                    since,
                    self.config["engine"]["cpu"],
                )
            notify("STATUS=the engine hangs, nothing goes out")
        self.stood_s = stands_s

    def _readiness(self, block: dict[str, Any]) -> None:
        if block["state"] == "live" and self.before.get("state") != "live":
            feed, orders = self.config["feed"], self.config["orders"]
            log.info(
                "live: logged in at %s:%s, feed %s:%s, %s orders open",
                orders["host"],
                orders["port"],
                feed["group"],
                feed["port"],
                block["open_orders"],
            )
            if not self.ready:
                self.ready = True
                notify("READY=1\nSTATUS=live")

    def _flags(self, block: dict[str, Any]) -> None:
        if self._turned(block, "killed"):
            if block["killed"]:
                reason = self.control.read()["reason"] or "no reason given"
                log.warning("killed: no order goes out, open orders are cancelled (%s)", reason)
            else:
                log.warning("the kill was taken back: orders go out again")
        if self._turned(block, "silent"):
            if block["silent"]:
                limit = self.config["feed"]["silent_ms"]
                log.warning("feed: silent for %d ms; check feed.group, feed.interface and the way between", limit)
            else:
                log.info("feed: packets come again")
        version = block["limits_version"]
        if self.before and version != self.before["limits_version"]:
            said = self.control.read()
            values = ", ".join(f"{name} {value:.12g}" for name, value in limits.from_core(said["limits"]).items())
            restricted = ", ".join(said["restricted"]) or "none"
            log.info("limits version %s in force: %s, restricted %s", version, values, restricted)

    def _feed(self, block: dict[str, Any]) -> None:
        closed = block["gaps_closed"] - self.gaps_said
        if closed > 0 and time.monotonic() >= self.gaps_due:  # a line that loses packets all day must not fill the log
            self.gaps_said, self.gaps_due = block["gaps_closed"], time.monotonic() + _GAPS_S
            log.info("feed: %d gaps closed without loss (%d re-requests so far)", closed, block["requests"])
        if lost := self._grown(block, "messages_lost"):
            log.warning("feed: %d messages lost in session %s", lost, block["feed_session"])
        if self._turned(block, "stale"):
            if block["stale"]:
                log.warning(
                    "the books are stale, messages are missing: no order goes out until the feed has caught up or its "
                    "next session begins"
                )
            else:
                log.info("the books are complete again")

    def _orders(self, block: dict[str, Any]) -> None:
        rejected = min(self._grown(block, "orders_rejected"), _REJECTS)
        for reject in block["rejects"][-rejected:] if rejected else []:
            text = _core.ouch_reject_text(reject["reason"], self.config["orders"]["version"])
            log.warning("order %d %s rejected: %s (%s)", reject["reference"], reject["stock"], text, reject["reason"])
        if self._grown(block, "answers_damaged") and not self.damage_said:
            self.damage_said = True
            version, username = self.config["orders"]["version"], self.config["orders"]["username"]
            log.warning(
                "an answer of the exchange is no message of OUCH %s, others are counted; most likely the account of "
                "user %s there has another version: ask the exchange, and correct orders.version",
                version,
                username,
            )
        if unsent := self._grown(block, "orders_unsent"):
            log.warning("%d orders were not sent: the exchange does not read, or there is no session", unsent)
        for key, count in block.items():
            if key.startswith("risk_") and count and key not in self.refusals_said:
                self.refusals_said.add(key)
                log.warning("risk refused its first order for %s; the others are counted", key.removeprefix("risk_"))
                if key == "risk_full":
                    self._say_what_is_full(block)
        if self._grown(block, "strategy_failures"):
            path = self.config["strategy"]["file"]
            log.error("strategy %s failed and is not called again; correct it and start the engine again", path)
        if block["journal_room"] < self.low_room and not self.room_said:
            self.room_said = True
            log.warning("the journal has room for %d records; starting again makes room", block["journal_room"])

    def _stamps(self, block: dict[str, Any]) -> None:
        """Once in a feed session for each reason; figures that miss orders must not pass for whole."""
        session = str(block["feed_session"])
        for counter, text in _UNSTAMPED.items():
            if block[counter] and (session, counter) not in self.unstamped_said:
                self.unstamped_said.add((session, counter))
                log.warning("feed session %s, the first order %s; others are counted", session, text)

    def _priority(self, block: dict[str, Any]) -> None:
        wanted = self.config["engine"]["priority"]
        if self._turned(block, "priority") and block["priority"]:
            log.info("the engine's thread runs in real time, SCHED_FIFO %s", block["priority"])
        elif wanted and not block["priority"] and block["state"] == "live":
            if self.ordinary_due is None:
                self.ordinary_due = time.monotonic() + _ORDINARY_S
            elif time.monotonic() > self.ordinary_due:
                self.ordinary_due = float("inf")
                log.warning(
                    "engine.priority %s: the thread is an ordinary one still, as no %s stamp of both a packet and an "
                    "order has come; it takes its priority when they do, or without any by engine.timestamps none",
                    wanted,
                    block["timestamp_source"],
                )

    def _say_what_is_full(self, block: dict[str, Any]) -> None:
        """An order needs room in the journal, for itself and the answers to all that is open, and in the ledger."""
        room = block["journal_room"]
        if room < self.low_room:
            log.error(
                "the journal is full: no new order goes out, cancels do (%d records are kept for them and answers); "
                "start again, which makes room, and raise engine.journal_records",
                room,
            )
        else:
            log.error("the ledger is full: raise engine.max_instruments or risk.max_open_orders, and start again")

    def _status(self, block: dict[str, Any]) -> None:
        if time.monotonic() < self.status_due:
            return
        self.status_due = time.monotonic() + _STATUS_S
        why = "".join(f", {word}" for word in status.obstacles(block))
        text = (
            f"{block['state']}{why}: {block['messages']} messages, {block['messages_lost']} lost, "
            f"{block['orders_sent']} orders, {block['open_orders']} open"
        )
        if text != self.status_said and self.ready:
            notify(f"STATUS={text}")
            self.status_said = text
