# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames of UDP datagrams, made by hand, and the rule which of them are a line's, told once more in Python."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

ETHERTYPE_IPV4, ETHERTYPE_VLAN = 0x0800, 0x8100
LONGEST = 1792  # that fits a frame of the UMEM


def checksum(data: bytes) -> int:
    """RFC 1071, plainly."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True)
class Line:
    """A line of the feed; source "": any."""

    group: str
    port: int
    source: str = ""

    def packed(self) -> bytes:
        """As struct steer_line."""
        source = socket.inet_aton(self.source) if self.source else b"\0" * 4
        return socket.inet_aton(self.group) + source + struct.pack(">H", self.port) + b"\0\0"


@dataclass(frozen=True)
class Frame:
    """What goes into a frame; everything that can be wrong with one has a field. None: computed."""

    group: str
    port: int
    payload: bytes = b"payload"
    source: str = "10.99.0.1"
    macs: bytes = b"\x02" + b"\0" * 11
    vlans: tuple[int, ...] = ()  # tags, outermost first: priority and number
    options: bytes = b""
    fragment: int = 0x4000  # flags and offset; this is "don't fragment"
    protocol: int = socket.IPPROTO_UDP
    udp_checksum: int | None = None
    ip_checksum: int | None = None
    udp_bytes: int | None = None
    padding: bytes = b""

    def packed(self) -> bytes:
        addresses = socket.inet_aton(self.source) + socket.inet_aton(self.group)
        udp_bytes = 8 + len(self.payload) if self.udp_bytes is None else self.udp_bytes
        udp = struct.pack(">HHHH", 4000, self.port, udp_bytes, 0)
        summed = self.udp_checksum
        if summed is None:
            pseudo = addresses + struct.pack(">HH", socket.IPPROTO_UDP, udp_bytes)
            summed = checksum(pseudo + udp + self.payload) or 0xFFFF
        udp = udp[:6] + struct.pack(">H", summed) + self.payload
        words = 5 + len(self.options) // 4
        ip = struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(udp), 1, self.fragment, 64, self.protocol, 0)
        ip += addresses + self.options
        header = checksum(ip) if self.ip_checksum is None else self.ip_checksum
        ip = ip[:10] + struct.pack(">H", header) + ip[12:]
        tags = b"".join(struct.pack(">HH", ETHERTYPE_VLAN, tag) for tag in self.vlans)
        return self.macs + tags + struct.pack(">H", ETHERTYPE_IPV4) + ip + udp + self.padding


def line_of(frame: bytes, lines: list[Line]) -> int | None:
    """Which line a frame is of, if the XDP program has to steer it."""
    if len(frame) > LONGEST:
        return None
    ethertype, at = int.from_bytes(frame[12:14], "big"), 14
    if ethertype == ETHERTYPE_VLAN:
        if int.from_bytes(frame[14:16], "big") % 4096 != 0:
            return None
        ethertype, at = int.from_bytes(frame[16:18], "big"), 18
    ip = frame[at:]
    if ethertype != ETHERTYPE_IPV4 or len(ip) < 28:
        return None
    version_words, total, fragment, protocol = ip[0], *struct.unpack(">2xHxxHxB", ip[:10])
    more_fragments, offset = fragment & 0x2000, fragment & 0x1FFF
    if version_words != 0x45 or more_fragments or offset or protocol != socket.IPPROTO_UDP or total > len(ip):
        return None
    port, udp_bytes = struct.unpack(">2xHH", ip[20:26])
    if udp_bytes < 8 or 20 + udp_bytes > total:
        return None
    source, group = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
    for number, line in enumerate(lines):
        if (line.group, line.port) == (group, port) and line.source in ("", source):
            return number
    return None


def fragments(whole: bytes) -> list[bytes]:
    """A frame of one IP packet as frames of its two fragments."""
    head, ip_header, body = whole[:14], whole[14:34], whole[34:]
    cut = 64
    parts = []
    for offset, data, more in ((0, body[:cut], 0x2000), (cut // 8, body[cut:], 0)):
        fields = bytearray(ip_header)
        fields[2:4] = (20 + len(data)).to_bytes(2, "big")
        fields[6:8] = (more | offset).to_bytes(2, "big")
        fields[10:12] = b"\0\0"
        fields[10:12] = checksum(bytes(fields)).to_bytes(2, "big")
        parts.append(head + bytes(fields) + data)
    return parts
