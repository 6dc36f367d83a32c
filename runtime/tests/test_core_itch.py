# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import struct
from collections import Counter
from typing import Any

import pytest
from core_messages import FIXTURES, RITCH, SYNTHETIC, add, itch_file, message
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core

# Body lengths of TotalView-ITCH 5.0, typed from the specification and not from the code.
LENGTHS = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40,
    "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
}  # fmt: skip
TEXT = {"char", "alpha"}


def test_all_types_have_the_lengths_of_the_specification() -> None:
    assert list(_core.ITCH_TYPES) == list(LENGTHS)
    assert {type_: _core.itch_length(type_) for type_ in _core.ITCH_TYPES} == LENGTHS
    assert _core.itch_length("Z") == _core.itch_length("") == _core.itch_length("AB") == 0


@pytest.mark.parametrize("type_", list(LENGTHS))
def test_fields_follow_each_other_without_gap_or_overlap(type_: str) -> None:
    at = 1
    for name, kind, offset, length in _core.itch_fields(type_):
        assert offset == at, name
        assert kind in TEXT or length == {"price4": 4, "price8": 8}.get(kind, int(kind.strip("uprice") or 0) // 8), name
        at += length
    assert at == LENGTHS[type_]
    assert [f[0] for f in _core.itch_fields(type_)][:3] == ["stock_locate", "tracking_number", "timestamp"]


def values(kind: str, length: int) -> st.SearchStrategy[Any]:
    if kind == "char":
        return st.integers(0, 255).map(chr)
    if kind == "alpha":
        return st.text(st.characters(max_codepoint=255), max_size=length).map(lambda text: text.rstrip(" "))
    return st.integers(0, 256**length - 1)


messages = st.sampled_from(list(LENGTHS)).flatmap(
    lambda type_: st.fixed_dictionaries(
        {"type": st.just(type_), **{n: values(kind, length) for n, kind, _, length in _core.itch_fields(type_)}}
    )
)


@given(messages)
def test_decode_inverts_encode(fields: dict[str, Any]) -> None:
    encoded = _core.itch_encode(fields)
    assert len(encoded) == LENGTHS[fields["type"]]
    assert _core.itch_decode(encoded) == fields


@given(st.sampled_from(list(LENGTHS)), st.binary(min_size=64, max_size=64))
def test_encode_inverts_decode(type_: str, noise: bytes) -> None:
    body = type_.encode() + noise[: LENGTHS[type_] - 1]
    assert _core.itch_encode(_core.itch_decode(body)) == body


def test_a_message_byte_by_byte() -> None:
    body = struct.pack(">cHH", b"A", 5, 6) + (7 << 32 | 8).to_bytes(6, "big")
    body += struct.pack(">Qc I 8s I", 9, b"S", 100, b"TICK    ", 123456)
    assert _core.itch_decode(body) == {
        "type": "A", "stock_locate": 5, "tracking_number": 6, "timestamp": 7 << 32 | 8, "order_reference": 9,
        "side": "S", "shares": 100, "stock": "TICK", "price": 123456,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "empty"),
        (b"Z" * 12, "unknown message type 0x5a of 12 bytes"),
        (b"S" * 11, r"type S \(System Event\): 11 bytes, must be 12"),
        (b"S" * 13, "13 bytes, must be 12"),
    ],
)
def test_decode_says_what_is_wrong(body: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.itch_decode(body)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "missing"),
        ({"type": "Z"}, "unknown message type 'Z'"),
        ({"type": "D", "price": 1}, r"type D \(Order Delete\): no field 'price'"),
        ({"type": "A", "price": 1 << 32}, "price: 4294967296 must be an integer from 0 to 4294967295"),
        ({"type": "A", "price": -1}, "price: -1 must be"),
        ({"type": "A", "price": 1.5}, "price: 1.5 must be"),
        ({"type": "A", "stock": "TOOLONGNAME"}, "stock: 'TOOLONGNAME' must be Latin-1 text of at most 8"),
        ({"type": "A", "side": "\u20ac"}, "side"),
    ],
)
def test_encode_says_what_is_wrong(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.itch_encode(fields)


RITCH_COUNTS = {"S": 6, "R": 3, "H": 3, "A": 4997, "F": 3, "E": 198, "D": 1745, "P": 5000, "U": 12, "X": 45}


def test_the_example_file_decodes_to_its_published_counts() -> None:
    data, _, bodies = itch_file(RITCH)
    assert _core.itch_frame_index(data)[1] == {"framing": "zero", "messages": 12012, "unknown": 0, "bad_length": 0}
    assert Counter(_core.itch_decode(body)["type"] for body in bodies) == RITCH_COUNTS
    assert all(_core.itch_encode(_core.itch_decode(body)) == body for body in bodies)


def test_the_synthetic_file_decodes_whole() -> None:
    data = gzip.decompress((FIXTURES / SYNTHETIC).read_bytes())
    index, info = _core.itch_frame_index(data)
    bodies = itch_file(SYNTHETIC)[2]
    assert (info["framing"], info["unknown"], info["bad_length"]) == ("length", 0, 0)
    assert info["messages"] == len(bodies) == len(index) // 8
    assert b"".join(struct.pack(">H", len(body)) + body for body in bodies) == data
    assert all(_core.itch_encode(_core.itch_decode(body)) == body for body in bodies)


def framed(*bodies: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(body)) + body for body in bodies)


def test_frames_of_unknown_type_and_wrong_length_are_kept_and_counted() -> None:
    info = _core.itch_frame_index(framed(add(1, "B", 1, 1), b"Zxx", b"D123", message("D", order_reference=1)))[1]
    assert info == {"framing": "length", "messages": 4, "unknown": 1, "bad_length": 1}


def test_a_zero_length_ends_a_file() -> None:
    index, info = _core.itch_frame_index(framed(add(1, "B", 1, 1)) + b"\0\0")
    assert info["messages"] == 1 and len(index) == 8
    assert _core.itch_frame_index(b"")[1]["messages"] == 0


@pytest.mark.parametrize("cut", range(1, 38))
def test_a_truncated_frame_is_named(cut: int) -> None:
    data = framed(add(1, "B", 1, 1), add(2, "B", 1, 1))
    with pytest.raises(ValueError, match="offset 38: truncated"):
        _core.itch_frame_index(data[: 38 + cut])


def test_zero_framing_needs_known_types() -> None:
    body = add(1, "B", 1, 1)
    with pytest.raises(ValueError, match="offset 38: length 0x0, type 0x5a"):
        _core.itch_frame_index(b"\0\0" + body + b"\0\0Z" + body)
    with pytest.raises(ValueError, match="offset 38: truncated"):
        _core.itch_frame_index(b"\0\0" + body + b"\0\0" + body[:-1])
