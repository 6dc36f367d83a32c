# SPDX-License-Identifier: Apache-2.0
"""The command line. Expected errors are one line on standard error and exit code 1 (2 for wrong usage)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from . import __version__, config, journal, limits, log, status, strategy
from .arguments import host_port, milliseconds, positive, rate, seconds, whole
from .bench import commands as commands_of_bench
from .errors import TickwireError
from .rdma import command as rdma

# The other modules are imported by the commands that need them: `tickwire status` runs as a health check every few
# seconds on small machines, and should not pay for the exchange.


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _run(args: argparse.Namespace) -> int:
    from . import engine

    log.setup(args.verbose)
    engine.run(config.load(args.config, config.ENGINE))
    return 0


def _exchange(args: argparse.Namespace) -> int:
    from .exchange import server

    log.setup(args.verbose)
    server.run(config.load(args.config, config.EXCHANGE))
    return 0


def _replay(args: argparse.Namespace) -> int:
    from . import _core, itchfile

    settings = config.load(args.config, config.ENGINE) if args.config else config.engine_defaults()
    file = itchfile.load(args.file)
    prepared = strategy.prepare(settings)
    try:
        with strategy.interruptible():
            result = _core.process(prepared, file.data, file.index)
    except (ValueError, MemoryError) as error:
        raise TickwireError(f"{args.file}: {error}") from None
    result.pop("top", None)
    result["orders"] = len(result["orders"])
    result["journal_room"] = None  # there is no journal
    del result["shown_ns"]
    failed = f"tickwire: {args.config}: the strategy failed and was not called again; see `tickwire strategy check`"
    if result["strategy_failures"]:
        print(failed, file=sys.stderr)
    if args.json:
        _print_json(result)
        return 1 if result["strategy_failures"] else 0
    always = ("messages", "unknown", "malformed", "book_errors", "orders")
    told = ("messages_lost", "replaces_sent", "cancels_sent", "open_orders", "leg_groups")
    for key in (*always, *told, *(key for key in result if key.startswith("risk_"))):
        if key in always or result[key]:
            print(f"{key.replace('_', ' '):<16}{result[key]}")
    if result["messages"]:
        print(f"{'ns per message':<16}{result['elapsed_ns'] / result['messages']:.1f}")
    return 1 if result["strategy_failures"] else 0


def _generate(args: argparse.Namespace) -> int:
    from . import generate, itchfile

    counts: Counter[str] = Counter()
    messages = generate.generate(args.messages, args.seed, args.instruments, args.deep)
    total = itchfile.write(args.out, generate.count_types(messages, counts))
    mix = " ".join(f"{kind} {count}" for kind, count in counts.most_common())
    print(f"{args.out}: {total} messages ({mix})")
    return 0


def _decode(args: argparse.Namespace) -> int:
    from . import _core, itchfile

    for number, message in enumerate(itchfile.load(args.file).messages(args.limit), 1):
        try:
            fields = _core.itch_decode(message)
        except ValueError as error:
            fields = {"error": str(error), "message": message.hex()}
        print(json.dumps({"sequence": number, **fields}))
    return 0


def _status(args: argparse.Namespace) -> int:
    if args.live:
        from . import live

        return live.run(args.block, args.interval)
    state = status.read(args.block)
    if args.json:
        _print_json(state)
    else:
        print("\n".join(status.lines_of(args.block, state)))
    if not state["alive"]:
        print(f"tickwire: {state['name']} is not running (state {state['state']}, pid {state['pid']})", file=sys.stderr)
        return 1
    return 0


def _config_check(args: argparse.Namespace) -> int:
    kind = config.check(args.file)
    print(f"{args.file}: {kind} configuration, ok")
    return 0


def _bench_t2t(args: argparse.Namespace) -> int:
    from .bench import t2t

    host, port = args.exchange
    request = t2t.Request(args.block, host, port, args.messages, args.rate, args.timeout, args.warmup)
    return _print_ticks(t2t, t2t.measure(request), args.json)


def _print_ticks(bench: ModuleType, result: dict[str, Any], as_json: bool) -> int:
    if as_json:
        _print_json(result)
    else:
        print(bench.table(result))
    for warning in bench.warnings(result):
        print(f"tickwire: warning: {warning}", file=sys.stderr)
    return 0


def _bench_dut(args: argparse.Namespace) -> int:
    from .bench import dut

    wanted = (
        args.block,
        args.count,
        args.warmup,
        args.answer_ms,
        args.quiet_ms,
        args.messages,
        args.user,
        args.timeout,
    )
    return _print_ticks(dut, dut.measure(dut.Request(*wanted)), args.json)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="tickwire", description="Tick-to-trade runtime and exchange simulator.")
    top.add_argument("--version", action="version", version=f"tickwire {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        return sub

    for name, action, text in (
        ("run", _run, "Run the trading engine until SIGTERM."),
        ("exchange", _exchange, "Run the exchange simulator until SIGTERM."),
    ):
        sub = command(name, action, text)
        sub.add_argument("config", metavar="CONFIG", help="TOML file")
        sub.add_argument("--verbose", action="store_true", help="log more")

    sub = command("replay", _replay, "Run the engine over an ITCH file in memory and print its counters.")
    sub.add_argument("file", metavar="FILE", help="ITCH 5.0 file, .gz by suffix")
    sub.add_argument("--config", metavar="CONFIG", help="engine configuration (default: the defaults)")
    sub.add_argument("--json", action="store_true")

    sub = command("generate", _generate, "Write a synthetic ITCH 5.0 file whose mix follows a published trading day.")
    sub.add_argument("out", metavar="OUT", help="file to write, .gz by suffix")
    sub.add_argument("--messages", type=positive, default=100_000, metavar="N", help="default %(default)s")
    sub.add_argument("--seed", type=whole, default=1, metavar="S", help="same seed, same file; default %(default)s")
    sub.add_argument("--instruments", type=positive, default=100, metavar="K", help="default %(default)s")
    sub.add_argument("--deep", action="store_true", help="books as deep as on a real day: up to 2,400 levels")

    sub = command("decode", _decode, "Print the messages of an ITCH file as JSON lines.")
    sub.add_argument("file", metavar="FILE", help="ITCH 5.0 file, .gz by suffix")
    sub.add_argument("--limit", type=positive, metavar="N", help="only the first N")

    sub = command("status", _status, "Show an engine or an exchange; exit code 1 when it is not running.")
    status.add_arguments(sub)
    limits.add_parsers(commands)
    journal.add_parser(commands)

    checks = commands.add_parser("config", help="Configuration files.", description="Configuration files.")
    kinds = checks.add_subparsers(dest="kind", required=True, metavar="KIND")
    text = "Check a configuration: which kind it is and ok, or file:line: key: what is wrong and exit code 1."
    sub = kinds.add_parser("check", help=text, description=text)
    sub.set_defaults(action=_config_check)
    sub.add_argument("file", metavar="FILE", help="TOML file of an engine or an exchange")

    strategy.add_parser(commands)
    rdma.add_parser(commands)

    bench = commands.add_parser("bench", help="Measurements.", description="Measurements.")
    kinds = bench.add_subparsers(dest="kind", required=True, metavar="KIND")
    sub = kinds.add_parser("t2t", help="Tick-to-trade of a running engine.", description="Tick-to-trade of an engine.")
    sub.set_defaults(action=_bench_t2t)
    sub.add_argument("--block", required=True, help="the engine's engine.block")
    sub.add_argument("--exchange", required=True, type=host_port, metavar="HOST:PORT", help="its control port")
    sub.add_argument("--messages", type=positive, metavar="N", help="default: the exchange's whole file")
    sub.add_argument("--rate", type=rate, metavar="R", help="messages per second; default: the exchange's feed.rate")
    sub.add_argument(
        "--timeout", type=seconds(0.001, 86400), metavar="S", help="default: duration of the feed and 30 s"
    )
    sub.add_argument("--warmup", type=whole, default=0, metavar="N", help="leave the first N samples out; default 0")
    sub.add_argument("--json", action="store_true")
    _add_dut(kinds)
    commands_of_bench.add_parsers(kinds)
    return top


def _add_dut(kinds: Any) -> None:
    text = "Tick-to-trade of whatever is connected to a running exchange, by that exchange's time stamps."
    sub = kinds.add_parser("dut", help=text, description=text)
    sub.set_defaults(action=_bench_dut)
    sub.add_argument("--block", required=True, help="the exchange's exchange.block, on this machine")
    sub.add_argument("--user", metavar="NAME", help="whose orders are timed; default: the only user logged in")
    sub.add_argument("--count", type=positive, default=1000, metavar="N", help="samples; default %(default)s")
    sub.add_argument(
        "--warmup", type=whole, default=100, metavar="N", help="answers before them, in no figure; default %(default)s"
    )
    sub.add_argument(
        "--answer-ms",
        type=milliseconds(0.1, 60_000),
        default=10.0,
        metavar="MS",
        help="the longest an order may take; default %(default)g",
    )
    sub.add_argument(
        "--quiet-ms",
        type=milliseconds(0, 10_000),
        default=1.0,
        metavar="MS",
        help="without orders before a tick; default %(default)g",
    )
    sub.add_argument("--messages", type=positive, metavar="N", help="ticks at most; default: the exchange's whole file")
    sub.add_argument("--timeout", type=seconds(0.001, 86400), metavar="S", help="default: as long as it can take")
    sub.add_argument("--json", action="store_true")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        code: int = args.action(args)
        sys.stdout.flush()
        return code
    except TickwireError as error:
        print(f"tickwire: {error}", file=sys.stderr)
    except BrokenPipeError:
        # The reader (head, say) has enough. Standard output must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("tickwire: interrupted", file=sys.stderr)
        return 130
    return 1
