# SPDX-License-Identifier: Apache-2.0
"""What `tickwire rdma trace` makes of captures whose story is known, and its command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from roce_frames import (
    CNP,
    COOKED,
    FETCH_ADD,
    NAK_SEQUENCE,
    QP_A,
    READ_FIRST,
    READ_LAST,
    READ_MIDDLE,
    READ_REQUEST,
    RNR,
    SEND_FIRST,
    SEND_LAST,
    SEND_MIDDLE,
    UD_SEND_ONLY,
    A,
    B,
    Packet,
    answer,
    atomic,
    cm_reply,
    cm_request,
    deth,
    pause,
    pcap,
    reth,
    timed,
)
from roce_report import asking, flows_of, report_of

from tickwire import _core

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "roce"


# --- answers


def test_a_send_and_its_acknowledgement() -> None:
    flow = asking([Packet(psn=5, data=b"x" * 30), answer(5)])
    assert flow["round_trip"] == flow["message_time"]
    times = ("min_ns", "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "max_ns")
    assert flow["round_trip"] == {"samples": 1} | dict.fromkeys(times, 1000)
    assert (flow["source_qp"], flow["pairing"], flow["payload_bytes"], flow["completed"]) == (QP_A, "psn", 30, 1)


def test_an_acknowledgement_covers_everything_before_it_across_the_wrap() -> None:
    packets = [Packet(psn=0xFFFFFE + number) for number in range(5)]
    flow = asking([*packets, answer(2)])
    assert (flow["completed"], flow["unacknowledged"], flow["missing"]) == (5, 0, 0)
    assert (flow["round_trip"]["samples"], flow["round_trip"]["max_ns"]) == (1, 1000)
    assert (flow["message_time"]["min_ns"], flow["message_time"]["max_ns"]) == (1000, 5000)


def test_a_message_of_several_packets_counts_from_its_first() -> None:
    flow = asking(
        [
            Packet(SEND_FIRST, 1, data=bytes(1024)),
            Packet(SEND_MIDDLE, 2, data=bytes(1024)),
            answer(1),
            Packet(SEND_LAST, 3, data=bytes(10)),
            answer(3),
        ]
    )
    assert (flow["completed"], flow["mtu"], flow["message_time"]["max_ns"]) == (1, 1024, 4000)
    assert flow["round_trip"]["samples"] == 2 and flow["messages"]["send"] == 1


def test_a_read_is_whole_with_its_last_response() -> None:
    responses = [
        answer(7, opcode=READ_FIRST, data=bytes(1024)),
        answer(8, opcode=READ_MIDDLE, data=bytes(1024)),
        answer(9, opcode=READ_LAST, data=bytes(100)),
    ]
    flow = asking([Packet(READ_REQUEST, 7, extra=reth(2148)), *responses, Packet(psn=10), answer(10)])
    assert (flow["messages"]["read"], flow["completed"], flow["missing"], flow["mtu"]) == (1, 2, 0, 1024)
    assert (flow["message_time"]["max_ns"], flow["round_trip"]["max_ns"]) == (3000, 1000)


@pytest.mark.parametrize(
    ("length", "mtu"), [(4000, 1024), (4000, 512), (9000, 4096), (0, None), (256, None), (300, None)]
)
def test_where_a_read_ends_is_told_by_the_request_after_it(length: int, mtu: int | None) -> None:
    responses = max(-(-length // (mtu or 4096)), 1)
    flow = asking([Packet(READ_REQUEST, 7, extra=reth(length)), Packet(psn=7 + responses)])
    assert (flow["missing"], flow["mtu"], flow["retransmissions"]) == (0, mtu, 0)


def test_a_read_that_is_passed_over_is_unanswered() -> None:
    flow = asking([Packet(READ_REQUEST, 7, extra=reth(100)), Packet(psn=8), answer(8)])
    assert (flow["unanswered"], flow["completed"]) == (1, 1)


def test_an_atomic_and_its_answer() -> None:
    flow = asking([Packet(FETCH_ADD, 3, extra=atomic()), answer(3, opcode=18)])
    assert (flow["messages"]["atomic"], flow["completed"], flow["round_trip"]["samples"]) == (1, 1, 1)


# --- what goes wrong


def test_a_nak_and_what_is_sent_again() -> None:
    story = [Packet(psn=1), Packet(psn=3), answer(2, NAK_SEQUENCE), Packet(psn=2), Packet(psn=3), answer(3)]
    flows = flows_of(timed(story))
    (flow,) = (flow for flow in flows if flow["requests"])
    assert (flow["missing"], flow["out_of_order"], flow["retransmissions"]) == (0, 1, 1)
    assert (flow["ambiguous"], flow["completed"]) == (1, 2)  # 2 came too late to have a time, and is a message
    assert (flow["messages"]["send"], flow["late_messages"]) == (3, 1)
    assert flows[flow["peer"]]["naks"] == {0: 1}


def test_a_receiver_that_is_not_ready_says_how_long_to_wait() -> None:
    report = report_of([Packet(psn=1), answer(1, RNR | 14), Packet(psn=1), answer(1)])
    (pair,) = report["queue_pairs"]
    assert pair["received"]["not_ready_by_timer_ms"] == {"1.28": 1}
    assert (pair["requester"]["retransmissions"], pair["requester"]["ambiguous"]) == (1, 1)
    assert (pair["round_trip"]["samples"], pair["message_time"]["max_ns"]) == (0, 3000)


def test_marks_and_who_is_told_to_slow_down() -> None:
    notice = answer(0, opcode=CNP, ecn=0)
    (pair,) = report_of([Packet(psn=1, ecn=3), answer(1), notice, Packet(psn=2), answer(2)])["queue_pairs"]
    assert (pair["sent"]["ce_marks"], pair["received"]["cnps"], pair["sent"]["answers"]["cnps"]) == (1, 1, 0)
    assert sum(row[6] for row in pair["series"]["bins"]) == 1


def test_pauses_count_for_those_they_stop() -> None:
    tag = ((0x8100, 3, 110),)
    frames = [pause({3: 9}), Packet(psn=1, tags=tag), pause({3: 0xFFFF, 4: 5}), pause({3: 0}), pause(7), answer(1)]
    report = report_of(frames)
    assert report["pauses"]["by_priority"] == {"3": 2, "4": 1, "port": 1}
    (sender,) = report["pauses"]["senders"]
    assert (sender["source"], sender["resumes"], sender["quanta"]["3"]) == ("02:00:00:00:00:63", {"3": 1}, 0xFFFF + 9)
    (pair,) = report["queue_pairs"]
    assert (pair["priority"], pair["pauses"]) == (3, 2)  # of priority 3 and of the port, since its first packet
    assert sum(row[8] for row in report["pauses"]["series"]["bins"]) == 3


def test_the_same_packet_on_two_interfaces_is_no_retransmission() -> None:
    twice = [packet for number in range(4) for packet in [Packet(psn=number, ip_id=100 + number)] * 2]
    assert (asking(twice)["copies"], asking(twice)["retransmissions"]) == (4, 0)
    again = [Packet(psn=0, ip_id=100), Packet(psn=1, ip_id=101), Packet(psn=0, ip_id=102)]
    assert (asking(again)["copies"], asking(again)["retransmissions"]) == (0, 1)
    constant = [Packet(psn=number % 3, ip_id=7) for number in range(6)]
    assert (asking(constant)["copies"], asking(constant)["retransmissions"]) == (0, 3)
    cooked = [(index, Packet(psn=0).frame(COOKED, direction)) for index, direction in enumerate((4, 0))]
    traced = _core.RoceTrace()
    traced.feed(pcap(cooked, COOKED))
    assert traced.flows()[0]["copies"] == 1


def test_another_life_of_a_queue_pair() -> None:
    flow = asking([Packet(psn=5), Packet(psn=6), Packet(psn=900_000), answer(900_000)])
    assert (flow["restarts"], flow["unacknowledged"], flow["missing"], flow["completed"]) == (1, 2, 0, 1)


def test_more_outstanding_than_the_ring_has_room_for_is_counted() -> None:
    flow = asking([*(Packet(psn=number) for number in range(10)), answer(9)], outstanding=4)
    assert (flow["overrun"], flow["completed"], flow["message_time"]["max_ns"]) == (6, 4, 4000)


def test_queue_pairs_beyond_the_limit_are_counted() -> None:
    traced = _core.RoceTrace(flows=2)
    traced.feed(pcap(timed([Packet(qp=number) for number in range(5)])))
    assert (len(traced.flows()), traced.state()["untracked"]) == (2, 3)


def test_clocks_that_run_backwards_make_no_sample() -> None:
    records = [(2_000_000, Packet(psn=1).frame()), (1_000_000, answer(1).frame())]
    (flow,) = (flow for flow in flows_of(records) if flow["requests"])
    assert (flow["round_trip"]["samples"], flow["backwards"]) == (0, 1)


def test_the_invariant_crc_is_checked_when_asked_for() -> None:
    packets = [Packet(psn=1), Packet(psn=2, bad_icrc=True), Packet(psn=3, source="fd00::1", destination="fd00::2")]
    flows = flows_of(timed(packets), icrc=True)
    assert [(flow["icrc_checked"], flow["icrc_wrong"]) for flow in flows] == [(2, 1), (1, 0)]
    assert [flow["icrc_checked"] for flow in flows_of(timed(packets))] == [0, 0]


# --- which answers belong to which requests


def two_connections(psn: int, other: int, ports: tuple[int, int] = (0xC001, 0xC002)) -> list[Packet | bytes]:
    """Connections 0x11-0x22 and 0x33-0x44 between the same hosts, with answers to both."""
    first, second = ports
    return [
        Packet(psn=psn, qp=0x22, port=first),
        Packet(psn=other, qp=0x44, port=second),
        answer(psn, qp=0x11, port=first),
        answer(other, qp=0x33, port=second),
    ]


def pairs_of(packets: list[Packet | bytes]) -> set[tuple[int | None, int, str | None]]:
    flows = flows_of(timed(packets))
    return {(flow["source_qp"], flow["destination_qp"], flow["pairing"]) for flow in flows if flow["requests"]}


def test_different_psns_tell_connections_apart() -> None:
    assert pairs_of(two_connections(100, 200)) == {(0x11, 0x22, "psn"), (0x33, 0x44, "psn")}


def linux_port(one: int, other: int) -> int:
    """rdma_get_udp_sport, in Python."""
    label = one * other
    label ^= label >> 20
    label ^= label >> 40
    label &= 0xFFFFF
    return 0xC000 | ((label & 0x3FFF) ^ label >> 14)


def test_equal_psns_are_told_apart_by_the_ports_linux_gives() -> None:
    ports = (linux_port(0x11, 0x22), linux_port(0x33, 0x44))
    assert pairs_of(two_connections(0, 0, ports)) == {(0x11, 0x22, "port"), (0x33, 0x44, "psn")}


def test_what_nothing_tells_stays_open() -> None:
    packets = two_connections(0, 0)
    assert pairs_of(packets) == {(None, 0x22, None), (None, 0x44, None)}
    report = report_of(packets)
    assert {pair["received"] is None for pair in report["queue_pairs"]} == {True}


def test_the_connection_manager_beats_every_guess() -> None:
    def mad(source: str, destination: str, data: bytes) -> Packet:
        return Packet(UD_SEND_ONLY, qp=1, source=source, destination=destination, extra=deth(1), data=data)

    managed = [mad(A, B, cm_request(9, 0x11)), mad(B, A, cm_reply(8, 9, 0x22))]
    assert pairs_of([*managed, *two_connections(0, 0)]) >= {(0x11, 0x22, "cm"), (0x33, 0x44, "psn")}


def test_a_guess_is_taken_back_when_the_answers_do_not_fit() -> None:
    wrong: list[Packet | bytes] = [Packet(psn=100, qp=0x44), answer(100, qp=0x11)]
    later = [packet for number in range(40) for packet in (Packet(psn=5000 + number), answer(5000 + number))]
    assert (QP_A, 0x22, "psn") in pairs_of([*wrong, *later])


def test_a_host_that_talks_to_itself() -> None:
    packets: list[Packet | bytes] = []
    for psn in range(5):
        packets += [Packet(psn=100 + psn, destination=A), answer(100 + psn, source=A)]
        packets += [Packet(psn=900 + psn, qp=QP_A, destination=A), answer(900 + psn, qp=0x22, source=A)]
    assert pairs_of(packets) == {(QP_A, 0x22, "psn"), (0x22, QP_A, "psn")}
    same = [Packet(psn=5, destination=A), Packet(psn=5, qp=QP_A, destination=A), answer(5, source=A)]
    assert pairs_of([*same]) == {(QP_A, 0x22, "psn"), (0x22, QP_A, "psn")}


def test_a_new_connection_of_the_same_queue_pairs_begins_anew() -> None:
    def mad(source: str, destination: str, data: bytes) -> Packet:
        return Packet(UD_SEND_ONLY, qp=1, source=source, destination=destination, extra=deth(1), data=data)

    def life(psn: int, request: int) -> list[Packet | bytes]:
        managed = [mad(A, B, cm_request(request, QP_A)), mad(B, A, cm_reply(8, request, 0x22))]
        return [*managed, Packet(psn=psn), answer(psn), Packet(psn=psn + 1)]

    flows = flows_of(timed([*life(50, 1), *life(40, 2)]))
    (flow,) = (flow for flow in flows if flow["requests"] and flow["destination_qp"] == 0x22)
    assert (flow["retransmissions"], flow["out_of_order"], flow["completed"], flow["unacknowledged"]) == (0, 0, 2, 2)


def test_one_direction_alone_is_warned_about() -> None:
    report = report_of([Packet(psn=number) for number in range(3)])
    assert any("1 directions of reliable queue pairs are not paired" in text for text in report["warnings"])
