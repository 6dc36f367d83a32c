# SPDX-License-Identifier: Apache-2.0
"""A queue pair over time as an SVG: its sequence, how long answers took, and what went wrong when.

Plain SVG text, so that the runtime needs no drawing library. The same report gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .text import duration

WIDTH, LEFT, RIGHT = 960, 96, 16
SEQUENCE, LATENCY, ROW, GAP = 170, 130, 18, 34  # heights in pixels
INK, MUTED, GRID = "#1f2733", "#5d6b7e", "#e3e8ef"
SENT, ACKNOWLEDGED, TIME, MEAN = "#3b6ea8", "#14713d", "#8fb0d3", "#1f4e82"
# Rows of marks below the curves: column of the series, name, colour.
EVENTS = (
    ("retransmissions", "sent again", "#b3261e"),
    ("naks", "NAK", "#8c1d6b"),
    ("not_ready", "RNR NAK", "#b26a00"),
    ("cnps", "CNP", "#00687a"),
    ("ce_marks", "CE marks", "#6b5d00"),
)
PAUSED = "#40484f"

Bins = list[dict[str, int]]


def bins_of(series: dict[str, Any]) -> Bins:
    """The rows of a series with their names, and the time at which each begins."""
    named = [dict(zip(series["columns"], row, strict=True)) for row in series["bins"]]
    for row in named:
        row["start_ns"] = series["start_ns"] + row["bin"] * series["bin_ns"]
        row["end_ns"] = row["start_ns"] + series["bin_ns"]
    return named


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = MUTED) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width:g}"/>'


def _path(points: Sequence[tuple[float, float]], colour: str) -> str:
    way = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
    return f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="1.4"/>'


def _step(span: float, ticks: int) -> float:
    """1, 2 or 5 times a power of ten, so that a span has about so many steps."""
    raw = max(span, 1) / ticks
    power = 10.0 ** math.floor(math.log10(raw))
    return next((power * factor for factor in (1, 2, 5) if power * factor >= raw), power * 10)


class _Axis:
    """Time from left to right."""

    def __init__(self, start_ns: int, end_ns: int, zero_ns: int) -> None:
        self.start_ns, self.span_ns, self.zero_ns = start_ns, max(end_ns - start_ns, 1), zero_ns

    def x(self, time_ns: float) -> float:
        share = (time_ns - self.start_ns) / self.span_ns
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def within(self, rows: Bins, key: str) -> Bins:
        """The rows that have something of `key` and are on the axis."""
        end_ns = self.start_ns + self.span_ns
        return [row for row in rows if row[key] and row["end_ns"] >= self.start_ns and row["start_ns"] <= end_ns]

    def grid(self, top: float, bottom: float) -> Iterator[str]:
        step = max(round(_step(self.span_ns, 6)), 1)
        first = -((self.zero_ns - self.start_ns) // step) * step  # the first multiple at or after the start
        for after in range(first, self.start_ns - self.zero_ns + self.span_ns + 1, step):
            x = self.x(self.zero_ns + after)
            yield _line(x, top, x, bottom, GRID)
            yield _text(x, bottom + 14, duration(after) if after else "0", "middle")


def _levels(
    top: float, height: float, ticks: Sequence[tuple[float, str]], y: Callable[[float], float]
) -> Iterator[str]:
    for value, label in ticks:
        yield _line(LEFT, y(value), WIDTH - RIGHT, y(value), GRID)
        yield _text(LEFT - 6, y(value) + 4, label, "end")
    yield _line(LEFT, top, LEFT, top + height, MUTED)


def _sequence(rows: Bins, axis: _Axis, top: float) -> Iterator[str]:
    low, high = min(row["sequence_low"] for row in rows), max(row["sequence_high"] for row in rows)

    def y(value: float) -> float:
        share = (value - low) / max(high - low, 1)
        return top + SEQUENCE * (1 - min(max(share, 0.0), 1.0))

    step = max(round(_step(max(high - low, 1), 4)), 1)
    ticks = range(-(-low // step) * step, high + 1, step)
    yield from _levels(top, SEQUENCE, [(tick, f"{tick:,}") for tick in ticks], y)
    for row in rows:
        x = (axis.x(row["start_ns"]) + axis.x(row["end_ns"])) / 2
        yield _line(x, y(row["sequence_low"]) + 1, x, y(row["sequence_high"]) - 1, SENT, 2)
    yield _path([((axis.x(r["start_ns"]) + axis.x(r["end_ns"])) / 2, y(r["sequence_high"])) for r in rows], SENT)


def _acknowledged(rows: Bins, sent: Bins, axis: _Axis, top: float) -> Iterator[str]:
    low, high = min(row["sequence_low"] for row in sent), max(row["sequence_high"] for row in sent)
    points = []
    for row in rows:
        if row["acks"]:
            share = (row["acknowledged"] - low) / max(high - low, 1)
            points.append((axis.x(row["end_ns"]), top + SEQUENCE * (1 - min(max(share, 0.0), 1.0))))
    if points:
        yield _path(points, ACKNOWLEDGED)


def _latency(rows: Bins, axis: _Axis, top: float) -> Iterator[str]:
    low = max(min(row["min_ns"] for row in rows), 1)
    high = max(max(row["max_ns"] for row in rows), low + 1)
    floor, ceiling = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = max(ceiling - floor, 1)

    def y(value: float) -> float:
        return top + LATENCY * (1 - (math.log10(max(value, 1)) - floor) / decades)

    yield from _levels(top, LATENCY, [(10.0**n, duration(10**n)) for n in range(floor, floor + decades + 1)], y)
    for row in rows:
        x = (axis.x(row["start_ns"]) + axis.x(row["end_ns"])) / 2
        yield _line(x, y(row["min_ns"]) + 1, x, y(row["max_ns"]) - 1, TIME, 2)
        yield f'<circle cx="{x:.1f}" cy="{y(row["mean_ns"]):.1f}" r="1.6" fill="{MEAN}"/>'


def _events(name: str, key: str, colour: str, rows: Bins, axis: _Axis, top: float) -> Iterator[str]:
    yield _text(LEFT - 6, top + 12, name, "end", colour)
    yield _line(LEFT, top + ROW, WIDTH - RIGHT, top + ROW, GRID)
    for row in rows:
        left = axis.x(row["start_ns"])
        width = max(axis.x(row["end_ns"]) - left, 2)
        title = f"<title>{row[key]} {name}</title>"
        box = f'x="{left:.1f}" y="{top + 3:.1f}" width="{width:.1f}" height="{ROW - 6}"'
        yield f'<rect {box} fill="{colour}">{title}</rect>'


def _stopping(pair: dict[str, Any], pauses: dict[str, Any]) -> Iterator[tuple[str, Bins]]:
    """The rows of pauses that stop a queue pair: of its priority, of the port; all of them when nothing tells which."""
    if pair["priority"] is None:
        yield "all pauses", bins_of(pauses["series"])
        return
    for key, text in ((str(pair["priority"]), f"PFC priority {pair['priority']}"), ("port", "PAUSE of port")):
        if key in pauses["series_of_priority"]:
            yield text, bins_of(pauses["series_of_priority"][key])


def drawing(pair: dict[str, Any], pauses: dict[str, Any], zero_ns: int, name: str) -> str:
    """An <svg> element: `pair` and `pauses` of a report, `zero_ns` when its time axis is 0, `name` for readers' aid."""
    rows = bins_of(pair["series"])
    if not rows:
        return ""
    start_ns = min(row["start_ns"] for row in rows)
    end_ns = max(pair["end_ns"], *(row["end_ns"] for row in rows if row["packets"] or row["acks"] or row["cnps"]))
    axis = _Axis(start_ns, end_ns, zero_ns)
    sent = [row for row in rows if row["packets"]]
    timed = [row for row in rows if row["samples"]]
    marks = [(key, text, colour, axis.within(rows, key)) for key, text, colour in EVENTS]
    marks += [("pauses", text, PAUSED, axis.within(where, "pauses")) for text, where in _stopping(pair, pauses)]
    body: list[str] = []
    top = 22.0
    if sent:
        body += [_text(LEFT, top - 8, "sequence, packets from the first one", colour=SENT)]
        body += [_text(WIDTH - RIGHT, top - 8, "acknowledged", "end", ACKNOWLEDGED)] if pair["received"] else []
        body += [*axis.grid(top, top + SEQUENCE), *_sequence(sent, axis, top), *_acknowledged(rows, sent, axis, top)]
        top += SEQUENCE + GAP + 10
    if timed:
        body += [_text(LEFT, top - 8, "from packet to answer: range and mean", colour=MEAN)]
        body += [*axis.grid(top, top + LATENCY), *_latency(timed, axis, top)]
        top += LATENCY + GAP - 6
    for key, text, colour, where in marks:
        if not where:
            continue
        body += _events(text, key, colour, where, axis, top)
        top += ROW
    size = f'viewBox="0 0 {WIDTH} {top + 8:.0f}" width="{WIDTH}" height="{top + 8:.0f}"'
    head = f'xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" role="img"'
    return f'<svg {head} aria-label="{name}">{"".join(body)}</svg>'
