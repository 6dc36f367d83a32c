# SPDX-License-Identifier: Apache-2.0
"""The ledger against an exchange of a few lines that keeps to OUCH's rules, killed and cut off at every turn.

What a ledger must never do is disagree with the exchange once all answers are in, or with itself after a restart. Both
are checked here for histories nobody would write down by hand; the single cases are in tests/c/test_ledger.c.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tickwire import _core

NAME = "t2t 2026-01-05"
HEADER, RECORD = 4096, 64
STOCKS = ("AAPL", "MSFT")
ROOM = 4096


def open_ledger(path: Path) -> _core.Ledger:
    ledger = _core.Ledger(path, NAME, ROOM, max_open_orders=4, max_instruments=4, max_tags=4)
    for locate, stock in enumerate(STOCKS, 1):
        assert ledger.bind(locate, stock)
    return ledger


def state_after_a_kill(ledger: _core.Ledger) -> dict[str, Any]:
    """What a restart must find: the same, but what had no answer is unsure, and a cancel without one is forgotten."""
    state = ledger.state()
    orders = {}
    for order in state["orders"]:
        row = {**order, "canceling": False, "state": order["state"].replace("sent", "unsure")}
        orders[row.pop("reference")] = row
    positions = {row["stock"]: row for row in state["positions"]}
    unsure = sum(order["state"] == "unsure" for order in orders.values())
    kept = ("session", "answered", "last_reference", "open_orders", "replacing_orders", "unknown_answers")
    return {**{key: state[key] for key in kept}, "unsure_orders": unsure, "orders": orders, "positions": positions}


class Exchange:
    """Requests in, answers out. Live orders by reference: [stock, side, open shares, shares of the chain used up]."""

    def __init__(self) -> None:
        self.live: dict[int, list[Any]] = {}
        self.seen: set[int] = set()
        self.answers: list[dict[str, Any]] = []
        self.positions: dict[str, list[int]] = {stock: [0, 0] for stock in STOCKS}
        self.executions: dict[int, tuple[int, str, int, int]] = {}
        self.matches = 0

    def tell(self, kind: str, reference: int, **fields: Any) -> None:
        self.answers.append({"kind": kind, "reference": reference, **fields})

    def move(self, stock: str, shares: int, price: int) -> None:
        self.positions[stock][0] += shares
        self.positions[stock][1] -= shares * price

    def take(self, request: tuple[Any, ...], choice: str) -> None:
        kind, reference, *rest = request
        if kind == "enter":
            assert reference not in self.seen, "a number was used twice"
            self.seen.add(reference)
            stock, side, shares = rest
            if choice == "reject":
                self.tell("J", reference, reason=1)
            elif choice == "dead":
                self.tell("A", reference, shares=0, price=10000)
            else:
                self.live[reference] = [stock, side, shares, 0]
                self.tell("A", reference, shares=shares, price=10000)
        elif kind == "cancel":
            if reference in self.live and choice != "reject":
                self.tell("C", reference, shares=self.live.pop(reference)[2], reason=ord("U"))
        else:
            original, quantity = rest
            assert reference not in self.seen, "a number was used twice"
            if original not in self.live:
                return  # silently ignored
            if choice == "reject":
                self.tell("J", reference, reason=1)
                return
            old = self.live.pop(original)
            if choice == "dead" or quantity <= old[3]:
                self.tell("C", original, shares=old[2], reason=ord("Z"))
                return
            self.seen.add(reference)
            self.live[reference] = [old[0], old[1], quantity - old[3], old[3]]
            self.tell("U", reference, original=original, shares=quantity - old[3], price=10100)

    def execute(self, reference: int, shares: int, price: int) -> None:
        stock, side, open_shares, _ = order = self.live[reference]
        shares = min(shares, open_shares)
        self.matches += 1
        self.tell("E", reference, shares=shares, price=price, match_number=self.matches)
        signed = shares if side == "B" else -shares
        self.executions[self.matches] = (reference, stock, signed, price)
        self.move(stock, signed, price)
        order[2] -= shares
        order[3] += shares
        if order[2] == 0:
            del self.live[reference]

    def self_match(self, reference: int, shares: int) -> None:
        order = self.live[reference]
        shares = min(shares, order[2])
        self.tell("C", reference, shares=shares, reason=ord("Q"))
        order[2] -= shares
        order[3] += shares
        if order[2] == 0:
            del self.live[reference]

    def break_trade(self, match: int) -> None:
        reference, stock, signed, price = self.executions.pop(match)
        self.tell("B", reference, match_number=match)
        self.move(stock, -signed, price)


CHOICES = st.sampled_from(["take", "take", "take", "reject", "dead"])
SHARES = st.integers(1, 40)
TAGS = st.integers(0, 3)
PICK = st.integers(0, 1 << 16)


class Trading(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "journal"
        self.exchange = Exchange()
        self.requests: list[tuple[Any, ...]] = []
        self.delivered = 0
        self.sessions = 1
        self.ledger = open_ledger(self.path)
        self.ledger.session("S1", 1)
        self.states: dict[int, dict[str, Any]] = {}

    def teardown(self) -> None:
        del self.ledger
        shutil.rmtree(self.directory)

    @rule(tag=TAGS, side=st.sampled_from("BS"), shares=SHARES, locate=st.integers(1, 2), tif=st.sampled_from("03"))
    def enter(self, tag: int, side: str, shares: int, locate: int, tif: str) -> None:
        before = self.ledger.state()["last_reference"]
        reference = self.ledger.enter(locate, side, shares, 10000, tag, tif)
        assert reference in (0, before + 1)
        if reference:
            self.requests.append(("enter", reference, STOCKS[locate - 1], side, shares))

    @rule(tag=TAGS, shares=SHARES)
    def replace(self, tag: int, shares: int) -> None:
        reference, original, quantity = self.ledger.replace(tag, shares, 10100)
        if reference:
            self.requests.append(("replace", reference, original, quantity))

    @rule(tag=TAGS)
    def cancel(self, tag: int) -> None:
        if reference := self.ledger.cancel(tag):
            self.requests.append(("cancel", reference))

    @precondition(lambda self: self.requests)
    @rule()
    def unsent(self) -> None:
        kind, reference, *_ = self.requests.pop()
        self.ledger.unsent(reference, {"enter": "E", "replace": "R", "cancel": "C"}[kind])

    @precondition(lambda self: self.requests)
    @rule(choice=CHOICES)
    def take(self, choice: str) -> None:
        self.exchange.take(self.requests.pop(0), choice)

    @precondition(lambda self: self.exchange.live)
    @rule(pick=PICK, shares=SHARES, price=st.integers(9990, 10010))
    def execute(self, pick: int, shares: int, price: int) -> None:
        live = sorted(self.exchange.live)
        self.exchange.execute(live[pick % len(live)], shares, price)

    @precondition(lambda self: self.exchange.live)
    @rule(pick=PICK, shares=SHARES)
    def self_match(self, pick: int, shares: int) -> None:
        live = sorted(self.exchange.live)
        self.exchange.self_match(live[pick % len(live)], shares)

    @precondition(lambda self: self.exchange.executions)
    @rule(pick=PICK)
    def break_trade(self, pick: int) -> None:
        matches = sorted(self.exchange.executions)
        self.exchange.break_trade(matches[pick % len(matches)])

    @precondition(lambda self: self.exchange.answers)
    @rule(pick=PICK)
    def system_event(self, pick: int) -> None:
        self.exchange.answers.append({"kind": "\0", "reference": 0})

    def deliver_one(self) -> dict[str, Any] | None:
        self.delivered += 1
        return self.ledger.answer(self.delivered, **self.exchange.answers[self.delivered - 1])

    @precondition(lambda self: self.delivered < len(self.exchange.answers))
    @rule()
    def deliver(self) -> None:
        message = self.exchange.answers[self.delivered]
        update = self.deliver_one()
        if message["kind"] in "AUECJB":
            assert update is not None and update["kind"] == message["kind"]
            assert update["reference"] == message["reference"]

    @precondition(lambda self: self.delivered > 0)
    @rule(pick=PICK)
    def deliver_again(self, pick: int) -> None:
        before = self.ledger.state()
        sequence = 1 + pick % self.delivered
        assert self.ledger.answer(sequence, **self.exchange.answers[sequence - 1]) is None
        assert self.ledger.state() == before

    def log_in_again(self, taken: int) -> None:
        """Of the requests in flight the exchange gets the first `taken`; then it tells all it has to tell."""
        for request in self.requests[:taken]:
            self.exchange.take(request, "take")
        self.requests.clear()
        self.ledger.session(f"S{self.sessions}", self.delivered + 1)
        while self.delivered < len(self.exchange.answers):
            self.deliver_one()
        self.ledger.settle()
        self.agree()

    def agree(self) -> None:
        state = self.ledger.state()
        ours = {order["reference"]: order for order in state["orders"]}
        assert {
            reference: [order["stock"], order["side"], order["open_shares"], order["used_shares"]]
            for reference, order in ours.items()
        } == self.exchange.live
        assert all(order["state"] == "live" for order in ours.values())
        positions = {row["stock"]: [row["shares"], row["cash"]] for row in state["positions"]}
        assert positions == self.exchange.positions
        assert state["unknown_answers"] == 0
        assert len({order["tag"] for order in ours.values()}) == len(ours)

    @rule(pick=PICK)
    def reconnect(self, pick: int) -> None:
        self.log_in_again(pick % (len(self.requests) + 1))

    @rule(pick=PICK)
    def kill_and_reconnect(self, pick: int) -> None:
        expected = state_after_a_kill(self.ledger)
        del self.ledger
        self.ledger = open_ledger(self.path)
        assert state_after_a_kill(self.ledger) == expected
        assert self.ledger.state()["lost_records"] == 0
        self.log_in_again(pick % (len(self.requests) + 1))

    @rule()
    def exchange_begins_anew(self) -> None:
        while self.delivered < len(self.exchange.answers):
            self.deliver_one()
        self.requests.clear()
        self.exchange.live.clear()
        self.exchange.answers.clear()
        self.exchange.executions.clear()
        self.delivered = 0
        self.sessions += 1
        self.log_in_again(0)

    @rule(pick=PICK, byte=st.integers(0, RECORD - 1), how=st.sampled_from(["cut", "tear", "hole"]))
    def power_loss(self, pick: int, byte: int, how: str) -> None:
        """A copy of the journal as a power loss may leave it is what it was when its last good record was written."""
        count = sorted(self.states)[pick % len(self.states)]
        records = self.ledger.state()["records"]
        data = bytearray(self.path.read_bytes())
        at = HEADER + count * RECORD
        if how == "cut":
            del data[at + byte :]
        elif how == "tear":
            data[at + byte :] = bytes(len(data) - at - byte)
        else:
            data[at : at + 8] = bytes(8)
        copy = self.directory / "copy"
        copy.write_bytes(data)
        ledger = open_ledger(copy)
        found, expected = state_after_a_kill(ledger), self.states[count]
        whole = count < records and how != "hole" and byte >= 60  # only the word nobody uses was cut
        seen = how == "hole" and count + 1 < records  # a last record without its sequence was never there
        if not whole:
            least = self.states[records if seen else count]["last_reference"]
            assert found.pop("last_reference") >= least
            assert found == {key: value for key, value in expected.items() if key != "last_reference"}
        lost = ledger.state()["lost_records"]
        if how == "hole":
            assert lost == (records - count if seen else 0)
        again = state_after_a_kill(ledger)
        del ledger
        ledger = open_ledger(copy)
        assert state_after_a_kill(ledger) == again and ledger.state()["lost_records"] == 0
        copy.unlink()

    @invariant()
    def remember(self) -> None:
        """Also: what counts as open is the largest order of every chain."""
        state = self.ledger.state()
        self.states[state["records"]] = state_after_a_kill(self.ledger)
        by_reference = {order["reference"]: order for order in state["orders"]}
        open_shares = {(stock, side): 0 for stock in STOCKS for side in "BS"}
        followed = {order["replaces"]: order for order in state["orders"] if order["replaces"]}
        for order in (order for order in state["orders"] if not order["replaces"]):
            most, last = order["open_shares"], order
            while (last := followed.get(last["reference"])) is not None:
                most = max(most, last["open_shares"])
            open_shares[order["stock"], order["side"]] += most
        for row in state["positions"]:
            assert row["open_buys"] == open_shares[row["stock"], "B"]
            assert row["open_sells"] == open_shares[row["stock"], "S"]
        assert all(order["replaces"] in by_reference for order in followed.values())
        assert state["open_orders"] + state["replacing_orders"] == len(by_reference)
        # Never less than what can happen out there: what is live, and answers that are on their way.
        in_flight = {key: 0 for key in open_shares}
        for stock, side, shares, _ in self.exchange.live.values():
            in_flight[stock, side] += shares
        for message in self.exchange.answers[self.delivered :]:
            if message["kind"] == "E" and message["reference"] in by_reference:
                order = by_reference[message["reference"]]
                in_flight[order["stock"], order["side"]] += message["shares"]
        for key, shares in in_flight.items():
            assert open_shares[key] >= shares, "the limits would see less than can be executed"


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=80, stateful_step_count=40)
