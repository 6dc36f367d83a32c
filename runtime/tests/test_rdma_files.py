# SPDX-License-Identifier: Apache-2.0
"""Captures as files, whole, cut and damaged, and the command `tickwire rdma trace`."""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from roce_frames import RAW, Packet, answer, block, enhanced, interface, pause, pcap, pcapng, section, timed

from tickwire import _core
from tickwire.errors import TickwireError
from tickwire.rdma import drawing, trace

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "roce"


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


def test_every_interface_has_its_own_link_and_clock() -> None:
    parts = [section(), interface(resolution=9), interface(RAW, resolution=3), enhanced(5, Packet(psn=1).frame())]
    packets = _core.roce_packets(b"".join([*parts, enhanced(5, Packet(psn=2).frame(RAW), number=1)]))
    assert [(packet["psn"], packet["time_ns"]) for packet in packets] == [(1, 5), (2, 5_000_000)]


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
    """-n of the commands in tests/fixtures/roce/README.md; both sides ask in a latency test of sends and writes."""
    for name, kind, count in (("send", "send", 20), ("cm", "write", 6), ("read", "read", 3), ("rnr", "send", 20)):
        report = trace.read(str(FIXTURES / f"{name}.pcap"))
        counts = [
            (pair["sent"]["messages"][kind], pair["requester"]["completed"])
            for pair in report["queue_pairs"]
            if pair["sent"]["messages"][kind] and pair["service"] == "RC"
        ]
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


def test_compressed_captures_cut_and_damaged(tmp_path: Path) -> None:
    frames = [Packet(psn=number, data=random.Random(number).randbytes(1000)) for number in range(3000)]
    packed = bytearray(gzip.compress(pcap(timed(frames))))
    file = tmp_path / "half.pcap.gz"
    file.write_bytes(packed[: len(packed) // 2])
    half = trace.read(str(file))["capture"]
    assert half["ends"] == "cut" and "compressed" in half["problem"] and 0 < half["records"] < 3000
    packed[-6] ^= 1  # of the checksum
    file.write_bytes(packed)
    whole = trace.read(str(file))["capture"]
    assert whole["ends"] == "damaged" and "compressed" in whole["problem"] and whole["records"] <= 3000
    file.write_bytes(b"not compressed")
    with pytest.raises(TickwireError, match="compressed data is damaged"):
        trace.read(str(file))


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
    drawn = drawing.drawing(pair, report["pauses"], report["capture"]["first_ns"], "rnr.pcap")
    assert (FIXTURES.parents[2] / "docs/images/rdma-trace.svg").read_text() == drawn + "\n"
