# SPDX-License-Identifier: Apache-2.0
"""`tickwire bench t2t`: tick-to-trade of a running engine, fed by a running exchange.

The exchange is asked over its control port to replay its file; the engine, already logged in, answers with orders and
keeps the stamps of each in its shared block. When the block says that the session has ended, they are read and
summarized. Tick-to-trade is the transmit stamp of an order minus the receive stamp of the
packet that caused it, both of the same clock; `timestamp_source` says whose, and `software` has the kernel's figures
beside those of a card. By completions of an RDMA device ("completion") the figures are from tick to acknowledgement,
and `software` has the engine's own. The feed is paced by due time (open loop),
so a stall of the engine shows in all the packets that waited for it.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from typing import Any

from .. import _core, status
from ..errors import TickwireError
from . import samples, stats, ticks
from .control import COMES_S, POLL_S, SLACK_S, Control, soon

_SETTLE_S = 1.0  # for the last transmit stamps after the end of the session

_COUNTERS = (
    "messages",
    "messages_lost",
    "gaps",
    "orders_sent",
    "orders_accepted",
    "orders_rejected",
    "replaces_sent",
    "cancels_sent",
    "orders_executed",
    "shares_executed",
    "orders_unsent",
)

_LEG_ROWS = ("min", "median", "p99", "max")


@dataclass
class Request:
    """What to measure: where, how many messages at what rate (None: the exchange's own), how long to wait, and how many
    of the first samples to leave out."""

    block: str
    host: str
    port: int
    messages: int | None = None
    rate: float | None = None
    timeout_s: float | None = None
    warmup: int = 0


def read_block(path: str) -> dict[str, Any]:
    """The engine's shared block; TickwireError when there is none."""
    try:
        return _core.block_read(path)
    except OSError as error:
        raise TickwireError(f"{error.strerror}; is `tickwire run` running here, with this engine.block?") from None
    except ValueError as error:
        raise TickwireError(f"{error}; name the engine.block of a running engine") from None


def _must_run(block: dict[str, Any]) -> None:
    if block["state"] == "stopped" or not status.alive(block["pid"]):
        raise TickwireError(
            f"engine {block['name']} (process {block['pid']}) is not running; start it with `tickwire run`"
        )


def _wait_live(path: str, deadline: float) -> dict[str, Any]:
    while True:
        block = read_block(path)
        _must_run(block)
        if block["state"] == "live":
            return block
        if time.monotonic() > deadline:
            raise TickwireError(
                f"engine {block['name']} is not logged in (state {block['state']}); see its log, "
                "and check that the exchange's orders port answers"
            )
        time.sleep(POLL_S)


def _wait_ended(path: str, session: str, deadline: float) -> dict[str, Any]:
    while True:
        block = read_block(path)
        if block["feed_session"] == session and block["feed_ended"]:
            return block
        if time.monotonic() > deadline:
            if block["feed_session"] != session:
                raise TickwireError(
                    f"engine {block['name']} saw no packet of session {session} (last session: "
                    f"{block['feed_session'] or 'none'}); check feed.group, feed.interface and the way between"
                )
            raise TickwireError(
                f"engine {block['name']}: session {session} has not ended after {block['messages']} messages; "
                "raise --timeout, or check the exchange's log"
            )
        time.sleep(POLL_S)


def _settle(path: str, before: dict[str, Any]) -> dict[str, Any]:
    """The block once every order has its stamp (or was given up as unstamped) and its answer, or time is up."""
    deadline = time.monotonic() + _SETTLE_S
    while True:
        block = read_block(path)
        sent = block["orders_sent"] - before["orders_sent"]
        stamped = block["samples"] + block["samples_dropped"] + block["unstamped"]
        answered = sum(block[name] - before[name] for name in ("orders_accepted", "orders_rejected"))
        if min(stamped, answered) >= sent or time.monotonic() > deadline:
            return block
        time.sleep(POLL_S)


def measure(request: Request) -> dict[str, Any]:
    """Run one measurement; the result is what `--json` prints. TickwireError when there is nothing to measure."""
    started = time.monotonic()
    patience = request.timeout_s if request.timeout_s is not None else SLACK_S
    comes = started + min(patience, COMES_S)
    soon(lambda: _must_run(read_block(request.block)), comes)
    control = soon(lambda: Control(request.host, request.port, min(patience, 10.0)), comes)
    replaying = False
    try:
        before = _wait_live(request.block, started + min(patience, SLACK_S))
        asked: dict[str, Any] = {"command": "replay"}
        if request.messages is not None:
            asked["messages"] = request.messages
        if request.rate is not None:
            asked["rate"] = request.rate
        control.send(**asked)
        begun = control.answer(min(patience, 10.0))
        replaying = True  # and it is ours
        if request.timeout_s is None:
            rate = begun["rate"]
            patience = SLACK_S + (begun["messages"] / rate if rate else 0.0)
        deadline = started + patience
        done = control.answer(deadline - time.monotonic())
        replaying = False
        _wait_ended(request.block, begun["session"], min(deadline, time.monotonic() + 10.0))
        after = _settle(request.block, before)
        raw = _core.block_samples(request.block)
        warm = min(request.warmup, len(raw) // samples.RECORD.size)
        raw = raw[warm * samples.RECORD.size :]
        address = control.sock.getsockname()[0]
        result = {
            **ticks.origin("t2t", address, after["pid"], warm, samples.read(raw), after["rdma_devices"]),
            **report(before, after, raw, done, _core.block_legs(request.block)),
        }
        return {**result, "headline": ticks.headline(result, "tick-to-trade")}
    finally:
        if replaying:  # out of time, or interrupted: nobody is left who wants it
            control.stop()
        control.close()


def leg_figures(spreads: bytes) -> dict[str, Any] | None:
    """Between the sends of the first and the last leg of a group, over the groups of the session; None without any."""
    values = list(array("Q", spreads))
    if not values:
        return None
    figures = stats.summary(values)
    return {"groups": figures["samples"], **{f"{name}_ns": figures[f"{name}_ns"] for name in _LEG_ROWS}}


def report(
    before: dict[str, Any], after: dict[str, Any], raw: bytes, done: dict[str, Any], legs: bytes = b""
) -> dict[str, Any]:
    """Statistics of the samples, with what the counters say about the same stretch."""
    delta = {name: after[name] - before[name] for name in _COUNTERS}
    reasons = [name for name in after if name.startswith("risk_")]
    refused = {
        name.removeprefix("risk_"): after[name] - before[name] for name in reasons if after[name] != before[name]
    }
    return {
        **ticks.figures(samples.read(raw), {**after, "unstamped_by": status.unstamped_by(after)}),
        "feed": {
            "session": after["feed_session"],
            "messages": delta["messages"],
            "lost": delta["messages_lost"],
            "gaps": delta["gaps"],
        },
        "orders": {
            "sent": delta["orders_sent"],
            "accepted": delta["orders_accepted"],
            "rejected": delta["orders_rejected"],
            "replaced": delta["replaces_sent"],
            "cancelled": delta["cancels_sent"],
            "executed": delta["orders_executed"],
            "shares_executed": delta["shares_executed"],
            "unsent": delta["orders_unsent"],
            "refused": sum(refused.values()),
            "refused_by": refused,
        },
        "legs": leg_figures(legs),
        "exchange": {key: value for key, value in done.items() if key != "done"},
    }


def warnings(result: dict[str, Any]) -> list[str]:
    """What a reader of the figures must know before believing them."""
    found = ticks.warnings(result)
    if result["samples_dropped"]:
        found.append(f"{result['samples_dropped']} samples were dropped: raise engine.max_samples")
    if result["feed"]["lost"]:
        found.append(f"{result['feed']['lost']} feed messages were lost")
    if not result["samples"] and not result["unstamped"]:
        found.append("no sample: the strategy sent no order on this feed; lower strategy.ratio or send more messages")
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = ticks.table(result)
    feed, orders = result["feed"], result["orders"]
    lines.append(f"  feed: {feed['messages']} messages, {feed['lost']} lost in {feed['gaps']} gaps")
    lines.append(
        f"  orders: {orders['sent']} sent, {orders['accepted']} accepted, {orders['rejected']} rejected, "
        f"{orders['refused']} refused by risk"
        + "".join(f", {count} {reason}" for reason, count in orders["refused_by"].items())
    )
    lines.append(
        f"  changes: {orders['replaced']} replaces, {orders['cancelled']} cancels; "
        f"fills: {orders['executed']} of {orders['shares_executed']} shares"
    )
    if legs := result["legs"]:
        figures = ", ".join(f"{name} {legs[f'{name}_ns'] / 1000:.3f} us" for name in _LEG_ROWS)
        lines.append(f"  legs: {legs['groups']} groups, first to last send: {figures}")
    return "\n".join(lines)
