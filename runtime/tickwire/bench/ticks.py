# SPDX-License-Identifier: Apache-2.0
"""What `tickwire bench t2t` and `dut` have in common: figures of stamped samples, and where they are from.

Their result is one form, `tickwire-bench-ticks-1`, in bench-result.schema.json and docs/bench-results.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from . import machine, samples, stats
from .results import WARNING, encode, us

FORM = "tickwire-bench-ticks-1"
ROWS = ("min", "mean", "median", "p99", "p99_9", "max", "stddev")
QUANTITIES = {
    "t2t": "from the receive stamp of the packet to the transmit stamp of the order it caused, on the trading host",
    "dut": "from the transmit stamp of the tick to the receive stamp of the order it caused, at the exchange: the "
    "device, and the way there and back",
}
ACKNOWLEDGED = (
    "from the completion of the packet's receive to that of the order's send, which its acknowledgement ends: no "
    "tick-to-trade"
)


def origin(
    test: str, address: str, pid: int, warmup: int, found: samples.Samples, devices: Sequence[str] = ()
) -> dict[str, Any]:
    """The part of a result that says where its figures are from; `pid` is the process that was measured or that
    measured, its messages leave from `address` and, where it uses RDMA, over `devices`. The host is read now."""
    thread = machine.thread_named(pid, "tickwire-trade")  # core/python/engine.c; an exchange has its one place for all
    allowed = machine.allowed_cpus(thread)
    pinned = allowed[0] if len(allowed) == 1 else None
    host = machine.read(address, pinned, machine.rdma_of(devices), thread=thread)
    return {
        "form": FORM,
        "headline": "",
        "tickwire": __version__,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "test": test,
        "software_rdma": host["rdma"] is not None and host["rdma"]["software"],
        "quantity": ACKNOWLEDGED if found.clock == "completion" else QUANTITIES[test],
        "warmup": warmup,
        "host": host,
        "latencies": encode(found.latencies),
    }


def figures(found: samples.Samples, counters: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics of the samples beside what `counters` say of the orders that have none."""
    summary = stats.summary(found.latencies)
    histogram = summary.pop("histogram")
    return {
        "samples": summary.pop("samples"),
        "unstamped": counters["unstamped"],
        "unstamped_by": counters["unstamped_by"],
        "by_kernel": counters["by_kernel"],
        "samples_dropped": counters["samples_dropped"] + found.negative,
        "timestamp_source": found.clock if found.latencies else counters["timestamp_source"],
        "timestamp_reason": counters["timestamp_reason"],
        "other_clocks": found.others,
        **summary,
        "histogram": histogram,
        "software": samples.beside(found),
    }


def warnings(result: Mapping[str, Any]) -> list[str]:
    """What a reader of the figures must know of their stamps before believing them."""
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
    return found


def headline(result: Mapping[str, Any], what: str) -> str:
    """One line that says `what` the figures are, of which feed session and how many; over software RDMA it begins with
    what they are not."""
    warm = f", {result['warmup']} before them left out" if result["warmup"] else ""
    source = result["timestamp_source"]
    name = "tick to acknowledgement" if source == "completion" else what
    session = result["exchange"]["session"]
    text = f"{name}, {source} time stamps, session {session}: {result['samples']} samples{warm}"
    return f"{WARNING}. {text}" if result["software_rdma"] else text


def table(result: Mapping[str, Any]) -> list[str]:
    """The figures for people."""
    lines = [result["headline"]]
    if not result["samples"]:
        return lines
    lines += [f"  {row.replace('_', '.'):<8}{us(result[f'{row}_ns']):>17}" for row in ROWS]
    if beside := result["software"]:
        values = ", ".join(f"{row.replace('_', '.')} {us(beside[f'{row}_ns'])}" for row in ROWS)
        whose = "engine" if result["timestamp_source"] == "completion" else "kernel"
        lines.append(f"  the same orders by the {whose}'s stamps: {values} ({beside['samples']} samples)")
    lines += [f"  {name.replace('_', ' '):<32}{100 * value:>8.1f} %" for name, value in result["jitter"].items()]
    return lines
