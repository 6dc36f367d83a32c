# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tickwire import _core

GOOD: dict[str, dict[str, Any]] = {
    "engine": {"block": "/nowhere/b", "max_orders": 16, "max_instruments": 4, "max_samples": 4},
    "feed": {"group": "127.0.0.1", "port": 9, "interface": "127.0.0.1"},
    "orders": {"host": "127.0.0.1", "port": 9, "username": "U", "password": "P"},
}


def changed(section: str, key: str, value: Any) -> dict[str, dict[str, Any]]:
    config = {name: dict(values) for name, values in GOOD.items()}
    config.setdefault(section, {})[key] = value
    return config


def test_the_smallest_configuration_is_taken() -> None:
    _core.Engine(GOOD)


@pytest.mark.parametrize(
    ("section", "key"),
    [("engine", "block"), *((s, k) for s in ("feed", "orders") for k in GOOD[s])],
)
def test_a_missing_key_is_named(section: str, key: str) -> None:
    config = {name: {k: v for k, v in values.items() if (name, k) != (section, key)} for name, values in GOOD.items()}
    with pytest.raises(ValueError, match=rf"^{section}\.{key}: is missing"):
        _core.Engine(config)


@pytest.mark.parametrize(
    ("section", "key", "value", "rule"),
    [
        ("engine", "max_orders", 0, "integer from 1 to 268435456"),
        ("engine", "max_orders", 2**70, "integer from 1"),
        ("engine", "max_orders", "many", "integer"),
        ("engine", "max_orders", True, "integer"),
        ("engine", "max_instruments", 65537, "1 to 65536"),
        ("engine", "max_samples", 0, "integer"),
        ("engine", "cpu", -2, "-1 to 1023"),
        ("engine", "priority", 100, "0 to 99"),
        ("engine", "timestamps", "nic", '"nic" must be "auto", "hardware", "software" or "none"'),
        ("engine", "timestamps", 1, "ASCII text"),
        ("feed", "port", 65536, "1 to 65535"),
        ("orders", "username", "SEVENCH", "at most 6"),
        ("orders", "password", "elevenchars", "at most 10"),
        ("orders", "firm", "FIRMS", "at most 4"),
        ("orders", "username", "\u20ac", "ASCII"),
        ("orders", "username", "A\0", "ASCII"),
        ("orders", "tos", 256, "0 to 255"),
        ("orders", "heartbeat_ms", 1, "50 to 15000"),
        ("strategy", "ratio", 0.5, "number from 1"),
        ("strategy", "ratio", float("nan"), "number from 1"),
        ("strategy", "size", 1_000_000, "1 to 999999"),
        ("risk", "max_size", 0, "1 to 999999"),
        ("risk", "collar_bps", -1, "0 to 1000000"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(section: str, key: str, value: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rf"^{section}\.{key}: .*{rule}"):
        _core.Engine(changed(section, key, value))


def test_an_unknown_strategy_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r'strategy\.name: no strategy "magic"; built in: imbalance'):
        _core.Engine(changed("strategy", "name", "magic"))


def test_a_section_that_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="^feed: must be a table"):
        _core.Engine({**GOOD, "feed": 5})


def test_memory_that_cannot_be_had_is_refused_with_the_need(tmp_path: Path) -> None:
    """In a child with an address-space limit, as the machine may have room for the largest sizes there are."""
    import subprocess
    import sys

    script = (
        "import resource; from tickwire import _core\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "try: _core.process({'engine': {'max_orders': 1 << 27}}, b'', b'')\n"
        "except MemoryError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "MB needed for engine.max_orders 134217728 and engine.max_instruments 16384" in done.stdout


@pytest.mark.parametrize(
    ("index", "text"),
    [(b"1234567", "not whole 64-bit"), ((5 << 16 | 6).to_bytes(8, "little"), "entry 0: message ends beyond the 10")],
)
def test_an_index_that_points_outside_the_data_is_refused(index: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.process({}, b"0123456789", index)
    with pytest.raises(ValueError, match=text):
        _core.Replay(b"0123456789", index, group="127.0.0.1", port=9, interface="127.0.0.1", session="S")
