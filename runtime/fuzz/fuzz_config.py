# SPDX-License-Identifier: Apache-2.0
"""Configuration: any text, and documents made after the schema with wrong values in them.

`parse` returns a checked mapping or raises ConfigError in one line; what it returns the core takes, or says by
ValueError which key it cannot hold. Then mappings that no schema has checked: the core's check takes or refuses them.
Runs under Atheris (PyPI), libFuzzer for Python, and takes libFuzzer's arguments.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["tickwire.config", "tickwire.tomllines", "tomllib"]):
    from tickwire import config

from tickwire import _core

SCHEMAS = {"engine": config.ENGINE, "exchange": config.EXCHANGE}
NAMES_KEY = re.compile(r"^[a-z_]+(\.[a-z_]+|: must be a table)")
# Values of every TOML type, some of them of the right type and out of range.
ODD = (
    "-1", "0", "1", "65536", "9223372036854775808", "1e308", "nan", "-inf", "0x7fffffff", "true", '""', '"\\u0000"',
    '"10.0.0.1"', '"TICK"', "'é'", "[]", "[1, 2]", '["A", "B"]', "[[]]", "{}", '{ symbol = "A", weight = 1 }',
    "1979-05-27", "07:32:00", "[{}]", '"spread"', '"5.0"', "1_000", "-0.0", '"toolongforanything"',
)  # fmt: skip
OBJECTS: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**64, -(2**70), 1.5, float("nan"), float("inf"), "", "TICK", "\0", "\ud800", "é" * 40,
    "10.0.0.1", b"bytes", [], [1], ["A"], [None], {}, {"symbol": "A", "weight": 1}, [{"symbol": "A", "weight": 2**40}],
    (1, 2), "x" * 5000, "spread", "5.0", object(),
)  # fmt: skip


def right_value(rule: Any, data: atheris.FuzzedDataProvider) -> str:
    """TOML of a value of the key's type, mostly within its bounds."""
    low, high = (int(bound) if bound is not None else 0 for bound in (rule.low, rule.high))
    number = data.ConsumeIntInRange(min(low, high), max(low, high))
    if rule.choices:
        return f'"{rule.choices[number % len(rule.choices)]}"'
    if rule.kind == "bool":
        return "true" if number else "false"
    if rule.kind in ("int", "float"):
        return str(number)
    if rule.kind == "ints":
        return str([number])
    text = '"10.0.0.1"' if rule.rule is not None and "address" in rule.rule.__name__ else '"AB"'
    return f"[{text}]" if rule.kind == "strs" else text


def document(schema: Any, data: atheris.FuzzedDataProvider) -> str:
    """A configuration after `schema`, with required keys there more often than not and some values odd."""
    lines: list[str] = []
    for section, rules in schema.items():
        if data.ConsumeIntInRange(0, 15) == 15:
            continue
        lines.append(f"[{section}]")
        later: list[str] = []
        for key, rule in rules.items():
            choice = data.ConsumeIntInRange(0, 15)
            tables = isinstance(rule, config.Tables)
            if choice == 0 or (choice < 8 and not tables and rule.default is not config.REQUIRED):
                continue
            if choice == 15:
                lines.append(f"{key} = {ODD[data.ConsumeIntInRange(0, len(ODD) - 1)]}")
            elif tables:
                later.append(f"[[{section}.{key}]]")
                later += [f"{name} = {right_value(item, data)}" for name, item in rule.item.items()]
            else:
                lines.append(f"{key} = {right_value(rule, data)}")
        lines += later
    return "\n".join(lines)


def check_text(text: str, kind: str) -> None:
    """`parse` keeps its promise, and the core takes or refuses what it returns."""
    try:
        parsed = config.parse(text, SCHEMAS[kind], "fuzz.toml")
    except config.ConfigError as error:
        assert str(error).startswith("fuzz.toml") and "\n" not in str(error), repr(str(error))
        return
    assert set(parsed) == set(SCHEMAS[kind])
    if kind == "engine":
        check_core(parsed)


def check_core(mapping: Any) -> None:
    """The core's check returns, or raises ValueError that begins with the key."""
    try:
        _core.settings_check(mapping)
    except ValueError as error:
        assert NAMES_KEY.match(str(error)), str(error)


def unchecked(data: atheris.FuzzedDataProvider) -> dict[str, Any]:
    """A mapping as no schema would let it through."""
    mapping: dict[str, Any] = {}
    for section, rules in config.ENGINE.items():
        if data.ConsumeIntInRange(0, 31) == 31:
            mapping[section] = OBJECTS[data.ConsumeIntInRange(0, len(OBJECTS) - 1)]
            continue
        mapping[section] = {
            key: OBJECTS[data.ConsumeIntInRange(0, len(OBJECTS) - 1)]
            for key in rules
            if data.ConsumeIntInRange(0, 3) == 3
        }
    return mapping


def test_one_input(given: bytes) -> None:
    """The first byte says what the rest is."""
    if not given:
        return
    kind = "engine" if given[0] & 4 else "exchange"
    if given[0] % 4 < 2:
        check_text(given[1:].decode("utf-8", "surrogateescape"), kind)
    elif given[0] % 4 == 2:
        check_text(document(SCHEMAS[kind], atheris.FuzzedDataProvider(given[1:])), kind)
    else:
        check_core(unchecked(atheris.FuzzedDataProvider(given[1:])))


if __name__ == "__main__":
    # -merge=1 starts the program again, by the shell and under this name.
    atheris.Setup([f"{sys.executable} {Path(__file__).absolute()}", *sys.argv[1:]], test_one_input)
    atheris.Fuzz()
