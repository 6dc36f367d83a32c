# SPDX-License-Identifier: Apache-2.0
"""OUCH 5.0 and 4.2: the tables against the specification, the codec, staged requests, answers."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from core_ouch import MESSAGES, SPEC, TAGS_50, appendages, field_of, messages, spec_of, values
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core

NS = 34_200_000_000_123


@pytest.mark.parametrize("version", ["5.0", "4.2"])
def test_the_types_are_those_of_the_specification(version: str) -> None:
    listed = {
        f"{'in' if inbound else 'out'} {type_}"
        for inbound in (True, False)
        for type_ in _core.ouch_types(inbound, version)
    }
    assert listed == set(SPEC[version])


@pytest.mark.parametrize(("version", "inbound", "type_"), MESSAGES)
def test_fields_and_lengths_are_those_of_the_specification(version: str, inbound: bool, type_: str) -> None:
    length, tail, fields = spec_of(version, inbound, type_)
    at = 1
    for (name, size, kind), row in zip(fields, _core.ouch_fields(type_, inbound, version), strict=True):
        assert row == (name, kind, at, size)
        at += size
    assert at == length
    assert len(_core.ouch_encode({"type": type_}, inbound, version)) == length + (2 if tail == "req" else 0)


@given(messages())
def test_decode_inverts_encode(case: tuple[str, bool, dict[str, Any]]) -> None:
    version, inbound, fields = case
    encoded = _core.ouch_encode(fields, inbound, version)
    assert _core.ouch_decode(encoded, inbound, version) == fields
    assert encoded[0] == ord(fields["type"])


@given(st.sampled_from(MESSAGES), st.binary(min_size=128, max_size=128), st.none() | st.binary(max_size=600))
def test_encode_inverts_decode(kind: tuple[str, bool, str], noise: bytes, appendage: bytes | None) -> None:
    version, inbound, type_ = kind
    length, tail, _ = spec_of(version, inbound, type_)
    body = type_.encode() + noise[: length - 1]
    if tail == "req" or (tail == "opt" and appendage is not None):
        body += struct.pack(">H", len(appendage or b"")) + (appendage or b"")
    assert _core.ouch_encode(_core.ouch_decode(body, inbound, version), inbound, version) == body


@pytest.mark.parametrize("tag", TAGS_50)
def test_tags_are_those_of_the_specification(tag: int) -> None:
    name, length, kind = field_of(TAGS_50[tag])
    value: Any = {"char": "Q", "alpha": "Z", "i32": -2}.get(kind, 258 % 256**length)
    encoded = _core.ouch_appendage_encode({name: value})
    raw = {"char": b"Q", "alpha": b"Z".ljust(length), "i32": b"\xff\xff\xff\xfe"}.get(
        kind, (258 % 256**length).to_bytes(length, "big")
    )
    assert encoded == bytes([1 + length, tag]) + raw
    assert _core.ouch_appendage_decode(encoded) == {name: value}


@given(appendages)
def test_appendages_come_back_in_their_order(fields: dict[str, Any]) -> None:
    decoded = _core.ouch_appendage_decode(_core.ouch_appendage_encode(fields))
    assert list(decoded.items()) == list(fields.items())


@given(st.dictionaries(st.sampled_from([0, 8, 19, 20, 21, 31, 255]), st.binary(max_size=254), max_size=4))
def test_elements_of_unknown_tags_are_kept(elements: dict[int, bytes]) -> None:
    raw = b"".join(bytes([1 + len(value), tag]) + value for tag, value in elements.items())
    decoded = _core.ouch_appendage_decode(raw)
    assert decoded == {f"tag_{tag}": value for tag, value in elements.items()}
    assert _core.ouch_appendage_encode(decoded) == raw


@given(st.binary(max_size=64))
def test_any_bytes_are_an_appendage_that_comes_back_or_are_refused(raw: bytes) -> None:
    try:
        decoded = _core.ouch_appendage_decode(raw)
    except ValueError as error:
        assert "OUCH appendage: " in str(error)
    else:
        assert _core.ouch_appendage_encode(decoded) == raw


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\0", "the element at byte 0 is longer"),
        (b"\x02\x1c\x01\x05\x02TIC", "the element at byte 3 is longer"),
        (b"\x02\x1c\x01\x02\x1c\x01", "user_ref_idx is there twice"),
    ],
)
def test_damaged_appendages_are_refused(raw: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.ouch_appendage_decode(raw)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"firn": "TICK"}, "no field 'firn'"),
        ({"firm": "TICKW"}, "firm: 'TICKW' must be Latin-1 text of at most 4"),
        ({"peg_offset": 2**31}, "peg_offset: 2147483648 must be an integer from -2147483648 to 2147483647"),
        ({"min_qty": -1}, "min_qty: -1 must be an integer from 0 to 4294967295"),
        ({"tag_256": b""}, "no field 'tag_256'"),
        ({"tag_07": b""}, "no field 'tag_07'"),
        ({"tag_7": b"x" * 255}, "at most 254 bytes"),
    ],
)
def test_appendages_that_cannot_be_written_are_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.ouch_appendage_encode(fields)


def test_what_is_no_version_or_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r'OUCH version "4.1": must be "5.0" or "4.2"'):
        _core.ouch_decode(b"S", True, "4.1")
    with pytest.raises(ValueError, match="OUCH 4.2 inbound: unknown message type 'Q'"):
        _core.ouch_fields("Q", True, "4.2")
    with pytest.raises(ValueError, match="OUCH 4.2 outbound type A .Accepted.: 65 bytes, must be 66"):
        _core.ouch_decode(b"A" * 65, False, "4.2")
    with pytest.raises(ValueError, match="no field 'appendage'"):
        _core.ouch_encode({"type": "X", "appendage": b""}, True, "4.2")


# --- staged requests ---

ENTER = st.fixed_dictionaries(
    {
        "reference": st.integers(0, 2**32 - 1),
        "side": st.sampled_from("BS"),
        "shares": st.integers(0, 2**32 - 1),
        "symbol": values("alpha", 8),
        "price": st.integers(0, 2**32 - 1),
        "time_in_force": st.sampled_from("03"),
        "firm": st.sampled_from(["", "T", "TICK"]),
    }
)
# Symbols with a zero byte end there for C; the feed has none.
ENTER = ENTER.filter(lambda order: "\0" not in order["symbol"] and order["symbol"].isascii())
SECONDS = {"0": 99998, "3": 0}


def unpacked(packet: bytes) -> bytes:
    """The message of a SoupBinTCP packet of unsequenced data."""
    decoded = _core.soup_decode(packet)
    assert decoded is not None
    type_, payload, taken = decoded
    assert (type_, taken) == ("U", len(packet))
    return payload


@given(ENTER)
def test_staged_enters_are_what_the_codec_writes(order: dict[str, Any]) -> None:
    token = f"TW{order['reference']:08X}"
    fields = {
        "type": "O",
        "user_ref_num": order["reference"],
        "quantity": order["shares"],
        "cl_ord_id": token,
        "display": "Y",
        "capacity": "P",
        "intermarket_sweep": "N",
        "cross_type": "N",
        "appendage": _core.ouch_appendage_encode({"firm": order["firm"]} if order["firm"] else {}),
        **{name: order[name] for name in ("side", "symbol", "price", "time_in_force")},
    }
    assert unpacked(_core.ouch_request("E", **order)) == _core.ouch_encode(fields, True)
    old = {
        "type": "O",
        "order_token": token,
        "stock": order["symbol"],
        "time_in_force": SECONDS[order["time_in_force"]],
        "display": "Y",
        "capacity": "P",
        "intermarket_sweep": "N",
        "cross_type": "N",
        **{name: order[name] for name in ("side", "shares", "price", "firm")},
    }
    assert unpacked(_core.ouch_request("E", version="4.2", **order)) == _core.ouch_encode(old, True, "4.2")


@given(ENTER, st.integers(0, 2**32 - 1))
def test_staged_replaces_and_cancels_are_what_the_codec_writes(order: dict[str, Any], original: int) -> None:
    token, reference = f"TW{order['reference']:08X}", order["reference"]
    del order["side"], order["symbol"]
    fields = {
        "type": "U",
        "orig_user_ref_num": original,
        "user_ref_num": reference,
        "quantity": order["shares"],
        "price": order["price"],
        "time_in_force": order["time_in_force"],
        "display": "Y",
        "intermarket_sweep": "N",
        "cl_ord_id": token,
    }
    assert unpacked(_core.ouch_request("R", original=original, **order)) == _core.ouch_encode(fields, True)
    old = {
        "type": "U",
        "existing_order_token": f"TW{original:08X}",
        "order_token": token,
        "shares": order["shares"],
        "price": order["price"],
        "time_in_force": SECONDS[order["time_in_force"]],
        "display": "Y",
        "intermarket_sweep": "N",
    }
    request = _core.ouch_request("R", original=original, version="4.2", **order)
    assert unpacked(request) == _core.ouch_encode(old, True, "4.2")
    cancel = {"type": "X", "user_ref_num": reference, "quantity": 0, "appendage": b""}
    assert unpacked(_core.ouch_request("C", reference)) == _core.ouch_encode(cancel, True)
    old = {"type": "X", "order_token": token, "shares": 0}
    assert unpacked(_core.ouch_request("C", reference, version="4.2")) == _core.ouch_encode(old, True, "4.2")


# --- answers ---

NOTHING = {"original": 0, "shares": 0, "price": 0, "match_number": 0, "reason": 0}
# Fields of a message beside time and reference (5.0 names), and what the ledger is told.
ANSWERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("A", {"quantity": 300, "price": 12, "order_state": "L"}, {"kind": "A", "shares": 300, "price": 12}),
    ("A", {"quantity": 300, "price": 12, "order_state": "D"}, {"kind": "A", "shares": 0, "price": 12}),
    ("U", {"orig": 5, "quantity": 200, "price": 13, "order_state": "L"},
     {"kind": "U", "original": 5, "shares": 200, "price": 13}),
    ("U", {"orig": 5, "quantity": 200, "price": 13, "order_state": "D"}, {"kind": "U", "original": 5, "price": 13}),
    ("C", {"quantity": 40, "reason": "I"}, {"kind": "C", "shares": 40, "reason": ord("I")}),
    ("D", {"decrement_shares": 40, "reason": "Q", "quantity_prevented": 60, "execution_price": 99},
     {"kind": "C", "shares": 40, "reason": ord("Q")}),
    ("E", {"quantity": 25, "price": 14, "liquidity_flag": "A", "match_number": 2**63},
     {"kind": "E", "shares": 25, "price": 14, "match_number": 2**63}),
    ("B", {"match_number": 77, "reason": "E"}, {"kind": "B", "match_number": 77, "reason": ord("E")}),
    ("J", {"reason": 0x17}, {"kind": "J", "reason": 0x17}),
    ("M", {"side": "S", "quantity": 90}, {"kind": "A", "shares": 90}),
    ("T", {"price": 15, "display": "Y", "order_reference": 3}, {"kind": "", "price": 15, "reason": ord("T")}),
    ("P", {}, {"kind": "", "reason": ord("P")}),
    ("I", {}, {"kind": "", "reason": ord("I")}),
    ("R", {"reason": "R"}, {"kind": "", "reason": ord("R")}),
    # 4.2 only
    ("G", {"quantity": 25, "price": 14, "match_number": 8},
     {"kind": "E", "shares": 25, "price": 14, "match_number": 8}),
    ("F", {"quantity": 25, "price": 11, "match_number": 8, "reason": "E"},
     {"kind": "", "shares": 25, "price": 11, "match_number": 8, "reason": ord("F")}),
]  # fmt: skip
OLD_NAMES = {
    "E": {"quantity": "executed_shares", "price": "execution_price"},
    "C": {"quantity": "decrement_shares"},
} | {type_: {"quantity": "shares"} for type_ in "AUM"}
OLD_NAMES["G"] = OLD_NAMES["F"] = OLD_NAMES["E"]


@pytest.mark.parametrize(("type_", "fields", "told"), [a for a in ANSWERS if a[0] not in "GF"])
@pytest.mark.parametrize("appendage", [None, b"", b"\x02\x1c\x01"])
def test_answers_of_50(type_: str, fields: dict[str, Any], told: dict[str, Any], appendage: bytes | None) -> None:
    fields = {"type": type_, "timestamp": NS, "user_ref_num": 9, **fields}
    if "orig" in fields:
        fields["orig_user_ref_num"] = fields.pop("orig")
    if appendage is not None:
        fields["appendage"] = appendage
    answer = _core.ouch_answer(_core.ouch_encode(fields, False))
    assert answer == {**NOTHING, "time_ns": NS, "reference": 9, **told}


@pytest.mark.parametrize(("type_", "fields", "told"), [a for a in ANSWERS if a[0] != "R"])
def test_answers_of_42(type_: str, fields: dict[str, Any], told: dict[str, Any]) -> None:
    renamed = {OLD_NAMES.get(type_, {}).get(name, name): value for name, value in fields.items()}
    message = {"type": type_, "timestamp": NS, "order_token": "TW00000009", **renamed}
    if "orig" in message:
        message["previous_order_token"] = f"TW{message.pop('orig'):08X}"
    if type_ == "J":
        message["reason"], told = "X", {**told, "reason": ord("X")}
    expected = {**NOTHING, "time_ns": NS, "reference": 9, **told}
    assert _core.ouch_answer(_core.ouch_encode(message, False, "4.2"), "4.2") == expected
    foreign = _core.ouch_encode({**message, "order_token": "tw00000009"}, False, "4.2")
    assert _core.ouch_answer(foreign, "4.2") == {**expected, "reference": 0}


@pytest.mark.parametrize("type_", "SXGKQ")
def test_answers_about_no_order(type_: str) -> None:
    versions = ("5.0", "4.2") if type_ == "S" else ("5.0",)
    for version in versions:
        answer = _core.ouch_answer(_core.ouch_encode({"type": type_, "timestamp": NS}, False, version), version)
        assert answer == {**NOTHING, "kind": "", "time_ns": NS, "reference": 0, "reason": ord(type_)}


@given(messages())
def test_every_message_of_the_exchange_is_understood(case: tuple[str, bool, dict[str, Any]]) -> None:
    version, inbound, fields = case
    if inbound:
        return
    if "price" in fields:
        fields["price"] %= 2**32
    answer = _core.ouch_answer(_core.ouch_encode(fields, False, version), version)
    assert answer["time_ns"] == fields["timestamp"]
    if "user_ref_num" in fields and fields["type"] not in "XGK":
        assert answer["reference"] == fields["user_ref_num"]


@pytest.mark.parametrize("type_", "AUET")
def test_a_price_beyond_ouchs_range_is_damage(type_: str) -> None:
    _core.ouch_answer(_core.ouch_encode({"type": type_, "price": 2**32 - 1}, False))
    with pytest.raises(ValueError, match="no whole message"):
        _core.ouch_answer(_core.ouch_encode({"type": type_, "price": 2**32}, False))


@pytest.mark.parametrize("body", [b"", b"Z", b"A" * 10, b"E" * 35, b"S" + bytes(10)])
def test_damaged_answers_are_refused(body: bytes) -> None:
    for version in ("5.0", "4.2"):
        with pytest.raises(ValueError, match="no whole message"):
            _core.ouch_answer(body, version)


def test_reasons_in_words() -> None:
    assert _core.ouch_reject_text(0x13) == "invalid quantity"
    assert _core.ouch_reject_text("X", "4.2") == "invalid price"
    assert _core.ouch_reject_text(ord("X"), version="4.2") == "invalid price"
    known = [code for code in range(256) if _core.ouch_reject_text(code) != "unknown reason"]
    assert known == [*range(0x01, 0x34), 0x40]  # appendix of the specification; two sources
    assert _core.ouch_reject_text(2**16 + 1) == _core.ouch_reject_text("\u20ac", "4.2") == "unknown reason"


# --- what carries them ---


@given(st.integers(0, 255).map(chr), st.binary(max_size=300), st.binary(max_size=20))
def test_soupbintcp_packets_come_back(type_: str, payload: bytes, rest: bytes) -> None:
    packet = _core.soup_encode(type_, payload)
    assert packet == struct.pack(">H", len(payload) + 1) + type_.encode("latin-1") + payload
    assert _core.soup_decode(packet + rest) == (type_, payload, len(packet))
    for cut in range(len(packet)):
        assert _core.soup_decode(packet[:cut]) is None


def test_soupbintcp_at_its_limits() -> None:
    assert _core.soup_decode(_core.soup_encode("S", bytes(65534))) == ("S", bytes(65534), 65537)
    with pytest.raises(ValueError, match="at most 65534"):
        _core.soup_encode("S", bytes(65535))
    with pytest.raises(ValueError, match="length 0"):
        _core.soup_decode(b"\0\0S")


PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126)


@given(
    st.text(PRINTABLE, min_size=1, max_size=6),
    st.text(PRINTABLE, min_size=1, max_size=10),
    st.text(PRINTABLE, max_size=10),
    st.integers(0, 2**64 - 10),
)
def test_logins_come_back(username: str, password: str, session: str, sequence: int) -> None:
    decoded = _core.soup_decode(_core.soup_login(username, password, session, sequence))
    assert decoded is not None and decoded[0] == "L"
    payload = decoded[1].decode()
    assert (payload[:6].rstrip(), payload[6:16].rstrip()) == (username, password)
    assert _core.soup_accepted(decoded[1][16:]) == (session, sequence)


@given(
    st.text(PRINTABLE, max_size=10),
    st.integers(0, 2**64 - 1),
    st.lists(st.binary(max_size=60), max_size=20),
)
def test_moldudp64_packets_come_back(session: str, sequence: int, bodies: list[bytes]) -> None:
    packet = _core.mold_encode(session, sequence, bodies)
    assert _core.mold_decode(packet) == (session, sequence, len(bodies), bodies)
    assert _core.mold_decode(_core.mold_end_of_session(session, sequence)) == (session, sequence, 0xFFFF, [])
