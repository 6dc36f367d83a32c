# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Typed reading of plain data with the path of what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Choice = TypeVar("Choice", int, str)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


class IntentError(ValueError):
    """The intent is refused. ``path`` says where (``fabric.lanes.trading.ecn``), ``reason`` what and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def shown(value: object) -> str:
    """A value as a message shows it: one line, not endless."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def mapping(value: object, path: str) -> Mapping[str, object]:
    """A mapping whose keys are strings."""
    if not isinstance(value, Mapping):
        raise IntentError(path, f"{shown(value)} has to be a mapping")
    for key in value:
        if not isinstance(key, str):
            raise IntentError(path, f"key {shown(key)} has to be a string; quote it")
    return value


def section(value: object, path: str, required: Iterable[str], optional: Iterable[str]) -> Mapping[str, object]:
    """A mapping that has every required key, and no key that is neither required nor optional."""
    found = mapping(value, path)
    required = list(required)
    known = required + list(optional)
    for key in found:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise IntentError(f"{path}.{key}", f"unknown key; {hint}known here: {', '.join(sorted(known))}")
    for key in required:
        if key not in found:
            raise IntentError(f"{path}.{key}", "is missing")
    return found


def integer(value: object, path: str, low: int, high: int) -> int:
    """A whole number from low to high; neither a boolean nor a string with digits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise IntentError(path, f"{shown(value)} has to be a whole number from {low} to {high}")
    if not low <= value <= high:
        raise IntentError(path, f"{value} is outside {low}..{high}")
    return value


def boolean(value: object, path: str) -> bool:
    """True or false, not a word for it."""
    if not isinstance(value, bool):
        raise IntentError(path, f"{shown(value)} has to be true or false")
    return value


def text(value: object, path: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise IntentError(path, f"{shown(value)} has to be a string")
    return value


def choice(value: object, path: str, choices: Sequence[Choice]) -> Choice:
    """The one of the choices (of one type) that the value is equal to."""
    for item in choices:
        if isinstance(value, type(item)) and not isinstance(value, bool) and value == item:
            return item
    raise IntentError(path, f"{shown(value)} is none of {', '.join(str(item) for item in choices)}")


def sequence(value: object, path: str) -> list[object]:
    """A list with at least one item."""
    if not isinstance(value, (list, tuple)):
        raise IntentError(path, f"{shown(value)} has to be a list")
    if not value:
        raise IntentError(path, "is empty; at least one item is needed")
    return list(value)


def name(value: object, path: str) -> str:
    """A name: letters, digits, - and _, a letter first, at most 32 characters."""
    word = text(value, path)
    if not NAME.fullmatch(word):
        raise IntentError(path, f"{shown(word)} is not a name: a letter, then letters, digits, - or _, 32 in all")
    return word


def number(value: object, path: str, low: float, high: float) -> float:
    """A number above low, up to high, whole or not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low < value <= high:
        raise IntentError(path, f"{shown(value)} has to be a number above {low}, up to {high}")
    return value
