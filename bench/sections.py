"""What is compared: one function a section, each giving its contenders, ours first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import peers, veth
from bench.contest import BenchError, Contender
from bench.results import Section

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAMS = CHECKOUT / "runtime" / "bench"
BUILD = CHECKOUT / "runtime" / "build" / "bench"
PYPI_MESSAGES = 100_000  # what a Python parser does in about a second


@dataclass(frozen=True)
class Plan:
    """Sizes of one run, and the peers."""

    messages: int
    instruments: int
    live: int
    orders: int  # per round of the veth section
    rate: float
    cpus: tuple[int, int]  # of the exchange, of what is measured
    peers: list[dict]


def build() -> None:
    """The C programs of runtime/bench, with the flags of the extension."""
    done = subprocess.run(["make", "--no-print-directory", "-C", str(PROGRAMS), f"BUILD={BUILD}"], check=False)
    if done.returncode != 0:
        raise BenchError("runtime/bench does not build, see above; it needs gcc and make")


def market(plan: Plan, deep: bool) -> tuple[Path, int]:
    """The ITCH file of a section, made once by mix.c, and its number of messages."""
    name = f"mix-{plan.messages}-{plan.instruments}-{plan.live}{'-deep' if deep else ''}.itch"
    path = BUILD / name
    if not path.exists():
        unfinished = path.with_suffix(".part")
        sizes = {
            "messages": plan.messages,
            "seed": 42,
            "instruments": plan.instruments,
            "live": plan.live,
            "deep": int(deep),
        }
        arguments = [f"{key}={value}" for key, value in sizes.items()]
        with unfinished.open("wb") as stream:
            done = subprocess.run([str(BUILD / "mix"), *arguments], stdout=stream, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(f"mix {' '.join(arguments)}: {done.stderr.decode()[-300:]}")
        unfinished.rename(path)
    return path, plan.messages


def facts(plan: Plan) -> dict[str, object]:
    return {"messages": plan.messages, "instruments": plan.instruments, "live orders": plan.live}


def _pypi(name: str, licence: str, file: Path) -> Contender:
    return Contender(
        name=f"{name} (Python)",
        command=[sys.executable, "-m", "bench.pypi", name, str(file), str(PYPI_MESSAGES)],
        licence=licence,
        note=f"the first {PYPI_MESSAGES:,} messages",
    )


def decode(plan: Plan) -> tuple[Section, list[Contender]]:
    file, messages = market(plan, deep=False)
    section = Section(
        "decode",
        "Decode every field of every message, in memory",
        ("ns_per_message",),
        bar="below the fastest open parser in the table",
    )
    ours = Contender("tickwire", [str(BUILD / "decode"), str(file)])
    return section, [
        ours,
        *peers.contenders(plan.peers, "decode", file, messages),
        _pypi("itchfeed", "MIT", file),
        _pypi("meatpy", "BSD-3-Clause", file),
    ]


def _books(plan: Plan, key: str, title: str, deep: bool) -> tuple[Section, list[Contender]]:
    file, messages = market(plan, deep)
    section = Section(
        key,
        title,
        ("ns_per_message",),
        bar="at most half the time of the fastest open full-book engine",
        note="A packet of 1 message leaves nothing to look ahead to; the peers read one buffer and may look ahead.",
    )
    ours = [
        Contender(f"tickwire, {count} messages a packet", [str(BUILD / "book"), str(file), f"packet={count}"])
        for count in (32, 8, 1)
    ]
    return section, [*ours, *peers.contenders(plan.peers, key, file, messages)]


def book(plan: Plan) -> tuple[Section, list[Contender]]:
    return _books(plan, "book", "Decode and full-depth books with a callback at every change of a top", deep=False)


def deep(plan: Plan) -> tuple[Section, list[Contender]]:
    return _books(plan, "deep", "The same on a deep day (over 2,000 levels on a side)", deep=True)


def path(plan: Plan) -> tuple[Section, list[Contender]]:
    file, messages = market(plan, deep=False)
    section = Section(
        "path",
        "From packet in memory to OUCH order in memory, two clock reads included",
        ("median_ns", "p99_ns"),
        bar="median at most 60 ns, p99 at most 100 ns; a numba strategy at most 20 ns more than the same in C",
        note="Ours: full books, the imbalance strategy, all risk checks, the journal, a real OUCH 5.0 order."
        " Packets that made an order count. hsdxpro's probe has a toy order and no risk checks.",
    )
    program = str(BUILD / "packet_to_order")
    return section, [
        Contender("tickwire, strategy in C", [program, str(file)]),
        Contender(
            "tickwire, strategy in numba",
            [sys.executable, "-m", "bench.numba_path", str(file)],
            note="the twin of the C strategy in Python, compiled by numba.cfunc",
        ),
        *peers.contenders(plan.peers, "path", file, messages),
    ]


def start(plan: Plan) -> tuple[Section, list[Contender]]:
    del plan
    section = Section(
        "start",
        "Start with 12,000 instruments and 10 million order slots",
        ("start_ms",),
        bar="under 2 s, memory faulted in",
    )
    return section, [Contender("tickwire", [str(BUILD / "start")])]


def network(plan: Plan, rig: veth.Rig) -> tuple[Section, list[Contender]]:
    section = Section(
        "veth",
        "Tick-to-trade over kernel sockets on a veth pair",
        ("median_ns", "p99_ns", "min_ns"),
        bar="at most 1.10 times the floor",
        note="Software stamps of the kernel, transmit minus receive. The floor (runtime/bench/floor.c) receives a"
        " datagram and sends a fixed payload with the same socket options."
        f" {plan.orders} orders a round, {plan.rate / 2:g} a second.",
    )
    return section, [
        Contender("tickwire, send path kept warm", measure=lambda: rig.engine(warm_send=True)),
        Contender("floor", measure=rig.run_floor),
        Contender("tickwire, not kept warm", measure=lambda: rig.engine(warm_send=False)),
    ]


IN_MEMORY: dict[str, Callable[[Plan], tuple[Section, list[Contender]]]] = {
    "decode": decode,
    "book": book,
    "deep": deep,
    "path": path,
    "start": start,
}
ORDER = [*IN_MEMORY, "veth"]
