"""Our ping-pong over RDMA beside perftest's ib_send_lat, between two hosts: sections rdma_rc and rdma_ud.

ib_send_lat takes its times from the CPU's cycle counter, which an emulated CPU does not have to keep in step with time.
So both are timed alike and from outside: a whole process of few messages and one of many on the client's
CLOCK_MONOTONIC, and half of what the many take longer, a message. Starting, meeting and leaving is in both and falls
out. The hosts are asked over ssh, bench/far.py runs on them; both programs are on the same CPU of each host, and
poll.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.intended import path_mtu
from bench.contest import BenchError, Contender, Metrics
from bench.results import Section
from tickwire.bench.results import NAMES, WARNING

CHECKOUT = Path(__file__).resolve().parents[1]
LAB_SSH = CHECKOUT / ".lab" / "ssh_config"
SECTIONS = {"rdma_rc": "rc", "rdma_ud": "ud"}
SIZES = (16, 64, 256, 1024, 4096)  # bytes; a datagram has to fit into the path MTU
INLINE = 256  # bytes of a message up to which ours goes into the work request, so theirs is told to
FEW = 200  # messages
# How much longer the run of many messages is to take than that of few: starting differs from run to run, and by more
# where it takes long, which is on a busy or emulated machine.
LONGER_S = 2.0
STARTS = 5
MOST = 1_000_000  # messages
LIMIT_S = 300
OUR_PORT, THEIR_PORT = 18700, 18515
TICKWIRE = "/opt/tickwire/current/bin/tickwire"
PERFTEST = "ib_send_lat"
# `tickwire bench pingpong` without the making of its report, which would take longer for more messages.
PINGPONG = """
import array, json, sys
from tickwire.bench import rendezvous, results
host, port, transport, size, count = sys.argv[1:]
ran = rendezvous.exchange(rendezvous.Request(host, int(port), transport, int(size), int(count), 0, 1.0))
lost = array.array("Q", ran["samples"]).count(results.LOST)
print(json.dumps({**ran["outcome"], "lost": lost, "software": results.is_software(ran["hosts"])}))
"""


@dataclass(frozen=True)
class Where:
    """The two hosts by their names for ssh, the CPU on each (-1: the last a login may have), and how they are reached.

    `network` is the IPv4 network that is measured, "" for the first RDMA device there is.
    """

    server: str = "exch1"
    client: str = "trade1"
    cpus: tuple[int, int] = (-1, -1)
    ssh_config: Path = LAB_SSH
    network: str = ""
    tickwire: str = TICKWIRE


class Far:
    """bench/far.py on a host."""

    def __init__(self, host: str, command: Sequence[str]) -> None:
        self.host = host
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question: Any) -> dict[str, Any]:
        """Its answer; BenchError when it has none."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what has ended may have said why
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise BenchError(f"{self.host}: ssh has ended, see above; next: does `ssh {self.host} python3 -V` work?")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise BenchError(f"{self.host}: {found['error']}")
        return found

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Rig:
    """Both hosts, and one transport between them."""

    def __init__(self, server: Far, client: Far, where: Where, transport: str) -> None:
        self.server, self.client, self.transport = server, client, transport
        self.python = str(Path(where.tickwire).with_name("python"))
        self.here, self.there = (far.ask(facts=where.network) for far in (client, server))
        server.ask(start=[where.tickwire, "bench", "serve", f"{self.address}:{OUR_PORT}"], port=OUR_PORT)
        self.software = False
        most = path_mtu(min(self.here["mtu"], self.there["mtu"])) if transport == "ud" else max(SIZES)
        self.many = {size: self._many(size) for size in SIZES if size <= most}

    @property
    def address(self) -> str:
        """The server's, on the network that is measured."""
        return str(self.there["address"])

    def _many(self, size: int) -> int:
        """How many messages of this size take longer than FEW by LONGER_S, and by STARTS times what the rest takes."""
        ns, found = self._our_run(size, FEW)
        self.software = bool(found["software"])
        longer_ns = max(LONGER_S * 1e9, STARTS * (ns - found["elapsed_ns"]))
        return FEW + min(MOST, max(FEW, round(longer_ns / found["elapsed_ns"] * FEW)))

    def _our_run(self, size: int, count: int) -> tuple[int, dict[str, Any]]:
        """Nanoseconds of the whole client, and what it found itself. BenchError when a message was lost."""
        command = [self.python, "-c", PINGPONG, self.address, str(OUR_PORT), self.transport, str(size), str(count)]
        answer = self.client.ask(time=command, limit_s=LIMIT_S)
        found = json.loads(answer["output"].strip().splitlines()[-1])
        if found["lost"]:
            raise BenchError(f"{found['lost']} of {count} messages were lost, which perftest would wait for for ever")
        return answer["ns"], found

    def _their_run(self, size: int, count: int) -> int:
        """Nanoseconds of the whole client of ib_send_lat."""

        def command(place: dict[str, Any]) -> list[str]:
            way = ["-d", place["device"], "-i", str(place["port"]), "-x", str(place["gid_index"])]
            shape = ["-c", self.transport.upper(), "-s", str(size), "-n", str(count), "-I", str(INLINE)]
            return [PERFTEST, "-F", *way, *shape, "-p", str(THEIR_PORT)]

        self.server.ask(start=command(self.there), port=THEIR_PORT)
        answer = self.client.ask(time=[*command(self.here), self.address], limit_s=LIMIT_S)
        self.server.ask(finish=THEIR_PORT, limit_s=LIMIT_S)
        return int(answer["ns"])

    def ours(self) -> Metrics:
        """Microseconds of half a round trip by size; `own_*` by the samples of the client itself."""
        figures = {}
        for size, many in self.many.items():
            few_ns, few = self._our_run(size, FEW)
            many_ns, found = self._our_run(size, many)
            figures[metric(size)] = half_us(many_ns - few_ns, many - FEW)
            figures[f"own_{metric(size)}"] = half_us(found["elapsed_ns"] - few["elapsed_ns"], many - FEW)
        return figures

    def theirs(self) -> Metrics:
        """The same of perftest."""
        return {
            metric(size): half_us(self._their_run(size, many) - self._their_run(size, FEW), many - FEW)
            for size, many in self.many.items()
        }

    def version(self) -> str:
        """Of perftest on the client; asked for it, it ends with 1."""
        asked = f"{PERFTEST} --version || test $? = 1"
        said = str(self.client.ask(time=["sh", "-c", asked], limit_s=LIMIT_S)["output"])
        return said.rpartition(":")[2].strip()

    def facts(self) -> dict[str, Any]:
        """What a reader has to know beside the machine, which is the client's."""
        return {
            "messages at most": max(self.many.values()),
            "device": self.here["device"],
            "CPU of the server": self.there["pinned"][0],
            "CPU of the client": self.here["pinned"][0],
        }


def metric(size: int) -> str:
    """Name of the figure of a size."""
    return f"{size}_B_us"


def half_us(longer_ns: float, messages: int) -> float:
    """Microseconds of half a round trip, out of how much longer a run with so many more messages took."""
    return longer_ns / messages / 2 / 1000


def contest_of(rig: Rig) -> tuple[Section, list[Contender]]:
    """Ours and perftest's."""
    name = NAMES[rig.transport]
    section = Section(
        f"rdma_{rig.transport}",
        f"Half a round trip over {name} between two hosts, and perftest's" + (f". {WARNING}" if rig.software else ""),
        tuple(metric(size) for size in rig.many),
        bar="at most 1.05 times ib_send_lat",
        note="Means by the client's CLOCK_MONOTONIC around the whole process: half of what many messages take longer"
        f" than {FEW}, a message; starting and meeting fall out. Both poll, on the same CPU of each host. ib_send_lat"
        " runs with its own settings but for size, count, device and GID, and inline up to"
        f" {INLINE} B as ours; it looks at nothing of a message, ours at its number; it sorts its times at the end,"
        " which is in its figure.",
    )
    return section, [
        Contender("tickwire bench pingpong", measure=rig.ours),
        Contender(f"perftest {PERFTEST}", measure=rig.theirs, licence="GPL-2.0 or BSD-2-Clause", version=rig.version()),
    ]


@contextlib.contextmanager
def rig(where: Where, transport: str) -> Iterator[Rig]:
    """A ready rig; nothing of it runs on the hosts afterwards."""
    if where.ssh_config == LAB_SSH and not LAB_SSH.exists():
        raise BenchError(
            "the lab is not up; next: `make lab rollout`, or --server, --client and --ssh-config of two other hosts"
        )
    program = Path(__file__).with_name("far.py").read_text(encoding="utf-8")
    with contextlib.ExitStack() as stack:
        ends = []
        for host, cpu in zip((where.server, where.client), where.cpus, strict=True):
            ssh = ["ssh", "-F", str(where.ssh_config), "-o", "BatchMode=yes", host]
            far = Far(host, [*ssh, f"exec python3 -u -c {shlex.quote(program)} {cpu}"])
            stack.callback(far.close)
            ends.append(far)
        yield Rig(ends[0], ends[1], where, transport)
