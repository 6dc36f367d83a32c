# SPDX-License-Identifier: Apache-2.0
"""Which order answers which tick: the exchange's prober in a time of its own, and its stamped reads on real sockets."""

from __future__ import annotations

import array
import fcntl
import heapq
import itertools
import socket
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from core_samples import CLOCKS, RECORD, Sample
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickwire import _core
from tickwire.errors import TickwireError
from tickwire.exchange import dut
from tickwire.exchange.arrivals import Arrival

ANSWER_NS, QUIET_NS = 1000, 100
TIME_LIMIT_S = 20


@dataclass
class Reaction:
    """To one tick: orders so many ns after each other, the first after the tick."""

    gaps_ns: list[int]
    whole: bool = True
    at_once: int = 1  # orders read together
    user: str = "DEV"


@dataclass
class World:
    """A line, a device that reacts as told and the inbox of what it sends, in virtual nanoseconds."""

    reactions: list[Reaction]
    now_ns: int = 1_000_000
    due: list[tuple[int, int, Arrival]] = field(default_factory=list)
    came: list[Arrival] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    # the inbox
    def open(self) -> None: ...
    def close(self) -> None: ...
    def get(self, timeout_s: float) -> Arrival | None:
        until = self.now_ns + max(0, round(timeout_s * 1e9))
        if not self.due or self.due[0][0] > until:
            self.now_ns = until
            return None
        at, _, arrival = heapq.heappop(self.due)
        self.now_ns = max(self.now_ns, at)
        self.came.append(arrival)
        return arrival

    # the line
    def stamp(self, card: bool) -> None: ...
    def run(self, rate: float, first: int, count: int) -> dict[str, Any]:
        assert (rate, first, count) == (0.0, len(self.sent_ns), 1)
        self.sent_ns.append(self.now_ns)
        at, reaction = self.now_ns, self.reactions[first]
        for gap_ns in reaction.gaps_ns:
            at += gap_ns
            arrival = Arrival(reaction.user, (at, 0), reaction.whole, reaction.at_once)
            heapq.heappush(self.due, (at, next(self.numbers), arrival))
        return {}

    def departures(self) -> list[tuple[int, int, int]]:
        return [(number, sent_ns, 0) for number, sent_ns in enumerate(self.sent_ns)]

    def measure(self, samples: int = 1_000_000, warmup: int = 0) -> tuple[dict[str, Any], list[int]]:
        """Counters and latencies."""
        plan = dut.Plan("DEV", samples, warmup, ANSWER_NS / 1e9, QUIET_NS / 1e9)
        clock = SimpleNamespace(monotonic=self.monotonic, sleep=self.sleep)
        with mock.patch.object(dut, "time", clock):
            found = dut.Prober(plan, self, self, lambda: False).run(len(self.reactions))
        records = [Sample._make(record) for record in RECORD.iter_unpack(found.records)]
        assert all(record.clock == CLOCKS["software"] for record in records)
        return found.counts, [record.receive_ns - record.transmit_ns for record in records]


soon = st.integers(1, ANSWER_NS - 1)
prompt = st.builds(
    Reaction,
    st.one_of(
        st.just([]), st.tuples(soon, st.lists(st.integers(1, QUIET_NS - 1), max_size=3)).map(lambda t: [t[0], *t[1]])
    ),
    st.booleans(),
    st.integers(1, 3),
)
anyhow = st.builds(
    Reaction,
    st.lists(st.integers(1, 5 * ANSWER_NS), max_size=3),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from(["DEV", "OTHER"]),
)


@given(st.lists(prompt, max_size=30), st.integers(0, 5), st.integers(1, 10))
def test_a_device_that_answers_in_time_is_measured_as_it_is(
    reactions: list[Reaction], warmup: int, wanted: int
) -> None:
    counts, latencies = World(reactions).measure(wanted, warmup)
    ticks = reactions[: counts["ticks"]]
    truth = [reaction.gaps_ns[0] for reaction in ticks if reaction.gaps_ns and reaction.whole]
    assert latencies == truth[warmup:]
    assert len(truth) <= warmup + wanted and (len(truth) == warmup + wanted or ticks == reactions)
    assert counts["samples"] == len(latencies) and counts["warmup"] == min(warmup, len(truth))
    assert counts["answered"] == sum(1 for reaction in ticks if reaction.gaps_ns)
    assert counts["together"] == sum(1 for reaction in ticks if reaction.gaps_ns and not reaction.whole)
    orders = sum(len(reaction.gaps_ns) * reaction.at_once for reaction in ticks)
    assert counts["further"] == orders - counts["answered"]
    assert counts["late"] == counts["others"] == counts["unstamped"] == 0


@given(st.lists(anyhow, max_size=30))
@example([Reaction([ANSWER_NS + 10]), Reaction([])])
def test_no_order_is_in_two_places_and_none_is_lost(reactions: list[Reaction]) -> None:
    world = World(reactions)
    counts, latencies = world.measure()
    told = sum(arrival.orders for arrival in world.came)
    assert told == sum(counts[name] for name in ("further", "late", "together", "others")) + counts["samples"]
    ours = sorted(arrival.stamps[0] for arrival in world.came if arrival.user == "DEV")
    ends = [sent + latency for sent, latency in zip(_answered(world, latencies), latencies, strict=True)]
    assert ends == sorted(set(ends)) and set(ends) <= set(ours)
    assert all(0 < latency <= ANSWER_NS for latency in latencies)


def _answered(world: World, latencies: list[int]) -> list[int]:
    """When the ticks left whose samples these are: the latest before an arrival so long after."""
    ends = {arrival.stamps[0] for arrival in world.came if arrival.user == "DEV" and arrival.whole}
    left, found = iter(world.sent_ns), []
    for latency in latencies:
        found.append(next(sent for sent in left if sent + latency in ends))
    return found


def test_an_order_later_than_the_time_for_it_is_in_no_sample() -> None:
    counts, latencies = World([Reaction([ANSWER_NS + QUIET_NS // 2]), Reaction([5])]).measure()
    assert (counts["late"], counts["answered"], latencies) == (1, 1, [5])


def test_a_device_that_never_stops_sending_is_refused() -> None:
    world = World([Reaction([1] + [QUIET_NS // 2] * 10)])
    with mock.patch.object(dut, "_RESTLESS_S", QUIET_NS / 1e9), pytest.raises(TickwireError, match="--quiet-ms"):
        world.measure()


PLAIN = dut.Plan("DEV", 1, 0, 1.0, 1.0)
CARD = dut.Plan("DEV", 1, 0, 1.0, 1.0, "hardware")
AUTO = dut.Plan("DEV", 1, 0, 1.0, 1.0, "hardware", True)


@pytest.mark.parametrize(
    ("plan", "left", "came", "sample", "counts"),
    [
        (PLAIN, (100, 0), (150, 0), Sample(150, 100), {}),
        (PLAIN, (0, 0), (150, 0), None, {"unstamped_by": {"transmit stamp": 1}, "unstamped": 1}),
        (PLAIN, (100, 0), (0, 0), None, {"unstamped_by": {"receive stamp": 1}, "unstamped": 1}),
        (PLAIN, (150, 0), (100, 0), None, {"late": 1}),
        (CARD, (100, 37), (150, 77), Sample(77, 37, 150, 100, CLOCKS["hardware"]), {}),
        (CARD, (0, 37), (150, 77), Sample(77, 37, 0, 0, CLOCKS["hardware"]), {}),
        (CARD, (100, 0), (150, 77), None, {"unstamped_by": {"transmit stamp": 1}, "unstamped": 1}),
        (CARD, (100, 37), (150, 0), None, {"unstamped_by": {"receive stamp": 1}, "unstamped": 1}),
        (AUTO, (100, 0), (150, 77), Sample(150, 100), {"by_kernel": 1}),
        (AUTO, (100, 37), (150, 0), Sample(150, 100), {"by_kernel": 1}),
        (AUTO, (0, 37), (150, 0), None, {"unstamped_by": {"transmit stamp": 1}, "unstamped": 1}),
    ],
)
def test_both_stamps_of_a_sample_are_of_one_clock(
    plan: dut.Plan, left: dut.Stamps, came: dut.Stamps, sample: Sample | None, counts: dict[str, Any]
) -> None:
    attribution = dut.Attribution("DEV")
    attribution.sent()
    attribution.came(Arrival("DEV", came, True))
    found = dut.outcome(plan, attribution, {0: left})
    assert [Sample._make(record) for record in RECORD.iter_unpack(found.records)] == ([sample] if sample else [])
    expected = {"late": 0, "by_kernel": 0, "unstamped": 0, "unstamped_by": {}, **counts}
    assert {name: found.counts[name] for name in expected} == expected


# --- reads


def _wait_queued(connection: socket.socket, size: int) -> None:
    waiting, deadline = array.array("i", [0]), time.monotonic() + TIME_LIMIT_S
    while waiting[0] < size:
        assert time.monotonic() < deadline
        fcntl.ioctl(connection, termios.FIONREAD, waiting)


@given(st.lists(st.lists(st.sampled_from([1, 60, 1400, 40_000]), min_size=1, max_size=3), max_size=12))
@example([[60], [40_000, 40_000, 40_000], [60], [60]])
@settings(max_examples=40, deadline=None)
def test_a_read_is_whole_when_it_was_one_segment(rounds: list[list[int]]) -> None:
    """Each round is sent piece by piece and read when all of it waits."""
    stamping = _core.Stamping("software", "127.0.0.1", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stamping.listen(listener)
        device = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
    with device, connection:
        connection.setblocking(False)
        device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = _core.StampedReader(connection.fileno())
        for pieces in rounds:
            before_ns, got = time.time_ns(), 0
            for size in pieces:
                device.sendall(b"\x2b" * size)
            _wait_queued(connection, min(sum(pieces), 65536))
            while got < sum(pieces):
                try:
                    data, software_ns, hardware_ns, whole = reader.read()
                except BlockingIOError:
                    continue
                got += len(data)
                assert len(pieces) == 1 or not whole
                assert whole or len(pieces) > 1 or sum(pieces) > 1400  # TCP may cut what is longer
                assert before_ns <= software_ns <= time.time_ns() and hardware_ns == 0
        device.close()
        deadline = time.monotonic() + TIME_LIMIT_S
        while True:
            try:
                assert reader.read()[0] == b""
                break
            except BlockingIOError:
                assert time.monotonic() < deadline


def test_who_wants_a_card_that_is_not_there_is_told() -> None:
    with pytest.raises(OSError, match='exchange.timestamps "hardware": feed.interface 127.0.0.1: lo has no PTP'):
        _core.Stamping("hardware", "127.0.0.1", "127.0.0.1")
    chosen = _core.Stamping("auto", "127.0.0.1", "127.0.0.1")
    assert chosen.clock == "software" and "lo has no PTP hardware clock" in chosen.reason
    with pytest.raises(ValueError, match='wish "always" must be'):
        _core.Stamping("always", "127.0.0.1", "127.0.0.1")
    with pytest.raises(ValueError, match='orders.address "here" must be an IPv4 address'):
        _core.Stamping("none", "127.0.0.1", "here")
