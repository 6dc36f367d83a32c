# SPDX-License-Identifier: Apache-2.0
"""The pieces that a schema of a TOML document is made of, and the check against one. The schemas are in config.py."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from .errors import TickwireError
from .tomllines import Path as KeyPath

REQUIRED = object()


class ConfigError(TickwireError):
    """A configuration that breaks a rule of the schema."""


@dataclass(frozen=True)
class Key:
    """One scalar (or list of integers) of the schema.

    kind: "int", "float", "bool", "str", "ints" or "strs". `low`/`high` bound numbers (each item of "ints") and the
    length of strings (each item of "strs"). `most` bounds how many items a list has.
    `rule` returns what is wrong with a value of the right type, or None.
    """

    kind: str
    default: Any = REQUIRED
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    most: int = 4096
    rule: Callable[[Any], str | None] | None = None


@dataclass(frozen=True)
class Tables:
    """An array of tables (`[[orders.accounts]]`), `least` to `most` of them."""

    item: Mapping[str, Key]
    least: int = 1
    most: int = 4096


Schema = Mapping[str, Union[Key, Tables, "Schema"]]


_TYPE_NAMES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "ints": "a list of integers",
    "strs": "a list of strings",
}


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # TOML's hexadecimal numbers may be longer than Python is willing to write in decimal
        return f"a number of more than {sys.get_int_max_str_digits()} digits"


@dataclass
class Checker:
    """Walks a parsed document beside its schema, collecting the checked mapping with defaults filled in."""

    name: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def fail(self, path: KeyPath, problem: str) -> ConfigError:
        key = ".".join(str(part) for part in path).replace(".[", "[")
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        where = self.name if line is None else f"{self.name}:{line}"
        return ConfigError(f"{where}: {key}: {problem}")

    def table(self, value: Any, schema: Schema, path: KeyPath) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(path, f"must be a table, not {_shown(value)}")
        for key in value:
            if key not in schema:
                near = difflib.get_close_matches(key, schema, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(schema)}"
                raise self.fail((*path, key), f"unknown key; {hint}")
        checked: dict[str, Any] = {}
        for key, rule in schema.items():
            here = (*path, key)
            if isinstance(rule, Key):
                checked[key] = self.scalar(value[key], rule, here) if key in value else self.default(rule, here)
            elif isinstance(rule, Tables):
                checked[key] = self.tables(value.get(key, []), rule, here)
            else:
                checked[key] = self.table(value.get(key, {}), rule, here)
        return checked

    def tables(self, value: Any, rule: Tables, path: KeyPath) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            raise self.fail(path, f"must be an array of tables ([[{'.'.join(map(str, path))}]])")
        if len(value) < rule.least:
            raise self.fail(path, f"needs at least {rule.least} entry ([[{'.'.join(map(str, path))}]])")
        if len(value) > rule.most:
            raise self.fail(path, f"has {len(value)} entries, at most {rule.most} are possible")
        return [self.table(item, rule.item, (*path, f"[{n}]")) for n, item in enumerate(value)]

    def default(self, rule: Key, path: KeyPath) -> Any:
        if rule.default is REQUIRED:
            raise self.fail(path, f"is required: {_TYPE_NAMES[rule.kind]}")
        return list(rule.default) if isinstance(rule.default, list) else rule.default

    def scalar(self, value: Any, rule: Key, path: KeyPath) -> Any:
        wrong = self.fail(path, f"must be {_TYPE_NAMES[rule.kind]}, not {_shown(value)}")
        if rule.kind in ("ints", "strs"):
            if not isinstance(value, list):
                raise wrong
            if len(value) > rule.most:
                raise self.fail(path, f"has {len(value)} entries, at most {rule.most} are possible")
            item = Key(rule.kind.removesuffix("s"), low=rule.low, high=rule.high, rule=rule.rule)
            return [self.scalar(each, item, path) for each in value]
        if rule.kind == "bool":
            if not isinstance(value, bool):
                raise wrong
            return value
        types = {"int": int, "float": (int, float), "str": str}[rule.kind]
        if isinstance(value, bool) or not isinstance(value, types):  # type: ignore[arg-type]
            raise wrong
        if rule.kind == "str":
            self.bounded(len(value), rule, path, f"{value!r} has {len(value)} characters, which")
            if rule.choices and value not in rule.choices:
                raise self.fail(path, f"{value!r} is not one of: {', '.join(rule.choices)}")
        else:
            self.bounded(value, rule, path, _shown(value))
        problem = rule.rule(value) if rule.rule else None
        if problem:
            raise self.fail(path, f"{value!r} {problem}")
        return float(value) if rule.kind == "float" else value

    def bounded(self, value: float, rule: Key, path: KeyPath, subject: str) -> None:
        low = float("-inf") if rule.low is None else rule.low
        high = float("inf") if rule.high is None else rule.high
        if not low <= value <= high:  # also refuses NaN
            raise self.fail(path, f"{subject} is outside {low:g}..{high:.12g}")
