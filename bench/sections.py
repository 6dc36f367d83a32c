"""What is compared: one function a section, each giving its contenders, ours first."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import clos, peers, rdma, veth
from bench.contest import BenchError, Contender, Metrics
from bench.results import Section
from tickwire import itchfile

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAMS = CHECKOUT / "runtime" / "bench"
BUILD = CHECKOUT / "runtime" / "build" / "bench"
TWIN = CHECKOUT / "runtime" / "tickwire" / "examples" / "strategies" / "imbalance.py"
LAB_FILE = CHECKOUT / "tests" / "fixtures" / "itch" / "syn100k.itch.gz"
TRIGGERS = 200_000  # orders
WARM_MESSAGES = 2500  # of the market an order, those before the first included
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
    hosts: int = 32
    megabytes: int = 1000  # of the trace section's capture
    pairs: int = 64
    where: rdma.Where = rdma.Where()


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
        Contender(
            f"tickwire, {count} messages a packet",
            [str(BUILD / "book"), str(file), f"per_packet={count}", f"max_orders={2 * plan.live}"],
        )
        for count in (32, 8, 1)
    ]
    ours.append(
        Contender(
            "tickwire, 32 messages a packet, no callbacks",
            [*ours[0].command, "callback=0"],
            note="for peers that call nobody back",
        )
    )
    return section, [*ours, *peers.contenders(plan.peers, key, file, messages)]


def book(plan: Plan) -> tuple[Section, list[Contender]]:
    return _books(plan, "book", "Decode and full-depth books with a callback at every change of a top", deep=False)


def deep(plan: Plan) -> tuple[Section, list[Contender]]:
    return _books(plan, "deep", "The same on a deep day (over 2,000 levels on a side)", deep=True)


def _trigger_file() -> Path:
    """The feed of the veth section, longer: every Add Order makes an order, one instrument."""
    path = BUILD / f"trigger-{TRIGGERS}.itch"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        itchfile.write(unfinished, veth.trigger_messages(TRIGGERS))
        unfinished.rename(path)
    return path


def path(plan: Plan) -> tuple[Section, list[Contender]]:
    file = _trigger_file()
    section = Section(
        "path",
        "From packet in memory to OUCH order in memory, two clock reads included",
        ("median_ns", "p99_ns"),
        bar="median at most 60 ns, p99 at most 100 ns, on a warm book",
        note="Ours: sequence check, full book, the imbalance strategy, all risk checks, ledger and journal, a real OUCH"
        " 5.0 order; packets that made an order count. hsdxpro's probe has a toy order, no risk checks and no journal,"
        " and reads another clock.",
    )
    program = str(BUILD / "packet_to_order")
    journal = BUILD / "path.journal"
    journalled = f"journal={journal}"
    ours = Contender(
        "tickwire, one instrument",
        [program, str(file), "max_orders=16384", "max_instruments=128", journalled],
        fresh=journal,
    )
    market_file, messages = market(plan, deep=False)
    return section, [
        ours,
        Contender(
            "tickwire, whole market",
            [program, str(market_file), f"max_orders={2 * plan.live}", journalled],
            fresh=journal,
            note=f"{plan.instruments} instruments and {plan.live} live orders, one message a packet: what an"
            " order needs is not in the cache when its packet comes",
        ),
        *peers.contenders(plan.peers, "path", file, messages),
    ]


def _strategy_figures(output: str) -> Metrics:
    found = json.loads(output)
    return {
        "ns_per_call": found["ns_per_call"],
        "c_ns_per_call": found["imbalance_ns_per_call"],
        "numba_more_ns": found["ns_per_call"] - found["imbalance_ns_per_call"],
    }


def strategy(plan: Plan) -> tuple[Section, list[Contender]]:
    del plan
    section = Section(
        "strategy",
        "A strategy in Python (numba) against the same in C",
        ("ns_per_call", "c_ns_per_call", "numba_more_ns"),
        bar="at most 20 ns more than the same strategy in C",
        note="`tickwire strategy check` over the lab's market data; loop and clock are taken off.",
    )
    command = [sys.executable, "-m", "tickwire", "strategy", "check", str(TWIN), "--itch", str(LAB_FILE), "--json"]
    return section, [Contender("tickwire, imbalance.py", command, read=_strategy_figures)]


def warm(plan: Plan) -> tuple[Section, list[Contender]]:
    file, _ = market(plan, deep=False)
    section = Section(
        "warm",
        "A rare order in a whole market, its way to the wire kept warm or not",
        ("warm_median_ns", "nothing_median_ns", "cold_median_ns", "order_median_ns", "warm_p90_ns", "cold_p90_ns"),
        note="TCP on loopback, from the packet to the kernel's transmit stamp. cold: not warmed. nothing: a send of"
        " nothing on the order connection. warm: what engine.warm_send does, which is that and an order to the engine's"
        " own twin connection. order: an order just before, the most there is to gain. The four take turns in one run,"
        f" 2,000 market messages apart, warmed 100 messages before; {plan.instruments} instruments.",
    )
    orders = min(4000, plan.messages // WARM_MESSAGES)
    return section, [Contender("tickwire", [str(BUILD / "warm"), str(file), f"orders={orders}"])]


def start(plan: Plan) -> tuple[Section, list[Contender]]:
    del plan
    section = Section(
        "start",
        "Start with 12,000 instruments and 10 million order slots",
        ("start_ms",),
        bar="under 2,000 ms, all memory faulted in",
        note="On all CPUs, as the engine starts: each takes a part of the memory. On a virtual machine the first start"
        " takes longer than the others, because its host has to find the memory.",
    )
    command = [str(BUILD / "packet_to_order"), str(_trigger_file()), "max_orders=10000000", "max_instruments=12000"]
    return section, [Contender("tickwire", command, pinned=False)]


def clos_command(who: str, size: clos.Size) -> list[str]:
    """The command that times one way to plan a Clos."""
    return [sys.executable, "-m", "bench.fabric_plan", who, *size.arguments]


def whole_plan(plan: Plan) -> tuple[Section, list[Contender]]:
    del plan
    section = Section(
        "plan",
        f"The whole plan of a Clos of three tiers: {clos.FULL.text}",
        ("whole_s", "peak_mb"),
        bar="under 60 s and 4,096 MB",
        note="One process: the plain intent becomes typed objects (parse), every check runs, PFC deadlock after each"
        " single failure included (plan), and tables, JSON and picture become text (write).",
    )
    return section, [Contender("tickwire", clos_command("plan", clos.FULL))]


def deadlock(plan: Plan) -> tuple[Section, list[Contender]]:
    del plan
    section = Section(
        "deadlock",
        f"PFC deadlock of a Clos that can be enumerated: {clos.SMALL.text}",
        ("deadlock_ms",),
        note="Cycles of buffer dependencies over all valley-free paths, with every link up and after each single"
        " failure. The parsing of the intent is not in it.",
    )
    return section, [
        Contender(
            "tickwire", clos_command("deadlock", clos.SMALL), note="with detours, and failures of the hosts' links too"
        ),
        Contender(
            "every path written down, networkx strongly_connected_components",
            clos_command("networkx", clos.SMALL),
            licence="BSD-3-Clause",
            note="the published way; from leaf to leaf, without detours and without the hosts' links, so it does less",
        ),
    ]


def network(plan: Plan, rig: veth.Rig) -> tuple[Section, list[Contender]]:
    section = Section(
        "veth",
        "Tick-to-trade over kernel sockets on a veth pair",
        ("median_ns", "p10_ns", "p99_ns"),
        bar="at most 1.10 times the floor",
        note="Software stamps of the kernel, transmit minus receive. The floor (runtime/bench/floor.c) receives a"
        " datagram and sends a fixed payload with the same socket options."
        f" {plan.orders} orders a round, {plan.rate / 2:g} a second: so close that they keep their way warm;"
        " what engine.warm_send is worth shows in section warm. Where others want the core too, the median is of the"
        " scheduler, and the tenth percentile of the programs.",
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
    "strategy": strategy,
    "warm": warm,
    "start": start,
    "plan": whole_plan,
    "deadlock": deadlock,
}
ORDER = [*IN_MEMORY, "trace", "veth", "xdp", "half", "host", *rdma.SECTIONS]
