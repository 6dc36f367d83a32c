# SPDX-License-Identifier: Apache-2.0
"""`tickwire status`: the state of an engine (its shared block) or of an exchange (its state file)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import _core
from .errors import TickwireError


def alive(pid: int) -> bool:
    """Whether a process with this id exists (in this PID namespace)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    return True


def read(path: str) -> dict[str, Any]:
    """The state, with "component" ("engine" or "exchange") and "alive" added; TickwireError when it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            is_json = stream.read(1) == b"{"
        state = json.loads(Path(path).read_text(encoding="utf-8")) if is_json else _core.block_read(path)
    except OSError as error:
        raise TickwireError(
            f"{path}: {error.strerror}; is tickwire running, with this path as engine.block or exchange.block?"
        ) from None
    except ValueError as error:
        raise TickwireError(f"{path}: neither an engine's block nor an exchange's state file: {error}") from None
    running = alive(state["pid"]) and state["state"] != "stopped"
    return {"component": "exchange" if is_json else "engine", "alive": running, **state}


def table(state: dict[str, Any]) -> str:
    """The state for people: one line per value, then the top of the books."""
    lines = []
    for key, value in state.items():
        if key == "top":
            continue
        text = ", ".join(map(str, value)) or "-" if isinstance(value, list) else "-" if value == "" else str(value)
        lines.append(f"{key.replace('_', ' '):<18}{text}")
    if state.get("top"):
        lines.append(f"{'stock':<10}{'bid size':>10}{'bid':>14}{'ask':>14}{'ask size':>10}")
        for top in state["top"]:
            lines.append(
                f"{top['stock']:<10}{top['bid_size']:>10}{top['bid'] / 10000:>14.4f}"
                f"{top['ask'] / 10000:>14.4f}{top['ask_size']:>10}"
            )
    return "\n".join(lines)
