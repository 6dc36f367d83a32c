# SPDX-License-Identifier: Apache-2.0
"""Which line of a TOML text holds which key.

`tomllib` gives values without positions, and an error in a configuration is only useful with its line. This scanner
walks a text that `tomllib` has already accepted, so it may be simple: it follows table headers and the key at the
start of each statement, and skips over the lines that multi-line strings and arrays continue on. Keys inside inline
tables are not located; the caller falls back to the enclosing key.
"""

from __future__ import annotations

import re

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#|[\[\]{}]|.', re.DOTALL)


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _continues(text: str, quote: str, depth: int) -> tuple[str, int]:
    """State after `text`: the delimiter of an open multi-line string ("" when none) and the depth of open brackets."""
    at = 0
    while at < len(text):
        if quote:
            end = text.find(quote, at)
            if end < 0:
                return quote, depth
            at, quote = end + 3, ""
            continue
        match = _TOKEN.match(text, at)
        assert match is not None  # the last alternative takes any character
        token, at = match.group(), match.end()
        if token == "#":
            break
        if token in ('"""', "'''"):
            quote = token
        elif token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
    return quote, depth


def locate(text: str) -> dict[Path, int]:
    """Line numbers (from 1) of the keys and tables of a valid TOML `text`; array items are the part "[n]"."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    quote, depth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if quote or depth:
            quote, depth = _continues(line, quote, depth)
            continue
        header = _HEADER.match(line)
        if header:
            table = _split(header.group(2))
            if header.group(1) == "[[":
                item = counts.get(table, -1) + 1
                counts[table] = item
                lines.setdefault(table, number)
                table = (*table, f"[{item}]")
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*table, *_split(key.group(1))), number)
            quote, depth = _continues(line[key.end() :], "", 0)
    return lines
