# SPDX-License-Identifier: Apache-2.0
"""What to know before the figures of a report are believed."""

from __future__ import annotations

from typing import Any

TWICE_PACKETS = 16  # fewer that were sent twice may well be what they seem


def _is_twice(pair: dict[str, Any]) -> bool:
    """Whether nearly all packets of a queue pair came just twice."""
    resent, repeated = pair["requester"]["retransmissions"], pair["requester"]["repeated"]
    first = pair["sent"]["requests"] - resent
    return bool(repeated >= TWICE_PACKETS and repeated >= 0.9 * first and resent <= 1.1 * repeated)


def warnings(report: dict[str, Any]) -> list[str]:
    """What makes the figures say less than they seem to."""
    capture, pairs = report["capture"], report["queue_pairs"]

    def total(key: str) -> int:
        return sum(pair["requester"][key] for pair in pairs)

    alone = sum(pair["received"] is None and pair["service"] in ("RC", "XRC") for pair in pairs)
    overrun = sum(pair["requester"]["overrun"] for pair in pairs if pair["received"])
    copies, timeless = capture["copies"], total("late_messages") + total("partial")
    twice = sum(_is_twice(pair) for pair in pairs)
    found = (
        (
            capture["ends"] != "whole",
            f"the capture is {capture['ends']}: {capture['problem']}; what comes before is reported",
        ),
        (capture["roce"] == 0, "no RoCEv2 packet (UDP port 4791) is in it"),
        (
            capture["unknown_link"],
            f"{capture['unknown_link']} records of link type {capture['unknown_link_type']}, which is not read;"
            " Ethernet, Linux cooked and raw IP are",
        ),
        (capture["unknown_interface"], f"{capture['unknown_interface']} records of interfaces it does not describe"),
        (capture["cut"], f"{capture['cut']} packets are cut within their headers: capture 128 bytes of each or more"),
        (capture["malformed"], f"{capture['malformed']} packets to port 4791 whose headers are none of RoCEv2"),
        (capture["untracked"], f"{capture['untracked']} packets of further queue pairs are not followed: --flows"),
        (
            capture["backwards"],
            f"{capture['backwards']} records are older than the one before them: several clocks, or several captures"
            " merged; latencies may be wrong",
        ),
        (
            copies,
            f"{copies} packets are in it more than once (same PSN and IP identification): counted once; capture on one"
            " interface",
        ),
        (
            twice,
            f"nearly all packets of {twice} queue pairs are in it just twice and count as sent again: captured twice?"
            " mirror one direction only",
        ),
        (total("missing"), f"{total('missing')} packets are not in the capture: lost before this point, or by it"),
        (
            timeless,
            f"{timeless} messages have no message time, since their beginning came late or never: they are likely the"
            " slowest",
        ),
        (overrun, f"{overrun} messages waited for longer than there is room for: --outstanding"),
        (
            alone,
            f"{alone} directions of reliable queue pairs are not paired and have no round trips: capture both ways,"
            " from before the first packet on",
        ),
        (
            any(pair["pairing_is_a_guess"] for pair in pairs),
            "which queue pair belongs to which is a guess by packet sequence numbers where it says psn or port",
        ),
    )
    return [text for holds, text in found if holds]
