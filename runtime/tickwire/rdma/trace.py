# SPDX-License-Identifier: Apache-2.0
"""What a capture of RoCEv2 traffic says about each queue pair.

The core reads (`_core.RoceTrace`), here the file comes in windows and what it found becomes a report: one dictionary,
whose schema is docs/rdma-trace.md, and of which text, JSON and HTML are made.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from typing import Any

from .. import _core
from ..errors import TickwireError
from . import caveats

WINDOW = 1 << 20  # bytes; the core needs room for its largest record, 512 KiB

# InfiniBand Architecture Specification, volume 1, section 9.7.5.2.8: syndromes of the acknowledge header.
NAKS = (
    "psn_sequence_error",
    "invalid_request",
    "remote_access_error",
    "remote_operational_error",
    "invalid_rd_request",
)
TIMERS_MS = (
    *(655.36, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.64, 0.96, 1.28, 1.92),
    *(2.56, 3.84, 5.12, 7.68, 10.24, 15.36, 20.48, 30.72, 40.96, 61.44, 81.92, 122.88, 163.84, 245.76, 327.68, 491.52),
)
COLUMNS = (
    *("bin", "packets", "retransmissions", "acks", "naks", "not_ready", "cnps", "ce_marks", "pauses"),
    *("sequence_low", "sequence_high", "acknowledged", "samples", "min_ns", "mean_ns", "max_ns"),
)
DRAWN = 256  # queue pairs with the most packets, which have a time series in the report
WHOLE_PORT = 8  # the core's number for the pause of a whole port, after the eight priorities

Report = dict[str, Any]


def _open(path: str) -> io.FileIO | gzip.GzipFile:
    if path == "-":
        return io.FileIO(sys.stdin.fileno(), closefd=False)
    return gzip.GzipFile(path) if path.endswith(".gz") else io.FileIO(path)


def _feed(stream: io.FileIO | gzip.GzipFile, trace: _core.RoceTrace) -> tuple[str, str]:
    """All of a stream into a trace. Returns how it ends (whole, cut, damaged) and what was wrong."""
    window = bytearray(WINDOW)
    view = memoryview(window)
    filled = 0
    while True:
        try:
            count = stream.readinto(view[filled:])
        except EOFError:
            return "cut", "it ends before its compressed data does"
        except (gzip.BadGzipFile, zlib.error) as error:
            return "damaged", f"its compressed data is damaged: {error}"
        if not count:
            break
        filled += count
        try:
            used = trace.feed(view[:filled])
        except ValueError as error:
            return "damaged", str(error)
        view[: filled - used] = view[used:filled]
        filled -= used
    if filled or trace.state()["to_skip"]:
        return "cut", "it ends in the middle of a record"
    return "whole", ""


def read(path: str, flows: int = 4096, outstanding: int = 4096, icrc: bool = False) -> Report:
    """The report on a capture; "-" is standard input.

    `flows`: how many directions of queue pairs are followed; `outstanding`: packets of one that wait for an answer, a
    power of two; `icrc`: check the invariant CRC of every packet that was captured whole.

    TickwireError when the file cannot be read or is no capture. A capture that is cut or damaged is reported up to
    there, and `capture.ends` says so.
    """
    try:
        trace = _core.RoceTrace(flows=flows, outstanding=outstanding, icrc=icrc)
        with _open(path) as stream:
            ends, problem = _feed(stream, trace)
    except OSError as error:
        raise TickwireError(f"{path}: {error.strerror or error}") from None
    except (ValueError, MemoryError) as error:
        raise TickwireError(f"{path}: {error}") from None
    if trace.state()["format"] is None:
        raise TickwireError(f"{path}: {problem or 'it is empty'}; tcpdump -w and dumpcap write captures")
    return _report(path, trace, ends, problem)


# --- the report


def _series(series: dict[str, Any]) -> dict[str, Any]:
    """The core's series with the mean in place of the sum."""
    rows = []
    for *front, samples, low, total, high in series["bins"]:
        rows.append([*front, samples, low, round(total / samples) if samples else 0, high])
    return {"start_ns": series["start_ns"], "bin_ns": series["bin_ns"], "columns": list(COLUMNS), "bins": rows}


def _priorities(values: dict[int, Any]) -> dict[str, Any]:
    return {"port" if number == WHOLE_PORT else str(number): value for number, value in values.items()}


def _answers(flow: dict[str, Any]) -> dict[str, Any]:
    """What a flow carried for the requests that go the other way."""
    return {
        "acks": flow["acks"],
        "read_responses": flow["read_responses"],
        "naks": {NAKS[code] if code < len(NAKS) else f"code_{code}": n for code, n in flow["naks"].items()},
        "not_ready_by_timer_ms": {f"{TIMERS_MS[code]:g}": n for code, n in flow["not_ready"].items()},
        "other_syndromes": flow["other_syndromes"],
        "unmatched": flow["answers_unmatched"],
        "cnps": flow["cnps"],
    }


_REQUESTER = (
    *("retransmissions", "retransmitted_bytes", "missing", "out_of_order", "restarts", "completed", "partial"),
    *("unanswered", "unacknowledged", "overrun", "ambiguous", "backwards", "late_messages", "repeated"),
)
_CARRIED = ("packets", "wire_bytes", "payload_bytes", "copies", "ecn_capable", "ce_marks", "becn")


def _queue_pair(flow: dict[str, Any], peer: dict[str, Any] | None) -> Report:
    applies = flow["priority"]
    pauses = _priorities(flow["pauses"])
    stopping = sum(n for name, n in pauses.items() if applies is None or name in (str(applies), "port"))
    return {
        "source": flow["source"],
        "source_qp": flow["source_qp"],
        "destination": flow["destination"],
        "destination_qp": flow["destination_qp"],
        "service": flow["service"],
        "pairing": flow["pairing"],
        "pairing_is_a_guess": flow["pairing"] in ("psn", "port"),
        "dscp": flow["dscp"],
        "priority": applies,
        "mtu": flow["mtu"],
        "start_ns": flow["first_ns"],
        "end_ns": flow["last_ns"],
        "sent": {
            **{key: flow[key] for key in _CARRIED},
            "requests": flow["requests"],
            "messages": flow["messages"],
            "answers": _answers(flow),
        },
        "received": _answers(peer) if peer else None,
        "icrc": {"checked": flow["icrc_checked"], "wrong": flow["icrc_wrong"]},
        "requester": {key: flow[key] for key in _REQUESTER},
        "pauses": stopping,
        "round_trip": flow["round_trip"],
        "message_time": flow["message_time"],
        "series": None,
    }


def _report(path: str, trace: _core.RoceTrace, ends: str, problem: str) -> Report:
    state, flows = trace.state(), trace.flows()
    found = []
    for index, flow in enumerate(flows):
        peer = None if flow["peer"] is None else flows[flow["peer"]]
        # A flow of answers is told by the one they answer.
        if flow["requests"] or (flow["packets"] and peer is None):
            found.append((index, _queue_pair(flow, peer)))
    found.sort(key=lambda each: -each[1]["sent"]["packets"])
    for index, pair in found[:DRAWN]:
        pair["series"] = _series(trace.series(index))
    counts = {key: value for key, value in state.items() if isinstance(value, int)}
    del counts["to_skip"]
    counts["copies"] = sum(flow["copies"] for flow in flows)
    counts["icrc_checked"] = sum(flow["icrc_checked"] for flow in flows)
    counts["icrc_wrong"] = sum(flow["icrc_wrong"] for flow in flows)
    stopped = state["pause_series_of_priority"]
    senders = [
        {key: _priorities(value) if isinstance(value, dict) else value for key, value in sender.items()}
        for sender in state["pause_senders"]
    ]
    report = {
        "report": "tickwire-rdma-trace",
        "version": 1,
        "file": path,
        "capture": {"format": state["format"], "ends": ends, "problem": problem, **counts},
        "pauses": {
            "by_priority": _priorities(state["pauses"]),
            "senders": senders,
            "series": _series(state["pause_series"]),
            "series_of_priority": _priorities({number: _series(series) for number, series in stopped.items()}),
        },
        "queue_pairs": [pair for _index, pair in found],
    }
    return {**report, "warnings": caveats.warnings(report)}
