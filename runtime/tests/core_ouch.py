# SPDX-License-Identifier: Apache-2.0
"""OUCH's messages as the tests know them: names, lengths and kinds typed from the specifications, not from the code.

Version 5.0 is revision 1.05 of October 2025. Two independent public readings of it, one as structures with asserted
offsets, one as a table-driven decoder, agree with each other and with this table on every message, length, tag and on
the outbound messages that may leave the appendage out; that Cancel, Modify and Account Query may too is from one.
Version 4.2 is as updated in October 2025; an older open implementation and a newer one agree with this table on all
but what ONE_SOURCE names.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tickwire import _core

# (direction, letter): bytes without the appendage length, appendage rule, fields with their lengths. Inbound is to the
# exchange. A kind follows the length where it is not "u" of that many bytes: c character, a text, p price, i signed.
SPEC_50 = {
    "in O": (45, "req", "user_ref_num 4, side 1c, quantity 4, symbol 8a, price 8p, time_in_force 1c, display 1c, "
             "capacity 1c, intermarket_sweep 1c, cross_type 1c, cl_ord_id 14a"),
    "in U": (38, "req", "orig_user_ref_num 4, user_ref_num 4, quantity 4, price 8p, time_in_force 1c, display 1c, "
             "intermarket_sweep 1c, cl_ord_id 14a"),
    "in X": (9, "opt", "user_ref_num 4, quantity 4"),
    "in M": (10, "opt", "user_ref_num 4, side 1c, quantity 4"),
    "in C": (17, "req", "user_ref_num 4, firm 4a, symbol 8a"),
    "in D": (9, "req", "user_ref_num 4, firm 4a"),
    "in E": (9, "req", "user_ref_num 4, firm 4a"),
    "in Q": (1, "opt", ""),
    "out S": (10, "none", "timestamp 8, event_code 1c"),
    "out A": (62, "req", "timestamp 8, user_ref_num 4, side 1c, quantity 4, symbol 8a, price 8p, time_in_force 1c, "
              "display 1c, order_reference 8, capacity 1c, intermarket_sweep 1c, cross_type 1c, order_state 1c, "
              "cl_ord_id 14a"),
    "out U": (66, "req", "timestamp 8, orig_user_ref_num 4, user_ref_num 4, side 1c, quantity 4, symbol 8a, price 8p, "
              "time_in_force 1c, display 1c, order_reference 8, capacity 1c, intermarket_sweep 1c, cross_type 1c, "
              "order_state 1c, cl_ord_id 14a"),
    "out C": (18, "opt", "timestamp 8, user_ref_num 4, quantity 4, reason 1c"),
    "out D": (32, "opt", "timestamp 8, user_ref_num 4, decrement_shares 4, reason 1c, quantity_prevented 4, "
              "execution_price 8p, liquidity_flag 1c, aiq_strategy 1c"),
    "out E": (34, "req", "timestamp 8, user_ref_num 4, quantity 4, price 8p, liquidity_flag 1c, match_number 8"),
    "out B": (36, "opt", "timestamp 8, user_ref_num 4, match_number 8, reason 1c, cl_ord_id 14a"),
    "out J": (29, "opt", "timestamp 8, user_ref_num 4, reason 2, cl_ord_id 14a"),
    "out P": (13, "opt", "timestamp 8, user_ref_num 4"),
    "out I": (13, "opt", "timestamp 8, user_ref_num 4"),
    "out T": (30, "opt", "timestamp 8, user_ref_num 4, price 8p, display 1c, order_reference 8"),
    "out M": (18, "opt", "timestamp 8, user_ref_num 4, side 1c, quantity 4"),
    "out R": (14, "req", "timestamp 8, user_ref_num 4, reason 1c"),
    "out X": (25, "req", "timestamp 8, user_ref_num 4, firm 4a, symbol 8a"),
    "out G": (17, "req", "timestamp 8, user_ref_num 4, firm 4a"),
    "out K": (17, "req", "timestamp 8, user_ref_num 4, firm 4a"),
    "out Q": (13, "opt", "timestamp 8, next_user_ref_num 4"),
}  # fmt: skip

TAGS_50 = {
    1: "secondary_ord_ref_num 8", 2: "firm 4a", 3: "min_qty 4", 4: "customer_type 1c", 5: "max_floor 4",
    6: "price_type 1c", 7: "peg_offset 4i", 9: "discretion_price 8p", 10: "discretion_price_type 1c",
    11: "discretion_peg_offset 4i", 12: "post_only 1c", 13: "random_reserves 4", 14: "route 4a", 15: "expire_time 4",
    16: "trade_now 1c", 17: "handle_inst 1c", 18: "bbo_weight_indicator 1c", 22: "display_quantity 4",
    23: "display_price 8p", 24: "group_id 2", 25: "shares_located 1c", 26: "locate_broker 4a", 27: "side 1c",
    28: "user_ref_idx 1", 29: "aiq_strategy 1c", 30: "aiq_group_id 2a",
}  # fmt: skip

_BOOKED_42 = ("timestamp 8, order_token 14a, side 1c, shares 4, stock 8a, price 4p, time_in_force 4, firm 4a, "
              "display 1c, order_reference 8, capacity 1c, intermarket_sweep 1c, minimum_quantity 4, cross_type 1c, "
              "order_state 1c")  # fmt: skip
_EXECUTED_42 = "timestamp 8, order_token 14a, executed_shares 4, execution_price 4p, liquidity_flag 1c, match_number 8"

SPEC_42 = {
    "in O": (49, "none", "order_token 14a, side 1c, shares 4, stock 8a, price 4p, time_in_force 4, firm 4a, "
             "display 1c, capacity 1c, intermarket_sweep 1c, minimum_quantity 4, cross_type 1c, customer_type 1c"),
    "in U": (47, "none", "existing_order_token 14a, order_token 14a, shares 4, price 4p, time_in_force 4, "
             "display 1c, intermarket_sweep 1c, minimum_quantity 4"),
    "in X": (19, "none", "order_token 14a, shares 4"),
    "in M": (20, "none", "order_token 14a, side 1c, shares 4"),
    "out S": (10, "none", "timestamp 8, event_code 1c"),
    "out A": (66, "none", f"{_BOOKED_42}, bbo_weight_indicator 1c"),
    "out U": (80, "none", f"{_BOOKED_42}, previous_order_token 14a, bbo_weight_indicator 1c"),
    "out C": (28, "none", "timestamp 8, order_token 14a, decrement_shares 4, reason 1c"),
    "out D": (38, "none", "timestamp 8, order_token 14a, decrement_shares 4, reason 1c, quantity_prevented 4, "
              "execution_price 4p, liquidity_flag 1c, aiq_strategy 1c"),
    "out E": (40, "none", _EXECUTED_42),
    "out G": (45, "none", f"{_EXECUTED_42}, reference_price 4p, reference_price_type 1c"),
    "out F": (41, "none", f"{_EXECUTED_42}, reason 1c"),
    "out B": (32, "none", "timestamp 8, order_token 14a, match_number 8, reason 1c"),
    "out J": (24, "none", "timestamp 8, order_token 14a, reason 1c"),
    "out P": (23, "none", "timestamp 8, order_token 14a"),
    "out I": (23, "none", "timestamp 8, order_token 14a"),
    "out T": (36, "none", "timestamp 8, order_token 14a, price 4p, display 1c, order_reference 8"),
    "out M": (28, "none", "timestamp 8, order_token 14a, side 1c, shares 4"),
}  # fmt: skip

# Executed with Reference Price and the last byte of AIQ Canceled came after the older one. Trade Correction is in
# neither: its layout is that of an implementation of early 5.0, with 4.2's widths.
ONE_SOURCE = {"out D aiq_strategy", "out F", "out G"}

SPEC = {"5.0": SPEC_50, "4.2": SPEC_42}
MESSAGES = [
    (version, direction == "in", type_)
    for version, messages in SPEC.items()
    for direction, type_ in map(str.split, messages)
]


def spec_of(version: str, inbound: bool, type_: str) -> tuple[int, str, list[tuple[str, int, str]]]:
    """(length, appendage rule, [(name, length, kind)]) of the table above."""
    length, tail, text = SPEC[version][f"{'in' if inbound else 'out'} {type_}"]
    return length, tail, [field_of(item) for item in text.split(", ") if item]


def field_of(item: str) -> tuple[str, int, str]:
    """Name, length and the codec's kind of "name 4p" and the like."""
    name, size = item.split()
    length = int(size.rstrip("acpi"))
    kind = {"c": "char", "a": "alpha", "p": "price4", "i": "i32"}.get(size[-1], f"u{8 * length}")
    return name, length, kind


def values(kind: str, length: int) -> st.SearchStrategy[Any]:
    """Every value a field can have."""
    if kind == "char":
        return st.integers(0, 255).map(chr)
    if kind == "alpha":
        return st.text(st.characters(max_codepoint=255), max_size=length).map(lambda text: text.rstrip(" "))
    if kind == "i32":
        return st.integers(-(2**31), 2**31 - 1)
    return st.integers(0, 256**length - 1)


_TAG_FIELDS = [field_of(item) for item in TAGS_50.values()]
appendages = st.lists(st.sampled_from(_TAG_FIELDS), unique=True, max_size=8).flatmap(
    lambda fields: st.fixed_dictionaries({name: values(kind, length) for name, length, kind in fields})
)


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, bool, dict[str, Any]]:
    """(version, inbound, fields) of any message, with an appendage where one may be."""
    version, inbound, type_ = draw(st.sampled_from(MESSAGES))
    _, tail, fields = spec_of(version, inbound, type_)
    message = {"type": type_, **{name: draw(values(kind, length)) for name, length, kind in fields}}
    if tail == "req" or (tail == "opt" and draw(st.booleans())):
        message["appendage"] = _core.ouch_appendage_encode(draw(appendages))
    return version, inbound, message
