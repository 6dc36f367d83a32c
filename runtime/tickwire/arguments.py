# SPDX-License-Identifier: Apache-2.0
"""What the values of command line options may be: functions for argparse's `type`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def _number(text: str, kind: type[int] | type[float] = float) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole' if kind is int else 'a'} number") from None


def whole(text: str) -> int:
    """An integer."""
    return int(_number(text, int))


def positive(text: str) -> int:
    """An integer above 0."""
    value = whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def rate(text: str) -> float:
    """Messages per second; 0: unpaced."""
    value = float(_number(text))
    if not 0 <= value <= 1e8:
        raise argparse.ArgumentTypeError(f"{text} is outside 0 (unpaced) to 1e8 messages per second")
    return value


def _between(low: float, high: float, unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(_number(text))
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is outside {low:g}..{high:g} {unit}")
        return value

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Seconds from `low` to `high`."""
    return _between(low, high, "seconds")


def milliseconds(low: float, high: float) -> Callable[[str], float]:
    """Milliseconds from `low` to `high`."""
    return _between(low, high, "milliseconds")


def host_port(text: str) -> tuple[str, int]:
    """HOST:PORT."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 10.110.0.1:26402")
    return host, int(port)
