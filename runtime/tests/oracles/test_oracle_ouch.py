# SPDX-License-Identifier: Apache-2.0
"""Nasdaq's own message framework (PyPI: nasdaq-protocols) with OUCH declared in it, against our codec.

The framework knows how fields become bytes; the order and the widths of the fields are from the specification.
"""

from __future__ import annotations

import enum
from typing import Any

import pytest
from core_ouch import MESSAGES, spec_of
from hypothesis import given
from hypothesis import strategies as st
from nasdaq_protocols.common.message import structures, types

from tickwire import _core

_INTEGERS = {1: types.Byte, 2: types.UnsignedShortBE, 4: types.UnsignedIntBE, 8: types.UnsignedLongBE}


class Tail(enum.Enum):
    LENGTH = "appendage length"


def declare(version: str, inbound: bool, type_: str) -> type[structures.Record]:
    """The message as a record of Nasdaq's framework; a required appendage length is its last field."""
    _, tail, fields = spec_of(version, inbound, type_)
    declared = [structures.Field("type", types.CharIso8599)]
    for name, length, kind in fields:
        if kind == "char":
            declared.append(structures.Field(name, types.CharIso8599))
        elif kind == "alpha":
            declared.append(structures.Field(name, types.FixedIsoString(length)))
        else:
            declared.append(structures.Field(name, _INTEGERS[length]))
    if tail == "req":
        declared.append(structures.Field(Tail.LENGTH.value, types.UnsignedShortBE))
    return type(f"Ouch{version}{inbound}{type_}", (structures.Record,), {"Fields": declared})


RECORDS = {key: declare(*key) for key in MESSAGES}


def text(length: int) -> st.SearchStrategy[str]:
    # The framework strips blanks at both ends; ours keeps those in front.
    return st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=length).map(str.strip)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[str, bool, str], dict[str, Any]]:
    key = draw(st.sampled_from(MESSAGES))
    fields: dict[str, Any] = {"type": key[2]}
    for name, length, kind in spec_of(*key)[2]:
        if kind == "char":
            fields[name] = draw(st.integers(1, 255).map(chr))
        elif kind == "alpha":
            fields[name] = draw(text(length))
        else:
            fields[name] = draw(st.integers(0, 256**length - 1))
    return key, fields


@given(cases())
def test_nasdaqs_framework_writes_and_reads_the_same_bytes(case: tuple[tuple[str, bool, str], dict[str, Any]]) -> None:
    key, fields = case
    version, inbound, _ = key
    record = RECORDS[key]
    ours = _core.ouch_encode(fields, inbound, version)
    length, theirs = record.to_bytes(record({**fields, Tail.LENGTH.value: 0}))
    assert ours == theirs and length == len(ours)
    taken, read = record.from_bytes(ours)
    assert taken == len(ours)
    assert {name: read.values[name] for name in fields} == fields
    decoded = _core.ouch_decode(theirs, inbound, version)
    assert {name: decoded[name] for name in fields} == fields


@pytest.mark.parametrize("version", ["5.0", "4.2"])
def test_staged_orders_read_by_nasdaqs_framework(version: str) -> None:
    packet = _core.ouch_request("E", 0xABC, side="S", shares=7, symbol="TICK", price=12345, version=version)
    record = RECORDS[version, True, "O"]
    _, read = record.from_bytes(packet[3:])
    common = {"side": "S", "price": 12345, "display": "Y", "capacity": "P", "cross_type": "N"}
    if version == "5.0":
        common |= {"user_ref_num": 0xABC, "quantity": 7, "symbol": "TICK", "time_in_force": "0", Tail.LENGTH.value: 0}
    else:
        common |= {"order_token": "TW00000ABC", "shares": 7, "stock": "TICK", "time_in_force": 99998}
    assert {name: read.values[name] for name in common} == common
