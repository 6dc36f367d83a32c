# SPDX-License-Identifier: Apache-2.0
"""`tickwire bench dut`: the latency of a device under test, taken by the exchange that feeds it.

The device is any program or machine that hears the exchange's feed and sends it orders. The exchange sends one tick at
a time and takes the stamps (exchange/dut.py has the rule by which an order belongs to its tick); this asks it to, and
reads the samples from the file beside its state file. It runs on the exchange's machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import status
from ..arguments import host_port
from ..errors import TickwireError
from . import samples, ticks
from .control import COMES_S, POLL_S, SLACK_S, Control, soon

_COUNTS = ("user", "ticks", "answered", "further", "late", "together", "others", "answer_ms", "quiet_ms")


@dataclass
class Request:
    """What to measure: the exchange by its `block`, how many `samples` after a `warmup`, how long an answer may take
    and how long the device must be quiet before the next tick, in ms; None: the whole file, the only user."""

    block: str
    samples: int = 1000
    warmup: int = 100
    answer_ms: float = 10.0
    quiet_ms: float = 1.0
    messages: int | None = None
    user: str | None = None
    timeout_s: float | None = None


def read_state(block: str) -> dict[str, Any]:
    """The state of a running exchange; TickwireError when there is none."""
    state = status.read(block)
    if state["component"] != "exchange" or "timestamp_source" not in state:
        raise TickwireError(f"{block}: not the state of an exchange of this version; name its exchange.block")
    if not state["alive"]:
        raise TickwireError(
            f"exchange {state['name']} (process {state['pid']}) is not running; start it with `tickwire exchange`"
        )
    return state


def _wait_for_device(block: str, deadline: float) -> dict[str, Any]:
    """The state once somebody is logged in, or after the deadline: the exchange then says what is missing."""
    while True:
        state = read_state(block)
        if state["logged_in"] or time.monotonic() > deadline:
            return state
        time.sleep(POLL_S)


def measure(request: Request) -> dict[str, Any]:
    """Run one measurement; the result is what `--json` prints. TickwireError when there is nothing to measure."""
    started = time.monotonic()
    patience = request.timeout_s if request.timeout_s is not None else SLACK_S
    comes = started + min(patience, COMES_S)
    soon(lambda: read_state(request.block), comes)
    state = _wait_for_device(request.block, comes)
    control = Control(*host_port(state["control"]), min(patience, 10.0))
    measuring = False
    try:
        asked = {"samples": request.samples, "warmup": request.warmup}
        wishes = {"messages": request.messages, "user": request.user}
        times = {"answer_ms": request.answer_ms, "quiet_ms": request.quiet_ms}
        control.send(
            command="dut", **asked, **times, **{key: value for key, value in wishes.items() if value is not None}
        )
        begun = control.answer(min(patience, 10.0))
        measuring = True
        if request.timeout_s is None:
            patience = SLACK_S + begun["messages"] * (request.answer_ms + request.quiet_ms + 1.0) / 1e3
        done = control.answer(started + patience - time.monotonic())
        measuring = False
        return _result(request, read_state(request.block), done)
    finally:
        if measuring:  # out of time, or interrupted
            control.stop()
        control.close()


def _result(request: Request, state: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    counts = state.get("dut") or {}
    if counts.get("session") != done["session"]:
        raise TickwireError(
            f"{request.block}: its samples are not of session {done['session']}; did somebody else measure meanwhile? "
            "Run it again"
        )
    if not counts["answered"]:
        late = f" ({counts['late']} came later)" if counts["late"] else ""
        raise TickwireError(
            f"{counts['user']} sent no order within {request.answer_ms:g} ms of any of {counts['ticks']} ticks of "
            f"session {done['session']}{late}; check that it hears the feed and that its strategy trades on this file, "
            "or raise --answer-ms or --messages"
        )
    path = Path(f"{request.block}.samples")
    try:
        found = samples.read(path.read_bytes(), from_transmit=True)
    except OSError as error:
        raise TickwireError(f"{path}: {error.strerror}; run this as the user of the exchange, on its machine") from None
    said = {**counts, "samples_dropped": 0, **{key: state[key] for key in ("timestamp_source", "timestamp_reason")}}
    result = {
        **ticks.origin("dut", state["feed_interface"], state["pid"], counts["warmup"], found, rdma_devices(state)),
        **ticks.figures(found, said),
        "attribution": {"asked": request.samples, **{name: counts[name] for name in _COUNTS}},
        "exchange": {key: value for key, value in done.items() if key != "done"},
    }
    return {**result, "headline": ticks.headline(result, f"tick-to-trade of {counts['user']} seen by the exchange")}


def rdma_devices(state: dict[str, Any]) -> list[str]:
    """The device of the exchange's RDMA gateway while anybody hears or trades through it: who was timed may."""
    gateway = state.get("rdma", {})
    return [gateway["device"]] if gateway.get("subscribers") or gateway.get("bridges") else []


def warnings(result: dict[str, Any]) -> list[str]:
    """What a reader of the figures must know before believing them."""
    found = ticks.warnings(result)
    attribution = result["attribution"]
    if attribution["late"]:
        found.append(
            f"{attribution['late']} orders came when no tick was open: the device takes longer than "
            f"{attribution['answer_ms']:g} ms at times, and such an order may be taken for the answer to a later tick; "
            "raise --answer-ms"
        )
    if attribution["together"]:
        found.append(
            f"{attribution['together']} ticks have no sample, because their order was read together with another "
            "segment, so that its stamp may not be its own: have the device send one order for a tick"
        )
    if attribution["others"]:
        found.append(f"{attribution['others']} orders were of other users than {attribution['user']}")
    if result["samples"] < attribution["asked"]:
        found.append(
            f"{result['samples']} samples, {attribution['asked']} were asked for: after {attribution['ticks']} ticks "
            "there were no more messages, or orders had no stamps; a longer file of the exchange has more"
        )
    if result["timestamp_source"] == "software":
        found.append(
            "software stamps: driver and card of this machine are in the figures, both ways; do not compare them with "
            "figures by a card"
        )
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    counts = result["attribution"]
    return "\n".join(
        [
            *ticks.table(result),
            f"  ticks: {counts['ticks']} sent, {counts['answered']} answered within {counts['answer_ms']:g} ms",
            f"  orders in no sample: {counts['further']} further ones of a tick, {counts['late']} late, "
            f"{counts['together']} read together with others, {counts['others']} of other users",
        ]
    )
