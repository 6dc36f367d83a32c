# SPDX-License-Identifier: Apache-2.0
"""`tickwire bench dut` as it is used: an exchange that times an engine, or a device of a few lines, on loopback.

The engine takes stamps of its own, by the same kernel: its receive and transmit stamps of an order must lie between the
exchange's transmit stamp of the tick and its receive stamp of that order. The card of `c/shim.c` stamps what arrives
300 ns before the kernel and what leaves 500 ns after it, so by the card a latency is 800 ns below that by the kernel.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from core_samples import CLOCKS, RECORD, Sample, unpack
from exchange_clients import TIME_LIMIT_S, Client, enter
from exchange_clients import Site as ExchangeOnly
from front_shim import ALL, Card, Shim
from front_site import Processes, Site, tickwire

from tickwire import _core, itchfile
from tickwire.bench import dut as measuring
from tickwire.bench import results
from tickwire.exchange.soupbin import packet

SCHEMA = json.loads((Path(results.__file__).parent / "bench-result.schema.json").read_text(encoding="utf-8"))
LO = Card(name=b"lo")
CARD_LESS_NS = 800
SYMBOL = "TAAAA"
FREE = "max_orders_per_s = 100000\nmax_position = 1000000\nmax_open_orders = 100000"
COUNT, WARMUP, ANSWER_MS = 20, 3, 1000
RUN = ("--count", str(COUNT), "--warmup", str(WARMUP), "--answer-ms", str(ANSWER_MS), "--quiet-ms", "5")


def ticking(orders: int) -> list[bytes]:
    """A book of one side, then an imbalance that turns with every message: each of these is answered, so a device may
    have all the time that a busy machine takes, and only the first three ticks wait for nothing."""
    base: dict[str, Any] = {"stock_locate": 1, "timestamp": 34_200 * 10**9}
    messages: list[dict[str, Any]] = [
        {"type": "R", "stock": SYMBOL, "round_lot_size": 100},
        {"type": "H", "stock": SYMBOL, "trading_state": "T"},
        {"type": "A", "stock": SYMBOL, "order_reference": 1, "side": "S", "shares": 100, "price": 1_000_100},
        {"type": "A", "stock": SYMBOL, "order_reference": 10, "side": "B", "shares": 1000, "price": 1_000_000},
    ]
    for number in range(10, 9 + orders):
        references = {"original_reference": number, "new_reference": number + 1}
        messages.append({"type": "U", **references, "shares": (10, 1000)[number % 2], "price": 1_000_000})
    return [_core.itch_encode({**base, **message}) for message in messages]


@pytest.fixture
def timed(make: Any) -> Any:
    """timed(timestamps, **more): a Site whose exchange stamps; its engine answers all ticks but the first three."""

    def made(timestamps: str = "auto", **more: str) -> Site:
        site: Site = make(exchange_exchange=f'matching = false\ntimestamps = "{timestamps}"', engine_risk=FREE, **more)
        itchfile.write(Path(site.itch), ticking(60))
        return site

    return made


def bench(site: Site, *more: str) -> dict[str, Any]:
    done = tickwire("bench", "dut", "--block", site.state, *RUN, "--json", *more)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    return {**result, "said": done.stderr}


def records(site: Site) -> list[Sample]:
    return [Sample._make(record) for record in RECORD.iter_unpack(Path(f"{site.state}.samples").read_bytes())]


def test_the_exchange_times_the_engine(timed: Any, processes: Processes) -> None:
    site = timed(engine_engine='timestamps = "software"')
    processes.start("exchange", site.exchange, before=("taskset", "-c", "0"))
    processes.start("run", site.engine)
    result = bench(site)
    assert (result["samples"], result["warmup"], result["timestamp_source"]) == (COUNT, WARMUP, "software")
    assert "lo has no PTP hardware clock" in result["timestamp_reason"] and "software stamps: " in result["said"]
    assert (result["unstamped"], result["unstamped_by"], result["other_clocks"]) == (0, {}, {})
    counts, answered = result["attribution"], COUNT + WARMUP
    answered += counts["together"]  # with a heartbeat of the engine
    assert (counts["user"], counts["answered"], counts["asked"]) == ("TRADE1", answered, COUNT)
    assert (counts["further"], counts["late"], counts["others"]) == (0, 0, 0)
    assert result["exchange"]["orders"] == answered and counts["ticks"] == result["exchange"]["sent"]
    assert (result["host"]["pinned_cpu"], result["host"]["allowed_cpus"]) == (0, [0])
    assert result["host"]["nic"]["interface"] == "lo"

    latencies = list(results.decode(result["latencies"], COUNT))
    assert (min(latencies), max(latencies), len(latencies)) == (result["min_ns"], result["max_ns"], COUNT)
    ours, its = records(site), list(unpack(site.block))
    assert latencies == [sample.receive_ns - sample.transmit_ns for sample in ours]
    assert len(its) == answered
    for outer in ours:
        inside = [inner for inner in its if outer.transmit_ns <= inner.receive_ns < outer.receive_ns]
        assert len(inside) == 1 and inside[0].transmit_ns <= outer.receive_ns
    assert all(one.receive_ns < other.transmit_ns for one, other in itertools.pairwise(ours))

    shown = tickwire("bench", "dut", "--block", site.state, *RUN)
    assert shown.returncode == 0 and "software time stamps, session LAB" in shown.stdout
    assert f": {COUNT} samples, {WARMUP} before them left out\n" in shown.stdout
    assert f" answered within {ANSWER_MS} ms\n" in shown.stdout


@pytest.mark.parametrize("bridges", [0, 1])
def test_what_comes_through_the_rdma_gateway_is_said(
    timed: Any, processes: Processes, monkeypatch: pytest.MonkeyPatch, bridges: int
) -> None:
    """A run over sockets whose exchange says it has a gateway on Soft-RoCE, with or without anybody on it."""
    site = timed()
    processes.start("exchange", site.exchange)
    processes.start("run", site.engine)
    state, gateway = measuring.read_state, {"device": "rxe0", "subscribers": 0, "bridges": bridges}
    monkeypatch.setattr(measuring, "read_state", lambda block: {**state(block), "rdma": gateway})
    result = measuring.measure(measuring.Request(site.state, COUNT, WARMUP, ANSWER_MS, 5))
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert result["software_rdma"] is bool(bridges) and (result["host"]["rdma"] is not None) is bool(bridges)
    assert result["headline"].startswith(results.WARNING) is bool(bridges)
    assert "tick-to-trade of TRADE1 seen by the exchange, software time stamps, session LAB" in result["headline"]
    assert measuring.table(result).splitlines()[0] == result["headline"] and result["p99_9_ns"] is None


@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_a_card_stamps_and_is_put_back(timed: Any, processes: Processes, shim: Shim, wish: str) -> None:
    site = timed(wish)
    shim.set_card(LO)
    exchange = processes.start("exchange", site.exchange)
    assert (shim.card.tx_type, shim.card.rx_filter) == (1, ALL)
    processes.env = {}
    processes.start("run", site.engine)
    result = bench(site)
    assert (result["samples"], result["timestamp_source"], result["unstamped"]) == (COUNT, "hardware", 0)
    assert "software stamps: " not in result["said"] and result["software"]["samples"] == COUNT
    for name in ("min_ns", "median_ns", "p99_ns", "max_ns"):
        assert result[name] == result["software"][name] - CARD_LESS_NS
    for sample in records(site):
        by_kernel = sample.receive_software_ns - sample.transmit_software_ns
        assert sample.clock == CLOCKS["hardware"] and sample.receive_ns - sample.transmit_ns == by_kernel - CARD_LESS_NS
    code, log = processes.stop(exchange)
    assert code == 0 and "time stamps: hardware, by /dev/ptp0 of lo (switched on)" in log, log
    assert (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (0, 0, 2)


@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_a_card_that_stamps_nothing_is_counted_and_said(
    timed: Any, processes: Processes, shim: Shim, wish: str
) -> None:
    site = timed(wish)
    shim.set_card(LO._replace(mute=1))
    processes.start("exchange", site.exchange)
    processes.env = {}
    processes.start("run", site.engine)
    result = bench(site)
    if wish == "auto":
        assert (result["samples"], result["by_kernel"], result["timestamp_source"]) == (COUNT, COUNT, "software")
        assert f"{COUNT} orders lack its stamps" in result["said"]
    else:
        assert (result["samples"], result["median_ns"], result["latencies"]) == (0, None, results.encode([]))
        assert (result["unstamped"], result["unstamped_by"]) == (COUNT, {"transmit stamp": COUNT})
        assert f"{COUNT} orders are missing in the figures (without transmit stamp {COUNT})" in result["said"]
        assert f"0 samples, {COUNT} were asked for" in result["said"]


def test_a_card_is_put_back_when_the_exchange_cannot_start(timed: Any, processes: Processes, shim: Shim) -> None:
    site = timed()
    config = Path(site.exchange)
    config.write_text(config.read_text().replace('group = "127.0.0.1"', 'group = "127.0.0.1"\nrequest_port = 26403'))
    shim.set_card(LO)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        config.write_text(config.read_text().replace("26403", str(taken.getsockname()[1])))
        with pytest.raises(AssertionError, match="request_port"):
            processes.start("exchange", site.exchange)
    assert (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (0, 0, 2)


def test_without_the_card_that_was_asked_for_nothing_starts(timed: Any, processes: Processes) -> None:
    with pytest.raises(AssertionError, match='exchange.timestamps "hardware": feed.interface 127.0.0.1: lo has no PTP'):
        processes.start("exchange", timed("hardware").exchange)


def test_t2t_writes_what_the_schema_describes(timed: Any, processes: Processes) -> None:
    site = timed()
    config = Path(site.engine)
    config.write_text(config.read_text().replace("cpu = -1", "cpu = 0"))
    processes.start("exchange", site.exchange)
    processes.start("run", site.engine)
    for warmup in (0, 7):
        done = site.bench("--rate", "1000", "--warmup", str(warmup), "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        jsonschema.Draft202012Validator(SCHEMA).validate(result)
        samples = [sample.transmit_ns - sample.receive_ns for sample in unpack(site.block)][warmup:]
        assert list(results.decode(result["latencies"], len(samples))) == samples
        assert (result["test"], result["warmup"], result["samples"]) == ("t2t", warmup, len(samples))
        assert result["orders"]["sent"] == len(samples) + warmup == 60
        assert (result["host"]["pinned_cpu"], result["host"]["cpu"]["number"]) == (0, 0)
        assert result["host"]["scheduler_priority"] == 0 and result["host"]["nic"]["interface"] == "lo"


# --- devices of a few lines


class Device:
    """Sends `orders` for every packet of the feed that has messages, `at_once` or one after the other."""

    def __init__(self, site: ExchangeOnly, user: str = "FIVE0", orders: int = 1, at_once: bool = True) -> None:
        self.client: Client = site.client(user)
        self.orders, self.at_once, self.ticks = orders, at_once, 0
        self.feed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.feed.bind(("127.0.0.1", site.feed))
        self.feed.settimeout(0.1)
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=work) for work in (self._trade, self._listen)]
        for thread in self.threads:
            thread.start()

    def _trade(self) -> None:
        sent = 0
        self.client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                if self.feed.recv(2048)[18:20] in (b"\0\0", b"\xff\xff"):
                    continue
                self.ticks += 1
                numbers = range(sent + 1, sent + 1 + self.orders)
                sent += self.orders
                packets = [packet(b"U", enter("5.0", number)) for number in numbers]
                for data in [b"".join(packets)] if self.at_once and packets else packets:
                    self.client.sock.sendall(data)

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self.client.stream.read(1):
                pass

    def close(self) -> None:
        self.stopping.set()
        self.threads[0].join(TIME_LIMIT_S)
        self.feed.close()
        self.client.sock.shutdown(socket.SHUT_RDWR)
        self.threads[1].join(TIME_LIMIT_S)


@pytest.fixture
def exchange(tmp_path: Path, free_ports: Any) -> Iterator[Any]:
    """exchange(timestamps, orders): a running exchange without a device, on a file of `orders` + 3 messages."""
    running: list[ExchangeOnly] = []

    def made(timestamps: str = "software", orders: int = 40) -> ExchangeOnly:
        more = f'matching = false\ntimestamps = "{timestamps}"'
        running.append(ExchangeOnly(tmp_path, free_ports(5), ticking(orders), exchange=more))
        return running[-1]

    yield made
    for site in running:
        site.close()


def dut(site: ExchangeOnly, *more: str) -> Any:
    return tickwire("bench", "dut", "--block", f"{site.directory}/exchange.json", "--timeout", "30", *more)


@pytest.mark.parametrize("at_once", [True, False])
def test_orders_behind_the_first_one_are_counted(exchange: Any, at_once: bool) -> None:
    """In one segment they have one stamp. Sent one by one they may be read together, and then have none."""
    site = exchange(orders=21)
    device = Device(site, orders=3, at_once=at_once)
    try:
        done = dut(site, "--count", "1000", "--warmup", "0", "--answer-ms", "10000", "--quiet-ms", "250", "--json")
    finally:
        device.close()
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    counts = result["attribution"]
    assert counts["ticks"] == counts["answered"] == device.ticks == 24
    assert (counts["further"], counts["late"], counts["others"]) == (2 * 24, 0, 0)
    assert result["samples"] + counts["together"] == 24 and result["exchange"]["orders"] == 3 * 24
    assert counts["together"] == 0 or not at_once
    assert "24 ticks there were no more messages" in done.stderr or counts["together"]


def test_one_device_of_two_is_timed(exchange: Any) -> None:
    site = exchange()
    site.client("FOUR0")
    device = Device(site)
    try:
        which = dut(site, "--count", "5")
        assert which.returncode == 1 and "FIVE0, FOUR0 is logged in: name one with --user" in which.stderr
        done = dut(site, "--count", "5", "--warmup", "0", "--user", "five0", "--answer-ms", "200", "--json")
        silent = dut(site, "--messages", "5", "--user", "FOUR0", "--answer-ms", "20")
    finally:
        device.close()
    result = json.loads(done.stdout)
    assert (result["attribution"]["user"], result["samples"]) == ("FIVE0", 5)
    assert silent.returncode == 1 and "FOUR0 sent no order within 20 ms of any of 5 ticks" in silent.stderr
    absent = dut(site, "--user", "FOUR1")
    assert absent.returncode == 1 and "user FOUR1 is not logged in" in absent.stderr


def test_what_is_missing_is_named(exchange: Any, tmp_path: Path) -> None:
    absent = tickwire("bench", "dut", "--block", f"{tmp_path}/absent.json", "--timeout", "0.1")
    assert (
        absent.returncode == 1 and "absent.json: No such file" in absent.stderr and "exchange.block?" in absent.stderr
    )
    site = exchange("none")
    nobody = dut(site, "--timeout", "0.1")
    site.client("FIVE0")
    unstamped = dut(site)
    for done in (nobody, unstamped):
        assert done.returncode == 1 and 'exchange.timestamps is "none"' in done.stderr and 'to "auto"' in done.stderr
        assert done.stderr.count("\n") == 1
    site.close()
    ended = dut(site, "--timeout", "0.1")
    assert ended.returncode == 1 and "is not running; start it with `tickwire exchange`" in ended.stderr


def test_nobody_to_time(exchange: Any) -> None:
    done = dut(exchange(), "--timeout", "0.5")
    assert done.returncode == 1 and "nobody is logged in: start the device" in done.stderr


def test_a_measurement_that_runs_out_of_time_is_stopped(exchange: Any) -> None:
    site = exchange()
    site.client("FIVE0")
    done = dut(site, "--answer-ms", "20000", "--timeout", "1")
    assert done.returncode == 1 and "no answer in time" in done.stderr


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"samples": 0}, "samples: 0 is not a whole number, 1 to"),
        ({"warmup": -1}, "warmup: -1 is not a whole number, 0 to"),
        ({"messages": 1.5}, "messages: 1.5 is not a whole number"),
        ({"answer_ms": "soon"}, "answer_ms: 'soon' is not a number of milliseconds"),
        ({"quiet_ms": 1e9}, "quiet_ms: 1000000000.0 is not a number of milliseconds"),
        ({"user": 7}, "user: 7 is not a user name"),
        ({"rate": 7}, "unknown key 'rate'"),
    ],
)
def test_a_wrong_request_is_refused(exchange: Any, request_: dict[str, Any], why: str) -> None:
    assert why in exchange().ask().ask(command="dut", **request_)["error"]
