# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Columns of text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from .findings import Finding, worst_first

WIDTH = 120
NARROWEST = 24  # characters of the last column, however little the others leave
GAP = "  "


def text(headings: Sequence[str], rows: Sequence[Sequence[object]], width: int = WIDTH) -> str:
    """An aligned table with a line under the headings; columns of numbers to the right.

    The last column is wrapped so that no line is longer than ``width``, as far as the others leave it 24 characters.
    Numbers above 9999 get commas; None is empty.
    """
    cells = [[_shown(value) for value in row] for row in rows]
    right = [
        bool(rows) and all(row[column] is None or _is_number(row[column]) for row in rows)
        for column in range(len(headings))
    ]
    widths = [max(len(row[column]) for row in [list(headings), *cells]) for column in range(len(headings))]
    left = width - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
    if not right[-1]:
        widths[-1] = max(min(widths[-1], left), NARROWEST, len(headings[-1]))
    lines = _lines(headings, widths, right)
    lines.append(GAP.join("-" * one for one in widths))
    for row in cells:
        lines += _lines(row, widths, right)
    return "\n".join(lines) + "\n"


def findings_text(findings: Sequence[Finding], width: int = WIDTH) -> str:
    """Findings, the worst first: severity, rule, place and message."""
    if not findings:
        return "no findings\n"
    rows = [(one.severity, one.rule, one.path, one.message) for one in worst_first(findings)]
    return text(("severity", "rule", "where", "finding"), rows, width)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) > 9999 else str(value)
    return " ".join(str(value).split())


def _lines(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """A row as one line, or more where the last cell is wrapped."""
    last = textwrap.wrap(row[-1], widths[-1]) or [""]
    start = [cell.rjust(size) if to_right else cell.ljust(size) for cell, size, to_right in zip(row, widths, right)]
    start[-1] = last[0].rjust(widths[-1]) if right[-1] else last[0]
    indent = " " * (sum(widths[:-1]) + len(GAP) * (len(widths) - 1))
    return [GAP.join(start).rstrip(), *(indent + one for one in last[1:])]
