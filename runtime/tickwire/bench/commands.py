# SPDX-License-Identifier: Apache-2.0
"""The command line of `tickwire bench` but t2t."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import log, notify
from ..arguments import host_port, positive, rate, seconds, whole
from ..errors import TickwireError

# The modules that do it are imported when they are asked for: `tickwire status` imports this one every few seconds.
TRANSPORTS = ("udp", "tcp", "rc", "ud")


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = whole(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is outside {low}..{high}")
        return value

    return parse


def _milliseconds(text: str) -> float:
    value = rate(text)
    if not 0.001 <= value <= 3.6e6:
        raise argparse.ArgumentTypeError(f"{text} is outside 0.001..3600000 milliseconds")
    return value


def _reason(text: str) -> tuple[str, str]:
    transport, equals, reason = text.partition("=")
    if not equals or not reason or transport not in TRANSPORTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not TRANSPORT=REASON, such as 'rc=no RDMA device'")
    return transport, reason


def _write(path: str, content: str) -> None:
    """A whole file or none."""
    new = Path(f"{path}.new")
    try:
        new.write_text(content, encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise TickwireError(f"{path}: {error.strerror}; name a file in a directory that exists") from None


def _serve(args: argparse.Namespace) -> int:
    from . import rendezvous

    log.setup(args.verbose)
    with rendezvous.listen(*args.address) as listener:
        notify.notify("READY=1")
        rendezvous.serve(listener, args.cpu, args.idle)
    return 0


def _request(args: argparse.Namespace) -> Any:
    from .rendezvous import Request

    host, port = args.address
    asked = (args.transport, args.size, args.count, args.warmup, args.timeout, args.cpu, args.tos)
    return Request(host, port, *asked, wait_s=args.wait)


def _run(request: Any, args: argparse.Namespace) -> int:
    from . import rendezvous, results

    if args.json is not None and not Path(args.json).absolute().parent.is_dir():
        raise TickwireError(f"{args.json}: its directory does not exist")
    result = results.build(request, rendezvous.exchange(request))
    if args.json is not None:
        _write(args.json, json.dumps(result, indent=1) + "\n")
    print(results.text(result))
    for warning in results.warnings(result):
        print(f"tickwire: warning: {warning}", file=sys.stderr)
    return 0


def _pingpong(args: argparse.Namespace) -> int:
    return _run(_request(args), args)


def _burst(args: argparse.Namespace) -> int:
    request = _request(args)
    if (args.burst is None) != (args.every_ms is None):
        raise TickwireError("--burst and --every-ms belong together: so many messages every so many milliseconds")
    if args.burst is None:
        if not args.rate:
            raise TickwireError("give --rate above 0, or --burst and --every-ms")
        request.burst, request.every_ns = 1, max(1, round(1e9 / args.rate))
    else:
        request.burst, request.every_ns = args.burst, round(args.every_ms * 1e6)
        request.gap_ns = 1e9 / args.rate if args.rate and args.burst > 1 else 0.0
        if (args.burst - 1) * request.gap_ns > request.every_ns:
            raise TickwireError(
                f"{args.burst} messages at {args.rate:g} a second take longer than --every-ms {args.every_ms:g}"
            )
    return _run(request, args)


def _compare(args: argparse.Namespace) -> int:
    from . import compare, page, results

    taken = [(path, results.load(path)) for path in args.files]
    comparison = compare.compare(taken, dict(args.without))
    if args.json is not None:
        _write(args.json, json.dumps(comparison, indent=1) + "\n")
    if args.html is not None:
        _write(args.html, page.render(comparison))
    print(compare.table(comparison))
    return 0


def _registration(args: argparse.Namespace) -> int:
    from . import registration

    sizes = [size for size in registration.SIZES if size <= args.most]
    result = registration.measure(args.address, sizes, args.rounds, args.cpu)
    if args.json is not None:
        _write(args.json, json.dumps(result, indent=1) + "\n")
    print(registration.text(result))
    return 0


def _client(sub: argparse.ArgumentParser, count: int, timeout: str) -> None:
    sub.add_argument("address", type=host_port, metavar="HOST:PORT", help="where `tickwire bench serve` listens")
    sub.add_argument("--transport", required=True, choices=TRANSPORTS)
    sub.add_argument("--size", type=_between(8, 32768), default=64, metavar="BYTES", help="default %(default)s")
    sub.add_argument("--count", type=positive, default=count, metavar="N", help="samples; default %(default)s")
    sub.add_argument(
        "--warmup", type=_between(0, 10_000_000), default=count // 10, metavar="N", help="default %(default)s"
    )
    sub.add_argument("--timeout", type=seconds(0.001, 60), default=1.0, metavar="S", help=f"{timeout}; default 1")
    sub.add_argument("--cpu", type=whole, metavar="N", help="stay on this CPU")
    sub.add_argument("--tos", type=_between(0, 255), default=0, help="IPv4 type of service byte; default 0")
    sub.add_argument(
        "--wait", type=seconds(0, 600), default=0.0, metavar="S", help="for the server to listen; default 0"
    )
    sub.add_argument("--json", metavar="FILE", help="write the result, with every sample")


def add_parsers(kinds: Any) -> None:
    """The subcommands, under `tickwire bench`."""

    def command(name: str, action: Any, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = kinds.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        return sub

    sub = command("serve", _serve, "Send back the messages of `pingpong` and `burst`, one client after the other.")
    sub.add_argument("address", type=host_port, metavar="ADDRESS:PORT", help="to listen at: UDP and TCP")
    sub.add_argument("--cpu", type=whole, metavar="N", help="stay on this CPU")
    sub.add_argument("--idle", type=seconds(0.1, 86400), metavar="S", help="end after S seconds without a client")
    sub.add_argument("--verbose", action="store_true", help="log more")

    sub = command(
        "pingpong", _pingpong, "Half round trip of one message at a time: closed loop, nothing else under way."
    )
    _client(sub, 10_000, "for an echo")

    sub = command("burst", _burst, "Round trip in bursts or at a steady rate: open loop, charged from the due time.")
    _client(sub, 10_000, "without any echo, after the last message, until the rest counts as lost")
    sub.add_argument(
        "--rate", type=rate, default=0.0, metavar="R", help="messages a second, within a burst if there is one"
    )
    sub.add_argument("--burst", type=positive, metavar="N", help="messages of a burst; without --rate all due at once")
    sub.add_argument("--every-ms", type=_milliseconds, metavar="M", help="a burst begins every M milliseconds")

    sub = command("registration", _registration, "Cost of registering memory with an RDMA device, from 4 KiB on.")
    sub.add_argument("address", metavar="ADDRESS", help="IPv4 address of the device's interface")
    sub.add_argument("--most", type=_between(4096, 1 << 30), default=1 << 30, metavar="BYTES", help="default 1 GiB")
    sub.add_argument("--rounds", type=_between(1, 100_000), default=20, metavar="N", help="default %(default)s")
    sub.add_argument("--cpu", type=whole, metavar="N", help="stay on this CPU")
    sub.add_argument("--json", metavar="FILE", help="write the result")

    sub = command("compare", _compare, "Put results of `pingpong` and `burst` between the same two hosts side by side.")
    sub.add_argument("files", nargs="+", metavar="FILE", help="written by --json")
    sub.add_argument(
        "--without",
        action="append",
        default=[],
        type=_reason,
        metavar="TRANSPORT=REASON",
        help="a transport that could not be measured, named in the comparison; as often as needed",
    )
    sub.add_argument("--json", metavar="FILE", help="write the comparison")
    sub.add_argument("--html", metavar="FILE", help="write a page with the distributions drawn together")
