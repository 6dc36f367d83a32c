# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shapes of a picture as SVG elements."""

from __future__ import annotations

from html import escape

Point = tuple[float, float]
Area = tuple[float, float, float, float]  # left, top, width, height


def short(value: float) -> str:
    """A number as short as it can be, the same on every machine."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def escaped(text: str) -> str:
    return escape("".join(char for char in " ".join(text.split()) if char.isprintable()))


def overlap(one: Area, other: Area) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def rectangle(
    x: float, y: float, width: float, height: float, radius: float, fill: str, stroke: str | None, line: float = 1
) -> str:
    edge = f' stroke="{stroke}" stroke-width="{short(line)}"' if stroke else ""
    size = f'width="{short(width)}" height="{short(height)}" rx="{short(radius)}"'
    return f'<rect x="{short(x)}" y="{short(y)}" {size} fill="{fill}"{edge}/>'


def drawn(line: str, colour: str, width: float, more: str = "") -> str:
    return f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="{short(width)}"{more}/>'


def words(x: float, y: float, text: str, size: float, fill: str, bold: bool = False, anchor: str = "") -> str:
    weight = ' font-weight="bold"' if bold else ""
    where = f' text-anchor="{anchor}"' if anchor else ""
    style = f'font-size="{short(size)}" fill="{fill}"{weight}{where}'
    return f'<text x="{short(x)}" y="{short(y)}" {style}>{escaped(text)}</text>'
