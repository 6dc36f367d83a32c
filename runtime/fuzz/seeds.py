# SPDX-License-Identifier: Apache-2.0
"""Seeds of the fuzz targets, from the messages of the test fixtures and of every type our codecs write.

`python runtime/fuzz/seeds.py DIRECTORY` writes DIRECTORY/TARGET/*; `scripts/fuzz.py --merge DIRECTORY` takes into the
kept corpus what of it reaches new code.
"""

from __future__ import annotations

import array
import gzip
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from tickwire import _core

CHECKOUT = Path(__file__).resolve().parents[2]
FIXTURES = CHECKOUT / "tests" / "fixtures" / "itch"
FILES = ("ex20101224.TEST_ITCH_50.gz", "syn100k.itch.gz")


def messages(name: str, limit: int) -> list[bytes]:
    """The first messages of a file, and the first of every type beyond them."""
    data = gzip.decompress((FIXTURES / name).read_bytes())
    index = array.array("Q")
    index.frombytes(_core.itch_frame_index(data)[0])
    bodies = [data[entry >> 16 : (entry >> 16) + (entry & 0xFFFF)] for entry in index]
    first_of_type = {body[:1]: body for body in reversed(bodies)}
    return bodies[:limit] + list(first_of_type.values())


def framed(bodies: list[bytes]) -> bytes:
    """As in a file: each after its length."""
    return b"".join(struct.pack(">H", len(body)) + body for body in bodies)


def itch() -> Iterator[bytes]:
    for name in FILES:
        yield gzip.decompress((FIXTURES / name).read_bytes())[:2000]
        yield framed(messages(name, 20))
    for type_ in _core.ITCH_TYPES:
        body = _core.itch_encode({"type": type_})
        yield framed([body]) + b"\0\0"
        yield b"\0\0" + body + b"\0\0" + body


def book() -> Iterator[bytes]:
    """Bodies back to back; references, locates and prices are folded by the target."""
    for name in FILES:
        for start in range(0, 400, 40):
            yield b"".join(messages(name, 400)[start : start + 40])
    fields = {"stock_locate": 1, "stock": "TICK", "shares": 100}
    adds = [
        _core.itch_encode({"type": "A", **fields, "order_reference": n, "side": "BS"[n % 2], "price": 10 + n})
        for n in range(1, 30)
    ]
    reference = {"stock_locate": 1, "order_reference": 3}
    yield b"".join(adds) + b"".join(
        [
            _core.itch_encode({"type": "E", **reference, "executed_shares": 40}),
            _core.itch_encode({"type": "C", **reference, "executed_shares": 40}),
            _core.itch_encode({"type": "X", **reference, "cancelled_shares": 40}),
            _core.itch_encode(
                {"type": "U", "original_reference": 4, "new_reference": 0x1043, "shares": 7, "price": 12}
            ),
            _core.itch_encode({"type": "D", "order_reference": 5}),
        ]
    )


def mold() -> Iterator[bytes]:
    bodies = messages(FILES[1], 12)
    packets = [_core.mold_encode("LAB0000001", n + 1, bodies[n : n + 3]) for n in (0, 3, 9, 6)]
    packets += [_core.mold_encode("LAB0000001", 13, []), _core.mold_end_of_session("LAB0000001", 13)]
    packets += [_core.mold_encode("LAB0000001", 1, bodies[:2]), _core.mold_encode("LAB0000002", 1, bodies[:2])]
    yield framed(packets)
    yield from (framed([packet]) for packet in packets)
    yield framed([packets[0][:-1], packets[0][:19]])


def soup() -> Iterator[bytes]:
    accepted = b"LAB0000001" + b"%20d" % 77
    packets = [
        _core.soup_login("user", "secret", "", 1),
        _core.soup_encode("A", accepted),
        _core.soup_encode("A", b" " * 9 + b"X" + b"%20d" % 0),
        _core.soup_encode("J", b"A"),
        _core.soup_encode("H"),
        _core.soup_encode("S", _core.ouch_encode({"type": "E", "user_ref_num": 1}, False)),
        _core.soup_encode("Z"),
    ]
    yield from packets
    yield b"".join(packets)
    yield b"\0\0"


def ouch() -> Iterator[bytes]:
    for number, version in enumerate(("5.0", "4.2")):
        for type_ in _core.ouch_types(False, version):
            message = {"type": type_}
            if version == "4.2" and type_ != "S":
                message["order_token"] = "TW0000002A"
            body = _core.ouch_encode(message, False, version)
            yield bytes([number]) + body
            if version == "5.0" and type_ != "S":
                yield b"\0" + _core.ouch_encode({**message, "appendage": b"\x02\x1c\x01\x05\x02TICK"}, False)
        yield bytes([number]) + b"TW0000002A    " + bytes(range(40))


def feed() -> Iterator[bytes]:
    """Operations of the target: (what, where) pairs after a byte of policy."""
    for policy in (0x70, 0x71, 0x72, 0x06, 0x16):
        in_order = bytes((6, 0, 6, 1, 5, 0, 5, 0))
        gap = bytes((6, 10, 4, 10, 6, 12, 4, 30, 22, 2, 4, 50, 4, 50))
        ends = bytes((3, 20, 11, 20, 6, 0, 38, 0))
        yield bytes([policy]) + in_order + gap + ends
        yield bytes([policy]) + in_order + b"\0\0\x14" + _core.mold_encode("AAAAAAAAAA", 9, []) + ends


def config() -> Iterator[bytes]:
    """The first byte says kind and form."""
    yield b"\4" + (CHECKOUT / "runtime/examples/engine.toml").read_bytes()
    yield b"\0" + (CHECKOUT / "runtime/examples/exchange.toml").read_bytes()
    yield b"\4a = " + b"[" * 1500  # deeper than Python recurses
    yield b"\4a = " + b"9" * 4400  # more digits than Python reads
    yield b"\4[engine]\nmax_orders = 0x" + b"f" * 3800  # more than it writes
    for first in range(8):
        for fill in (b"\x08", b"\xff", bytes(range(256))):
            yield bytes([first]) + (fill * 400)[:400]


def roce() -> Iterator[bytes]:
    """The first byte is the size of windows. Some records of each file in the fixtures, and a pcapng of them."""
    blocks = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    blocks += struct.pack("<IIHHIHHB3xII", 1, 32, 1, 0, 0, 9, 1, 9, 0, 32)
    for path in sorted((CHECKOUT / "tests" / "fixtures" / "roce").glob("*.pcap")):
        data = path.read_bytes()
        at, records, packets = 24, [], []
        while at < len(data) and len(records) < 12:
            length = struct.unpack_from("<I", data, at + 8)[0]
            records.append(data[at : at + 16 + length])
            packets.append(data[at + 16 : at + 16 + length])
            at += 16 + length
        yield b"\x50" + data[:24] + b"".join(records)
        padded = [packet[:150] + bytes(-len(packet[:150]) % 4) for packet in packets[:6]]
        yield (
            b"\x21"
            + blocks
            + b"".join(
                struct.pack("<IIIIIII", 6, 32 + len(packet), 0, 0, number, len(packet), len(packet))
                + packet
                + struct.pack("<I", 32 + len(packet))
                for number, packet in enumerate(padded)
            )
        )


def main() -> int:
    """Command line: the directory to write to."""
    directory = Path(sys.argv[1])
    for target in (itch, mold, soup, ouch, book, feed, config, roce):
        (directory / target.__name__).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target()):
            (directory / target.__name__ / f"seed{number:03}").write_bytes(seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
