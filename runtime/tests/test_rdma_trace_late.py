# SPDX-License-Identifier: Apache-2.0
"""What comes late, reads longer than a restart is wide, and what answers say that have no acknowledge header."""

from __future__ import annotations

import struct

import pytest
from roce_frames import (
    NAK_SEQUENCE,
    READ_FIRST,
    READ_LAST,
    READ_MIDDLE,
    READ_ONLY,
    READ_REQUEST,
    RNR,
    SEND_FIRST,
    SEND_LAST,
    SEND_MIDDLE,
    SEND_ONLY,
    START_NS,
    Packet,
    Record,
    answer,
    reth,
    timed,
)
from roce_report import asking, flows_of, report_of

MTU = 256
UC_SEND_ONLY = 0x24


def part(psn: int, opcode: int) -> Packet:
    return Packet(opcode, psn, data=bytes(10 if opcode in (SEND_LAST, SEND_ONLY) else MTU))


# --- messages that come late


def test_late_messages_are_counted_and_warned_about() -> None:
    story = [Packet(psn=1), Packet(psn=4), answer(2, NAK_SEQUENCE), *(Packet(psn=n) for n in (2, 3, 4)), answer(4)]
    report = report_of(story)
    (pair,) = report["queue_pairs"]
    requester = pair["requester"]
    assert pair["sent"]["messages"]["send"] == 4
    assert (requester["late_messages"], requester["completed"], requester["retransmissions"]) == (2, 2, 1)
    assert (pair["message_time"]["samples"], requester["missing"]) == (2, 0)
    assert any(text.startswith("2 messages have no message time") for text in report["warnings"])


@pytest.mark.parametrize(
    ("lost", "late", "partial", "samples"),
    [
        ((), 0, 0, 3),
        ((11,), 0, 0, 3),
        ((12,), 0, 0, 3),
        ((10,), 0, 1, 2),
        ((10, 12), 0, 1, 2),
        ((10, 11, 12), 1, 0, 2),
    ],
)
def test_every_message_counts_once_whatever_of_it_was_lost(
    lost: tuple[int, ...], late: int, partial: int, samples: int
) -> None:
    """Three messages, of which the middle one has three packets; what was lost comes again with all after it."""
    packets = [
        part(9, SEND_ONLY),
        part(10, SEND_FIRST),
        part(11, SEND_MIDDLE),
        part(12, SEND_LAST),
        part(13, SEND_ONLY),
    ]
    seen = [packet for packet in packets if packet.psn not in lost]
    again = [packet for packet in packets if lost and packet.psn >= min(lost)]
    refusal = [answer(min(lost), NAK_SEQUENCE)] if lost else []
    flow = asking([*seen, *refusal, *again, *again, answer(13)])
    assert (flow["messages"]["send"], flow["missing"]) == (3, 0)
    assert (flow["late_messages"], flow["partial"], flow["message_time"]["samples"]) == (late, partial, samples)


def test_a_late_read_is_told_from_one_that_is_asked_for_again_from_its_middle() -> None:
    learn = [part(1, SEND_FIRST), part(2, SEND_LAST), answer(2)]
    lost = Packet(READ_REQUEST, 3, extra=reth(3 * MTU))
    middle = Packet(READ_REQUEST, 4, extra=reth(2 * MTU))
    behind = [Packet(psn=6), answer(3, NAK_SEQUENCE)]
    late = asking([*learn, *behind, lost])
    assert (late["messages"]["read"], late["late_messages"], late["missing"]) == (1, 1, 0)
    assert (late["out_of_order"], late["retransmissions"]) == (1, 0)
    twice = asking([*learn, *behind, lost, middle, lost])
    assert (twice["messages"]["read"], twice["late_messages"], twice["retransmissions"]) == (1, 1, 2)
    on_time = asking([*learn, lost, Packet(psn=6), middle])
    assert (on_time["messages"]["read"], on_time["late_messages"], on_time["retransmissions"]) == (1, 0, 1)


def test_what_is_not_reliable_has_messages_that_come_late_and_copies_but_no_times() -> None:
    story = [Packet(UC_SEND_ONLY, psn) for psn in (1, 3, 2, 2, 3)]
    flow = asking([*story])
    assert (flow["messages"]["send"], flow["out_of_order"], flow["missing"]) == (3, 3, 0)
    assert (flow["late_messages"], flow["retransmissions"], flow["message_time"]["samples"]) == (0, 0, 0)


# --- long reads

RESPONSES = 70_000


def long_read(start: int, asked: list[tuple[int, int]]) -> list[Record]:
    """A read of RESPONSES packets, asked for with these (first response, and after how many), and a send behind it."""
    records: list[Record] = []

    def put(frame: bytes) -> None:
        records.append((START_NS + 100 * len(records), frame))

    def ask(first: int) -> None:
        put(Packet(READ_REQUEST, start + first, extra=reth((RESPONSES - first) * MTU)).frame())

    frames = {
        opcode: answer(0, opcode=opcode, data=bytes(MTU)).frame() for opcode in (READ_FIRST, READ_MIDDLE, READ_LAST)
    }
    ask(0)
    again = dict((after, first) for first, after in asked)
    for number in range(RESPONSES):
        opcode = {0: READ_FIRST, RESPONSES - 1: READ_LAST}.get(number, READ_MIDDLE)
        frame = frames[opcode]
        put(frame[:50] + struct.pack(">I", (start + number) & 0xFFFFFF) + frame[54:])
        if number in again:
            ask(again[number])
    put(Packet(psn=start + RESPONSES).frame())
    put(answer(start + RESPONSES).frame())
    return records


@pytest.mark.parametrize("start", [5, 0xFFFF00])
def test_a_read_of_more_responses_than_a_restart_is_wide(start: int) -> None:
    flows = flows_of(long_read(start, [(0, 3), (2, 4)]))
    asking_flow, answering = flows
    assert (asking_flow["restarts"], asking_flow["retransmissions"], asking_flow["missing"]) == (0, 2, 0)
    assert (asking_flow["completed"], asking_flow["unanswered"], asking_flow["unacknowledged"]) == (2, 0, 0)
    assert asking_flow["message_time"]["max_ns"] == 100 * (RESPONSES + 2)  # to the last response
    assert (answering["answers_unmatched"], answering["read_responses"], asking_flow["pairing"]) == (
        0,
        RESPONSES,
        "psn",
    )


def test_a_jump_back_is_another_life_when_nothing_reaches_as_far() -> None:
    flow = asking([Packet(psn=900_000), answer(900_000), Packet(psn=800_000), answer(800_000)])
    assert (flow["restarts"], flow["retransmissions"], flow["completed"]) == (1, 0, 2)


# --- what answers say


@pytest.mark.parametrize("reserved", [0, 0x80])
def test_the_reserved_bit_of_a_syndrome_means_nothing(reserved: int) -> None:
    story = [Packet(psn=1), answer(1, reserved | RNR | 14), Packet(psn=1), answer(1, reserved | 0x1F)]
    refused = [Packet(psn=2), answer(2, reserved | 0x61)]
    (pair,) = report_of([*story, *refused])["queue_pairs"]
    received = pair["received"]
    assert (received["acks"], received["not_ready_by_timer_ms"]) == (1, {"1.28": 1})
    assert (received["naks"], received["other_syndromes"]) == ({"invalid_request": 1}, 0)


def test_only_an_acknowledgement_can_be_a_nak() -> None:
    """A response beyond what was asked for fits nothing, whatever the answers before it said."""
    asked = [Packet(READ_REQUEST, 1, extra=reth(10)), answer(1, opcode=READ_ONLY, data=bytes(10))]
    refused = [Packet(psn=2), *[answer(2, NAK_SEQUENCE)] * 40]
    beyond = [answer(50, opcode=READ_MIDDLE, data=bytes(MTU)), answer(50, NAK_SEQUENCE, opcode=READ_ONLY)] * 4
    flows = flows_of(timed([*asked, *refused, *beyond]))
    assert [flow["answers_unmatched"] for flow in flows] == [0, 8]
