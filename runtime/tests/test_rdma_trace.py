# SPDX-License-Identifier: Apache-2.0
"""What `tickwire rdma trace` makes of captures whose story is known, and its command line."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
    Record,
    answer,
    atomic,
    block,
    cm_reply,
    cm_request,
    deth,
    enhanced,
    interface,
    pause,
    pcap,
    pcapng,
    reth,
    section,
    timed,
)

from tickwire import _core
from tickwire.errors import TickwireError
from tickwire.rdma import drawing, trace

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "roce"


def flows_of(records: list[Record], **options: Any) -> list[dict[str, Any]]:
    traced = _core.RoceTrace(**options)
    data = pcap(records)
    assert traced.feed(data) == len(data)
    return traced.flows()


def asking(packets: list[Packet | bytes], **options: Any) -> dict[str, Any]:
    """The flow of A's requests, packets a microsecond apart."""
    (flow,) = (flow for flow in flows_of(timed(packets), **options) if flow["source"] == A and flow["requests"])
    return flow


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


@pytest.mark.parametrize(("length", "mtu"), [(4000, 1024), (4000, 512), (9000, 4096), (0, None), (256, None)])
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
    assert (flow["ambiguous"], flow["completed"]) == (1, 2)  # 2 came too late to make a message
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


# --- files


def report_of(packets: list[Packet | bytes]) -> dict[str, Any]:
    """The report on packets a microsecond apart, by way of a file."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(pcap(timed(packets)))
        file.flush()
        return trace.read(file.name)


STORY: list[Packet | bytes] = [Packet(psn=5, data=bytes(50)), answer(5), pause({3: 9}), Packet(psn=6), answer(6)]


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_a_capture_cut_anywhere_says_so(tmp_path: Path, make: Any) -> None:
    whole = make(timed(STORY))
    file = tmp_path / "cut"
    ends = []
    for length in range(24, len(whole) + 1):
        file.write_bytes(whole[:length])
        ends.append(trace.read(str(file))["capture"]["ends"])
    assert set(ends) == {"whole", "cut"}
    # whole after the header (with pcapng: section, interface) and each record (with pcapng: and the block behind it)
    assert ends.count("whole") == (1 + len(STORY) if make is pcap else 2 + 2 * len(STORY))


def test_headers_are_enough() -> None:
    records = timed([Packet(psn=5, data=bytes(1000)), answer(5)])
    for snap in (62, 70, 128):
        traced = _core.RoceTrace()
        traced.feed(pcap(records, snap=snap))
        assert [flow["payload_bytes"] for flow in traced.flows()] == [1000, 0]
    traced = _core.RoceTrace()
    traced.feed(pcap(records, snap=50))
    assert traced.state()["cut"] == 2


def test_windows_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "windows.pcapng"
    file.write_bytes(pcapng(timed(STORY)) + section() + block(0x0BAD, bytes(3_000_000)) + pcapng(timed(STORY)))
    expected = trace.read(str(file))
    assert expected["capture"]["ends"] == "whole" and expected["capture"]["records"] == 2 * len(STORY)
    for window in (331, 1000, 4096):
        monkeypatch.setattr(trace, "WINDOW", window)
        assert trace.read(str(file)) == expected


@pytest.mark.parametrize(
    ("resolution", "ticks", "ns"),
    [(None, 1_000_001, 1_000_001_000), (3, 5, 5_000_000), (9, 7, 7), (12, 7999, 7), (0x80 | 30, 1 << 31, 2 * 10**9)],
)
def test_clocks_of_pcapng_interfaces(resolution: int | None, ticks: int, ns: int) -> None:
    for offset_s in (0, 1000):
        parts = [section(), interface(resolution=resolution, offset_s=offset_s), enhanced(ticks, Packet().frame())]
        (packet,) = _core.roce_packets(b"".join(parts))
        assert packet["time_ns"] == ns + offset_s * 10**9


def test_packets_without_time_and_of_unknown_interfaces() -> None:
    frame = Packet().frame()
    simple = block(3, len(frame).to_bytes(4, "little") + frame)
    data = section() + interface() + enhanced(77, frame) + simple + enhanced(99, frame, number=5)
    assert [packet["time_ns"] for packet in _core.roce_packets(data)] == [77, 77]
    traced = _core.RoceTrace()
    traced.feed(data)
    assert traced.state()["unknown_interface"] == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no capture at all", "begins with 0x6e6f2063, which neither pcap nor pcapng does"),
        (b"", "it is empty"),
        (b"\xd4\xc3", "it ends in the middle of a record"),
    ],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(TickwireError, match=re.escape(says)):
        trace.read(str(file))


def test_damage_is_named_and_what_came_before_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "damaged.pcap"
    whole = pcap(timed(STORY))
    file.write_bytes(whole + b"\xff" * 32)
    report = trace.read(str(file))
    assert report["capture"]["ends"] == "damaged" and report["capture"]["records"] == len(STORY)
    assert f"offset {len(whole)}: a packet of 4294967295, at most 262144" in report["capture"]["problem"]


# --- the command


def run(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tickwire", "rdma", "trace", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)


def test_the_command_prints_a_table_and_writes_json_and_a_page(tmp_path: Path) -> None:
    sheet, page = tmp_path / "out.json", tmp_path / "out.html"
    done = run(FIXTURES / "loss.pcap", "--icrc", "--json", sheet, "--html", page)
    assert done.returncode == 0, done.stderr
    assert "10.9.0.1 0x19  10.9.0.2 0x19  RC    psn, a guess" in done.stdout
    assert "1: NAKs: 1 psn_sequence_error" in done.stdout
    assert "invariant CRC: 0 of 55 packets wrong" in done.stdout
    assert "is a guess by packet sequence numbers" in done.stderr
    report = json.loads(sheet.read_text())
    assert (report["report"], report["version"]) == ("tickwire-rdma-trace", 1)
    (pair,) = report["queue_pairs"]
    assert pair["sent"]["messages"] == {"send": 10, "write": 0, "read": 0, "atomic": 0}  # ib_send_bw -n 10 -s 3000
    assert sum(row[1] + row[2] for row in pair["series"]["bins"]) >= pair["sent"]["requests"] == 43
    html = page.read_text()
    for element in re.findall(r"<svg.*?</svg>", html):
        ElementTree.fromstring(element)  # well-formed
    assert html.count("<svg") == 1 and "http-equiv" not in html and "src=" not in html


def test_perftest_and_the_trace_count_the_same_messages() -> None:
    """-n of the commands in tests/fixtures/roce/README.md; both sides send in a latency test of sends and writes."""
    for name, kind, count in (("send", "send", 20), ("write", "write", 15), ("read", "read", 6), ("rnr", "send", 20)):
        report = trace.read(str(FIXTURES / f"{name}.pcap"))
        counts = [(pair["sent"]["messages"][kind], pair["requester"]["completed"]) for pair in report["queue_pairs"]]
        assert set(counts) == {(count, count)}, name


def test_standard_input_and_gzip(tmp_path: Path) -> None:
    data = pcap(timed(STORY))
    packed = tmp_path / "story.pcap.gz"
    packed.write_bytes(gzip.compress(data))
    assert "4 RoCEv2, 1 pause" in run(packed).stdout
    with (tmp_path / "story.pcap").open("wb") as stream:
        stream.write(data)
    with (tmp_path / "story.pcap").open("rb") as stream:
        assert "4 RoCEv2, 1 pause" in run("-", stdin=stream).stdout


def test_errors_are_one_line(tmp_path: Path) -> None:
    missing = run(tmp_path / "none.pcap")
    assert (missing.returncode, missing.stderr) == (1, f"tickwire: {tmp_path}/none.pcap: No such file or directory\n")
    file = tmp_path / "damaged.pcap"
    file.write_bytes(pcap(timed(STORY)) + b"\xff" * 32)
    damaged = run(file)
    assert damaged.returncode == 1 and "the capture is damaged: offset" in damaged.stderr and "RoCEv2" in damaged.stdout
    assert run(file, "--outstanding", "100").returncode == 2
    unwritable = run(FIXTURES / "ud.pcap", "--json", tmp_path / "no" / "such" / "directory")
    assert (unwritable.returncode, unwritable.stderr.count("\n")) == (1, 1)


def test_names_in_the_page_are_escaped(tmp_path: Path) -> None:
    file, page = tmp_path / "<b>&.pcap", tmp_path / "out.html"
    file.write_bytes(pcap(timed(STORY)))
    assert run(file, "--html", page).returncode == 0
    assert "<b>&." not in page.read_text() and "&lt;b&gt;&amp;.pcap" in page.read_text()


def test_limits_are_checked() -> None:
    for wrong in ({"flows": 0}, {"flows": 1 << 21}, {"outstanding": 3}, {"outstanding": 1 << 21}):
        with pytest.raises(ValueError, match="RoceTrace: (flows|outstanding)"):
            _core.RoceTrace(**wrong)


def test_the_picture_in_the_documentation_is_what_the_program_draws() -> None:
    report = trace.read(str(FIXTURES / "rnr.pcap"))
    (pair,) = report["queue_pairs"]
    drawn = drawing.drawing(pair, report["pauses"]["series"], report["capture"]["first_ns"], "rnr.pcap")
    assert (FIXTURES.parents[2] / "docs/images/rdma-trace.svg").read_text() == drawn + "\n"
