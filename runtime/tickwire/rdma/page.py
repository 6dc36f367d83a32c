# SPDX-License-Identifier: Apache-2.0
"""The report on a capture as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from . import text
from .drawing import INK, MUTED, drawing

DRAWN = 32  # queue pairs with the most packets

STYLE = f"""
body {{ font: 14px/1.45 system-ui, sans-serif; color: {INK}; margin: 24px auto; max-width: 1100px; padding: 0 16px; }}
h1 {{ font-size: 22px; }} h2 {{ font-size: 16px; margin: 32px 0 4px; }} p {{ margin: 4px 0; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 3px 9px; text-align: right; border-bottom: 1px solid #e3e8ef; white-space: nowrap; }}
th {{ color: {MUTED}; font-weight: 600; }} .left {{ text-align: left; }}
.wide {{ overflow-x: auto; }} .warning {{ color: #8a4b00; }} .muted {{ color: {MUTED}; }}
svg {{ max-width: 100%; height: auto; }}
"""


def _row(cells: Iterable[str], tag: str = "td", left: int = 0) -> str:
    inside = "".join(
        f"<{tag}{' class=left' if number < left else ''}>{escape(cell)}</{tag}>" for number, cell in enumerate(cells)
    )
    return f"<tr>{inside}</tr>"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    body = "".join(_row(row, left=left) for row in rows)
    return f'<div class="wide"><table>{_row(names, "th", left)}{body}</table></div>'


def _name(pair: dict[str, Any]) -> str:
    start = text.queue_pair(pair["source"], pair["source_qp"])
    return f"{start} to {text.queue_pair(pair['destination'], pair['destination_qp'])}"


def _section(number: int, pair: dict[str, Any], report: dict[str, Any]) -> str:
    how = f"{pair['service']}, paired by {text.paired(pair)}" if pair["pairing"] else f"{pair['service']}, not paired"
    times = [
        (title, *text.times(pair[key]))
        for title, key in (
            ("round trip of a packet", "round_trip"),
            ("message, first packet to answer", "message_time"),
        )
        if pair[key]["samples"]
    ]
    received = pair["received"] or {"naks": {}, "not_ready_by_timer_ms": {}}
    codes = [f"{count} {name.replace('_', ' ')}" for name, count in received["naks"].items()]
    codes += [f"{count} receiver not ready, {timer} ms" for timer, count in received["not_ready_by_timer_ms"].items()]
    parts = [
        f"<h2>{number}. {escape(_name(pair))}</h2>",
        f'<p class="muted">{escape(how)}</p>',
        f"<p>NAKs: {escape('; '.join(codes))}</p>" if codes else "",
        _table(("", *text.TIMES), times, 1) if times else "",
        drawing(pair, report["pauses"], report["capture"]["first_ns"], escape(_name(pair), quote=True)),
    ]
    return "".join(parts)


def page(report: dict[str, Any]) -> str:
    """The page. Its time axes begin with the capture."""
    pairs = report["queue_pairs"]
    rows = [
        [
            str(number),
            text.queue_pair(pair["source"], pair["source_qp"]),
            text.queue_pair(pair["destination"], pair["destination_qp"]),
            pair["service"],
            text.paired(pair),
            *text.counts(pair),
        ]
        for number, pair in enumerate(pairs, 1)
    ]
    sections = [_section(number, pair, report) for number, pair in enumerate(pairs[:DRAWN], 1)]
    rest = f"<p>{len(pairs) - DRAWN} more with fewer packets are in the table only.</p>" if len(pairs) > DRAWN else ""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>RoCEv2: {escape(report["file"])}</title>',
        f"<style>{STYLE}</style><h1>RoCEv2 traffic</h1>",
        *(f"<p>{escape(line)}</p>" for line in text.head(report)),
        *(f'<p class="warning">{escape(warning)}</p>' for warning in report["warnings"]),
        _table(("#", "from", "to", "type", "paired", *text.COUNTS), rows, 5),
        *sections,
        rest,
        "</html>",
    ]
    return "".join(parts) + "\n"
