# SPDX-License-Identifier: Apache-2.0
"""Two lines of the feed, the faults they make on purpose, and the file's own time."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire import _core

COUNT = 200  # twice as many packets fit the receive buffer of any machine


def file_of(bodies: list[bytes]) -> tuple[bytes, bytes]:
    data = b"".join(struct.pack(">H", len(body)) + body for body in bodies)
    return data, _core.itch_frame_index(data)[0]


BODIES = [
    _core.itch_encode({"type": "D", "stock_locate": 1 + n % 3, "timestamp": n, "order_reference": n})
    for n in range(COUNT)
]
DATA, INDEX = file_of(BODIES)


class Lines:
    """Receivers of line A and B."""

    def __init__(self) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "AB"]
        for sock in self.sockets:
            sock.bind(("127.0.0.1", 0))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.settimeout(10)

    def replay(self, data: bytes = DATA, index: bytes = INDEX, **more: Any) -> _core.Replay:
        a, b = (sock.getsockname()[1] for sock in self.sockets)
        local: dict[str, Any] = {"group": "127.0.0.1", "interface": "127.0.0.1", "group_b": "127.0.0.1"}
        return _core.Replay(data, index, port=a, port_b=b, session="LINES", **local, **more)

    def sequences(self, line: int) -> list[int]:
        """Sequence numbers of the packets up to the end of the session."""
        found: list[int] = []
        while True:
            _, sequence, count, _ = _core.mold_decode(self.sockets[line].recv(2048))
            if count == 0xFFFF:
                return found
            found.append(sequence)


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    made = Lines()
    yield made
    for sock in made.sockets:
        sock.close()


def run(lines: Lines, faults: dict[str, dict[str, float]], seed: int) -> tuple[list[list[int]], dict[str, Any]]:
    replay = lines.replay()
    for line, odds in faults.items():
        replay.impair(line, **odds, seed=seed)
    result = replay.run(0.0, 0, COUNT)
    replay.end_of_session()
    return [lines.sequences(0), lines.sequences(1)], result


def test_both_lines_carry_the_same_packets(lines: Lines) -> None:
    sequences, result = run(lines, {}, 0)
    assert sequences == [list(range(1, COUNT + 1))] * 2
    assert result["line_a"] == result["line_b"] == {"lost": 0, "duplicated": 0, "reordered": 0}


odds = st.fixed_dictionaries(
    {name: st.sampled_from([0.0, 0.05, 0.5, 1.0]) for name in ("loss", "duplicate", "reorder")}
)


@settings(max_examples=40)
@given(odds, odds, st.integers(0, (1 << 64) - 1))
def test_faults_are_as_counted_and_the_same_again(
    lines: Lines, a: dict[str, float], b: dict[str, float], seed: int
) -> None:
    sequences, result = run(lines, {"A": a, "B": b}, seed)
    again, _ = run(lines, {"A": a, "B": b}, seed)
    assert again == sequences
    for got, name in zip(sequences, ("line_a", "line_b"), strict=True):
        counts = result[name]
        assert len(set(got)) == COUNT - counts["lost"]
        assert len(got) - len(set(got)) == counts["duplicated"]
        first = list(dict.fromkeys(got))
        # A packet held back leaves behind the one after it: never more than one place from where it belongs.
        assert all(
            abs(place - rank) <= 1 for place, rank in zip(first, sorted(first), strict=True) if not counts["lost"]
        )
        late = sum(1 for before, after in zip(first, first[1:], strict=False) if after < before)
        assert late <= counts["reordered"]


def test_faults_come_as_often_as_asked_and_independently(lines: Lines) -> None:
    """Of 200 packets at one half each: less likely than once in 10^8 outside of these bounds, and the seed is fixed."""
    odds = {"loss": 0.5, "duplicate": 0.5, "reorder": 0.5}
    sequences, result = run(lines, {"A": odds, "B": odds}, 7)
    for name in ("line_a", "line_b"):
        assert 57 < result[name]["lost"] < 143
        assert 13 < result[name]["duplicated"] < 87
    on_neither = COUNT - len(set(sequences[0]) | set(sequences[1]))
    assert 13 < on_neither < 87


def test_one_line_fills_the_gaps_of_the_other(lines: Lines) -> None:
    sequences, result = run(lines, {"A": {"loss": 0.5}, "B": {}}, 3)
    assert result["line_a"]["lost"] > 50 and len(sequences[0]) == COUNT - result["line_a"]["lost"]
    assert sequences[1] == list(range(1, COUNT + 1))


def timed(times: list[int]) -> tuple[bytes, bytes]:
    return file_of(
        [_core.itch_encode({"type": "D", "timestamp": at, "order_reference": n}) for n, at in enumerate(times)]
    )


def test_the_files_own_time_is_kept_and_divided(lines: Lines) -> None:
    """Four messages over 40 ms of the file at speed 2, and one whose time runs backwards."""
    start = 34_200 * 10**9
    data, index = timed([start, start + 10_000_000, start + 5_000_000, start + 40_000_000])
    result = lines.replay(data, index).run(0.0, 0, 10, 2.0)
    assert result["messages"] == 4
    assert result["elapsed_ns"] >= 20_000_000


def test_a_packet_takes_no_message_that_has_not_happened(lines: Lines) -> None:
    data, index = timed([0, 0, 0, 30_000_000, 30_000_000])
    result = lines.replay(data, index, messages_per_packet=10).run(0.0, 0, 10, 1.0)
    assert (result["messages"], result["packets"]) == (5, 2)


def test_what_was_sent_is_known(lines: Lines) -> None:
    replay = lines.replay()
    assert replay.sent() == 0
    replay.run(0.0, 0, 30)
    assert replay.sent() == 30


@given(st.sets(st.integers(0, 3)), st.integers(0, COUNT), st.integers(0, COUNT + 5))
def test_find_stops_where_a_follower_must_look(lines: Lines, locates: set[int], first: int, end: int) -> None:
    bodies = list(BODIES)
    bodies[50] = _core.itch_encode({"type": "R", "stock_locate": 9, "stock": "TAAAA"})
    bodies[100] = _core.itch_encode({"type": "H", "stock_locate": 9, "stock": "TAAAA"})
    bodies[150] = _core.itch_encode({"type": "S", "stock_locate": 1})
    bits = bytearray(8192)
    for locate in locates:
        bits[locate // 8] |= 1 << locate % 8
    replay = lines.replay(*file_of(bodies))
    end = min(end, COUNT)
    wanted = (n for n in range(first, end) if n in (50, 100) or (n != 150 and 1 + n % 3 in locates))
    assert replay.find(first, end, bits) == next(wanted, end)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda r: r.impair("C"), 'line "C" must be "A" or "B"'),
        (lambda r: r.impair("A", loss=1.5), "loss must be a probability"),
        (lambda r: r.impair("B", reorder=float("nan")), "reorder must be a probability"),
        (lambda r: r.run(0.0, 0, 1, -1.0), "speed must be"),
        (lambda r: r.find(0, 1, b"x"), "locates of 1 bytes, must be 8192"),
    ],
)
def test_wrong_arguments_are_named(lines: Lines, call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(lines.replay())


def test_a_line_b_without_a_port_is_named() -> None:
    with pytest.raises(ValueError, match="port_b 0 must be"):
        _core.Replay(DATA, INDEX, group="127.0.0.1", port=9, interface="127.0.0.1", session="S", group_b="127.0.0.1")
