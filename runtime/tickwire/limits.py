# SPDX-License-Identifier: Apache-2.0
"""`tickwire limits` and `tickwire kill`: the limits and the kill switch of an engine while it runs.

Both write the control block beside the engine's shared block (`<engine.block>.control`). The engine looks at it between
packets and says in its own block what it has taken; the commands wait for that, so that "in force" is the engine's word
and not a guess. Limits last until the engine ends: the next one begins with those of its configuration. A kill lasts
until somebody takes it back, restarts included.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, cast

from . import _core, config, status
from .errors import TickwireError

PATIENCE_S = 1.0
_POLL_S = 0.01

UNITS = {
    "max_size": "shares per order",
    "max_notional_usd": "USD per order",
    "collar_bps": "bps from the mid of the book",
    "max_position": "shares long or short per instrument, open orders included",
    "max_open_orders": "orders",
    "max_orders_per_s": "orders per second",
    "duplicate_ms": "ms between orders that are the same (0: off)",
}
_RISK = cast(config.Schema, config.ENGINE["risk"])
SCHEMA: config.Schema = {name: _RISK[name] for name in UNITS}
_SYMBOLS: config.Schema = {"restricted": _RISK["restricted"]}
_USD = 10_000  # prices are in 1/10000 dollar


def _to_core(limits: dict[str, Any]) -> dict[str, int]:
    return {
        name.removesuffix("_usd"): round(value * _USD) if name.endswith("_usd") else value
        for name, value in limits.items()
    }


def from_core(limits: dict[str, int]) -> dict[str, Any]:
    """Limits of a control block by the names and in the units of [risk]."""
    return {name: limits[name.removesuffix("_usd")] / _USD if name.endswith("_usd") else limits[name] for name in UNITS}


def parse(pairs: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` pairs, checked against the ranges of [risk] in the configuration; errors name the rule."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise TickwireError(f"--set {pair}: is not NAME=VALUE, such as max_size=500")
        if name in _RISK and name not in SCHEMA:
            step = "--restrict and --allow" if name == "restricted" else "the configuration and a restart"
            raise TickwireError(f"--set {name}: is not changed by --set; use {step}")
        number: Any = text
        for kind in (int, float):
            try:
                number = kind(text)
                break
            except ValueError:
                continue
        values[name] = number
    checked = config.check_values(values, SCHEMA, "--set")
    return {name: checked[name] for name in values}


def _symbols(values: list[str], option: str) -> list[str]:
    return list(config.check_values({"restricted": values}, _SYMBOLS, option)["restricted"])


class Target:
    """The engine behind a shared block: its control block and what it says itself."""

    def __init__(self, block: str) -> None:
        self.block = block
        path = f"{block}.control"
        try:
            self.control = _core.Control(path)
        except OSError as error:
            raise TickwireError(
                f"{error.strerror}; the engine makes it when it starts: is {block} its engine.block, "
                "and may this user write there?"
            ) from None
        except ValueError as error:
            raise TickwireError(f"{error}; has an engine of another release made it?") from None

    def engine(self) -> dict[str, Any] | None:
        """The engine's block; None when no engine is running."""
        try:
            state = status.read(self.block)
        except TickwireError:
            return None
        return state if state["alive"] else None

    def wait(self, has_it: Callable[[dict[str, Any]], bool], what: str) -> str:
        """Until the engine says it has it: "taken". "absent" when none is running, "idle" when it has no order session
        and will look before its first order; TickwireError when a trading engine has not taken it within a second."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            state = self.engine()
            if state is None or has_it(state):
                return "absent" if state is None else "taken"
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)
        if state["state"] != "live":
            return "idle"
        raise TickwireError(
            f"{self.block}: {what} is set, but {state['name']} (process {state['pid']}) has not taken it within "
            f"{PATIENCE_S:g} s; if that process hangs, end it with SIGKILL"
        )

    def show(self) -> dict[str, Any]:
        """What the control block says, and the version the engine has (None: it is not running)."""
        said, state = self.control.read(), self.engine()
        return {
            "block": self.block,
            "running": state is not None,
            "limits": from_core(said["limits"]),
            "restricted": sorted(said["restricted"]),
            "version": said["version"],
            "engine_version": None if state is None else state["limits_version"],
            "killed": said["killed"],
            "engine_killed": None if state is None else state["killed"],
            "reason": said["reason"],
        }

    def change(self, values: dict[str, Any], restrict: list[str], allow: list[str]) -> None:
        """Set limits and change the list, as one change; TickwireError when it cannot be in force."""
        if self.engine() is None:
            raise TickwireError(
                f"{self.block}: no engine is running on it, and the next one begins with the limits of its "
                "configuration; change [risk] there"
            )
        try:
            with self.control:
                before = set(self.control.read()["restricted"])
                absent = [symbol for symbol in allow if symbol not in before]
                if absent:
                    raise TickwireError(
                        f"--allow {absent[0]}: is not on the restricted list; see `tickwire limits {self.block}`"
                    )
                if restrict or allow:
                    self.control.restrict(sorted((before | set(restrict)) - set(allow)))
                if values:
                    self.control.set_limits(_to_core(values))
                version = self.control.read()["version"]
        except ValueError as error:
            raise TickwireError(str(error)) from None
        except OSError as error:
            raise TickwireError(str(error.strerror)) from None
        # A number of 32 bits that goes round; another change may have followed already.
        if (
            self.wait(lambda state: (state["limits_version"] - version) % 2**32 < 2**31, f"version {version}")
            == "absent"
        ):
            raise TickwireError(
                f"{self.block}: the engine ended before it took the change; the next one begins with the limits of its "
                "configuration"
            )


def table(shown: dict[str, Any]) -> str:
    """What `tickwire limits` prints."""
    taken = (
        "no engine is running"
        if not shown["running"]
        else "in force"
        if shown["engine_version"] == shown["version"]
        else f"not taken yet: the engine has version {shown['engine_version']}"
    )
    lines = [f"limits of {shown['block']}, version {shown['version']}: {taken}"]
    for name, unit in UNITS.items():
        value = shown["limits"][name]
        text = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        lines.append(f"  {name:<18}{text:>18}  {unit}")
    lines.append(f"  {'restricted':<18}{', '.join(shown['restricted']) or '-':>18}")
    killed = "no" if not shown["killed"] else f"yes: {shown['reason'] or 'no reason given'}"
    lines.append(f"  {'killed':<18}{killed:>18}")
    return "\n".join(lines)


def _limits(args: argparse.Namespace) -> int:
    values = parse(args.set)
    restrict, allow = _symbols(args.restrict, "--restrict"), _symbols(args.allow, "--allow")
    target = Target(args.block)
    if values or restrict or allow:
        target.change(values, restrict, allow)
    shown = target.show()
    print(json.dumps(shown, indent=2) if args.json else table(shown))
    return 0


def _who() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        return "unknown"


def _kill(args: argparse.Namespace) -> int:
    target = Target(args.block)
    if args.revive:
        if target.engine() is None:
            target.control.hold(False)  # the next engine looks for its kill file before anything else
        if not target.control.revive():
            raise TickwireError(
                f"{args.block}: not revived: the engine's risk.kill_file is there; remove it, and do this again"
            )
    else:
        reason = " ".join((args.reason or "").split())  # one line, as it is shown in one
        target.control.kill(f"{_who()}: {reason or 'no reason given'}")
    killed = not args.revive
    word = "killed" if killed else "revived"
    outcome = target.wait(lambda state: state["killed"] == killed, f'"{word}"')
    how = {
        "taken": "the engine confirms: no order goes out" if killed else "the engine confirms",
        "idle": "the engine has no order session now, and sees it before it sends an order",
        "absent": "no engine is running; the next one " + ("starts killed" if killed else "may trade"),
    }
    print(f"{args.block}: {word}; {how[outcome]}")
    return 0


def add_parsers(commands: Any) -> None:
    """The commands `limits` and `kill` for the command line."""
    text = "Show or change the limits of a running engine."
    sub = commands.add_parser("limits", help=text, description=text)
    sub.set_defaults(action=_limits)
    sub.add_argument("block", metavar="BLOCK", help="its engine.block")
    sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=f"one of {', '.join(UNITS)}")
    sub.add_argument("--restrict", action="append", default=[], metavar="SYMBOL", help="no orders for it from here on")
    sub.add_argument("--allow", action="append", default=[], metavar="SYMBOL", help="take it off the restricted list")
    sub.add_argument("--json", action="store_true")
    text = "Stop an engine from sending orders, at once and until it is revived; cancels still go out."
    sub = commands.add_parser("kill", help=text, description=text)
    sub.set_defaults(action=_kill)
    sub.add_argument("block", metavar="BLOCK", help="its engine.block")
    one = sub.add_mutually_exclusive_group()
    one.add_argument("--reason", metavar="TEXT", help="kept with the kill, for those who find it")
    one.add_argument("--revive", action="store_true", help="take the kill back")
