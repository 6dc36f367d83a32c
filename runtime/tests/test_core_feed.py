# SPDX-License-Identifier: Apache-2.0
"""The feed: whatever lines and re-requests do to a stream, each message comes once and in order, or is counted."""

from __future__ import annotations

import random

import pytest
from core_feed_model import MS, REQUEST_MS, TIMEOUT_MS, Model, body
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tickwire import _core

DAY = "DAY"
Sent = tuple[str, bytes]  # line and packet


def packet(sequence: int, count: int, day: str = DAY) -> bytes:
    return _core.mold_encode(day, sequence, [body(day, at) for at in range(sequence, sequence + count)])


def stream(last: int) -> list[bytes]:
    return [body(DAY, sequence) for sequence in range(1, last + 1)]


def cut(chance: random.Random, last: int) -> list[tuple[int, int]]:
    """The messages 1 to `last` as packets (sequence, count), now and then over each other."""
    packets, at = [], 1
    while at <= last:
        count = min(chance.randrange(1, 6), last + 1 - at)
        packets.append((at, count))
        at += count if chance.random() < 0.9 else chance.randrange(1, count + 1)
    return packets


def bad_line(chance: random.Random, last: int, loss: float) -> list[tuple[int, int]]:
    """Packets of a line that loses, repeats and delays them."""
    packets = []
    for at, sent in enumerate(cut(chance, last)):
        if chance.random() >= loss:
            packets += [(at + 4 * chance.random(), sent)] * chance.choice((1, 1, 1, 2))
    return [sent for _, sent in sorted(packets)]


def merge(chance: random.Random, a: list[tuple[int, int]], b: list[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """Both lines in one order, one at times far behind the other."""
    lag = chance.choice((0.5, 0.9, 0.99))
    merged, lines = [], {"A": a[::-1], "B": b[::-1]}
    while lines["A"] or lines["B"]:
        line = "A" if not lines["B"] or (lines["A"] and chance.random() < lag) else "B"
        merged.append((line, *lines[line].pop()))
    return merged


def settle(feed: _core.Feed, now: int) -> tuple[list[bytes], int]:
    """Let the time-outs pass until no gap is open."""
    got: list[bytes] = []
    while feed.state()["gap_open"]:
        now += TIMEOUT_MS * MS
        assert feed.tick(now) == []
        got += feed.drain()
    return got, now


SEEDS = st.randoms(use_true_random=False)
RATIOS = st.sampled_from((0.0, 0.1, 0.5, 0.9))


@given(SEEDS, st.integers(1, 60), RATIOS, RATIOS)
def test_two_bad_lines_give_each_surviving_message_once_and_in_order(
    chance: random.Random, last: int, loss_a: float, loss_b: float
) -> None:
    sent = merge(chance, bad_line(chance, last, loss_a), bad_line(chance, last, loss_b))
    feed = _core.Feed(gap_timeout_ms=TIMEOUT_MS)
    got = feed.packet(_core.mold_encode(DAY, 1, []))
    for line, sequence, count in sent:
        got += feed.packet(packet(sequence, count), line)
    got += feed.packet(_core.mold_end_of_session(DAY, last + 1), "B")
    waiting, _ = settle(feed, 0)
    got += waiting
    arrived = {at for _, sequence, count in sent for at in range(sequence, sequence + count)}
    assert got == [body(DAY, at) for at in sorted(arrived)]
    state = feed.state()
    assert state["messages_lost"] == last - len(arrived)
    assert state["stale"] is (len(arrived) < last)
    assert state["duplicates"] == sum(count for *_, count in sent) - len(arrived)
    assert (state["ends"], state["sessions"], state["next_sequence"]) == (1, 1, last + 1)


@given(SEEDS, st.integers(1, 60), RATIOS, RATIOS, st.integers(1, 7))
def test_a_request_server_makes_every_stream_whole(
    chance: random.Random, last: int, loss_a: float, loss_b: float, per_reply: int
) -> None:
    """The server answers some of the requests, each with a part of what was asked; the feed asks until it has all."""
    feed = _core.Feed(gap_timeout_ms=TIMEOUT_MS, request_ms=REQUEST_MS, request=True)
    got: list[bytes] = []
    now, unanswered = 1, 0

    def serve() -> None:
        nonlocal got, unanswered
        for request in feed.tick(now):
            day, sequence, count = _core.mold_request_decode(request)
            assert day == DAY and sequence == feed.state()["next_sequence"]
            assert 1 <= count <= last + 1 - sequence
            unanswered += 1
            if unanswered > 5 or chance.random() < 0.7:  # more often unanswered, and the time-out would come
                unanswered = 0
                got += feed.packet(packet(sequence, min(count, per_reply)), "R", now)

    for line, sequence, count in merge(chance, bad_line(chance, last, loss_a), bad_line(chance, last, loss_b)):
        got += feed.packet(packet(sequence, count), line, now)
        if chance.random() < 0.3:
            now += MS
            serve()
    got += feed.packet(_core.mold_end_of_session(DAY, last + 1), "A", now)
    while feed.state()["gap_open"]:
        now += MS
        serve()
    state = feed.state()
    assert got == stream(last) and not state["stale"]
    assert (state["messages_lost"], state["ends"]) == (0, 1) and state["gaps"] == state["gaps_closed"]


@given(SEEDS, st.integers(1, 80), st.integers(1, 5), RATIOS)
def test_with_little_room_what_is_not_delivered_is_counted(
    chance: random.Random, last: int, keep_packets: int, loss: float
) -> None:
    feed = _core.Feed(gap_timeout_ms=TIMEOUT_MS, keep_packets=keep_packets)
    got = feed.packet(_core.mold_encode(DAY, 1, []))
    for line, sequence, count in merge(chance, bad_line(chance, last, loss), bad_line(chance, last, loss)):
        got += feed.packet(packet(sequence, count), line)
    got += feed.packet(_core.mold_end_of_session(DAY, last + 1))
    got += settle(feed, 0)[0]
    delivered = set(got)
    assert got == [message for message in stream(last) if message in delivered]
    assert len(got) + feed.state()["messages_lost"] == last and feed.state()["ends"] == 1


@given(SEEDS, st.lists(st.binary(max_size=60), max_size=10), st.booleans())
def test_garbage_never_changes_what_is_delivered(chance: random.Random, noise: list[bytes], request: bool) -> None:
    """Random bytes, cut packets and packets whose id or count is damaged, before and within the session.

    What is whole in a cut packet is no garbage: it is the message that belongs there.
    """
    good: list[Sent] = [(chance.choice("AB"), packet(sequence, count)) for sequence, count in cut(chance, 30)]
    bad: list[Sent] = [(chance.choice("ABR"), garbage) for garbage in noise]
    for line, sent in good:
        damaged = bytearray(sent)
        damaged[chance.choice((*range(10), 18))] ^= 0x80  # the id no longer printable, or a count of 32 thousand
        bad += [(line, bytes(damaged)), (chance.choice("ABR"), sent[: chance.randrange(len(sent))])]
    feed = _core.Feed(request=request)
    got = []
    for line, sent in good:
        for line_of_bad, garbage in chance.sample(bad, min(3, len(bad))):
            got += feed.packet(garbage, line_of_bad)
        got += feed.packet(sent, line)
    for line, garbage in bad:
        got += feed.packet(garbage, line)
    assert got == stream(30)
    state = feed.state()
    assert (state["sessions"], state["ends"], state["next_sequence"], state["messages_lost"]) == (1, 0, 31, 0)


def test_a_gap_from_its_opening_to_its_end() -> None:
    feed = _core.Feed(gap_timeout_ms=100, request_ms=10, request=True, silent_ms=1000)
    assert feed.packet(packet(1, 2), "A", MS) == [body(DAY, 1), body(DAY, 2)]
    assert feed.packet(packet(5, 1), "A", MS) == []
    assert feed.state()["gap_open"] and feed.tick(MS) == [_core.mold_request_encode(DAY, 3, 2)]
    assert feed.packet(packet(3, 1), "R", 2 * MS) == [body(DAY, 3)]
    assert feed.tick(2 * MS) == [_core.mold_request_encode(DAY, 4, 1)]
    assert feed.tick(11 * MS) == [] and feed.tick(12 * MS) == [_core.mold_request_encode(DAY, 4, 1)]
    assert feed.tick(50 * MS) == [_core.mold_request_encode(DAY, 4, 1)]
    assert feed.tick(99 * MS) == [_core.mold_request_encode(DAY, 4, 1)] and feed.drain() == []
    assert feed.tick(102 * MS) == [] and feed.drain() == [body(DAY, 5)] and feed.drain() == []
    assert feed.packet(packet(4, 1), "B", 103 * MS) == []
    assert feed.tick(1103 * MS) == []
    assert feed.state() == {
        "session": DAY,
        "next_sequence": 6,
        "stale": True,
        "silent": True,
        "gap_open": False,
        "packets_a": 2,
        "packets_b": 1,
        "packets_requested": 1,
        "duplicates": 1,
        "gaps": 1,
        "gaps_closed": 0,
        "messages_lost": 1,
        "requests": 5,
        "out_of_session": 0,
        "malformed": 0,
        "sessions": 1,
        "ends": 0,
    }


def test_time_in_which_nobody_asked_is_not_the_servers() -> None:
    """The process was stopped in a gap: what is missing is asked for, and has its time, before it is given up."""
    feed = _core.Feed(gap_timeout_ms=100, request_ms=10, request=True)
    assert feed.packet(packet(1, 2), "A", MS) == [body(DAY, 1), body(DAY, 2)]
    assert feed.packet(packet(4, 1), "A", 2 * MS) == []
    assert feed.tick(2 * MS) == [_core.mold_request_encode(DAY, 3, 1)]
    assert feed.tick(5000 * MS) == [_core.mold_request_encode(DAY, 3, 1)] and feed.drain() == []
    assert feed.packet(packet(3, 1), "R", 5020 * MS) == [body(DAY, 3), body(DAY, 4)]
    assert not feed.state()["stale"] and feed.state()["messages_lost"] == 0


@pytest.mark.parametrize("timeout_ms", [1, 2, 3, 10])
def test_a_short_time_out_ends_too(timeout_ms: int) -> None:
    """Ticks may be as far apart as the time-out is long: that alone is no absence."""
    feed = _core.Feed(gap_timeout_ms=timeout_ms, request_ms=1, request=True)
    assert feed.packet(packet(1, 2), "A", MS) == [body(DAY, 1), body(DAY, 2)]
    assert feed.packet(packet(4, 1), "A", 2 * MS) == []
    for at in range(2, 24, 3):
        feed.tick(at * MS)
    assert feed.drain() == [body(DAY, 4)] and feed.state()["messages_lost"] == 1


def test_a_feed_that_has_seen_nothing() -> None:
    feed = _core.Feed()
    assert feed.tick(MS) == [] and feed.drain() == [] and feed.packet(b"") == []
    assert (feed.state()["session"], feed.state()["sessions"], feed.state()["malformed"]) == ("", 0, 1)


def test_strict_join_makes_a_late_session_stale() -> None:
    for strict in (False, True):
        feed = _core.Feed(strict_join=strict)
        assert feed.packet(packet(9, 1)) == [body(DAY, 9)]
        assert feed.state()["stale"] is strict
        assert feed.packet(packet(1, 1, "NEXT")) == [body("NEXT", 1)]
        assert feed.state()["stale"] is False


def test_a_late_session_is_stale_until_all_of_it_has_come() -> None:
    feed = _core.Feed(request=True, request_ms=1)
    assert feed.packet(packet(3, 1)) == [] and feed.state()["stale"]
    (request,) = feed.tick(MS)
    assert _core.mold_request_decode(request) == (DAY, 1, 2)
    assert feed.packet(packet(1, 1), "R") == [body(DAY, 1)] and feed.state()["stale"]
    assert feed.packet(packet(2, 1), "R") == [body(DAY, 2), body(DAY, 3)]
    assert not feed.state()["stale"]


def test_wrong_arguments_are_named() -> None:
    for keep_packets in (0, 65537):
        with pytest.raises(ValueError, match=f"keep_packets {keep_packets} must be 1 to 65536"):
            _core.Feed(keep_packets=keep_packets)
    for line in ("", "C", "AB"):
        with pytest.raises(ValueError, match=f'line "{line}" must be "A", "B" or "R"'):
            _core.Feed().packet(b"", line)
    with pytest.raises(ValueError, match="65508 bytes"):
        _core.Feed().packet(b"x" * 65508)


class FeedAndModel(RuleBasedStateMachine):
    """The feed beside the model: the same packets and times, the same messages, requests and counts."""

    @initialize(request=st.booleans())
    def start(self, request: bool) -> None:
        self.model = Model(request)
        self.feed = _core.Feed(
            gap_timeout_ms=TIMEOUT_MS, request_ms=REQUEST_MS, silent_ms=0, keep_packets=500, request=request
        )
        self.days = 0
        self.model.now = 1
        self.new_day(1, "A")

    def at(self, offset: int) -> int:
        return max(1, self.model.next + offset)

    def give(self, sent: bytes, line: str, expected: list[bytes]) -> None:
        assert self.feed.packet(sent, line, self.model.now) == expected

    @rule(offset=st.integers(-6, 12), count=st.integers(1, 6), line=st.sampled_from("ABR"))
    def data(self, offset: int, count: int, line: str) -> None:
        sequence = self.at(offset)
        sent = packet(sequence, count, self.model.day)
        self.give(sent, line, self.model.data(self.model.day, sequence, count, line))

    @rule(count=st.integers(1, 3), line=st.sampled_from("ABR"))
    def missing(self, count: int, line: str) -> None:
        self.data(0, count, line)

    @rule(offset=st.integers(1, 9), whole=st.integers(1, 3), line=st.sampled_from("AB"))
    def cut_short(self, offset: int, whole: int, line: str) -> None:
        sequence = self.at(offset)
        sent = packet(sequence, whole + 1, self.model.day)[:-1]
        if self.model.running:
            self.give(sent, line, self.model.data(self.model.day, sequence, whole, line))

    @rule(offset=st.integers(-3, 6), ends=st.booleans(), line=st.sampled_from("AB"))
    def bare(self, offset: int, ends: bool, line: str) -> None:
        sequence = self.at(offset)
        make = _core.mold_end_of_session if ends else lambda day, at: _core.mold_encode(day, at, [])
        self.model.bare(self.model.day, sequence, ends, line)
        self.give(make(self.model.day, sequence), line, [])

    @rule(first=st.sampled_from((1, 1, 1, 7)), line=st.sampled_from("AB"))
    def new_day(self, first: int, line: str) -> None:
        self.days += 1
        day = f"DAY{self.days}"
        self.give(packet(first, 2, day), line, self.model.data(day, first, 2, line))

    @rule(line=st.sampled_from("ABR"), ends=st.booleans())
    def end_and_restart(self, line: str, ends: bool) -> None:
        if ends:
            self.bare(0, True, "A")
        day = self.model.day
        self.give(packet(1, 1, day), line, self.model.data(day, 1, 1, line))

    @rule(line=st.sampled_from("ABR"), sequence=st.integers(2, 9))
    def straggler(self, line: str, sequence: int) -> None:
        day = self.model.previous
        if day:
            self.give(packet(sequence, 1, day), line, self.model.data(day, sequence, 1, line))

    @rule(garbage=st.binary(max_size=40), line=st.sampled_from("ABR"))
    def garbage(self, garbage: bytes, line: str) -> None:
        # A whole, printable header would be a packet: a session of its own.
        self.give(b"\xff" + garbage[1:], "A" if len(garbage) < 20 else "B", [])

    @rule(ms=st.sampled_from((0, 1, 3, 9, 10, 40, 100)))
    def tick(self, ms: int) -> None:
        self.model.now += ms * MS
        requests, messages = self.model.tick()
        asked = [_core.mold_request_decode(request) for request in self.feed.tick(self.model.now)]
        assert asked == [(self.model.day, sequence, count) for sequence, count in requests]
        assert self.feed.drain() == messages

    @invariant()
    def alike(self) -> None:
        state = self.feed.state()
        model = {
            "next_sequence": self.model.next,
            "gap_open": self.model.gap,
            "stale": self.model.stale or self.model.late,
            "gaps": self.model.gaps,
            "gaps_closed": self.model.gaps_closed,
            "messages_lost": self.model.messages_lost,
            "sessions": self.model.sessions,
            "ends": self.model.ends,
            "session": self.model.day,
        }
        assert {key: state[key] for key in model} == model


TestFeedAndModel = FeedAndModel.TestCase
TestFeedAndModel.settings = settings(max_examples=150, stateful_step_count=40, suppress_health_check=list(HealthCheck))
