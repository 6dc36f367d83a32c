# SPDX-License-Identifier: Apache-2.0
"""Configuration files: TOML checked against a small typed schema.

Every key has a type, a range or rule, and a default (or is required). An error names the file, the line, the key and
the rule: `engine.toml:14: orders.port: 70000 is outside 1..65535`. Unknown keys are refused, so that a misspelt
limit can never be silently ignored.
"""

from __future__ import annotations

import ipaddress
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .schema import REQUIRED, Checker, ConfigError, Key, Schema, Tables
from .tomllines import locate


def _address(value: str) -> str | None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return "is not an IPv4 address such as 10.110.0.11"
    return None


def _address_or_empty(value: str) -> str | None:
    return _address(value) if value else None


def _symbol(value: str) -> str | None:
    if value.isascii() and value.isprintable() and value == value.strip() and value == value.upper():
        return None
    return "must be a symbol as on the feed: upper case ASCII without blanks around it"


def _ascii(value: str) -> str | None:
    return None if value.isascii() and value.isprintable() else "must be printable ASCII"


def _path_mtu(value: int) -> str | None:
    if value in (0, 256, 512, 1024, 2048, 4096):
        return None
    return "is no path MTU of RoCE: 256, 512, 1024, 2048, 4096, or 0: any"


def _session_prefix(value: str) -> str | None:
    if value.isascii() and value.isalnum():
        return None
    return "must be letters and digits, because it starts a MoldUDP64 session of ten characters"


def _port(default: Any = REQUIRED) -> Key:
    return Key("int", default, 1, 65535)


_TOS = Key("int", 104, 0, 255)  # DSCP 26 << 2: the trading lane of the reference intent
_HEARTBEAT_MS = Key("int", 1000, 50, 15000)

_ORDERS_PORT, _GATEWAY_PORT = 26401, 26404
_ROCE = {
    "roce_version": Key("int", 2, 1, 2),
    "gid_index": Key("int", -1, -1, 255),  # -1: that of the interface, found
    "mtu": Key("int", 0, 0, rule=_path_mtu),  # bytes, which the port must have; 0: any
}

_RATIO = Key("float", 0.0, 0.0, 0.5)
_SYMBOL = Key("str", REQUIRED, 1, 8, rule=_symbol)

# What the core has room for: 399 characters of engine.block, and 499 of the path of the journal. Its name takes at most
# 56 of these, the slash before it included: engine.name, orders.username, the day and the dashes between them.
_BLOCK_MOST, _JOURNAL_DIR_MOST = 399, 443

ENGINE: Schema = {
    "engine": {
        "name": Key("str", "t2t", 1, 31, rule=_ascii),
        "cpu": Key("int", -1, -1, 1023),
        "priority": Key("int", 0, 0, 99),  # of the engine's thread, SCHED_FIFO; 0: an ordinary one
        "housekeeping_cpus": Key("ints", [], 0, 4095),
        "block": Key("str", "/run/tickwire/t2t.block", 1, _BLOCK_MOST, rule=_ascii),
        "journal_dir": Key("str", "", 0, _JOURNAL_DIR_MOST, rule=_ascii),  # "": the directory of engine.block
        "journal_records": Key("int", 1 << 20, 1024, 1 << 26),
        "idle_after_ms": Key("int", 0, 0, 60000),
        "max_orders": Key("int", 1 << 20, 1024, 1 << 26),
        "max_instruments": Key("int", 16384, 1, 65536),
        "max_samples": Key("int", 1 << 18, 1, 1 << 26),
        "warm_send": Key("bool", True),
        "timestamps": Key("str", "auto", choices=("auto", "hardware", "software", "none")),
    },
    "feed": {
        "transport": Key("str", "socket", choices=("socket", "xdp", "verbs")),
        "group": Key("str", rule=_address),
        "port": _port(26400),
        "interface": Key("str", rule=_address),
        "source": Key("str", "", 0, 15, rule=_address_or_empty),
        "group_b": Key("str", "", 0, 15, rule=_address_or_empty),
        "port_b": _port(26410),
        "interface_b": Key("str", "", 0, 15, rule=_address_or_empty),
        "source_b": Key("str", "", 0, 15, rule=_address_or_empty),
        "request_host": Key("str", "", 0, 15, rule=_address_or_empty),
        "request_port": _port(26403),
        "request_ms": Key("int", 20, 1, 10_000),
        "gap_timeout_ms": Key("int", 200, 0, 60_000),
        "silent_ms": Key("int", 5000, 0, 600_000),
        "keep_packets": Key("int", 1024, 1, 65536),
        "busy_poll_us": Key("int", 50, 0, 1000),
        "busy_poll_budget": Key("int", 0, 0, 65535),  # packets; above 0 AF_XDP is busy-polled
        "xdp_mode": Key("str", "auto", choices=("auto", "zerocopy", "copy", "generic")),
        "xdp_queues": Key("ints", [], 0, 63),  # []: all receive queues of the interface
        "gateway": Key("str", "", 0, 15, rule=_address_or_empty),  # of the exchange, over verbs; "": join the group
        "gateway_port": _port(_GATEWAY_PORT),
    },
    "orders": {
        "transport": Key("str", "auto", choices=("auto", "socket", "verbs")),  # "auto": verbs where the feed is
        "host": Key("str", rule=_address),
        "port": _port(None),  # None: the default of its transport
        "interface": Key("str", "", 0, 15, rule=_address_or_empty),  # over verbs; "": feed.interface
        "version": Key("str", "5.0", choices=("5.0", "4.2")),
        "username": Key("str", REQUIRED, 1, 6, rule=_ascii),
        "password": Key("str", REQUIRED, 1, 10, rule=_ascii),
        "session": Key("str", "", 0, 10, rule=_ascii),
        "heartbeat_ms": _HEARTBEAT_MS,
        "firm": Key("str", "TICK", 1, 4, rule=_ascii),
        "tos": _TOS,
    },
    "strategy": {
        "name": Key("str", "imbalance", choices=("imbalance", "market_maker", "spread")),
        "file": Key("str", "", 0, 4095),  # of Python functions; not "": instead of the built-in `name`
        "size": Key("int", 100, 1, 999_999),
        "ratio": Key("float", 3.0, 1.0, 1e6),
        "edge_bps": Key("float", 5.0, 0.0, 10_000.0),
        "skew_bps": Key("float", 5.0, 0.0, 10_000.0),
        "max_position": Key("int", 1000, 1, 1_000_000_000),
        "requote_ticks": Key("int", 1, 1, 1_000_000),
        "symbols": Key("strs", [], 1, 8, most=64, rule=_symbol),
        "legs": Tables({"symbol": _SYMBOL, "weight": Key("int", REQUIRED, -999_999, 999_999)}, least=0, most=4),
    },
    "risk": {
        "max_size": Key("int", 1000, 1, 999_999),
        "max_notional_usd": Key("float", 1e6, 0.0001, 1e12),
        "collar_bps": Key("int", 500, 1, 10_000),
        "max_position": Key("int", 100_000, 1, 1_000_000_000),
        "max_open_orders": Key("int", 1000, 1, 1 << 20),
        "max_orders_per_s": Key("int", 10_000, 1, 1 << 30),
        "duplicate_ms": Key("int", 0, 0, 60_000),
        "restricted": Key("strs", [], 1, 8, most=256, rule=_symbol),
        "kill_file": Key("str", "", 0, 4095),  # trading stops when it exists
    },
    "verbs": {
        **_ROCE,
        "hugepages": Key("bool", True),  # refuse ordinary pages for the memory that is registered
    },
}

EXCHANGE: Schema = {
    "exchange": {
        "name": Key("str", "exchange", 1, 32, rule=_ascii),
        "itch_file": Key("str", REQUIRED, 1, 4095),
        "session_prefix": Key("str", "LAB", 1, 5, rule=_session_prefix),
        "block": Key("str", "/run/tickwire/exchange.json", 1, 4095),
        "drop_copy": Key("str", "", 0, 4095),  # file of JSON lines; "": none
        "matching": Key("bool", True),
        "timestamps": Key("str", "none", choices=("none", "auto", "hardware", "software")),  # for `tickwire bench dut`
    },
    "feed": {
        "group": Key("str", rule=_address),
        "port": _port(26400),
        "interface": Key("str", rule=_address),
        "group_b": Key("str", "", 0, 15, rule=_address_or_empty),
        "port_b": _port(26410),
        "interface_b": Key("str", "", 0, 15, rule=_address_or_empty),
        "request_port": Key("int", 0, 0, 65535),  # of the re-request server on `interface`; 0: none
        "rate": Key("float", 500.0, 0.0, 1e8),  # messages per second; 0: as fast as one core can
        "speed": Key("float", 0.0, 0.0, 1e6),  # 1: the file's own time, 10: ten times as fast; 0: `rate` counts
        "messages_per_packet": Key("int", 1, 1, 64),
        "loss_a": _RATIO,
        "loss_b": _RATIO,
        "duplicate_a": _RATIO,
        "duplicate_b": _RATIO,
        "reorder_a": _RATIO,
        "reorder_b": _RATIO,
        "seed": Key("int", 1, 0, 1 << 62),
        "tos": _TOS,
    },
    "orders": {
        "address": Key("str", rule=_address),
        "port": _port(_ORDERS_PORT),
        "heartbeat_ms": _HEARTBEAT_MS,
        "accounts": Tables(
            {
                "username": Key("str", REQUIRED, 1, 6, rule=_ascii),
                "password": Key("str", REQUIRED, 1, 10, rule=_ascii),
                "version": Key("str", "5.0", choices=("5.0", "4.2")),
            }
        ),
    },
    "control": {
        "address": Key("str", "127.0.0.1", rule=_address),
        "port": _port(26402),
    },
    "rdma": {
        "interface": Key("str", "", 0, 15, rule=_address_or_empty),  # of the RDMA gateway; "": there is none
        "port": _port(_GATEWAY_PORT),
        "multicast": Key("bool", False),  # to the groups too
        "tos": _TOS,
        "priority": Key("int", -1, -1, 7),  # of datagrams; -1: the precedence in `tos`
        **_ROCE,
    },
}

SCHEMAS = {"engine": ENGINE, "exchange": EXCHANGE}
EXAMPLES = "runtime/examples/engine.toml and exchange.toml"

_COMMANDS = {"engine": "run", "exchange": "exchange"}  # what takes which kind of file


def _choose_orders(feed: dict[str, Any], orders: dict[str, Any]) -> None:
    """What `orders` leaves open. Over verbs the hybrid is the default: a feed by UD has its orders by RC."""
    if orders["transport"] == "auto":
        orders["transport"] = "verbs" if feed["transport"] == "verbs" else "socket"
    if orders["port"] is None:
        orders["port"] = _GATEWAY_PORT if orders["transport"] == "verbs" else _ORDERS_PORT


def _engine_rules(config: dict[str, Any], checker: Checker) -> None:
    engine, strategy, risk = config["engine"], config["strategy"], config["risk"]
    if engine["cpu"] in engine["housekeeping_cpus"]:
        raise checker.fail(
            ("engine", "housekeeping_cpus"),
            f"contains engine.cpu {engine['cpu']}: the spinning engine needs its CPU for itself (cpu = -1: not pinned)",
        )
    if engine["priority"] and engine["cpu"] < 0:
        raise checker.fail(
            ("engine", "priority"),
            f"{engine['priority']} needs engine.cpu: a thread that spins in real time must have a CPU for itself",
        )
    if strategy["size"] > risk["max_size"]:
        raise checker.fail(
            ("risk", "max_size"), f"{risk['max_size']} is below strategy.size {strategy['size']}: no order would pass"
        )
    _line_rules(config, checker)
    _transport_rules(config["feed"], config["orders"], checker)
    for key in ("symbols", "restricted"):
        section = "strategy" if key == "symbols" else "risk"
        twice = [symbol for symbol in config[section][key] if config[section][key].count(symbol) > 1]
        if twice:
            raise checker.fail((section, key), f"{twice[0]!r} is there twice")
    _strategy_rules(strategy, risk, checker)


def _transport_rules(feed: dict[str, Any], orders: dict[str, Any], checker: Checker) -> None:
    """Keys that the chosen transports would pass over in silence."""
    if feed["gateway"] and feed["transport"] != "verbs":
        raise checker.fail(("feed", "gateway"), 'has no effect: only feed.transport "verbs" has a gateway')
    if orders["interface"] and orders["transport"] != "verbs":
        raise checker.fail(
            ("orders", "interface"),
            'has no effect: only orders.transport "verbs" connects from it; set a route instead',
        )
    if feed["transport"] == "verbs":
        for key in ("source", "source_b"):
            if feed[key]:
                raise checker.fail(("feed", key), 'has no effect: feed.transport "verbs" does not filter by sender')
        if not feed["gateway"] and feed["group_b"] == feed["group"]:
            raise checker.fail(
                ("feed", "group_b"), "is line A's group: over RDMA a group has no ports; use another, or feed.gateway"
            )
    if feed["transport"] != "xdp":
        for key in ("xdp_queues", "busy_poll_budget"):
            if feed[key]:
                raise checker.fail(("feed", key), 'has no effect: only feed.transport "xdp" uses it')


def _strategy_rules(strategy: dict[str, Any], risk: dict[str, Any], checker: Checker) -> None:
    legs, size = strategy["legs"], strategy["size"]
    for n, leg in enumerate(legs):
        here = ("strategy", "legs", f"[{n}]")
        if leg["weight"] == 0:
            raise checker.fail((*here, "weight"), "0 buys and sells nothing: leave the leg out")
        if leg["symbol"] in [other["symbol"] for other in legs[:n]]:
            raise checker.fail((*here, "symbol"), f"{leg['symbol']!r} is there twice")
    if strategy["file"]:
        return
    if strategy["name"] == "market_maker":
        if not strategy["symbols"]:
            raise checker.fail(("strategy", "symbols"), "is empty: the market maker quotes only what is named here")
        if strategy["max_position"] < size:
            raise checker.fail(
                ("strategy", "max_position"),
                f"{strategy['max_position']} is below strategy.size {size}: nothing would be quoted",
            )
    if strategy["name"] == "spread":
        if len(legs) < 2:
            raise checker.fail(
                ("strategy", "legs"), f"the spread strategy needs 2 to 4 legs ([[strategy.legs]]), not {len(legs)}"
            )
        for n, leg in enumerate(legs):
            if size * abs(leg["weight"]) > risk["max_size"]:
                raise checker.fail(
                    ("strategy", "legs", f"[{n}]", "weight"),
                    f"{leg['weight']} times strategy.size {size} is above risk.max_size {risk['max_size']}: "
                    "the group would be refused",
                )


def _line_rules(config: dict[str, Any], checker: Checker) -> None:
    """The B line, for both kinds of file: two lines on one address would be one line."""
    feed = config["feed"]
    if feed["group_b"] and (feed["group_b"], feed["port_b"]) == (feed["group"], feed["port"]):
        raise checker.fail(("feed", "group_b"), f"{feed['group_b']}:{feed['port_b']} is the A line's address too")
    if not feed["group_b"] and (feed["interface_b"] or feed.get("source_b")):
        raise checker.fail(("feed", "group_b"), "is empty, yet other keys of the B line are set")


def _exchange_rules(config: dict[str, Any], checker: Checker) -> None:
    _line_rules(config, checker)
    seen: set[str] = set()
    for n, account in enumerate(config["orders"]["accounts"]):
        # SoupBinTCP pads user names with spaces and compares them without case.
        name = account["username"].strip().upper()
        if name in seen:
            raise checker.fail(("orders", "accounts", f"[{n}]", "username"), f"{account['username']!r} is there twice")
        seen.add(name)
    feed = config["feed"]
    if not feed["group_b"]:
        for key in ("loss_b", "duplicate_b", "reorder_b"):
            if feed[key]:
                raise checker.fail(("feed", key), f"{feed[key]} has no effect: there is no line B without feed.group_b")
    if (config["orders"]["address"], config["orders"]["port"]) == (
        config["control"]["address"],
        config["control"]["port"],
    ):
        raise checker.fail(("control", "port"), f"{config['control']['port']} is also orders.port on that address")


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, place = [*str(error).removesuffix(")").split(" (at ", 1), ""][:2]
        line, column = [*place.removeprefix("line ").split(", ", 1), ""][:2]
        if not line.isdigit():  # it says "end of document"
            line, column = str(1 + text.rstrip("\n").count("\n")), place
        raise ConfigError(f"{name}:{line}: not valid TOML: {problem[:1].lower()}{problem[1:]} ({column})") from None
    except RecursionError:
        raise ConfigError(f"{name}: arrays or tables nested too deep; a configuration has two levels") from None
    except ValueError:  # what int() says, for tomllib does not limit the digits of a number
        raise ConfigError(f"{name}: a number has more than {sys.get_int_max_str_digits()} digits") from None


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}; {_next_step(error)}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8 text; a configuration is a TOML file, see {EXAMPLES}"
        ) from None


def _next_step(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "run as a user who may read it, or change its owner or mode"
    if isinstance(error, FileNotFoundError):
        return f"name a TOML file that is there; {EXAMPLES} are to start from"
    return f"name a TOML file, such as {EXAMPLES}"


def parse(text: str, schema: Schema, name: str) -> dict[str, Any]:
    """Parse and check TOML `text` against `schema`; `name` is what errors call the file."""
    document = _document(text, name)
    meant = kind(document)
    if (schema, meant) in ((ENGINE, "exchange"), (EXCHANGE, "engine")):
        wanted = "engine" if schema is ENGINE else "exchange"
        raise ConfigError(
            f"{name}: has {_telling(document, SCHEMAS[meant], schema)}, so it is the configuration of an {meant}, for "
            f"`tickwire {_COMMANDS[meant]}`; `tickwire {_COMMANDS[wanted]}` needs that of an {wanted}"
        )
    checker = Checker(name, locate(text))
    config = checker.table(document, schema, ())
    if schema is ENGINE:
        _choose_orders(config["feed"], config["orders"])
        _engine_rules(config, checker)
    elif schema is EXCHANGE:
        _exchange_rules(config, checker)
    return config


def load(path: str | Path, schema: Schema) -> dict[str, Any]:
    """Read, parse and check the file at `path`; ConfigError on anything wrong, an unreadable file included."""
    return parse(_read(path), schema, str(path))


def _known_keys(document: Mapping[str, Any], schema: Schema) -> int:
    """How many tables and keys of `document`, two levels deep, `schema` knows."""
    known = 0
    for name, values in document.items():
        inner = schema.get(name)
        known += inner is not None
        if isinstance(inner, Mapping) and isinstance(values, Mapping):
            known += sum(key in inner for key in values)
    return known


def _telling(document: Mapping[str, Any], schema: Schema, other: Schema) -> str:
    """The first table or key of `document` that `schema` knows and `other` does not."""
    for name, values in document.items():
        inner, elsewhere = schema.get(name), other.get(name, {})
        if inner is not None and not elsewhere:
            return f"[{name}]"
        if isinstance(inner, Mapping) and isinstance(elsewhere, Mapping) and isinstance(values, Mapping):
            for key in values:
                if key in inner and key not in elsewhere:
                    return f"{name}.{key}"
    return "more of its keys than of another"


def kind(document: Mapping[str, Any]) -> str:
    """Which kind of file a parsed document is meant to be: "engine", "exchange", or "" when its keys do not tell."""
    engine, exchange = _known_keys(document, ENGINE), _known_keys(document, EXCHANGE)
    return "engine" if engine > exchange else "exchange" if exchange > engine else ""


def check(path: str | Path) -> str:
    """Check the file at `path` as what it is; returns "engine" or "exchange", ConfigError names the first problem."""
    text = _read(path)
    found = kind(_document(text, str(path)))
    if not found:
        raise ConfigError(f"{path}: none of its keys tells whether it is for an engine or an exchange; see {EXAMPLES}")
    parse(text, SCHEMAS[found], str(path))
    return found


def check_values(values: Mapping[str, Any], schema: Schema, name: str) -> dict[str, Any]:
    """Check values that come from elsewhere than a file, by a part of the schema; errors begin with `name`."""
    return Checker(name).table(dict(values), schema, ())


def engine_defaults() -> dict[str, Any]:
    """An engine configuration of defaults only, for in-memory replay where no address is ever used."""
    return parse(
        '[feed]\ngroup="127.0.0.1"\ninterface="127.0.0.1"\n'
        '[orders]\nhost="127.0.0.1"\nusername="REPLAY"\npassword="replay"\n',
        ENGINE,
        "defaults",
    )
