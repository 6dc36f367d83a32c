# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whole numbers of a module that have to be within a range, which an argument_spec cannot say."""

from __future__ import annotations

from collections.abc import Mapping


def outside(given: Mapping[str, object], ranges: Mapping[str, tuple[int, int]]) -> str:
    """What is said of the first number outside of its range (lowest, highest); empty when all are within."""
    for name, (low, high) in ranges.items():
        value = given[name]
        if not isinstance(value, int) or not low <= value <= high:
            return f"{name} {value}: it has to be {low} to {high}"
    return ""
