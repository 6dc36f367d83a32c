# SPDX-License-Identifier: Apache-2.0
"""`tickwire run` against an exchange double that stops reading, or says more than the journal has room for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_exchange import accept_order, soup
from core_messages import imbalance
from front_peer import Peer
from front_site import FREE, Processes, Site

from tickwire import _core

A_PACKET = 20  # messages


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.reads.set()
    peer.close()


class Trade:
    """An engine at work: so many more orders are wanted by its strategy, and all of the feed has arrived."""

    def __init__(self, site: Site, peer: Peer) -> None:
        self.site, self.peer, self.sequence, self.reference = site, peer, 1, 1

    def want(self, orders: int) -> dict[str, Any]:
        messages = imbalance(self.reference, orders)[0 if self.reference == 1 else 2 :]
        self.reference += orders + 2
        for at in range(0, len(messages), A_PACKET):
            packet = messages[at : at + A_PACKET]
            self.peer.send_feed(_core.mold_encode("DAY1", self.sequence, packet))
            self.sequence += len(packet)
            if at % (64 * A_PACKET) == 0:  # the buffer of the feed's socket is not what is tested
                self.taken()
        return self.taken()

    def taken(self) -> dict[str, Any]:
        return self.site.wait("the feed", lambda block: block["next_sequence"] == self.sequence)


def engine(peer: Peer, tmp_path: Path, more: str = "", strategy: str = "") -> Site:
    limits = f"{FREE}\nmax_open_orders = 100000"
    return Site(
        tmp_path, [peer.port, 1, peer.feed_port], engine_engine=more, engine_strategy=strategy, engine_risk=limits
    )


def fill(trade: Trade) -> dict[str, Any]:
    """Orders until the kernel takes no more of them."""
    for _ in range(100):
        block = trade.want(500)
        if block["orders_unsent"] >= 100:
            return block
    raise AssertionError(f"the kernel takes everything: {block}")


def entered(peer: Peer) -> list[int]:
    return [order["user_ref_num"] for order in peer.orders()]


def rest(site: Site, peer: Peer, sent: int) -> dict[str, Any]:
    """All orders that were sent are answered; ledger and peer agree about what is open."""
    known = {"orders_accepted": sent, "open_orders": sent, "unsure_orders": 0}
    block = site.wait("answers", lambda block: known.items() <= block.items())
    numbers = entered(peer)
    assert len(numbers) == len(set(numbers)), "a number was used twice"
    journal = _core.journal_read(site.journal)
    assert sorted(order["reference"] for order in journal["orders"]) == sorted(numbers)
    assert len(numbers) == sent
    return block


def at_work(peer: Peer, processes: Processes, tmp_path: Path) -> tuple[Site, subprocess.Popen[bytes], Trade]:
    """An engine, its process and its market, with 5 orders that are answered."""
    site = engine(peer, tmp_path)
    running = processes.start("run", site.engine)
    trade = Trade(site, peer)
    trade.want(5)
    rest(site, peer, 5)
    return site, running, trade


def test_a_peer_that_stops_reading_costs_orders_and_nothing_else(
    peer: Peer, processes: Processes, tmp_path: Path
) -> None:
    site, running, trade = at_work(peer, processes, tmp_path)
    peer.reads.clear()
    block = fill(trade)
    assert block["state"] == "live" and block["gaps"] == block["messages_lost"] == block["book_errors"] == 0
    (top,) = block["top"]
    assert (top["bid"], top["bid_size"], top["ask"], top["ask_size"]) == (10000, 100, 10010, 100)
    sent = block["orders_sent"]
    assert block["open_orders"] == sent, "what was not sent is not open"

    peer.reads.set()
    rest(site, peer, sent)  # what was counted as sent arrived whole, and nothing else
    trade.want(50)
    block = rest(site, peer, sent + 50)
    assert peer.logins == 1 and block["gaps"] == 0
    assert {kind for kind, _ in peer.packets} <= {b"L", b"U", b"R"}, "packets of SoupBinTCP, whole ones"

    code, log = processes.stop(running)
    assert code == 0 and "orders were not sent" in log and "next attempt" not in log, log


def test_a_peer_that_stops_reading_and_is_gone_is_met_again(peer: Peer, processes: Processes, tmp_path: Path) -> None:
    site, running, trade = at_work(peer, processes, tmp_path)
    peer.reads.clear()
    sent = fill(trade)["orders_sent"]
    peer.drop()
    site.wait("lost", lambda block: block["state"] == "login")
    trade.want(50)  # nobody trades, the books go on
    peer.reads.set()
    block = site.wait("back", lambda block: block["state"] == "live")
    read = len(entered(peer))
    assert peer.logins == 2 and 5 <= read < sent
    block = rest(site, peer, read)  # what it never read is dropped
    assert block["orders_sent"] == sent, "nothing is sent again"
    trade.want(50)
    rest(site, peer, read + 50)
    assert entered(peer)[read] > sent, "numbers that never arrived are not used again"
    assert site.read()["gaps"] == 0

    code, log = processes.stop(running)
    assert code == 0 and log.count("next attempt") == 1, log


SHARES = 300


def executed_share_by_share(message: bytes) -> list[bytes]:
    packets = accept_order(message)
    number = _core.ouch_decode(message, True)["user_ref_num"]
    for share in range(1, SHARES + 1):
        executed = {"type": "E", "timestamp": 1, "user_ref_num": number, "quantity": 1, "liquidity_flag": "A"}
        executed |= {"price": _core.ouch_decode(message, True)["price"], "match_number": 1000 * number + share}
        packets.append(soup(b"S", _core.ouch_encode(executed, False)))
    return packets


def test_more_answers_than_the_journal_has_room_for_are_taken_after_a_restart(
    processes: Processes, tmp_path: Path
) -> None:
    """5 orders, each with 301 answers; a journal of 1,024 records holds those of 3."""
    peer = Peer(executed_share_by_share)
    site = engine(peer, tmp_path, "journal_records = 1024", f"size = {SHARES}")
    running = processes.start("run", site.engine)
    Trade(site, peer).want(5)
    code = running.wait(30)
    log = processes.log(running)
    last = log.splitlines()[-1]
    assert code == 1 and last.startswith("tickwire: the journal is full") and "start again" in last, log
    assert _core.journal_read(site.journal)["records"] == 1024
    running = processes.start("run", site.engine)
    orders = peer.orders()
    numbers = [order["user_ref_num"] for order in orders]
    assert numbers == list(range(1, len(orders) + 1)) and len(orders) >= 4

    signed = [(SHARES if order["side"] == "B" else -SHARES, order["price"]) for order in orders]
    (position,) = site.wait("executions", lambda block: block["open_orders"] == 0 and block["unsure_orders"] == 0)[
        "positions"
    ]
    assert (position["shares"], position["cash"]) == (
        sum(shares for shares, _ in signed),
        -sum(shares * price for shares, price in signed),
    )
    code, log = processes.stop(running)
    assert code == 0, log
    peer.close()
