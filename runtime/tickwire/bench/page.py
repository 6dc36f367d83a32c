# SPDX-License-Identifier: Apache-2.0
"""The comparison as one HTML file that needs nothing else: the distributions in one drawing, then the figures.

Drawn is the complementary distribution: for every latency the share of samples that took at least as long, both axes
logarithmic, so that the one sample in a thousand can be seen beside the median. No sample is left out of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from . import compare, results

COLOURS = {"udp": "#3b6ea8", "tcp": "#b3261e", "rc": "#14713d", "ud": "#b26a00"}
DASHES = {"pingpong": "", "burst": ' stroke-dasharray="7 4"'}
WIDTH, HEIGHT = 940, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 16, 52

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2733; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #e3e8ef; padding: .3rem .6rem; text-align: right; white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2), .facts th, .facts td { text-align: left; }
.facts td { white-space: normal; }
.warning { border: 2px solid #b3261e; padding: .6rem .9rem; font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #5d6b7e; }
"""


def duration(ns: float) -> str:
    """A round duration of an axis."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:g} {unit}"
    return f"{ns:g} ns"


class Axes:
    """Two logarithmic axes: latency in ns from left to right, share of samples from 1 at the top downwards."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        points = [point for row in rows for point in row["curve"]]
        self.low = math.log10(max(1.0, min(point[0] for point in points)))
        self.high = max(math.log10(max(1.0, max(point[0] for point in points))), self.low + 0.1)
        self.least = min(-1.0, math.log10(min(point[1] for point in points)))

    def x(self, ns: float) -> float:
        """Where a latency is, in units of the drawing."""
        share = (math.log10(max(1.0, ns)) - self.low) / (self.high - self.low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, share: float) -> float:
        """Where a share is."""
        return round(TOP + math.log10(share) / self.least * (HEIGHT - TOP - BOTTOM), 1)

    def latencies(self) -> list[float]:
        """Round latencies to mark."""
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = (1, 2, 5) if self.high - self.low < 3 else (1,)
        marks = [step * 10.0**decade for decade in decades for step in steps]
        return [mark for mark in marks if self.low <= math.log10(mark) <= self.high]


def label(row: dict[str, Any]) -> str:
    """A curve's name."""
    return f"{results.NAMES[row['transport']]}, {results.when(row['schedule'])}"


def drawing(rows: Sequence[dict[str, Any]]) -> str:
    """All curves in one SVG element."""
    axes, bottom, right = Axes(rows), HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Distributions of the round trips">']
    for ns in axes.latencies():
        x = axes.x(ns)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}" stroke="#e3e8ef"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{duration(ns)}</text>')
    for power in range(0, math.floor(-axes.least) + 1):
        y = axes.y(10.0**-power)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#e3e8ef"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{100 * 10.0**-power:g} %</text>')
    for row in rows:
        points = " ".join(f"{axes.x(ns)},{axes.y(share)}" for ns, share in row["curve"])
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[row["transport"]]}" stroke-width="1.8"'
            f"{DASHES[row['test']]}><title>{escape(label(row))}</title></polyline>"
        )
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">round trip (log)</text>')
    parts.append("</svg>")
    return "\n".join(parts)


def legend(rows: Sequence[dict[str, Any]]) -> str:
    """Which curve is which."""
    parts = []
    for row in rows:
        line = f'<line x1="0" x2="34" y1="6" y2="6" stroke="{COLOURS[row["transport"]]}" stroke-width="3"'
        parts.append(
            f'<li><svg style="width:34px;height:12px" viewBox="0 0 34 12" aria-hidden="true">{line}'
            f"{DASHES[row['test']]}/></svg> {escape(label(row))}</li>"
        )
    return f'<ul style="list-style:none;padding:0;columns:2">{"".join(parts)}</ul>'


def _figures(rows: Sequence[dict[str, Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name, _show in compare.COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(show(row))}</td>" for _name, show in compare.COLUMNS) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _facts(hosts: dict[str, Any]) -> str:
    rows = []
    for role, host in hosts.items():
        facts = "; ".join(
            f"{name.replace('_', ' ')} {value}"
            for name, value in host.items()
            if not isinstance(value, (dict, list)) and value not in (None, "")
        )
        cpu = host["cpu"]
        states = ", ".join(f"{one['name']}{' off' if one['disabled'] else ''}" for one in cpu["idle_states"])
        facts += f"; governor {cpu['governor'] or 'none'}; idle states {states or 'none told'}"
        for part in ("nic", "rdma"):
            if host[part]:
                facts += f"; {part} " + ", ".join(f"{name} {value}" for name, value in host[part].items())
        rows.append(f"<tr><th>{escape(role)}</th><td>{escape(facts)}</td></tr>")
    return f'<table class="facts">{"".join(rows)}</table>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def render(comparison: dict[str, Any]) -> str:
    """The page. The same comparison gives the same bytes."""
    rows = comparison["rows"]
    warning = f'<p class="warning">{escape(results.WARNING)}.</p>' if comparison["software_rdma"] else ""
    missing = [
        f"{results.NAMES.get(one['transport'], one['transport'])} was not measured: {one['reason']}"
        for one in comparison["missing"]
    ]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(comparison["headline"])}</title>
<style>{STYLE}</style></head><body>
<h1>{escape(comparison["headline"])}</h1>
{warning}
<h2>Distributions</h2>
<p>For every round trip the share of samples that took at least as long. Solid: idle, one message at a time; dashed:
open loop, charged from the time the message was due. Every sample is in it; lost messages are not.</p>
{drawing(rows)}
{legend(rows)}
<h2>Figures</h2>
<p>Round trips, of which a half round trip is the half. Percentiles are the nearest rank; sd is the population's;
p99.9 needs 1000 samples.</p>
{_figures(rows)}
{_list(missing + comparison["notes"])}
<h2>The claim</h2>
<p>{escape(comparison["claim"]["text"])}.</p>
{_list(comparison["claim"]["measured"])}
<h2>Hosts, as the first of the runs found them</h2>
{_facts(comparison["hosts"])}
</body></html>
"""
