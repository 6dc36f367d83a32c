# SPDX-License-Identifier: Apache-2.0
"""The report on a capture as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ROWS = 64  # queue pairs; the rest is in the JSON


def duration(ns: float | None) -> str:
    """Three digits and a unit."""
    if ns is None:
        return "-"
    for limit, unit, name in ((1e3, 1, "ns"), (1e6, 1e3, "us"), (1e9, 1e6, "ms")):
        if ns < limit:
            value = ns / unit
            return f"{value:.0f} {name}" if value >= 100 or unit == 1 else f"{value:.3g} {name}"
    return f"{ns / 1e9:.4g} s"


def queue_pair(address: str, number: int | None) -> str:
    """An end of a connection; ? when nothing tells its number."""
    return f"{address} {'?' if number is None else hex(number)}"


def paired(pair: dict[str, Any]) -> str:
    """How the two directions were brought together."""
    if pair["pairing"] is None:
        return "-"
    return f"{pair['pairing']}{', a guess' if pair['pairing_is_a_guess'] else ''}"


def total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def both_ways(pair: dict[str, Any], count: Any) -> str:
    """What was received and what was sent, "in/out"."""
    received = "-" if pair["received"] is None else str(count(pair["received"]))
    return f"{received}/{count(pair['sent']['answers'])}"


COUNTS = (
    *("packets", "bytes", "messages", "late", "resent", "missing"),
    *("NAK in/out", "RNR in/out", "CNP in/out", "CE", "pauses"),
)


def counts(pair: dict[str, Any]) -> list[str]:
    """The row of COUNTS."""
    sent, requester = pair["sent"], pair["requester"]
    return [
        f"{sent['packets']:,}",
        f"{sent['payload_bytes']:,}",
        f"{total(sent['messages']):,}",
        f"{requester['late_messages']:,}",
        f"{requester['retransmissions']:,}",
        f"{requester['missing']:,}",
        both_ways(pair, lambda answers: total(answers["naks"])),
        both_ways(pair, lambda answers: total(answers["not_ready_by_timer_ms"])),
        both_ways(pair, lambda answers: answers["cnps"]),
        f"{sent['ce_marks']:,}",
        f"{pair['pauses']:,}",
    ]


TIMES = ("samples", "min", "p50", "p99", "p99.9", "max")


def times(figures: dict[str, Any]) -> list[str]:
    """The row of TIMES."""
    keys = ("min_ns", "p50_ns", "p99_ns", "p99_9_ns", "max_ns")
    return [f"{figures['samples']:,}", *(duration(figures.get(key)) for key in keys)]


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Columns as wide as their widest cell; the first `left` to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _codes(pairs: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each queue pair that got NAKs, by code."""
    lines = []
    for number, pair in enumerate(pairs, 1):
        got = pair["received"]
        if got is None or not (got["naks"] or got["not_ready_by_timer_ms"]):
            continue
        words = [f"{count} {name}" for name, count in got["naks"].items()]
        words += [f"{count} receiver not ready, {timer} ms" for timer, count in got["not_ready_by_timer_ms"].items()]
        lines.append(f"{number}: NAKs: {'; '.join(words)}")
    return lines


def head(report: dict[str, Any]) -> list[str]:
    """What the capture is, and who paused whom."""
    capture = report["capture"]
    spanned = duration(capture["last_ns"] - capture["first_ns"])
    rest = ", ".join(
        f"{capture[key]:,} {key.replace('_', ' ')}"
        for key in ("pause", "other", "cut", "malformed", "fragments", "unknown_link")
        if capture[key]
    )
    lines = [
        f"{report['file']}: {capture['format']}, {capture['records']:,} records in {spanned},"
        f" {capture['roce']:,} RoCEv2{', ' if rest else ''}{rest}"
    ]
    for sender in report["pauses"]["senders"]:
        pauses = ", ".join(
            f"{count:,} of {'the port' if name == 'port' else f'priority {name}'}"
            for name, count in sender["pauses"].items()
        )
        lines.append(f"pauses from {sender['source']}: {pauses or 'none'}; {total(sender['resumes']):,} resumes")
    if capture["icrc_checked"]:
        lines.append(f"invariant CRC: {capture['icrc_wrong']:,} of {capture['icrc_checked']:,} packets wrong")
    return lines


def table(report: dict[str, Any]) -> str:
    """The whole report, without the time series."""
    pairs = report["queue_pairs"][:ROWS]
    lines = head(report)
    if not pairs:
        return "\n".join(lines)
    names = [
        [
            str(number),
            queue_pair(pair["source"], pair["source_qp"]),
            queue_pair(pair["destination"], pair["destination_qp"]),
        ]
        for number, pair in enumerate(pairs, 1)
    ]
    traffic = [[*name, pair["service"], paired(pair), *counts(pair)] for name, pair in zip(names, pairs, strict=True)]
    lines += ["", *_aligned([["#", "from", "to", "type", "paired", *COUNTS], *traffic], 5)]
    lines += _codes(pairs)
    for title, key in (("round trip of a packet", "round_trip"), ("message, first packet to answer", "message_time")):
        rows = [
            [name[0], *times(pair[key])] for name, pair in zip(names, pairs, strict=True) if pair[key]["samples"] > 0
        ]
        if rows:
            lines += ["", title, *_aligned([["#", *TIMES], *rows], 1)]
    if len(report["queue_pairs"]) > ROWS:
        lines += ["", f"{len(report['queue_pairs']) - ROWS} more with fewer packets: --json has them"]
    return "\n".join(lines)
