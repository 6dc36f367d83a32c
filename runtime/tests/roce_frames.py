# SPDX-License-Identifier: Apache-2.0
"""RoCEv2 packets and capture files, built plainly: no code of the runtime is used here."""

from __future__ import annotations

import ipaddress
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

A, B = "10.1.0.1", "10.1.0.2"
QP_A, QP_B = 0x11, 0x22
SEND_FIRST, SEND_MIDDLE, SEND_LAST, SEND_ONLY = 0, 1, 2, 4
WRITE_FIRST, WRITE_LAST, WRITE_ONLY, WRITE_ONLY_IMMEDIATE = 6, 8, 10, 11
READ_REQUEST, READ_FIRST, READ_MIDDLE, READ_LAST, READ_ONLY = 12, 13, 14, 15, 16
ACK, ATOMIC_ACK, COMPARE_SWAP, FETCH_ADD = 17, 18, 19, 20
UD_SEND_ONLY, UD_SEND_ONLY_IMMEDIATE, CNP = 100, 101, 0x81
NAK_SEQUENCE, RNR = 0x60, 0x20
ETHERNET, RAW, COOKED, COOKED_2 = 1, 101, 113, 276


@dataclass(frozen=True)
class Packet:
    """A RoCEv2 packet; `extra`: the headers after the BTH."""

    opcode: int = SEND_ONLY
    psn: int = 0
    source: str = A
    destination: str = B
    qp: int = QP_B
    extra: bytes = b""
    data: bytes = b""
    ack_request: bool = False
    ecn: int = 2
    dscp: int = 26
    port: int = 0xC123
    ip_id: int = 0
    tags: tuple[tuple[int, int, int], ...] = field(default=())  # (EtherType, priority, VLAN)
    bad_icrc: bool = False

    def udp(self) -> bytes:
        pad = -len(self.data) % 4
        bth = struct.pack(
            ">BBHII",
            self.opcode,
            0x40 | pad << 4,
            0xFFFF,
            self.qp,
            (self.ack_request << 31) | (self.psn & 0xFFFFFF),
        )
        inner = bth + self.extra + self.data + bytes(pad)
        return struct.pack(">HHHH", self.port, 4791, 8 + len(inner) + 4, 0) + inner

    def ip(self) -> bytes:
        udp, source, destination = self.udp(), ipaddress.ip_address(self.source), ipaddress.ip_address(self.destination)
        service = self.dscp << 2 | self.ecn
        if source.version == 4:
            fixed = struct.pack(">BBHHHBBH", 0x45, service, 24 + len(udp), self.ip_id, 0x4000, 64, 17, 0)
            masked = struct.pack(">BBHHHBBH", 0x45, 0xFF, 24 + len(udp), self.ip_id, 0x4000, 0xFF, 17, 0xFFFF)
        else:
            fixed = struct.pack(">IHBB", 6 << 28 | service << 20, len(udp) + 4, 17, 64)
            masked = struct.pack(">IHBB", 6 << 28 | 0xFFFFFFF, len(udp) + 4, 17, 0xFF)
        ends = source.packed + destination.packed
        covered = b"\xff" * 8 + masked + ends + udp[:6] + b"\xff\xff" + udp[8:12] + b"\xff" + udp[13:]
        icrc = zlib.crc32(covered) ^ self.bad_icrc
        return fixed + ends + udp + struct.pack("<I", icrc)

    def ethertype(self) -> int:
        return 0x0800 if ipaddress.ip_address(self.source).version == 4 else 0x86DD

    def tagged(self) -> bytes:
        """From the first EtherType on."""
        tags = b"".join(struct.pack(">HH", kind, priority << 13 | vlan) for kind, priority, vlan in self.tags)
        return tags + struct.pack(">H", self.ethertype()) + self.ip()

    def frame(self, link: int = ETHERNET, direction: int = 0) -> bytes:
        """On a link layer; `direction`: the packet type of a Linux cooked capture."""
        if link == RAW:
            return self.ip()
        if link == COOKED:
            return struct.pack(">HHH8s", direction, 1, 6, bytes(8)) + self.tagged()
        if link == COOKED_2:
            kind, inner = self.tagged()[:2], self.tagged()[2:]
            return kind + struct.pack(">HIHBB8s", 0, 2, 1, direction, 6, bytes(8)) + inner
        return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + self.tagged()


def reth(length: int) -> bytes:
    return struct.pack(">QII", 0x1000, 7, length)


def aeth(syndrome: int = 0x1F, sequence: int = 1) -> bytes:
    return struct.pack(">I", syndrome << 24 | sequence)


def deth(source_qp: int) -> bytes:
    return struct.pack(">II", 0x11111111, source_qp)


def atomic() -> bytes:
    return struct.pack(">QIQQ", 0x1000, 7, 1, 2)


def answer(psn: int, syndrome: int = 0x1F, opcode: int = ACK, data: bytes = b"", **more: object) -> Packet:
    """From B to A; an ACK unless told otherwise."""
    extra = b"" if opcode == READ_MIDDLE else aeth(syndrome) + (bytes(8) if opcode == ATOMIC_ACK else b"")
    fields: dict = {"source": B, "destination": A, "qp": QP_A, **more}
    return Packet(opcode, psn, extra=extra, data=data, **fields)


def cm_mad(attribute: int, body: bytes) -> bytes:
    """A message of the connection manager."""
    return struct.pack(">BBBBHHQHHI", 1, 7, 2, 3, 0, 0, 5, attribute, 0, 0) + body.ljust(232, b"\0")


def cm_request(local_id: int, qp: int) -> bytes:
    return cm_mad(0x10, struct.pack(">I", local_id) + bytes(28) + struct.pack(">I", qp << 8))


def cm_reply(local_id: int, remote_id: int, qp: int) -> bytes:
    return cm_mad(0x13, struct.pack(">III", local_id, remote_id, 0) + struct.pack(">I", qp << 8))


def pause(quanta: dict[int, int] | int, source: bytes = b"\x02\0\0\0\0\x63") -> bytes:
    """A PFC frame by priority, or the pause of a whole port."""
    head = b"\x01\x80\xc2\0\0\x01" + source + b"\x88\x08"
    if isinstance(quanta, int):
        return (head + struct.pack(">HH", 1, quanta)).ljust(60, b"\0")
    enabled = sum(1 << priority for priority in quanta)
    values = [quanta.get(priority, 0) for priority in range(8)]
    return (head + struct.pack(">HH8H", 0x0101, enabled, *values)).ljust(60, b"\0")


# --- capture files

Record = tuple[int, bytes]  # time in ns, frame
START_NS = 1_700_000_000_000_000_000


def pcap(
    records: Iterable[Record], link: int = ETHERNET, nano: bool = True, order: str = "<", snap: int = 65535
) -> bytes:
    """A pcap file; without `nano` times lose what is below a microsecond."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for time_ns, frame in records:
        seconds, rest = divmod(time_ns, 10**9)
        kept = frame[:snap]
        parts.append(struct.pack(f"{order}IIII", seconds, rest if nano else rest // 1000, len(kept), len(frame)) + kept)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = ETHERNET, resolution: int | None = 9, offset_s: int = 0, order: str = "<") -> bytes:
    options = b"" if resolution is None else struct.pack(f"{order}HHB3x", 9, 1, resolution)
    if offset_s:
        options += struct.pack(f"{order}HHq", 14, 8, offset_s)
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options + bytes(4), order)


def enhanced(ticks: int, frame: bytes, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame + bytes(-len(frame) % 4), order)


def pcapng(records: Iterable[Record], link: int = ETHERNET, order: str = "<") -> bytes:
    """One section, one interface that counts nanoseconds, and a block of names (there are none) after each packet."""
    parts = [section(order), interface(link, order=order)]
    for time_ns, frame in records:
        parts += [enhanced(time_ns, frame, order=order), block(4, bytes(4), order)]
    return b"".join(parts)


def timed(packets: Iterable[Packet | bytes], step_ns: int = 1000, **frame: int) -> list[Record]:
    """Packets a step apart."""
    return [
        (START_NS + number * step_ns, packet if isinstance(packet, bytes) else packet.frame(**frame))
        for number, packet in enumerate(packets)
    ]
