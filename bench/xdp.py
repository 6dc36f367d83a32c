"""AF_XDP against kernel sockets on a veth pair: tick-to-trade as the exchange sees it, and half a round trip.

Tick-to-trade: runtime/bench/probe.c sends a packet and takes the time until the order is there, one after the other.
The engine with its feed by AF_XDP, the engine on kernel sockets and the floor (runtime/bench/floor.c) take turns behind
it; orders leave by kernel TCP in all of them.

Half a round trip: runtime/bench/reflect.c at both ends.
"""

from __future__ import annotations

import contextlib
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tickwire
from bench.contest import BenchError, Contender, Metrics, json_line
from bench.results import Section
from bench.veth import (
    ENGINE,
    EXCHANGE,
    FEED_PORT,
    ORDERS_PORT,
    TICKWIRE,
    TOS,
    TYPE_OFFSET,
    Namespaces,
    floor_messages,
    soup,
    stop,
    trigger_messages,
)
from tickwire import _core

PROGRAM = Path(tickwire.__file__).with_name("steer.bpf.o")
GAP_US = 100  # between an order and the next packet: the engine is idle again, its caches are not cold
ROUND_TRIPS = 20_000
REFLECT_PORT = 26409


class Rig:
    """The wire, and one contender at a time on it."""

    def __init__(
        self, namespaces: Namespaces, directory: Path, programs: Path, orders: int, cpus: tuple[int, int]
    ) -> None:
        self.namespaces, self.directory, self.programs = namespaces, directory, programs
        self.exchange_cpu, self.cpu = cpus
        self.packets = directory / "packets"
        with self.packets.open("wb") as stream:
            for sequence, message in enumerate(trigger_messages(orders), 1):
                packet = _core.mold_encode("PROBE", sequence, [message])
                stream.write(struct.pack("=H", len(packet)) + packet)

    def _start(self, end: int, argv: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespaces.names[end], *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.namespaces.running.append(process)
        return process

    def _ready(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        assert process.stderr is not None
        said = process.stderr.readline()
        if "ready" not in said:
            raise BenchError(said.strip() or "a program of runtime/bench ended before it was ready")
        return process

    def _figures(self, process: subprocess.Popen[str]) -> Metrics:
        try:
            output, errors = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{process.args!r}: not done after 120 s") from None
        if process.returncode != 0:
            raise BenchError(errors.strip()[-300:])
        return json_line(output)

    def _probe(self) -> subprocess.Popen[str]:
        settled = _core.ouch_encode({"type": "Q", "timestamp": 1, "next_user_ref_num": 1}, False)
        answer = b"PROBE".rjust(10) + b"1".rjust(20)
        argv = [
            str(self.programs / "probe"), ENGINE, str(FEED_PORT), EXCHANGE, str(ORDERS_PORT), soup(b"A", answer).hex(),
            soup(b"S", settled).hex(), str(self.packets), str(TYPE_OFFSET), "A", str(GAP_US), str(self.exchange_cpu),
        ]  # fmt: skip
        return self._ready(self._start(0, argv))

    def engine(self, feed: str) -> Metrics:
        """The engine with further keys of its feed table."""
        block, config, log = (self.directory / f"engine.{suffix}" for suffix in ("block", "toml", "log"))
        config.write_text(
            f'[engine]\nblock = "{block}"\ncpu = {self.cpu}\nmax_orders = 65536\nmax_instruments = 64\n'
            "journal_records = 65536\n"
            f'[feed]\ngroup = "{ENGINE}"\nport = {FEED_PORT}\ninterface = "{ENGINE}"\nbusy_poll_us = 0\n{feed}\n'
            f'[orders]\nhost = "{EXCHANGE}"\nport = {ORDERS_PORT}\nusername = "BENCH"\npassword = "bench"\n'
            f"tos = {TOS}\n"
            "[strategy]\nratio = 3.0\nsize = 100\n"
            "[risk]\nmax_open_orders = 1048576\nmax_position = 1000000000\nmax_orders_per_s = 1000000\n",
            encoding="utf-8",
        )
        for stale in self.directory.glob("*.journal"):
            stale.unlink()
        probe = self._probe()
        process = self.namespaces.start(1, [*TICKWIRE, "run", str(config)], log)
        try:
            figures = self._figures(probe)
        except BenchError as error:
            raise BenchError(f"{error}; the engine said: {log.read_text(encoding='utf-8')[-300:]}") from None
        finally:
            stop(process)
        return figures

    def floor(self) -> Metrics:
        """The floor on the same packets."""
        login, order = floor_messages()
        argv = [
            str(self.programs / "floor"), ENGINE, str(FEED_PORT), EXCHANGE, str(ORDERS_PORT), str(TOS), login.hex(),
            order.hex(), str(TYPE_OFFSET), "A", str(self.cpu),
        ]  # fmt: skip
        probe = self._probe()
        process = self._start(1, argv)
        try:
            return self._figures(probe)
        finally:
            stop(process)

    def reflect(self, mode: str, asking: str) -> Metrics:
        """Half round trips: the far end in `mode`, the asking one in `asking`; each "socket" or "xdp"."""
        reflect = str(self.programs / "reflect")
        port, program = str(REFLECT_PORT), str(PROGRAM)
        far = self._ready(self._start(1, [reflect, "serve", mode, ENGINE, port, str(self.cpu), program]))
        try:
            argv = [reflect, "ask", asking, EXCHANGE, port, str(self.exchange_cpu), program, ENGINE, str(ROUND_TRIPS)]
            return self._figures(self._ready(self._start(0, argv)))
        finally:
            stop(far)


def trade(rig: Rig, orders: int) -> tuple[Section, list[Contender]]:
    section = Section(
        "xdp",
        "Tick-to-trade by AF_XDP and by kernel sockets on a veth pair, at the exchange",
        ("median_ns", "p10_ns", "p99_ns"),
        bar="below every variant on kernel sockets",
        note="From before the exchange's send until it has the order; both stacks, both ways, are in it. Orders leave"
        f" by kernel TCP. {orders} orders a round, the next packet {GAP_US} us after an order."
        " veth has no zero-copy, so by itself the engine takes the driver's copy mode there.",
    )
    return section, [
        Contender("tickwire, AF_XDP copy", measure=lambda: rig.engine('transport = "xdp"\nxdp_mode = "copy"')),
        Contender("tickwire, kernel sockets", measure=lambda: rig.engine('transport = "socket"')),
        Contender("floor, kernel sockets", measure=rig.floor),
        Contender("tickwire, AF_XDP generic", measure=lambda: rig.engine('transport = "xdp"\nxdp_mode = "generic"')),
    ]


def half(rig: Rig) -> tuple[Section, list[Contender]]:
    section = Section(
        "half",
        "Half a UDP round trip by AF_XDP and by kernel sockets on a veth pair",
        ("median_ns", "p10_ns", "p99_ns", "send_ns"),
        bar="at most 0.6 times kernel sockets'",
        note=f"64 bytes, {ROUND_TRIPS} round trips a round, both ends spin, no time stamps, AF_XDP in generic mode."
        " send_ns: the median of the call that sends, at the asking end.",
    )
    return section, [
        Contender("AF_XDP at both ends", measure=lambda: rig.reflect("xdp", "xdp")),
        Contender("kernel sockets", measure=lambda: rig.reflect("socket", "socket")),
        Contender("AF_XDP at one end, kernel sockets at the other", measure=lambda: rig.reflect("xdp", "socket")),
    ]


@contextlib.contextmanager
def rig(programs: Path, orders: int, cpus: tuple[int, int]) -> Iterator[Rig]:
    """A ready rig; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tickwire-bench-") as directory, Namespaces() as namespaces:
        yield Rig(namespaces, Path(directory), programs, orders, cpus)
