# SPDX-License-Identifier: Apache-2.0
"""`tickwire status`: the state of an engine (its shared block) or of an exchange (its state file)."""

from __future__ import annotations

import argparse
import json
import os
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _core
from .arguments import seconds
from .errors import TickwireError

WIDTH = 80
PERCENTILES = ("min", "median", "p99", "p99_9", "max")
RATES = ("messages", "packets", "packets_b", "orders_sent", "refused")
_GAP = 4
_COLUMN = (WIDTH - _GAP) // 2
_USD = 10_000  # prices and cash are in 1/10000 dollar
_HANGS_S = 1.0  # an engine writes its block every 10 ms


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
    if not {"name", "pid", "state"} <= state.keys() or not isinstance(state["pid"], int):
        raise TickwireError(f"{path}: neither an engine's block nor an exchange's state file: no name, pid and state")
    running = alive(state["pid"]) and state["state"] != "stopped"
    if is_json:
        return {"component": "exchange", "alive": running, **state}
    why = list(obstacles(state).values()) if running else ["the engine is not running"]
    return {"component": "engine", "alive": running, "trading": not why, "not_trading": why, **state}


def stands_s(block: Mapping[str, Any]) -> float:
    """For how many seconds an engine has not moved, when that is too long; 0.0: it moves, or has ended."""
    stands = (time.monotonic_ns() - block["shown_ns"]) / 1e9
    return stands if stands > _HANGS_S and block["state"] != "stopped" else 0.0


def halted(block: Mapping[str, Any]) -> list[str]:
    """Of the instruments the block shows, those that do not trade."""
    return [top["stock"] for top in block["top"] if top["trading_state"] != "T"]


def obstacles(block: Mapping[str, Any]) -> dict[str, str]:
    """Why a running engine can send no order now: a word for each reason, and what it means. Empty: it can."""
    found = {}
    if stands := stands_s(block):
        found["HANGS"] = (
            f"the engine has not moved for {stands:.0f} s, in strategy {block['strategy']} or without CPU: see its log"
        )
    if block["killed"]:
        found["KILLED"] = "it is killed until `tickwire kill --revive`"
    if block["state"] != "live":
        found["no session"] = "it is not logged in at the exchange"
    if not block["feed_session"]:
        found["no feed"] = "no packet of the feed has come"
    elif block["stale"]:
        found["STALE FEED"] = "the books miss messages, until it has caught up or the next feed session begins"
    if block["full"]:
        found["FULL"] = "the journal or the ledger is full; starting again makes room"
    if block["strategy_failures"]:
        found["STRATEGY FAILED"] = f"strategy {block['strategy']} failed and is not called again before a restart"
    if block["top"] and len(halted(block)) == len(block["top"]):
        found["HALTED"] = "no instrument it shows is trading"
    return found


def refusals(state: Mapping[str, Any]) -> dict[str, int]:
    """Orders refused by risk, by reason; reasons that never occurred are left out."""
    return {
        name.removeprefix("risk_"): value for name, value in state.items() if name.startswith("risk_") and value > 0
    }


_UNSTAMPED = {
    "receive": "receive stamp",
    "transmit": "transmit stamp",
    "clocks": "two stamps of one clock",
}


def unstamped_by(state: Mapping[str, Any]) -> dict[str, int]:
    """Orders of the feed session without a sample, by what they lack."""
    return {what: state[f"unstamped_{why}"] for why, what in _UNSTAMPED.items() if state[f"unstamped_{why}"]}


def percentiles(path: str) -> dict[str, Any] | None:
    """Tick-to-trade of the samples so far, in ns, as bench/stats.py defines them (p99_9 is None with too few), and by
    whose `clock`; None without samples."""
    from .bench import samples as stamped
    from .bench import stats

    try:
        found = stamped.read(_core.block_samples(path))
    except (OSError, ValueError):  # replaced or gone since it was read
        return None
    if not found.latencies:
        return None
    samples = sorted(found.latencies)
    return {
        "clock": found.clock,
        "samples": len(samples),
        "min": samples[0],
        "median": stats.percentile(samples, 50),
        "p99": stats.percentile(samples, 99),
        "p99_9": stats.p99_9(samples),
        "max": samples[-1],
    }


# --- the picture of an engine ---


def _short(value: float, room: int) -> str:
    """A count within `room` characters and a blank before it: whole while it fits, else in millions and so on."""
    text = f"{value:,.0f}"
    for unit in ("M", "G", "T"):
        if len(text) < room:
            break
        value /= 1e6 if unit == "M" else 1e3
        text = f"{value:,.1f}{unit}"
    return text


def _count(label: str, value: int, more: str = "") -> str:
    return f"{label:<12}{_short(value, 13):>13}{more:>13}"


def _rate(rates: Mapping[str, float], name: str) -> str:
    if name not in rates:
        return ""
    rate = rates[name]
    return f"{_short(rate, 11)}/s" if rate >= 100 or rate == 0 else f"{rate:.1f}/s"


def _feed(state: Mapping[str, Any], rates: Mapping[str, float]) -> list[str]:
    if not state["feed_session"]:
        health = "no packet yet"
    else:
        flags = [name.upper() for name in ("stale", "silent") if state[name]]
        health = ", ".join(flags) or ("ended" if state["feed_ended"] else "ok")
    return [
        f"FEED {state['feed_session']}".ljust(18) + health.rjust(_COLUMN - 18),
        _count("messages", state["messages"], _rate(rates, "messages")),
        _count("packets", state["packets"], _rate(rates, "packets")),
        _count("of line B", state["packets_b"], _rate(rates, "packets_b")),
        _count("gaps", state["gaps"], f"{_short(state['gaps_closed'], 6)} closed"),
        _count("lost", state["messages_lost"]),
        _count("requests", state["requests"], f"{_short(state['packets_requested'], 8)} came"),
        _count("duplicates", state["duplicates"]),
    ]


def _orders(state: Mapping[str, Any], rates: Mapping[str, float]) -> list[str]:
    trading = next(iter(obstacles(state)), "trading")
    executed = f"{_short(state['shares_executed'], 9)} shs" if state["shares_executed"] else ""
    unsure = f"{_short(state['unsure_orders'], 6)} unsure" if state["unsure_orders"] else ""
    return [
        "ORDERS".ljust(18) + (trading if state["alive"] else "not running").rjust(_COLUMN - 18),
        _count("sent", state["orders_sent"], _rate(rates, "orders_sent")),
        _count("accepted", state["orders_accepted"]),
        _count("executed", state["orders_executed"], executed),
        _count("canceled", state["orders_canceled"]),
        _count("rejected", state["orders_rejected"]),
        _count("open", state["open_orders"], unsure),
        _count("refused", sum(refusals(state).values()), _rate(rates, "refused")),
    ]


def _refused(state: Mapping[str, Any]) -> list[str]:
    by_count = sorted(refusals(state).items(), key=lambda item: -item[1])
    text = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in by_count)
    return textwrap.wrap(f"refused by risk: {text}", WIDTH, subsequent_indent="  ") if by_count else []


def _obstacles(state: Mapping[str, Any]) -> list[str]:
    why = "; ".join(obstacles(state).values()) if state["alive"] else ""
    lines = textwrap.wrap(f"no order goes out: {why}", WIDTH, subsequent_indent="  ") if why else []
    stopped = ", ".join(halted(state))
    return lines + (textwrap.wrap(f"halted: {stopped}", WIDTH, subsequent_indent="  ") if stopped else [])


def _microseconds(ns: int | None) -> str:
    if ns is None:
        return "-"
    us = ns / 1000
    return f"{us:.3f}" if us < 10_000 else f"{us:,.0f}" if us < 1e6 else f"{us / 1e6:,.1f} s"


def _latency(state: Mapping[str, Any], latency: Mapping[str, Any] | None) -> list[str]:
    clock = latency["clock"] if latency else state["timestamp_source"]
    source = f"{clock} stamps" if clock != "none" else "no stamps"
    names = "".join(f"{name.replace('_', '.'):>10}" for name in PERCENTILES)
    values = "".join(f"{_microseconds(latency[name] if latency else None):>10}" for name in PERCENTILES)
    said = f"{state['samples']:,}, {source}"
    title = "TICK TO ACKNOWLEDGEMENT, us" if clock == "completion" else "TICK TO TRADE, us"
    lines = [f"{title:<30}{names}", f"{said:<30}{values}"]
    missing = [f"{state[name]:,} {name.replace('_', ' ')}" for name in ("unstamped", "samples_dropped") if state[name]]
    if state["by_kernel"]:
        missing.append(f"by the kernel, as the card gave no stamps: {state['by_kernel']:,}")
    missing += [f"without {what}: {count:,}" for what, count in unstamped_by(state).items()]
    if state["legs_sent"]:
        spread = f"legs {state['legs_sent']:,}, apart {_microseconds(state['leg_spread_last_ns'])} us"
        missing.append(f"{spread}, at most {_microseconds(state['leg_spread_max_ns'])} us")
    return lines + textwrap.wrap(", ".join(missing), WIDTH)


def _price(value: int, room: int) -> str:
    text = f"{value / _USD:.4f}" if value else "-"
    return (text if len(text) < room else f"{value / _USD:.2f}").rjust(room)


def _money(value: float, room: int) -> str:
    text = f"{value / _USD:,.2f}"
    return (text if len(text) < room else f"{value / _USD:.3g}").rjust(room)


def _shares(value: int, room: int) -> str:
    return (_short(value, room) if value else "-").rjust(room)


def _instruments(state: Mapping[str, Any]) -> list[str]:
    """Books and positions side by side; what has a position comes first."""
    tops = {top["stock"]: top for top in state["top"]}
    positions = {position["stock"]: position for position in state["positions"]}
    none = {"bid": 0, "ask": 0, "bid_size": 0, "ask_size": 0}
    lines = [
        f"{'BOOKS':<8}{'bid size':>9}{'bid':>11}{'ask':>11}{'ask size':>9}{'position':>9}{'value':>12}{'profit':>11}"
    ]
    for stock in [*positions, *(stock for stock in tops if stock not in positions)]:
        top, position = tops.get(stock, none), positions.get(stock)
        line = f"{stock:<8}{_shares(top['bid_size'], 9)}{_price(top['bid'], 11)}"
        line += f"{_price(top['ask'], 11)}{_shares(top['ask_size'], 9)}"
        if position is not None:
            at_mid = position["shares"] * (top["bid"] + top["ask"]) / 2
            value, profit = _money(at_mid, 12), _money(position["cash"] + at_mid, 11)
            if not (top["bid"] and top["ask"]):
                value, profit = "-".rjust(12), "-".rjust(11)
            line += _shares(position["shares"], 9) + value + profit
        lines.append(line)
    return lines if len(lines) > 1 else [*lines, "-"]


def picture(
    state: Mapping[str, Any],
    rates: Mapping[str, float] | None = None,
    latency: Mapping[str, Any] | None = None,
    at: str = "",
) -> list[str]:
    """An engine in 80 columns: rates per second by the names of RATES where known, latency from `percentiles`.

    Positions are valued at the mid of the book in USD, where the block shows that book; profit is cash and that value.
    """
    rates = rates or {}
    word = state["state"] if state["alive"] else f"not running (was {state['state']})"
    right = f"  pid {state['pid']}  limits {state['limits_version']}  {at}".rstrip()
    left = f"{state['name'][: WIDTH - len(right) - len(word) - 2]}  {word}"
    columns = zip(_feed(state, rates), _orders(state, rates), strict=True)
    return [
        left + right.rjust(WIDTH - len(left)),
        *(f"{feed}{'':{_GAP}}{orders}".rstrip() for feed, orders in columns),
        *_obstacles(state),
        *_refused(state),
        "",
        *_latency(state, latency),
        "",
        *_instruments(state),
    ]


def values(state: Mapping[str, Any]) -> list[str]:
    """An exchange: one line per value."""
    lines = []
    for key, value in state.items():
        text = ", ".join(map(str, value)) or "-" if isinstance(value, list) else "-" if value == "" else str(value)
        lines.append(f"{key.replace('_', ' '):<18}{text}")
    return lines


def lines_of(path: str, state: Mapping[str, Any]) -> Sequence[str]:
    """What `tickwire status` prints."""
    return values(state) if state["component"] == "exchange" else picture(state, None, percentiles(path))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `tickwire status`."""
    parser.add_argument("block", metavar="BLOCK", help="its engine.block or exchange.block")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="every counter")
    how.add_argument("--live", action="store_true", help="show it until Ctrl-C, with rates")
    parser.add_argument(
        "--interval", type=seconds(0.05, 3600), default=1.0, metavar="S", help="of --live; default %(default)s s"
    )
