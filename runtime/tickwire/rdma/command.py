# SPDX-License-Identifier: Apache-2.0
"""`tickwire rdma trace`: its options and its output."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ..arguments import positive
from ..errors import TickwireError


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TickwireError(f"{path}: {error.strerror}") from None


def show(args: argparse.Namespace) -> int:
    """Print the table, write what was asked for. Exit code 1 when the capture is damaged."""
    from . import page, text, trace

    started = time.monotonic()
    report = trace.read(args.file, args.flows, args.outstanding, args.icrc)
    took_s = time.monotonic() - started
    print(text.table(report))
    offset = report["capture"]["offset"]
    print(f"read {offset / 1e6:,.1f} MB in {took_s:.2f} s, {offset / 1e6 / max(took_s, 1e-9):,.0f} MB/s")
    if args.json:
        _write(args.json, json.dumps(report) + "\n")
    if args.html:
        _write(args.html, page.page(report))
    for warning in report["warnings"]:
        print(f"tickwire: warning: {args.file}: {warning}", file=sys.stderr)
    return 1 if report["capture"]["ends"] == "damaged" else 0


def _power_of_two(text: str) -> int:
    value = positive(text)
    if value & (value - 1) or value > 1 << 20:
        raise argparse.ArgumentTypeError(f"{value} is not a power of two up to {1 << 20}")
    return value


def add_parser(commands: Any) -> None:
    """Add `rdma` to the subparsers of the command line."""
    rdma = commands.add_parser("rdma", help="RDMA diagnostics.", description="RDMA diagnostics.")
    kinds = rdma.add_subparsers(dest="kind", required=True, metavar="KIND")
    text = (
        "What a capture of RoCEv2 traffic says about each queue pair: round trips, retransmissions, NAKs, CNPs, pauses."
    )
    sub = kinds.add_parser("trace", help=text, description=text)
    sub.set_defaults(action=show)
    sub.add_argument("file", metavar="FILE", help="pcap or pcapng, .gz by suffix; -: standard input")
    sub.add_argument("--json", metavar="OUT", help="write all of it, see docs/rdma-trace.md")
    sub.add_argument("--html", metavar="OUT", help="write a page with a drawing of each queue pair over time")
    sub.add_argument("--icrc", action="store_true", help="check the invariant CRC of packets captured whole")
    sub.add_argument(
        "--flows", type=positive, default=4096, metavar="N", help="directions of queue pairs; default %(default)s"
    )
    sub.add_argument(
        "--outstanding",
        type=_power_of_two,
        default=4096,
        metavar="N",
        help="packets of one that wait for an answer, a power of two; default %(default)s",
    )
