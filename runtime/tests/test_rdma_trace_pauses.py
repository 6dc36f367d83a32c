# SPDX-License-Identifier: Apache-2.0
"""Pauses over time: a queue pair is drawn with those that stop it, and no others."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from roce_frames import Packet, answer, pause, pcap, timed
from roce_report import report_of

from tickwire import _core
from tickwire.rdma import page


def tagged(priority: int, qp: int, psn: int) -> list[Packet | bytes]:
    tag = ((0x8100, priority, 110),)
    return [Packet(psn=psn, qp=qp, tags=tag), answer(psn, qp=qp + 1, tags=tag)]


def rows(report: dict[str, Any]) -> list[dict[str, int]]:
    """How many pauses are drawn in each row, for each queue pair in the order of the report."""
    found = []
    for drawn in re.findall(r"<svg.*?</svg>", page.page(report)):
        marks = re.findall(r"<title>(\d+) (PFC[^<]*|PAUSE[^<]*|all pauses)</title>", drawn)
        found.append({name: sum(int(count) for count, title in marks if title == name) for _count, name in marks})
    return found


def test_a_storm_on_one_priority_is_drawn_for_its_queue_pairs_only() -> None:
    storm: list[Packet | bytes] = [pause({4: 0xFFFF})] * 5
    traffic = [*tagged(3, 0x30, 500), *tagged(4, 0x40, 900)]
    behind = [*tagged(3, 0x30, 501), *tagged(4, 0x40, 901), *tagged(4, 0x40, 902)]
    report = report_of([*traffic, *storm, *behind])
    fourth, third = report["queue_pairs"]  # most packets first
    assert [(pair["priority"], pair["pauses"]) for pair in (fourth, third)] == [(4, 5), (3, 0)]
    assert rows(report) == [{"PFC priority 4": 5}, {}]


def test_the_pause_of_a_port_is_drawn_for_everybody_behind_it() -> None:
    traffic = [*tagged(3, 0x30, 500), *tagged(4, 0x40, 900)]
    behind = [*tagged(3, 0x30, 501), *tagged(4, 0x40, 901), *tagged(4, 0x40, 902)]
    report = report_of([*traffic, pause({3: 7}), pause(9), pause({4: 0}), *behind])
    assert [pair["pauses"] for pair in report["queue_pairs"]] == [1, 2]
    assert rows(report) == [{"PAUSE of port": 1}, {"PFC priority 3": 1, "PAUSE of port": 1}]


def test_without_a_tag_all_pauses_are_drawn_and_the_label_says_so() -> None:
    report = report_of(
        [Packet(psn=1), answer(1), pause({4: 9}), pause({2: 9, 3: 9}), pause(9), Packet(psn=2), answer(2)]
    )
    assert report["queue_pairs"][0]["pauses"] == 4  # one of them stops two priorities
    assert rows(report) == [{"all pauses": 3}]
    assert ">all pauses</text>" in page.page(report)


def test_pauses_outside_of_a_queue_pairs_time_have_no_row() -> None:
    quiet: list[Packet | bytes] = [b"\xff" * 12 + b"\x08\x06" + bytes(46)] * 1000
    report = report_of([pause({3: 9}), *quiet, *tagged(3, 0x30, 500)])
    assert report["pauses"]["by_priority"] == {"3": 1}
    assert (report["queue_pairs"][0]["pauses"], rows(report)) == (0, [{}])


quanta = st.dictionaries(st.integers(0, 7), st.sampled_from([0, 1, 0xFFFF]), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(quanta, st.sampled_from([0, 9])), max_size=40))
def test_every_pause_is_in_the_series_of_what_it_stops(frames: list[dict[int, int] | int]) -> None:
    traced = _core.RoceTrace()
    traced.feed(pcap(timed([pause(frame) for frame in frames], step_ns=3001)))
    expected: dict[int, int] = {}
    for frame in frames:
        for number, quantum in ({8: frame} if isinstance(frame, int) else frame).items():
            if quantum:
                expected[number] = expected.get(number, 0) + 1
    state = traced.state()
    assert state["pauses"] == expected
    series = state["pause_series_of_priority"]
    assert {number: sum(row[8] for row in each["bins"]) for number, each in series.items()} == expected
