"""`make bench`, or `python -m bench`: measures the sections asked for and writes bench/results."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bench import contest, host, peers, rdma, results, sections, trace, veth, xdp
from bench.contest import BenchError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cpus = sorted(os.sched_getaffinity(0))
    top = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    named = f"of {', '.join(sections.ORDER)}; default: all but {', '.join(rdma.SECTIONS)}, which need two more hosts"
    top.add_argument("sections", nargs="*", metavar="SECTION", help=named)
    top.add_argument("--rounds", type=int, default=7, help="default %(default)s")
    top.add_argument("--messages", type=int, default=10_000_000, help="of the market data file, default %(default)s")
    top.add_argument("--instruments", type=int, default=8371, help="default %(default)s")
    top.add_argument("--live", type=int, default=400_000, help="live orders, default %(default)s")
    top.add_argument("--orders", type=int, default=4000, help="per round over veth, default %(default)s")
    top.add_argument("--rate", type=float, default=2000.0, help="messages a second over veth, default %(default)s")
    top.add_argument("--hosts", type=int, default=32, help="containers of section host, default %(default)s")
    top.add_argument("--megabytes", type=int, default=1000, help="of section trace's capture, default %(default)s")
    top.add_argument("--pairs", type=int, default=64, help="of queue pairs in it, default %(default)s")
    top.add_argument("--cpu", type=int, default=cpus[-1], help="core to measure on, default %(default)s")
    top.add_argument("--exchange-cpu", type=int, default=cpus[0], help="core of the exchange, default %(default)s")
    top.add_argument("--server", default="exch1", metavar="HOST", help="of rdma_*, by ssh, default %(default)s")
    top.add_argument("--client", default="trade1", metavar="HOST", help="of rdma_*, by ssh, default %(default)s")
    top.add_argument("--server-cpu", type=int, default=-1, metavar="N", help="to stay on there, default: the last one")
    top.add_argument("--client-cpu", type=int, default=-1, metavar="N", help="to stay on there, default: the last one")
    top.add_argument("--ssh-config", type=Path, default=rdma.LAB_SSH, metavar="FILE", help="default: that of the lab")
    top.add_argument("--network", default="", metavar="CIDR", help="to measure, default: of the first RDMA device")
    top.add_argument("--tickwire", default=rdma.TICKWIRE, metavar="FILE", help="on both hosts, default %(default)s")
    top.add_argument("--peers", metavar="FILE", help="TOML file with peers' commands, see bench/peers.py")
    return top


def measure(name: str, plan: sections.Plan, rounds: int) -> None:
    """One section, into its JSON file."""
    print(f"==> {name}", flush=True)
    started = time.monotonic()
    machine = None
    if name == "veth":
        with veth.rig(sections.BUILD / "floor", (2 * plan.orders + 4, plan.rate), plan.cpus) as rig:
            section, contenders = sections.network(plan, rig)
            outcomes = contest.run(contenders, rounds, plan.cpus[1])
            facts: dict[str, object] = {"orders a round": plan.orders, "messages a second": plan.rate}
    elif name in ("xdp", "half"):
        with xdp.rig(sections.BUILD, plan.orders, plan.cpus) as wire:
            section, contenders = xdp.trade(wire, plan.orders) if name == "xdp" else xdp.half(wire)
            outcomes = contest.run(contenders, rounds, plan.cpus[1])
            facts = {"orders a round": plan.orders} if name == "xdp" else {"round trips a round": xdp.ROUND_TRIPS}
    elif name == "host":
        with host.rig(plan.hosts) as rig_of_hosts:
            section, contenders = host.contest_of(rig_of_hosts, plan.hosts, plan.peers)
            outcomes = contest.run(contenders, rounds, plan.cpus[1])
            facts = {"hosts": plan.hosts, "forks": host.FORKS}
    elif name in rdma.SECTIONS:
        with rdma.rig(plan.where, rdma.SECTIONS[name]) as between:
            section, contenders = rdma.contest_of(between)
            outcomes = contest.run(contenders, rounds, plan.cpus[1])
            facts, machine = between.facts(), between.here["machine"]
    elif name == "trace":
        program = sections.BUILD / "roce"
        with trace.contest_of(program, plan.megabytes, plan.pairs, plan.cpus[1]) as (section, contenders):
            outcomes = contest.run(contenders, rounds, plan.cpus[1])
        facts = {"MB": plan.megabytes, "pairs of queue pairs": plan.pairs}
    else:
        section, contenders = sections.IN_MEMORY[name](plan)
        outcomes = contest.run(contenders, rounds, plan.cpus[1])
        facts = sections.facts(plan) if name in ("decode", "book", "deep", "warm") else {}
    results.write(section, outcomes, facts, machine)
    if outcomes[0].error:
        raise BenchError(f"{name}: {outcomes[0].error}")
    print(f"==> {name}: {rounds} rounds in {time.monotonic() - started:.0f} s", flush=True)


def main() -> int:
    args = parser().parse_args()
    unknown = [name for name in args.sections if name not in sections.ORDER]
    if unknown or args.rounds < 1:
        print(
            f"bench: no section {unknown[0]!r}; there are {', '.join(sections.ORDER)}"
            if unknown
            else "bench: --rounds must be 1 or more",
            file=sys.stderr,
        )
        return 2
    try:
        plan = sections.Plan(
            messages=args.messages,
            instruments=args.instruments,
            live=args.live,
            orders=args.orders,
            rate=args.rate,
            hosts=args.hosts,
            megabytes=args.megabytes,
            pairs=args.pairs,
            cpus=(args.exchange_cpu, args.cpu),
            peers=peers.load(args.peers) if args.peers else [],
            where=rdma.Where(
                server=args.server,
                client=args.client,
                cpus=(args.server_cpu, args.client_cpu),
                ssh_config=args.ssh_config,
                network=args.network,
                tickwire=args.tickwire,
            ),
        )
        names = args.sections or [name for name in sections.ORDER if name not in rdma.SECTIONS]
        if not set(names) <= {"host", *rdma.SECTIONS}:
            sections.build()
        for name in names:
            measure(name, plan, args.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        text = results.write_table(sections.ORDER) if results.RESULTS.exists() else ""
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
