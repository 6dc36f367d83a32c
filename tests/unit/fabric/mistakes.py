# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The planned mistakes of tests/fixtures/intents: a sound intent, and what spoils it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

INTENTS = Path(__file__).resolve().parents[2] / "fixtures/intents"


@dataclass(frozen=True)
class Mistake:
    """A spoilt intent, the path that its refusal has to name, and a part of what it has to say."""

    name: str
    intent: dict[str, Any]
    path: str
    says: str


def sound() -> dict[str, Any]:
    """An intent without an error."""
    found: dict[str, Any] = yaml.safe_load((INTENTS / "sound.yml").read_text(encoding="utf-8"))
    return found


def spoilt(intent: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The intent with the values of ``changes`` (``a/0/b`` -> value) in it; None removes a key."""
    found = copy.deepcopy(dict(intent))
    for place, value in changes.items():
        *above, last = place.split("/")
        inner: Any = found
        for part in above:
            inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
        if isinstance(inner, list):
            inner[int(last)] = value
        elif value is None:
            del inner[last]
        else:
            inner[last] = value
    return found


def mistakes() -> list[Mistake]:
    """Every planned mistake."""
    base = sound()
    found = []
    for path in sorted((INTENTS / "mistakes").glob("*.yml")):
        one = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.append(Mistake(path.stem, spoilt(base, one["set"]), one["path"], one["says"]))
    return found
