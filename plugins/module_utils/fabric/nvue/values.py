# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers as NVUE shows them: 159744, "159744", "150000 B", "1.43 MB", "0 Bytes", "n/a"; kB are 1024 bytes there."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {"": 1, "b": 1, "byte": 1, "bytes": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
NUMBER = re.compile(r"(\d+)(?:\.(\d+))?\s*([A-Za-z]*)")


@dataclass(frozen=True)
class Quantity:
    """A number, and by how much it may be off because it was shown with fewer digits."""

    value: int
    slack: int = 0


def quantity(value: object) -> Quantity | None:
    """None for what is no number, such as "n/a", "-" and "inf"."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return Quantity(int(value))
    match = NUMBER.fullmatch(str(value).strip().replace(",", ""))
    if not match or match.group(3).lower() not in UNITS:
        return None
    unit, digits = UNITS[match.group(3).lower()], match.group(2) or ""
    number = int(match.group(1) + digits) * unit / 10 ** len(digits)
    return Quantity(round(number), 0 if unit == 1 else -(-unit // (2 * 10 ** len(digits))))


def number(value: object) -> int | None:
    """The value alone."""
    found = quantity(value)
    return found.value if found else None
