# SPDX-License-Identifier: Apache-2.0
"""The ends of a benchmark over real UDP and TCP sockets on loopback, against a reflector in Python that can be told to
hold back, lose or leave."""

from __future__ import annotations

import socket
import struct
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from front_site import TIME_LIMIT_S

from tickwire import _core

LOST = 2**64 - 1
LONG_NS = 60 * 10**9


class Ends:
    """Two connected sockets, and the watch between them."""

    def __init__(self, stream: bool, stack: ExitStack) -> None:
        self.stream = stream
        self.watch, self.other_watch = map(stack.enter_context, socket.socketpair())
        if stream:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.here = stack.enter_context(socket.create_connection(listener.getsockname()))
                self.there = stack.enter_context(listener.accept()[0])
            for sock in (self.here, self.there):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.here, self.there = (
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
            )
            for sock in (self.here, self.there):
                sock.bind(("127.0.0.1", 0))
            self.here.connect(self.there.getsockname())
            self.there.connect(self.here.getsockname())
        # Not settimeout(), which would make it non-blocking for the core as well.
        self.there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", TIME_LIMIT_S, 0))

    def end(self, size: int) -> _core.BenchSocket:
        return _core.BenchSocket(self.here.fileno(), self.stream, size)

    def read(self, size: int) -> bytes:
        """One message."""
        flags = socket.MSG_WAITALL if self.stream else 0
        try:
            return self.there.recv(size, flags)
        except BlockingIOError:
            raise TimeoutError(f"no message came within {TIME_LIMIT_S} s") from None


@pytest.fixture(params=[False, True], ids=["udp", "tcp"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with ExitStack() as stack:
        yield Ends(request.param, stack)


def run_beside(ends, reflector, measure):
    """What `measure` returns or raises, a thread with `reflector` running beside it. Each ends when the other fails."""

    def reflect() -> None:
        try:
            reflector()
        except BaseException:
            ends.other_watch.close()
            raise

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(reflect)
        try:
            return measure()
        finally:
            ends.watch.shutdown(socket.SHUT_WR)
            beside.result()


@pytest.mark.parametrize("size", [8, 64, 1400])
def test_both_ends_of_the_core_exchange_every_message(ends, size):
    done = {}

    def reflect() -> None:
        done.update(_core.BenchSocket(ends.there.fileno(), ends.stream, size).reflect(ends.other_watch.fileno()))

    def measure():
        end = ends.end(size)
        results = [end.pingpong(50, LONG_NS, ends.watch.fileno())]
        results.append(end.burst(50, LONG_NS, ends.watch.fileno(), 5, 1_000_000, 1000.0))
        ends.watch.send(b"x")
        return results

    for samples, outcome in run_beside(ends, reflect, measure):
        values = array("Q", samples)
        assert len(values) == 50 and 0 < min(values) and max(values) < LOST
        assert (outcome["sent"], outcome["late"], outcome["wrong_size"]) == (50, 0, 0)
    assert done == {"reflected": 100, "wrong_size": 0}


def test_a_stalled_reflector_shows_in_every_message_due_meanwhile(ends):
    """It sends nothing back until the last of `held` has come: each one before has waited until that was due."""
    held, every_ns = 40, 2_000_000

    def reflect() -> None:
        messages = [ends.read(64) for _ in range(held)]
        for message in messages:
            ends.there.sendall(message)
        for _ in range(20):
            ends.there.sendall(ends.read(64))

    samples, _ = run_beside(
        ends, reflect, lambda: ends.end(64).burst(60, LONG_NS, ends.watch.fileno(), 1, every_ns, 0.0)
    )
    values = array("Q", samples)
    assert LOST not in values
    for n in range(held):
        assert values[n] >= (held - 1 - n) * every_ns


def test_lost_replies_are_counted_where_they_were():
    with ExitStack() as stack:
        ends = Ends(False, stack)

        def reflect() -> None:
            for n in range(40):
                message = ends.read(64)
                assert int.from_bytes(message[:8], "big") == n
                if n % 4 != 2:
                    ends.there.send(message)
                    ends.there.send(message[:-1])  # of another size: no echo

        def measure():
            return ends.end(64).burst(40, 2 * 10**9, ends.watch.fileno(), 1, 100_000, 0.0)

        samples, outcome = run_beside(ends, reflect, measure)
        assert [n for n, value in enumerate(array("Q", samples)) if value == LOST] == list(range(2, 40, 4))
        assert outcome["wrong_size"] == 30


def test_when_the_other_end_is_gone_the_run_ends(ends):
    def leave() -> None:
        ends.read(64)
        ends.other_watch.close()

    for plan in ((), (1, 1000, 0.0)):
        end = ends.end(64)
        measure = end.burst if plan else end.pingpong
        with pytest.raises(OSError, match="the other end has ended the run"):
            if plan:
                measure(1000, LONG_NS, ends.watch.fileno(), *plan)
            else:
                run_beside(ends, leave, lambda measure=measure: measure(1000, LONG_NS, ends.watch.fileno()))


def test_what_cannot_be_asked_is_refused(ends):
    for size in (0, 7, 32769):
        with pytest.raises(ValueError, match=f"size {size}: a message has 8 to 32768 bytes"):
            ends.end(size)
    end, watch = ends.end(64), ends.watch.fileno()
    for total in (0, 50_000_001):
        with pytest.raises(ValueError, match="1 to 50000000 can be kept"):
            end.pingpong(total, 1, watch)
    for plan in ((0, 1000, 0.0), (3, 1000, 501.0), (2, 1000, float("nan")), (2, 1000, -1.0)):
        with pytest.raises(ValueError, match="do not fit"):
            end.burst(1, 1, watch, *plan)


def test_rdma_without_a_device_says_what_to_do():
    with pytest.raises((OSError, ValueError), match=r"rdma|RDMA|libibverbs"):
        _core.BenchRdma("127.0.0.1", False, 64, 0, 1)
    with pytest.raises(ValueError, match="size 4"):
        _core.BenchRdma("127.0.0.1", False, 4, 0, 1)
