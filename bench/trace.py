"""Section trace: `tickwire rdma trace` over a large capture, and tshark with the same fields over a smaller one.

The captures are made by runtime/bench/roce.c in a temporary directory and are gone afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.contest import BenchError, Contender, Metrics
from bench.results import Section

CUT = 50  # tshark's capture is this much smaller: it takes about as long, and keeps a state for every packet
FIELDS = (
    *("frame.time_epoch", "ip.src", "ip.dst", "ip.dsfield.ecn", "infiniband.bth.opcode", "infiniband.bth.destqp"),
    *("infiniband.bth.psn", "infiniband.aeth.syndrome", "infiniband.reth.dmalen", "macc.opcode"),
)


def timed(command: Sequence[str], cpu: int, megabytes: float, log: Path) -> Metrics:
    """Runs a command on one CPU: MB/s by the clock on the wall and by the time it had the CPU, and its peak memory."""
    started = time.monotonic()
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                list(command),
                stdout=subprocess.DEVNULL,
                stderr=stream,
                preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
            )
        except OSError as error:
            raise BenchError(f"{command[0]}: {error.strerror}; is it installed?") from None
        status, usage = os.wait4(process.pid, 0)[1:]
    wall_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise BenchError(f"{command[0]}: exit code {process.returncode}, it said: {said[0]}")
    return {
        "mb_per_s": megabytes / wall_s,
        "cpu_mb_per_s": megabytes / (usage.ru_utime + usage.ru_stime),
        "peak_mb": usage.ru_maxrss / 1000,
    }


def make(program: Path, path: Path, megabytes: int, pairs: int) -> Path:
    """A capture of so many MB (10^6 bytes) between so many pairs of queue pairs."""
    arguments = [str(program), f"megabytes={megabytes}", f"pairs={pairs}", "seed=42"]
    with path.open("wb") as stream:
        done = subprocess.run(arguments, stdout=stream, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(arguments)}: {done.stderr.decode()[-300:]}")
    return path


@contextmanager
def contest_of(program: Path, megabytes: int, pairs: int, cpu: int) -> Iterator[tuple[Section, list[Contender]]]:
    """The section and its contenders, while the captures are there."""
    section = Section(
        "trace",
        "RoCEv2 captures: every queue pair's sequence, round trips and faults",
        ("mb_per_s", "cpu_mb_per_s", "peak_mb"),
        bar="at least 200 MB/s on one core",
        note=f"tshark prints {len(FIELDS)} fields of a packet and follows no queue pair, so it does less; its capture"
        f" is {CUT} times smaller. Start and end of the programs are in the figures; cpu_mb_per_s leaves out the time"
        " others had the core.",
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        smaller = max(megabytes // CUT, 1)
        whole = make(program, directory / "whole.pcap", megabytes, pairs)
        cut = make(program, directory / "cut.pcap", smaller, pairs)
        ours = [sys.executable, "-m", "tickwire", "rdma", "trace", str(whole), "--json", str(directory / "out.json")]
        peer = ["tshark", "-n", "-r", str(cut), "-T", "fields", *(word for field in FIELDS for word in ("-e", field))]
        yield (
            section,
            [
                Contender("tickwire", measure=lambda: timed(ours, cpu, megabytes, directory / "ours.log")),
                Contender(
                    "tshark, fields of each packet",
                    measure=lambda: timed(peer, cpu, smaller, directory / "peer.log"),
                    licence="GPL-2.0-or-later",
                ),
            ],
        )
