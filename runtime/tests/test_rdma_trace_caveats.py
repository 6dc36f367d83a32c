# SPDX-License-Identifier: Apache-2.0
"""Captures that have packets twice: what is told from a retransmission, and what only warned about."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from roce_frames import CNP, NAK_SEQUENCE, A, B, Packet, answer, timed
from roce_report import flows_of, report_of

from tickwire.rdma import trace

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "roce"
V6 = ("fd00::1", "fd00::2")


def exchange(count: int, source: str = A, destination: str = B, ip_id: int = 0) -> list[Packet | bytes]:
    """So many sends and their acknowledgements."""
    pairs = (
        (
            Packet(psn=psn, source=source, destination=destination, ip_id=ip_id),
            answer(psn, source=destination, destination=source, ip_id=ip_id),
        )
        for psn in range(50, 50 + count)
    )
    return list(chain.from_iterable(pairs))


def twice(packets: list[Packet | bytes]) -> list[Packet | bytes]:
    return [packet for packet in packets for _both in range(2)]


def warned(report: dict[str, Any]) -> bool:
    return any("captured twice?" in text for text in report["warnings"])


@pytest.mark.parametrize("ends", [(*V6, 0), (A, B, 0), (A, B, 77)])
def test_a_capture_of_everything_twice_is_warned_about(ends: tuple[str, str, int]) -> None:
    """Nothing tells the copies: no identification, or one for every packet, which the first copy shows too late."""
    report = report_of(twice(exchange(40, *ends)))
    (pair,) = report["queue_pairs"]
    assert pair["requester"]["retransmissions"] in (39, 40) and warned(report)
    assert not warned(report_of(exchange(40, *ends)))


def test_what_was_sent_again_is_no_capture_taken_twice() -> None:
    lossy = [*exchange(30), *(Packet(psn=psn) for psn in range(80, 100)), answer(80, NAK_SEQUENCE)]
    assert not warned(report_of([*lossy, *(Packet(psn=psn) for psn in range(80, 100)), answer(99)]))
    thrice = [packet for packet in exchange(40) for _time in range(3)]
    assert not warned(report_of(thrice))
    for fixture in FIXTURES.glob("*.pcap"):
        assert not warned(trace.read(str(fixture))), fixture.name


def test_congestion_notifications_are_no_copies_of_each_other() -> None:
    """All have PSN 0, and some adapters give them one identification."""
    story: list[Packet | bytes] = [Packet(psn=1, ip_id=100), answer(1, ip_id=200)]
    notices = [answer(0, opcode=CNP, ip_id=7)] * 5
    flows = flows_of(timed([*story, *notices, Packet(psn=2, ip_id=101), answer(2, ip_id=201)]))
    assert [(flow["cnps"], flow["copies"]) for flow in flows] == [(0, 0), (5, 0)]


def test_copies_of_answers_are_warned_about() -> None:
    """A mirror that has one direction twice: the flow of answers alone has copies, and no queue pair of its own."""
    story = [
        packet for psn in range(5) for packet in [Packet(psn=psn, ip_id=100 + psn), *[answer(psn, ip_id=200 + psn)] * 2]
    ]
    report = report_of([*story])
    assert (report["capture"]["copies"], report["queue_pairs"][0]["sent"]["copies"]) == (5, 0)
    assert any(text.startswith("5 packets are in it more than once") for text in report["warnings"])
