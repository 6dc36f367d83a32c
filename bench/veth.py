"""Tick-to-trade over kernel sockets, the engine against the floor, on a veth pair between two network namespaces.

The exchange simulator sends from one namespace, the engine or runtime/bench/floor.c receives in the other, both with
the same socket options, and both times are taken by the kernel: transmit stamp of the order minus receive stamp of the
datagram that caused it. What the engine takes longer than the floor is its own work: decoding, book, strategy, risk,
journal, encoding.

The feed is made for it: every Add Order turns the book's imbalance and makes an order, every other message (a delete)
does not, so both programs send at the same datagrams.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.contest import BenchError, Metrics, json_line
from tickwire import _core, itchfile
from tickwire.bench import control, samples, stats

EXCHANGE, ENGINE = "10.250.0.1", "10.250.0.2"
FEED_PORT, ORDERS_PORT, CONTROL_PORT = 26400, 26401, 26402
TOS = 104
SYMBOL = "BENCH"
START_S = 30.0
TYPE_OFFSET = 20 + 2  # MoldUDP64 header, length of the first message

Feed = tuple[int, float]  # messages, messages per second


def trigger_messages(orders: int) -> list[bytes]:
    """A book of one instrument that makes the imbalance strategy (ratio 3) send `orders` orders, one per Add Order."""
    base: dict[str, int | str] = {"stock_locate": 1, "stock": SYMBOL}
    messages = [
        _core.itch_encode({"type": "R", "stock_locate": 1, "stock": SYMBOL, "round_lot_size": 100}),
        _core.itch_encode({"type": "H", "stock_locate": 1, "stock": SYMBOL, "trading_state": "T"}),
        # Both sides equal: no order yet. Replaces, so that the type byte of these is not the trigger's.
        *_resting(base),
    ]
    for number in range(orders):
        side, price = (("B", 1_000_000), ("S", 1_000_100))[number % 2]
        reference = 10 + number
        add = {"type": "A", **base, "order_reference": reference, "side": side, "shares": 900, "price": price}
        messages.append(_core.itch_encode({**add, "timestamp": 34_200_000_000_000 + 1000 * number}))
        messages.append(_core.itch_encode({"type": "D", "stock_locate": 1, "order_reference": reference}))
    return messages


def _resting(base: dict[str, int | str]) -> list[bytes]:
    orders = (("B", 1_000_000, 1), ("S", 1_000_100, 2))
    return [
        _core.itch_encode(
            {
                "type": "F",
                **base,
                "order_reference": ref,
                "side": side,
                "shares": 100,
                "price": price,
                "attribution": "T",
            }
        )
        for side, price, ref in orders
    ]


class Namespaces:
    """Two network namespaces with a veth pair between them; gone afterwards, with everything that runs in them."""

    def __init__(self) -> None:
        self.names = [f"twbench{os.getpid()}{end}" for end in "ab"]
        self.running: list[subprocess.Popen] = []

    def __enter__(self) -> Namespaces:
        a, b = self.names
        try:
            for command in (
                f"netns add {a}",
                f"netns add {b}",
                f"link add {a}v netns {a} type veth peer name {b}v netns {b}",
                f"-n {a} addr add {EXCHANGE}/24 dev {a}v",
                f"-n {b} addr add {ENGINE}/24 dev {b}v",
                f"-n {a} link set {a}v up",
                f"-n {b} link set {b}v up",
                f"-n {a} link set lo up",
                f"-n {b} link set lo up",
            ):
                done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise BenchError(f"ip {command}: {done.stderr.strip()}; network namespaces need root")
        except BenchError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_reason: object) -> None:
        for process in self.running:
            stop(process)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def start(self, end: int, argv: list[str], log: Path) -> subprocess.Popen:
        with log.open("wb") as stream:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.names[end], *argv], stdout=stream, stderr=subprocess.STDOUT
            )
        self.running.append(process)
        return process

    def run(self, end: int, argv: list[str], timeout_s: float) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.names[end], *argv],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError(f"{' '.join(argv[:4])}: {done.stderr.strip()[-300:]}")
        return done.stdout


def stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


TICKWIRE = [sys.executable, "-m", "tickwire"]


class Rig:
    """The exchange in its namespace, and one run of either contender at a time in the other."""

    def __init__(self, namespaces: Namespaces, directory: Path, floor: Path, feed: Feed, cpus: tuple[int, int]) -> None:
        self.namespaces, self.directory, self.floor = namespaces, directory, floor
        self.messages, self.rate = feed
        self.exchange_cpu, self.cpu = cpus
        file = directory / "trigger.itch"
        itchfile.write(file, trigger_messages(self.messages // 2))
        config = directory / "exchange.toml"
        config.write_text(
            f'[exchange]\nitch_file = "{file}"\nblock = "{directory}/exchange.json"\nmatching = false\n'
            f'[feed]\ngroup = "{ENGINE}"\nport = {FEED_PORT}\ninterface = "{EXCHANGE}"\nrate = {self.rate}\n'
            f'[orders]\naddress = "{EXCHANGE}"\nport = {ORDERS_PORT}\n'
            f'[[orders.accounts]]\nusername = "BENCH"\npassword = "bench"\n'
            f'[[orders.accounts]]\nusername = "FLOOR"\npassword = "bench"\n'
            f'[control]\naddress = "{EXCHANGE}"\nport = {CONTROL_PORT}\n',
            encoding="utf-8",
        )
        self.log = directory / "exchange.log"
        argv = ["taskset", "-c", str(self.exchange_cpu), *TICKWIRE, "exchange", str(config)]
        namespaces.start(0, argv, self.log)
        self._wait(
            "the exchange", lambda: "listening" in self.log.read_text() or (directory / "exchange.json").exists()
        )
        time.sleep(0.5)

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not ready():
            if time.monotonic() > deadline:
                raise BenchError(f"{what} is not ready after {START_S:g} s: {self.log.read_text()[-300:]}")
            time.sleep(0.05)

    def engine(self, warm_send: bool) -> Metrics:
        """One run of the engine: figures of `tickwire bench t2t` over the whole feed."""
        block, config, log = (self.directory / f"engine.{suffix}" for suffix in ("block", "toml", "log"))
        config.write_text(
            f'[engine]\nblock = "{block}"\ncpu = {self.cpu}\nwarm_send = {str(warm_send).lower()}\n'
            f"max_orders = 65536\nmax_instruments = 64\n"
            f'[feed]\ngroup = "{ENGINE}"\nport = {FEED_PORT}\ninterface = "{ENGINE}"\nbusy_poll_us = 0\n'
            f'[orders]\nhost = "{EXCHANGE}"\nport = {ORDERS_PORT}\nusername = "BENCH"\npassword = "bench"\n'
            f"tos = {TOS}\n"
            "[strategy]\nratio = 3.0\nsize = 100\n"
            "[risk]\nmax_open_orders = 1048576\nmax_position = 1000000000\nmax_orders_per_s = 1000000\n",
            encoding="utf-8",
        )
        process = self.namespaces.start(1, [*TICKWIRE, "run", str(config)], log)
        try:
            argv = [
                *TICKWIRE,
                "bench",
                "t2t",
                "--block",
                str(block),
                "--exchange",
                f"{EXCHANGE}:{CONTROL_PORT}",
                "--json",
            ]
            self.log = log
            self._wait("the engine", block.exists)
            result = json.loads(self.namespaces.run(1, argv, self.messages / self.rate + 60))
            latencies = samples.read(_core.block_samples(str(block))).latencies
        finally:
            stop(process)
        figures = {key: float(result[key]) for key in ("min_ns", "median_ns", "p99_ns", "max_ns", "samples")}
        return {**figures, "p10_ns": float(stats.percentile(sorted(latencies), 10))}

    def run_floor(self) -> Metrics:
        """One run of the floor over the same feed."""
        login, order = floor_messages()
        argv = [
            str(self.floor), ENGINE, str(FEED_PORT), EXCHANGE, str(ORDERS_PORT), str(TOS),
            login.hex(), order.hex(), str(TYPE_OFFSET), "A", str(self.cpu),
        ]  # fmt: skip
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespaces.names[1], *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.namespaces.running.append(process)
        assert process.stderr is not None
        if "ready" not in process.stderr.readline():
            raise BenchError(f"floor: {process.stderr.read()[-300:]}")
        # The control port is reached from the exchange's namespace, by a process of its own: this one is in neither.
        ask = [sys.executable, "-m", "bench.veth", EXCHANGE, str(CONTROL_PORT), str(self.messages / self.rate + 60)]
        self.namespaces.run(0, ask, self.messages / self.rate + 90)
        output, errors = process.communicate(timeout=60)
        if process.returncode != 0:
            raise BenchError(f"floor: {errors[-300:]}")
        return json_line(output)


def soup(kind: bytes, payload: bytes) -> bytes:
    """A SoupBinTCP packet."""
    return (1 + len(payload)).to_bytes(2, "big") + kind + payload


def floor_messages() -> tuple[bytes, bytes]:
    """What the floor sends: its login, and its order."""
    login = b"FLOOR ".ljust(6) + b"bench".ljust(10) + b" " * 10 + b"0".rjust(20)
    order = _core.ouch_encode(
        {
            "type": "O",
            "user_ref_num": 1,
            "side": "B",
            "quantity": 100,
            "symbol": SYMBOL,
            "price": 1_000_100,
            "time_in_force": "3",
            "display": "Y",
            "capacity": "P",
            "intermarket_sweep": "N",
            "cross_type": "N",
            "cl_ord_id": "FLOOR",
            "appendage": b"\x05\x02TICK",
        },
        True,
    )
    return soup(b"L", login), soup(b"U", order)


@contextlib.contextmanager
def rig(floor: Path, feed: Feed, cpus: tuple[int, int]) -> Iterator[Rig]:
    """A ready rig; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tickwire-bench-") as directory, Namespaces() as namespaces:
        yield Rig(namespaces, Path(directory), floor, feed, cpus)


def main() -> int:
    """Ask the exchange for one replay of its file and wait for its end: HOST PORT TIMEOUT_S."""
    host, port, timeout_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    exchange = control.Control(host, port, timeout_s)
    exchange.send(command="replay")
    answer = exchange.answer(timeout_s)
    while "done" not in answer:
        answer = exchange.answer(timeout_s)
    exchange.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
