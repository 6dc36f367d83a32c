# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from core_messages import SMALL, SYNTHETIC, add, imbalance, itch_file, message
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core

LARGE = {"engine": {"max_orders": 65536, "max_instruments": 512, "max_samples": 16}}


def process(packets: list[bytes]) -> dict[str, Any]:
    return _core.process_packets(SMALL, packets)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10),
    st.integers(0, 2**64 - 1),
    st.lists(st.binary(max_size=60), max_size=20),
)
def test_decode_inverts_encode(session: str, sequence: int, bodies: list[bytes]) -> None:
    packet = _core.mold_encode(session, sequence, bodies)
    assert _core.mold_decode(packet) == (session, sequence, len(bodies), bodies)
    assert len(packet) == 20 + sum(2 + len(body) for body in bodies)


def test_a_packet_byte_by_byte() -> None:
    assert _core.mold_encode("S1", 258, [b"AB"]) == b"S1        " + struct.pack(">QHH", 258, 1, 2) + b"AB"
    assert _core.mold_end_of_session("S1", 3) == b"S1        " + struct.pack(">QH", 3, 0xFFFF)
    assert _core.mold_decode(_core.mold_end_of_session("S1", 3)) == ("S1", 3, 0xFFFF, [])


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10),
    st.integers(0, 2**64 - 1),
    st.integers(1, 65535),
)
def test_a_request_is_a_header_alone(session: str, sequence: int, count: int) -> None:
    request = _core.mold_request_encode(session, sequence, count)
    assert request == session.encode().ljust(10) + struct.pack(">QH", sequence, count)
    assert _core.mold_request_decode(request) == (session, sequence, count)
    for wrong in (request[:-1], request + b"x"):
        with pytest.raises(ValueError, match=f"MoldUDP64 request: {len(wrong)} bytes, it has 20"):
            _core.mold_request_decode(wrong)


@pytest.mark.parametrize("count", [-1, 0, 65536])
def test_a_request_for_nothing_or_too_much_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"count {count} must be 1 to 65535"):
        _core.mold_request_encode("S", 1, count)


@pytest.mark.parametrize("cut", range(24))
def test_a_cut_packet_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="MoldUDP64"):
        _core.mold_decode(_core.mold_encode("S", 1, [b"ABCD"])[:cut])


def test_too_much_for_a_packet_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        _core.mold_encode("S", 1, [b"x" * 60000, b"x" * 60000])
    with pytest.raises(ValueError, match="at most 10"):
        _core.mold_encode("LONGSESSION", 1, [])


def split(bodies: list[bytes] | tuple[bytes, ...], sizes: list[int]) -> list[bytes]:
    """Packets of the given numbers of messages (0: a heartbeat between), the rest one by one."""
    packets, at = [], 0
    for size in [*sizes, *[1] * len(bodies)]:
        packets.append(_core.mold_encode("DAY", at + 1, bodies[at : at + size]))
        at += min(size, len(bodies) - at)
    return packets


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    same = ("books", "orders", "messages", "next_sequence", "gaps", "duplicates", "book_errors", "malformed", "unknown")
    return {key: result[key] for key in same}


HISTORY = imbalance(1, 6) + imbalance(100, 5, locate=2) + [message("S", event_code="Q")] + [add(900, "S", 5, 10011)]
EXPECTED = outcome(_core.process_packets(SMALL, split(HISTORY, [])))


@given(st.lists(st.integers(0, 9), max_size=len(HISTORY)))
def test_any_split_into_packets_gives_the_same_books_and_orders(sizes: list[int]) -> None:
    assert len(EXPECTED["orders"]) == 11 and len(EXPECTED["books"]) == 2
    assert outcome(process(split(HISTORY, sizes))) == EXPECTED


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=len(HISTORY)))
def test_repeated_and_overlapping_packets_change_nothing_but_the_count(steps: list[tuple[int, int]]) -> None:
    """Each packet begins up to `back` messages before where the last one ended: A and B feeds, replays."""
    packets, at, repeated = [], 0, 0
    for size, back in [*steps, *[(1, 0)] * len(HISTORY)]:
        first = max(0, at - back)
        end = min(len(HISTORY), first + size)
        packets.append(_core.mold_encode("DAY", first + 1, HISTORY[first:end]))
        repeated += min(end, at) - first
        at = max(at, end)
    result = outcome(process(packets))
    assert result.pop("duplicates") == repeated
    assert result == {key: value for key, value in EXPECTED.items() if key != "duplicates"}


def test_a_real_file_gives_the_same_books_however_it_is_cut() -> None:
    bodies = itch_file(SYNTHETIC)[2][:20_000]
    chance = random.Random(3)
    one_by_one = outcome(_core.process_packets(LARGE, split(bodies, [])))
    in_lumps = outcome(_core.process_packets(LARGE, split(bodies, [chance.randrange(40) for _ in range(1100)])))
    assert one_by_one == in_lumps
    assert one_by_one["messages"] == 20_000 and len(one_by_one["books"]) > 100


def test_process_is_process_packets_of_a_file() -> None:
    data, index, bodies = itch_file(SYNTHETIC)
    keys = ("orders", "messages", "orders_sent", "top", "book_errors", "risk_collar", "next_sequence")
    from_file = [_core.process(LARGE, data, index, messages_per_packet=n) for n in (1, 7)]
    packets = [_core.mold_encode("X", at + 1, bodies[at : at + 20]) for at in range(0, len(bodies), 20)]
    from_packets = _core.process_packets(LARGE, packets)
    for result in from_file:
        assert {key: result[key] for key in keys} == {key: from_packets[key] for key in keys}
        assert result["feed_ended"] is True and result["state"] == "stopped"
    assert from_packets["orders_sent"] > 500


def test_a_gap_is_counted_and_the_feed_goes_on() -> None:
    bodies = [add(reference, "B", 1, 1000) for reference in range(1, 11)]
    packets = [_core.mold_encode("D", at, [bodies[at - 1]]) for at in (1, 2, 6, 10)]
    result = process(packets)
    assert (result["gaps"], result["messages_lost"], result["messages"]) == (2, 6, 4)
    assert result["next_sequence"] == 11
    # A late packet of the gap is a duplicate now: it was declared lost.
    assert process([*packets, _core.mold_encode("D", 3, bodies[2:5])])["duplicates"] == 3


def test_a_heartbeat_and_the_end_show_what_was_lost_before_them() -> None:
    first = _core.mold_encode("D", 1, [add(1, "B", 1, 1000)])
    assert process([first, _core.mold_encode("D", 5, [])])["messages_lost"] == 3
    result = process([first, _core.mold_end_of_session("D", 7)])
    assert (result["messages_lost"], result["feed_ended"]) == (5, True)
    assert process([first, _core.mold_encode("D", 2, [])])["gaps"] == 0


def test_a_feed_joined_late_begins_where_it_is() -> None:
    result = process([_core.mold_encode("D", 1000, [add(1, "B", 1, 1000)])])
    assert (result["gaps"], result["next_sequence"]) == (0, 1001)
    result = process([_core.mold_encode("D", 1000, []), _core.mold_encode("D", 1002, [add(1, "B", 1, 1000)])])
    assert (result["gaps"], result["messages_lost"]) == (1, 2)


def test_a_new_session_is_a_new_day() -> None:
    day = [add(1, "B", 100, 1000), add(2, "S", 100, 1100)]
    result = process([_core.mold_encode("D1", 1, day), _core.mold_encode("D2", 1, [add(1, "B", 7, 500)])])
    assert result["feed_session"] == "D2" and result["gaps"] == 0 and result["book_errors"] == 0
    assert result["books"] == {1: ([(500, 7, 1)], [])}


def test_a_straggler_of_the_day_before_is_out_of_session() -> None:
    old, new = _core.mold_encode("D1", 1, [add(1, "B", 1, 1)]), _core.mold_encode("D2", 1, [add(1, "B", 7, 500)])
    result = process([old, new, old, _core.mold_end_of_session("D1", 2)])
    assert (result["out_of_session"], result["feed_session"], result["feed_ended"]) == (2, "D2", False)
    assert result["books"] == {1: ([(500, 7, 1)], [])}


def test_an_ended_session_starts_again_only_from_sequence_one() -> None:
    first = _core.mold_encode("D", 1, [add(1, "B", 1, 1000)])
    end = _core.mold_end_of_session("D", 2)
    later = _core.mold_encode("D", 2, [add(2, "B", 1, 1000)])
    result = process([first, end, end, later, _core.mold_encode("D", 2, [])])
    assert (result["messages"], result["out_of_session"], result["feed_ended"]) == (1, 1, True)
    result = process([first, end, first, later])
    assert (result["messages"], result["out_of_session"], result["feed_ended"]) == (3, 0, False)
    assert result["book_errors"] == 0


def test_damage_is_counted_and_never_applied() -> None:
    good = _core.mold_encode("D", 1, [add(1, "B", 1, 1000), add(2, "B", 1, 2000)])
    begun = _core.mold_encode("D", 1, [])  # damage does not begin a session
    result = process([begun, good[:-1], _core.mold_encode("D", 3, [add(3, "B", 1, 3000)])])
    assert (result["malformed"], result["gaps"], result["messages_lost"]) == (1, 1, 1)
    assert [level[0] for level in result["books"][1][0]] == [3000, 1000]
    wrong = _core.mold_encode("D", 1, [b"", b"Zunknown", add(1, "B", 1, 1000)[:-1], add(2, "B", 1, 2000)])
    result = process([wrong, b"", b"short"])
    assert (result["messages"], result["unknown"], result["malformed"]) == (4, 2, 3)
    assert result["books"] == {1: ([(2000, 1, 1)], [])}


@given(st.lists(st.binary(max_size=90), max_size=30), st.randoms(use_true_random=False))
def test_noise_never_breaks_the_engine(noise: list[bytes], chance: random.Random) -> None:
    packets = split(HISTORY, [3] * 9) + noise
    for _ in range(10):
        packet = bytearray(chance.choice(packets))
        if packet:
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        packets.append(bytes(packet))
    chance.shuffle(packets)
    result = process(packets)
    assert result["packets"] == len(packets)
