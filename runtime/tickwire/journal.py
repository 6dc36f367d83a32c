# SPDX-License-Identifier: Apache-2.0
"""`tickwire journal`: what a journal says is open and held, also while the engine that writes it runs."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import _core
from .errors import TickwireError

_NO_TAG = 2**32 - 1


def read(path: str) -> dict[str, Any]:
    """The state after the last record, as `_core.journal_read` gives it; TickwireError when it cannot be read."""
    try:
        state = _core.journal_read(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        hint = "; journals are in engine.journal_dir, one for each user and day" if missing else ""
        raise TickwireError(f"{error.strerror}{hint}") from None
    except (ValueError, MemoryError) as error:
        raise TickwireError(str(error)) from None
    state["orders"].sort(key=lambda order: order["reference"])
    state["positions"].sort(key=lambda position: position["stock"])
    for order in state["orders"]:
        order["tag"] = None if order["tag"] == _NO_TAG else order["tag"]
    return state


def _row(order: dict[str, Any]) -> str:
    notes = [f"replaces {order['replaces']}"] * bool(order["replaces"]) + ["canceling"] * order["canceling"]
    return (
        f"{order['reference']:>10} {order['stock']:<8} {order['side']:<4} {order['open_shares']:>9}"
        f" {order['price'] / 10000:>14.4f} {'-' if order['tag'] is None else order['tag']:>6}"
        f" {order['state']:<8}{', '.join(notes)}".rstrip()
    )


def table(state: dict[str, Any]) -> str:
    """The state for people: one line per value, then open orders and positions. Prices and cash in dollars."""
    lines = [
        f"{key.replace('_', ' '):<18}{'-' if value == '' else value}"
        for key, value in state.items()
        if not isinstance(value, list)
    ]
    if state["orders"]:
        lines.append(f"{'reference':>10} {'stock':<8} {'side':<4} {'open':>9} {'price':>14} {'tag':>6} state")
        lines += map(_row, state["orders"])
    held = [row for row in state["positions"] if any(row[key] for key in ("shares", "cash", "open_buys", "open_sells"))]
    if held:
        lines.append(f"{'stock':<10}{'shares':>12}{'cash':>18}{'open buys':>12}{'open sells':>12}")
    for row in held:
        lines.append(
            f"{row['stock']:<10}{row['shares']:>12}{row['cash'] / 10000:>18.4f}"
            f"{row['open_buys']:>12}{row['open_sells']:>12}"
        )
    return "\n".join(lines)


def show(args: argparse.Namespace) -> int:
    """Print it. Exit code 0 also when records were lost: the line `lost records` says so."""
    state = read(args.file)
    print(json.dumps(state, indent=2) if args.json else table(state))
    return 0


def add_parser(commands: Any) -> None:
    """Add `journal` to the subparsers of the command line."""
    text = "Show a journal: open orders, positions, what is unsure; works beside a running engine."
    sub = commands.add_parser("journal", help=text, description=text)
    sub.set_defaults(action=show)
    sub.add_argument("file", metavar="FILE", help="in engine.journal_dir")
    sub.add_argument("--json", action="store_true")
