# SPDX-License-Identifier: Apache-2.0
"""Order entry: OUCH 5.0 Enter Order in, Accepted or Rejected out.

This release accepts every well-formed order and fills none. Cancel, Replace and Modify are counted and, as OUCH has it
for orders that are no longer there, answered with silence.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from .. import _core
from .soupbin import ProtocolError, Session

_DAY_NS = 24 * 3600 * 10**9

# OUCH 5.0, appendix with the reasons of Rejected.
REJECT_SIDE, REJECT_OTHER, REJECT_QUANTITY, REJECT_SYMBOL = 0x0009, 0x000F, 0x0013, 0x0017
MAX_QUANTITY = 999_999
_IGNORED = frozenset(b"XUMQDCP")  # OUCH 5.0 requests that come with later releases


@dataclass
class Counters:
    """Since start. `orders` counts Enter Orders, and is accepted + rejected + duplicates."""

    orders: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    ignored: int = 0


class OrderEntry:
    """Answers the messages of all sessions; order references rise over all of them."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.last_reference = 0

    def __call__(self, session: Session, message: bytes) -> bytes | None:
        """The reply to one message of a client, None for silence; ProtocolError on a malformed one."""
        counters = self.counters
        if not message:
            raise ProtocolError("an empty OUCH message")
        if message[0] != 0x4F:  # O
            if message[0] not in _IGNORED:
                raise ProtocolError(f"OUCH type {ascii(chr(message[0]))} is unknown")
            counters.ignored += 1
            return None
        try:
            order = _core.ouch_decode(message, True)
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        counters.orders += 1
        if order["user_ref_num"] <= session.last_reference:
            # OUCH 5.0: UserRefNum rises strictly, a repeated order is ignored so that a client may send again.
            counters.duplicates += 1
            return None
        session.last_reference = order["user_ref_num"]
        timestamp = time.time_ns() % _DAY_NS
        reason = _reason(order)
        if reason:
            counters.rejected += 1
            reply = {
                "type": "J",
                "timestamp": timestamp,
                "user_ref_num": order["user_ref_num"],
                "reason": reason,
                "cl_ord_id": order["cl_ord_id"],
            }
            return _core.ouch_encode(reply, False)
        counters.accepted += 1
        self.last_reference += 1
        order.update(type="A", timestamp=timestamp, order_reference=self.last_reference, order_state="L")
        return _core.ouch_encode(order, False)


def _reason(order: dict[str, int | str]) -> int:
    """Why an order is rejected, an OUCH reason code; 0: it is not."""
    if order["side"] not in ("B", "S", "T", "E"):
        return REJECT_SIDE
    if not 1 <= int(order["quantity"]) <= MAX_QUANTITY:
        return REJECT_QUANTITY
    if not order["symbol"]:
        return REJECT_SYMBOL
    if not int(order["price"]):
        return REJECT_OTHER
    return 0
