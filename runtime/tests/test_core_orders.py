# SPDX-License-Identifier: Apache-2.0
"""Strategy, risk and the bytes of the order."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from core_messages import SMALL, add, imbalance, message
from hypothesis import given
from hypothesis import strategies as st

from tickwire import _core


def process(bodies: list[bytes], **sections: dict[str, Any]) -> dict[str, Any]:
    return _core.process_packets({**SMALL, **sections}, [_core.mold_encode("D", 1, bodies)])


def decoded(result: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    orders = [_core.ouch_decode(order, True) for order in result["orders"]]
    return [(order["side"], order["quantity"], order["price"], order["symbol"]) for order in orders]


# Lengths of OUCH 5.0, from the specification, without appendage length and appendage.
def test_ouch_messages_have_the_lengths_of_the_specification() -> None:
    assert len(_core.ouch_encode({"type": "O"}, True)) == 47
    assert len(_core.ouch_encode({"type": "S"}, False)) == 10
    assert len(_core.ouch_encode({"type": "A"}, False)) == 64
    assert len(_core.ouch_encode({"type": "J"}, False)) == 29


def test_enter_order_byte_by_byte() -> None:
    result = process(imbalance(1, 1), orders={"firm": "TICK"}, strategy={"size": 300})
    expected = b"O" + struct.pack(">IcI8sQ", 1, b"B", 300, b"TICK    ", 10010)
    expected += b"3YPNN" + b"TW00000001".ljust(14) + struct.pack(">H", 6) + b"\x05\x02TICK"
    assert result["orders"] == [expected]
    without_firm = process(imbalance(1, 1), strategy={"size": 300})["orders"]
    assert without_firm == [expected[:45] + b"\0\0"]


def test_only_what_changes_is_patched() -> None:
    orders = process(imbalance(1, 40) + imbalance(500, 3, locate=2))["orders"]
    assert len(orders) == 43
    fields = [_core.ouch_decode(order, True) for order in orders]
    assert [f["user_ref_num"] for f in fields] == list(range(1, 44))
    assert [f["cl_ord_id"] for f in fields] == [f"TW{number:08X}" for number in range(1, 44)]
    constant = ("time_in_force", "display", "capacity", "intermarket_sweep", "cross_type", "appendage")
    assert len({tuple(f[name] for name in constant) for f in fields}) == 1


@given(
    st.sampled_from([("O", True), ("S", False), ("A", False), ("J", False)]),
    st.binary(min_size=64, max_size=64),
    st.binary(max_size=40),
)
def test_ouch_encode_inverts_decode(kind: tuple[str, bool], noise: bytes, appendage: bytes) -> None:
    type_, inbound = kind
    length = {"O": 45, "S": 10, "A": 62, "J": 29}[type_]
    body = type_.encode() + noise[: length - 1]
    if type_ in "OA" or (type_ == "J" and appendage):
        body += struct.pack(">H", len(appendage)) + appendage
    fields = _core.ouch_decode(body, inbound)
    assert fields.get("appendage", b"") == (b"" if type_ == "S" else appendage)
    assert _core.ouch_encode(fields, inbound) == body


@pytest.mark.parametrize(
    ("body", "inbound", "text"),
    [
        (b"O" * 46, True, "appendage length"),
        (b"O" * 44, True, "44 bytes, must be at least 45"),
        (b"J" * 30, False, "appendage length"),
        (b"S" * 11, False, "11 bytes, must be 10"),
        (b"A" * 64, True, "unknown message type"),
    ],
)
def test_damaged_ouch_is_refused(body: bytes, inbound: bool, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _core.ouch_decode(body, inbound)


BOTH_SIDES = [add(1, "B", 100, 10000), add(2, "S", 100, 10010)]


def test_buys_at_the_ask_and_sells_at_the_bid_once_per_change_of_side() -> None:
    assert decoded(process([*BOTH_SIDES, add(3, "B", 200, 10000)])) == [("B", 100, 10010, "TICK")]
    assert decoded(process([*BOTH_SIDES, add(3, "B", 199, 10000)])) == []
    assert decoded(process([*BOTH_SIDES, add(3, "S", 200, 10010)])) == [("S", 100, 10000, "TICK")]
    lasting = [*BOTH_SIDES, add(3, "B", 200, 10000), add(4, "B", 200, 10000), message("D", order_reference=4)]
    assert len(process(lasting)["orders"]) == 1
    again = [*lasting, message("D", order_reference=3), add(5, "B", 999, 10000)]  # balance in between: same side
    assert len(process(again)["orders"]) == 1
    other = [*again, message("D", order_reference=5), add(6, "S", 900, 10010)]
    assert [order[0] for order in decoded(process(other))] == ["B", "S"]


def test_the_ratio_is_exact() -> None:
    for shares, sent in ((149, 0), (150, 1)):
        bodies = [add(1, "B", shares, 10000), add(2, "S", 100, 10010)]
        assert process(bodies, strategy={"ratio": 1.5})["orders_sent"] == sent


def test_a_one_sided_book_and_depth_below_the_top_send_nothing() -> None:
    assert process([add(1, "B", 10**6, 10000)])["orders"] == []
    assert process([*BOTH_SIDES, add(3, "B", 10**6, 9990), add(4, "S", 10**6, 10020)])["orders"] == []


def test_size_above_the_limit_is_refused_and_counted() -> None:
    for max_size, sent in ((100, 1), (99, 0)):
        result = process(imbalance(1, 1), strategy={"size": 100}, risk={"max_size": max_size})
        assert (result["orders_sent"], result["risk_size"]) == (sent, 1 - sent)


def test_a_price_outside_the_collar_is_refused_and_counted() -> None:
    # Bid 9000, ask 11000: mid 10000, and buying at the ask is 1000 bps away from it.
    wide = [add(1, "B", 900, 9000), add(2, "S", 100, 11000)]
    for collar_bps, sent in ((1000, 1), (999, 0)):
        result = process(wide, risk={"collar_bps": collar_bps})
        assert (result["orders_sent"], result["risk_collar"]) == (sent, 1 - sent)
    below = [add(1, "B", 100, 9000), add(2, "S", 900, 11000)]
    for collar_bps, sent in ((1000, 1), (999, 0)):
        assert process(below, risk={"collar_bps": collar_bps})["orders_sent"] == sent


def test_extreme_prices_do_not_overflow_the_collar() -> None:
    top = 2**32 - 1
    rich = {"max_notional_usd": 1e12}
    result = process([add(1, "B", 900, top - 1), add(2, "S", 100, top)], risk={"collar_bps": 1_000_000, **rich})
    assert decoded(result) == [("B", 100, top, "TICK")]
    assert process([add(1, "B", 900, 1), add(2, "S", 100, top)], risk={"collar_bps": 9999, **rich})["risk_collar"] == 1


def test_unstamped_orders_are_counted_as_such() -> None:
    result = process(imbalance(1, 5))
    assert (result["samples"], result["unstamped"], result["timestamp_source"]) == (0, 5, "none")
    assert (result["unstamped_receive"], result["unstamped_transmit"], result["unstamped_clocks"]) == (5, 0, 0)


@pytest.mark.parametrize(("apart_ns", "sent"), [(0, 2), (10**9 // 8, 5), (10**9 // 2, 16), (10**9, 16)])
def test_in_memory_the_order_rate_goes_by_the_feeds_time(apart_ns: int, sent: int) -> None:
    """16 wishes, two orders a second: two at once, then one every half second, however fast the replay runs."""
    start = 10**13
    bodies = [
        message("A", order_reference=n, side=side, shares=100, stock="TICK", price=price, timestamp=start)
        for n, side, price in ((1, "B", 10000), (2, "S", 10010))
    ]
    for n in range(16):
        side, price = ("B", 10000) if n % 2 == 0 else ("S", 10010)
        fields = {"order_reference": 10 + n, "timestamp": start + n * apart_ns}
        bodies.append(message("A", side=side, shares=1000, stock="TICK", price=price, **fields))
        bodies.append(message("D", **fields))
    result = process(bodies, risk={"max_orders_per_s": 2})
    assert (result["orders_sent"], result["risk_rate"]) == (sent, 16 - sent)
