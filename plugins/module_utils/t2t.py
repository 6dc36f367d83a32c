# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs ``tickwire bench t2t`` and takes its figures in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

# How much longer than its own time-out the bench may live before it is killed, in seconds.
GRACE_S = 15
FIGURES = ("min_ns", "mean_ns", "median_ns", "p99_ns", "p99_9_ns", "max_ns", "stddev_ns")
REQUIRED = (
    "headline",
    "software_rdma",
    "samples",
    "unstamped",
    "unstamped_by",
    "by_kernel",
    "samples_dropped",
    "timestamp_source",
    "timestamp_reason",
    "other_clocks",
    "software",
    "jitter",
    "histogram",
    "feed",
    "orders",
    "exchange",
) + FIGURES


class BenchError(Exception):
    """The bench gave no figures; the text says why and what to do next."""


def command(tickwire: str, block: str, exchange: str, messages: int, rate: int, timeout_s: int) -> list[str]:
    """Return the bench's command line, under coreutils' ``timeout`` so that even a bench that hangs ends."""
    return [
        "timeout",
        "--kill-after=5",
        str(timeout_s + GRACE_S),
        tickwire,
        "bench",
        "t2t",
        "--block",
        block,
        "--exchange",
        exchange,
        "--messages",
        str(messages),
        "--rate",
        str(rate),
        "--timeout",
        str(timeout_s),
        "--json",
    ]


def bench(
    run: Run, tickwire: str, block: str, exchange: str, messages: int, rate: int, timeout_s: int
) -> dict[str, Any]:
    """Run the bench and return its JSON object, whose figures are nanoseconds (None without a single stamped sample).

    Raises BenchError when it cannot be run, fails, hangs, or prints something else.
    """
    where = "tick-to-trade bench of %s against %s" % (block, exchange)
    try:
        rc, out, err = run(command(tickwire, block, exchange, messages, rate, timeout_s))
    except OSError as error:
        raise BenchError(
            "%s cannot run: %s. Next: deploy the runtime with the role t2t_runtime" % (where, error)
        ) from error
    if rc in (124, 137):
        raise BenchError(
            "%s did not end within %d s and was killed. Next: 'tickwire status %s', and the log of the engine's unit"
            % (where, timeout_s + GRACE_S, block)
        )
    if rc in (126, 127):
        raise BenchError(
            "%s cannot run %s: %s. Next: deploy the runtime with the role t2t_runtime" % (where, tickwire, err.strip())
        )
    if rc != 0:
        raise BenchError(
            "%s ended with %d: %s. Next: 'tickwire status %s' here, and the log of the exchange"
            % (where, rc, (err or out).strip() or "no message", block)
        )
    try:
        result = json.loads(out)
    except ValueError:
        raise BenchError(
            "%s printed no JSON but %r. Next: check that %s is the runtime" % (where, out[:80], tickwire)
        ) from None
    missing = [name for name in REQUIRED if name not in result] if isinstance(result, dict) else list(REQUIRED)
    if missing:
        raise BenchError(
            "%s did not print %s. Next: deploy a runtime that fits this collection" % (where, ", ".join(missing))
        )
    return result
