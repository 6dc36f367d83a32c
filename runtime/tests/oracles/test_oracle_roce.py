# SPDX-License-Identifier: Apache-2.0
"""tshark dissects the same captures: every packet's opcode, queue pair, PSN, syndrome and more are equal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from roce_frames import (
    ACK,
    ATOMIC_ACK,
    CNP,
    COMPARE_SWAP,
    COOKED,
    COOKED_2,
    ETHERNET,
    FETCH_ADD,
    NAK_SEQUENCE,
    RAW,
    READ_FIRST,
    READ_LAST,
    READ_ONLY,
    READ_REQUEST,
    RNR,
    UD_SEND_ONLY,
    UD_SEND_ONLY_IMMEDIATE,
    WRITE_FIRST,
    WRITE_ONLY,
    WRITE_ONLY_IMMEDIATE,
    Packet,
    aeth,
    atomic,
    cm_reply,
    cm_request,
    deth,
    pause,
    pcap,
    pcapng,
    reth,
    timed,
)
from roce_tshark import tshark

from tickwire import _core

FIXTURES = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "roce"
RECORDED = sorted(FIXTURES.glob("*.pcap"))

# tshark's field, ours, and how its text becomes our value.
FIELDS = (
    ("infiniband.bth.opcode", "opcode"),
    ("infiniband.bth.destqp", "destination_qp"),
    ("infiniband.bth.psn", "psn"),
    ("infiniband.bth.a", "ack_request"),
    ("infiniband.bth.p_key", "partition"),
    ("infiniband.aeth.syndrome", "syndrome"),
    ("infiniband.aeth.msn", "message_sequence"),
    ("infiniband.deth.srcqp", "source_qp"),
    ("infiniband.reth.dmalen", "dma_length"),
    ("udp.srcport", "udp_source_port"),
)
OTHERS = (
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.dsfield",
    "ipv6.tclass",
    "frame.time_epoch",
    "vlan.priority",
    "ieee8021ad.priority",
)
PAUSES = ("macc.opcode", "macc.cbfc.enbv")


def number(text: str) -> int:
    """Flags are 0 and 1 in tshark 4.0, False and True in later ones."""
    return {"False": 0, "True": 1}[text] if text in ("False", "True") else int(text, 0)


def theirs(row: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {ours: number(row[name]) for name, ours in FIELDS if row[name]}
    seconds, _, fraction = row["frame.time_epoch"].partition(".")
    outermost = row["ieee8021ad.priority"] or row["vlan.priority"]
    service = int(row["ip.dsfield"] or row["ipv6.tclass"], 0)
    return values | {
        "source": row["ip.src"] or row["ipv6.src"],
        "destination": row["ip.dst"] or row["ipv6.dst"],
        "dscp": service >> 2,
        "ecn": service & 3,
        "time_ns": int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9]),
        "priority": int(outermost) if outermost else None,
    }


def compare(capture: Path) -> Counter[str]:
    """Packet by packet; returns how many there were of each kind."""
    rows = tshark(capture, *(name for name, _ in FIELDS), *OTHERS, *PAUSES)
    packets = _core.roce_packets(capture.read_bytes())
    assert len(packets) == len(rows)
    for place, (packet, row) in enumerate(zip(packets, rows, strict=True), 1):
        if packet["kind"] == "pause":
            assert int(row["macc.opcode"], 0) in (1, 0x0101), place
            if row["macc.cbfc.enbv"]:
                assert int(row["macc.cbfc.enbv"], 0) == packet["enabled"], place
            continue
        assert (packet["kind"] == "roce") == bool(row["infiniband.bth.opcode"]), (place, packet, row)
        if packet["kind"] == "roce":
            ours = {key: packet[key] for key in packet if key not in ("kind", "icrc", "payload_bytes")}
            assert ours == theirs(row), place
    return Counter(packet["kind"] for packet in packets)


@pytest.mark.parametrize("capture", RECORDED, ids=lambda path: path.stem)
def test_recorded_traffic_of_soft_roce(capture: Path) -> None:
    kinds = compare(capture)
    assert kinds["roce"] > 0 and set(kinds) <= {"roce", "other"}
    icrcs = {packet["icrc"] for packet in _core.roce_packets(capture.read_bytes()) if packet["kind"] == "roce"}
    assert icrcs == {True}  # made by the kernel's driver


def every_packet(source: str, destination: str) -> list[Packet]:
    """One of every opcode there is, and of what answers may say."""
    extras = {READ_REQUEST: reth(4000), WRITE_FIRST: reth(2048), WRITE_ONLY: reth(5)}
    extras[WRITE_ONLY_IMMEDIATE] = reth(5) + b"imme"
    extras |= {3: b"imme", 5: b"imme", 9: b"imme", 22: b"rkey", 23: b"rkey"}
    extras |= {COMPARE_SWAP: atomic(), FETCH_ADD: atomic(), ATOMIC_ACK: aeth() + bytes(8)}
    extras |= dict.fromkeys((READ_FIRST, READ_LAST, READ_ONLY, ACK), aeth(0x1F, 0xABCDEF))
    opcodes = [*range(0, 21), 22, 23, *range(0x20, 0x2C)]
    fields: dict[str, Any] = {"source": source, "destination": destination}
    packets = []
    for number, opcode in enumerate(opcodes):
        extra = extras.get(opcode & 0x1F, b"")
        data = b"" if opcode & 0x1F in (READ_REQUEST, ACK, ATOMIC_ACK, COMPARE_SWAP, FETCH_ADD) else b"x" * (number + 1)
        packets.append(
            Packet(opcode, 0xFFFFF0 + number, extra=extra, data=data, ecn=number % 4, qp=number << 12 | 5, **fields)
        )
    for syndrome in (0x00, 0x1F, RNR | 14, NAK_SEQUENCE, 0x61, 0x62, 0x63, 0x64):
        packets.append(Packet(ACK, 7, extra=aeth(syndrome, 3), ack_request=True, **fields))
    packets.append(Packet(UD_SEND_ONLY, 9, extra=deth(0x77), data=b"datagram", **fields))
    packets.append(Packet(UD_SEND_ONLY_IMMEDIATE, 10, extra=deth(0x78) + b"imme", data=b"datagram", **fields))
    packets.append(Packet(UD_SEND_ONLY, 1, qp=1, extra=deth(1), data=cm_request(9, 0x123456), **fields))
    packets.append(Packet(UD_SEND_ONLY, 2, qp=1, extra=deth(1), data=cm_reply(8, 9, 0x654321), **fields))
    packets.append(Packet(CNP, 0, extra=bytes(16), ecn=0, dscp=48, **fields))
    return packets


V4, V6 = ("10.1.0.1", "10.1.0.2"), ("fd00::1", "fd00::2")


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED_2, RAW])
def test_every_opcode_on_every_link(tmp_path: Path, link: int) -> None:
    packets = every_packet(*V4) + every_packet(*V6)
    capture = tmp_path / "every.pcap"
    capture.write_bytes(pcap(timed(packets, link=link), link))
    assert compare(capture) == {"roce": len(packets)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["us", "ns", "pcapng"])
def test_every_file_format(tmp_path: Path, form: str, order: str) -> None:
    records = timed(every_packet(*V4), step_ns=1_234_567)
    capture = tmp_path / "form"
    capture.write_bytes(
        pcapng(records, order=order) if form == "pcapng" else pcap(records, nano=form == "ns", order=order)
    )
    assert compare(capture)["roce"] == len(records)


def test_vlan_tags_pauses_and_what_is_no_roce(tmp_path: Path) -> None:
    tags = [((0x8100, 3, 110),), ((0x88A8, 5, 7), (0x8100, 3, 110)), ((0x9100, 1, 7), (0x8100, 6, 1))]
    frames: list[Packet | bytes] = [Packet(psn=number, tags=tag) for number, tag in enumerate(tags)]
    frames += [pause({3: 0xFFFF, 4: 0}), pause(0x1234), b"\xff" * 12 + b"\x08\x06" + bytes(46)]
    frames += [Packet().frame().replace(b"\x12\xb7", b"\x12\xb8"), Packet(bad_icrc=True)]
    capture = tmp_path / "tags.pcap"
    capture.write_bytes(pcap(timed(frames)))
    kinds = compare(capture)
    assert kinds == {"roce": 4, "pause": 2, "other": 2}


def test_queue_pairs_are_paired_as_perftest_says() -> None:
    """perftest prints both queue pairs and the PSNs they begin with: tests/fixtures/roce/README.md has them."""
    for name, source_qp, destination_qp in (("send", 0x11, 0x11), ("loss", 0x19, 0x19), ("rnr", 0x16, 0x16)):
        trace = _core.RoceTrace()
        trace.feed((FIXTURES / f"{name}.pcap").read_bytes())
        flows = trace.flows()
        assert {(flow["source"], flow["source_qp"], flow["destination_qp"]) for flow in flows} == {
            ("10.9.0.1", source_qp, destination_qp),
            ("10.9.0.2", destination_qp, source_qp),
        }


def test_the_connection_manager_names_the_queue_pairs_tshark_reads(tmp_path: Path) -> None:
    capture = FIXTURES / "cm.pcap"
    rows = tshark(capture, "ip.src", "infiniband.cm.req.localqpn", "infiniband.cm.rep.localqpn")
    asking = [int(row["infiniband.cm.req.localqpn"], 0) for row in rows if row["infiniband.cm.req.localqpn"]]
    asked = [int(row["infiniband.cm.rep.localqpn"], 0) for row in rows if row["infiniband.cm.rep.localqpn"]]
    trace = _core.RoceTrace()
    trace.feed(capture.read_bytes())
    paired = {(flow["source_qp"], flow["destination_qp"]) for flow in trace.flows() if flow["pairing"] == "cm"}
    assert trace.state()["connections"] == len(asking) == 2
    assert paired >= set(zip(asking, asked, strict=True)) and len(paired) <= 4
