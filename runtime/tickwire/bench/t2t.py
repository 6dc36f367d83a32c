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

import contextlib
import json
import socket
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import _core, status
from ..errors import TickwireError
from . import samples, stats

_POLL_S = 0.05
_SETTLE_S = 1.0  # for the last transmit stamps after the end of the session
COMES_S = 5.0  # for an engine and an exchange that were started a moment ago
_STOP_S = 2.0  # for the exchange to say that it has stopped a replay
SLACK_S = 30.0

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
    """What to measure: where, how many messages at what rate (None: the exchange's own), how long to wait."""

    block: str
    host: str
    port: int
    messages: int | None = None
    rate: float | None = None
    timeout_s: float | None = None


class Control:
    """Client of the exchange's control port."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.where = f"{host}:{port}"
        try:
            self.sock = socket.create_connection((host, port), timeout=timeout_s)
        except OSError as error:
            raise TickwireError(
                f"exchange {self.where}: {error.strerror or error}; is `tickwire exchange` running there, "
                "and is this its control port?"
            ) from None
        self.lines = self.sock.makefile("rb")

    def close(self) -> None:
        self.lines.close()
        self.sock.close()

    def send(self, **request: Any) -> None:
        self.sock.sendall(json.dumps(request).encode() + b"\n")

    def stop(self) -> None:
        """End the replay that was begun here, as far as the exchange still listens."""
        said = b""
        with contextlib.suppress(OSError):
            self.sock.settimeout(_STOP_S)
            self.send(command="stop")
            # Its answer is waited for, because closing at once could take the command with it. Not from `lines`: a
            # file of a socket cannot be read any more after a time-out.
            while not (b'"stopped"' in said or b'"error"' in said) and (more := self.sock.recv(4096)):
                said += more

    def answer(self, timeout_s: float) -> dict[str, Any]:
        """The next line; TickwireError on {"error": ...}, a closed connection, or after the time-out."""
        self.sock.settimeout(max(0.001, timeout_s))
        try:
            line = self.lines.readline()
        except TimeoutError:
            raise TickwireError(f"exchange {self.where}: no answer in time; see its log, or raise --timeout") from None
        except OSError as error:
            raise TickwireError(f"exchange {self.where}: connection lost: {error.strerror}") from None
        if not line:
            raise TickwireError(f"exchange {self.where}: closed the control connection; see its log")
        try:
            answer = json.loads(line)
        except ValueError:
            raise TickwireError(
                f"exchange {self.where}: {line[:80]!r} is not JSON; is this its control port?"
            ) from None
        if not isinstance(answer, dict) or "error" in answer:
            raise TickwireError(f"exchange {self.where}: {answer['error'] if isinstance(answer, dict) else answer}")
        return answer


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


def _soon(what: Callable[[], Any], deadline: float) -> Any:
    """What `what` returns, once it does not raise a TickwireError any more; that error after the deadline."""
    while True:
        try:
            return what()
        except TickwireError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


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
        time.sleep(_POLL_S)


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
        time.sleep(_POLL_S)


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
        time.sleep(_POLL_S)


def measure(request: Request) -> dict[str, Any]:
    """Run one measurement; the result is what `--json` prints. TickwireError when there is nothing to measure."""
    started = time.monotonic()
    patience = request.timeout_s if request.timeout_s is not None else SLACK_S
    soon = started + min(patience, COMES_S)
    _soon(lambda: _must_run(read_block(request.block)), soon)
    control = _soon(lambda: Control(request.host, request.port, min(patience, 10.0)), soon)
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
        return report(before, after, _core.block_samples(request.block), done, _core.block_legs(request.block))
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
    found = samples.read(raw)
    figures = stats.summary(found.latencies)
    histogram = figures.pop("histogram")
    return {
        "samples": figures.pop("samples"),
        "unstamped": after["unstamped"],
        "unstamped_by": status.unstamped_by(after),
        "by_kernel": after["by_kernel"],
        "samples_dropped": after["samples_dropped"] + found.negative,
        "timestamp_source": found.clock if found.latencies else after["timestamp_source"],
        "timestamp_reason": after["timestamp_reason"],
        "other_clocks": found.others,
        **figures,
        "histogram": histogram,
        "software": samples.beside(found),
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
    found = []
    if result["timestamp_source"] == "none":
        found.append(f"no time stamps are taken at all: {result['timestamp_reason']}")
    if result["timestamp_source"] == "completion":
        found.append(
            "the figures end when the exchange's device has acknowledged the order, not when the order departed: they "
            "are no tick-to-trade; see docs/timestamps.md"
        )
    if result["unstamped"]:
        why = ", ".join(f"without {what} {count}" for what, count in result["unstamped_by"].items())
        found.append(f"{result['unstamped']} orders are missing in the figures ({why}); see docs/timestamps.md")
    if result["by_kernel"]:
        found.append(
            f"the card was switched on and {result['by_kernel']} orders lack its stamps; these samples are by the "
            "kernel's; see docs/timestamps.md"
        )
    for clock, count in result["other_clocks"].items():
        found.append(f"{count} samples are of another clock ({clock}) and missing in the figures")
    if result["samples_dropped"]:
        found.append(f"{result['samples_dropped']} samples were dropped: raise engine.max_samples")
    if result["feed"]["lost"]:
        found.append(f"{result['feed']['lost']} feed messages were lost")
    if not result["samples"] and not result["unstamped"]:
        found.append("no sample: the strategy sent no order on this feed; lower strategy.ratio or send more messages")
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    completed = result["timestamp_source"] == "completion"
    lines = [
        f"{'tick to acknowledgement' if completed else 'tick-to-trade'}, {result['timestamp_source']} time stamps, "
        f"session {result['feed']['session']}: {result['samples']} samples"
    ]
    if result["samples"]:
        rows = ("min", "mean", "median", "p99", "p99_9", "max", "stddev")
        lines += [f"  {row.replace('_', '.'):<8}{result[f'{row}_ns'] / 1000:>14.3f} us" for row in rows]
        if beside := result["software"]:
            figures = ", ".join(f"{row.replace('_', '.')} {beside[f'{row}_ns'] / 1000:.3f}" for row in rows)
            whose = "engine" if completed else "kernel"
            lines.append(f"  the same orders by the {whose}'s stamps, us: {figures} ({beside['samples']} samples)")
        for name, value in result["jitter"].items():
            lines.append(f"  {name.replace('_', ' '):<32}{100 * value:>8.1f} %")
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
