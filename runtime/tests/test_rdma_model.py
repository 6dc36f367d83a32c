# SPDX-License-Identifier: Apache-2.0
"""PSN matching against a slow model that knows no rings and no wrap: numbers are whole, everything is kept.

A story is what happens on one connection in order: messages of some packets, of which the capture may miss some;
packets sent again; acknowledgements, NAKs and RNR NAKs. Reads have all their responses or none, or were missed too.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roce_frames import (
    NAK_SEQUENCE,
    READ_FIRST,
    READ_LAST,
    READ_MIDDLE,
    READ_ONLY,
    READ_REQUEST,
    RNR,
    SEND_FIRST,
    SEND_LAST,
    SEND_MIDDLE,
    SEND_ONLY,
    START_NS,
    Packet,
    Record,
    answer,
    pcap,
    pcapng,
    reth,
)

from tickwire import _core
from tickwire.errors import TickwireError
from tickwire.rdma import page, text, trace

MTU = 256


@dataclass
class Message:
    first_ns: int
    last: int | None = None
    read: bool = False
    partial: bool = False


@dataclass
class Model:
    """The same rules over whole numbers; numbers count from the first PSN."""

    next: int = 0
    first_ns: dict[int, int] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    queue: list[Message] = field(default_factory=list)
    round_trips: list[int] = field(default_factory=list)
    message_times: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            (
                *("retransmissions", "repeated", "missing", "out_of_order", "completed", "partial", "ambiguous"),
                *("unanswered", "late_messages"),
            ),
            0,
        )
    )
    messages: int = 0
    missed: set[int] = field(default_factory=set)
    late: int | None = None  # where a message goes on of which all came late so far

    def request(self, number: int, now_ns: int, begins: bool, ends: bool, responses: int = 0) -> None:
        if number < self.next:
            if number in self.times or (responses and number not in self.missed):
                self.counts["retransmissions"] += 1
                if number in self.times:
                    self.counts["repeated"] += self.times[number] == 1
                    self.times[number] += 1
            else:
                self.come_late(number, begins, ends, responses)
                self.first_ns[number], self.times[number] = now_ns, 1
            return
        self.messages += ends
        self.counts["missing"] += number - self.next
        self.missed.update(range(self.next, number))
        self.first_ns[number], self.times[number] = now_ns, 1
        if begins or not self.queue or self.queue[-1].last is not None:
            if self.queue and self.queue[-1].last is None:
                self.queue[-1].last = number - 1
            self.queue.append(Message(now_ns, read=responses > 0, partial=not begins))
        self.next = number + max(responses, 1)
        if ends:
            self.queue[-1].last = self.next - 1

    def come_late(self, number: int, begins: bool, ends: bool, responses: int) -> None:
        self.counts["out_of_order"] += 1
        self.counts["missing"] -= max(responses, 1)
        self.missed.difference_update(range(number, number + max(responses, 1)))
        whole = begins or number == self.late
        self.messages += ends
        self.counts["late_messages"] += whole and ends
        self.late = number + 1 if whole and not ends else None

    def measure(self, number: int, now_ns: int) -> None:
        if number not in self.times or number in self.answered:
            return
        self.answered.add(number)
        if self.times[number] > 1:
            self.counts["ambiguous"] += 1
        else:
            self.round_trips.append(now_ns - self.first_ns[number])

    def complete(self, number: int, now_ns: int, read_ends: bool = False) -> None:
        while self.queue and self.queue[0].last is not None and self.queue[0].last <= number:
            message = self.queue.pop(0)
            if message.read and not (read_ends and message.last == number):
                self.counts["unanswered"] += 1
            elif message.partial:
                self.counts["partial"] += 1
            else:
                self.counts["completed"] += 1
                self.message_times.append(now_ns - message.first_ns)


Event = tuple[Any, ...]
messages = st.tuples(st.just("message"), st.integers(1, 5), st.sets(st.integers(0, 4), max_size=2))
lost = st.tuples(st.just("message"), st.integers(1, 3), st.just({0, 1, 2}))
reads = st.tuples(st.just("read"), st.integers(1, 4), st.sampled_from(["answered", "asked", "lost"]))
resent = st.tuples(st.just("again"), st.integers(0, 6), st.integers(1, 4))
acks = st.tuples(st.just("ack"), st.integers(0, 6))
naks = st.tuples(st.sampled_from(["nak", "rnr"]), st.integers(0, 6))
stories = st.lists(
    st.one_of(messages, messages, lost, acks, acks, reads, resent, resent, naks), min_size=1, max_size=60
)


@dataclass
class Story:
    """Turns events into records, and tells the model."""

    start: int  # the first PSN
    model: Model = field(default_factory=Model)
    records: list[Record] = field(default_factory=list)
    sent: dict[int, tuple[int, int]] = field(default_factory=dict)  # number: opcode, responses
    now_ns: int = START_NS
    end: int = 0  # the next number the requester will use, seen or not

    def put(self, packet: Packet) -> int:
        self.now_ns += 777
        self.records.append((self.now_ns, packet.frame()))
        return self.now_ns

    def request(self, number: int, opcode: int, responses: int) -> None:
        size = MTU if opcode in (SEND_FIRST, SEND_MIDDLE) else 30
        extra = reth(MTU * responses) if responses else b""
        data = b"" if responses else bytes(size)
        now_ns = self.put(Packet(opcode, self.start + number, extra=extra, data=data))
        begins = opcode in (SEND_FIRST, SEND_ONLY, READ_REQUEST)
        self.model.request(number, now_ns, begins, opcode in (SEND_LAST, SEND_ONLY, READ_REQUEST), responses)
        self.sent[number] = (opcode, responses)

    def message(self, packets: int, lost: set[int]) -> None:
        for place in range(packets):
            opcode = SEND_ONLY if packets == 1 else SEND_MIDDLE
            if packets > 1 and place in (0, packets - 1):
                opcode = SEND_FIRST if place == 0 else SEND_LAST
            if place in lost and self.end + place > 0:  # what comes first in a capture begins it
                self.sent.setdefault(self.end + place, (opcode, 0))
            else:
                self.request(self.end + place, opcode, 0)
        self.end += packets

    def read(self, responses: int, how: str) -> None:
        first = self.end
        self.end += responses
        if how == "lost" and first > 0:
            self.sent[first] = (READ_REQUEST, responses)
            return
        self.request(first, READ_REQUEST, responses)
        for place in range(responses if how == "answered" else 0):
            opcode = READ_ONLY if responses == 1 else READ_MIDDLE
            if responses > 1 and place in (0, responses - 1):
                opcode = READ_FIRST if place == 0 else READ_LAST
            now_ns = self.put(answer(self.start + first + place, opcode=opcode, data=bytes(MTU)))
            if opcode in (READ_ONLY, READ_FIRST):
                self.model.measure(first + place, now_ns)
            last = opcode in (READ_ONLY, READ_LAST)
            self.model.complete(first + place - (not last), now_ns, last)

    def again(self, back: int, count: int) -> None:
        numbers = sorted(self.sent)
        for number in numbers[len(numbers) - back :][:count] if back else ():
            if number < self.model.next:
                self.request(number, *self.sent[number])

    def ack(self, back: int) -> None:
        number = self.model.next - 1 - back
        if number >= 0:
            now_ns = self.put(answer(self.start + number))
            self.model.measure(number, now_ns)
            self.model.complete(number, now_ns)

    def refuse(self, back: int, syndrome: int) -> None:
        number = self.model.next - 1 - back
        if number >= 0:
            self.model.complete(number - 1, self.put(answer(self.start + number, syndrome)))

    def tell(self, event: Event) -> None:
        kind, *values = event
        if kind in ("nak", "rnr"):
            self.refuse(values[0], NAK_SEQUENCE if kind == "nak" else RNR | 3)
        else:
            getattr(self, kind)(*values)


def figures(samples: list[int]) -> dict[str, Any]:
    if not samples:
        return {"samples": 0}
    return {
        "samples": len(samples),
        "min_ns": min(samples),
        "mean_ns": sum(samples) / len(samples),
        "max_ns": max(samples),
    }


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories, st.sampled_from([0, 5, 0xFFFFF8, 0xFFFFFF, 0x7FFFFE]), st.sampled_from([pcap, pcapng]))
def test_every_story_is_told_as_the_model_tells_it(events: list[Event], start: int, form: Any) -> None:
    story = Story(start)
    story.message(2, set())  # from here on the MTU is known, and a first answer pairs the two directions
    story.ack(0)
    for event in events:
        story.tell(event)
    traced = _core.RoceTrace(flows=8, outstanding=1024)
    data = form(story.records)
    assert traced.feed(data) == len(data)
    (flow,) = (flow for flow in traced.flows() if flow["requests"])
    model = story.model
    assert {key: flow[key] for key in model.counts} == model.counts
    assert flow["unacknowledged"] == len(model.queue)
    assert sum(flow["messages"].values()) == model.messages
    for ours, samples in ((flow["round_trip"], model.round_trips), (flow["message_time"], model.message_times)):
        assert {key: ours[key] for key in figures(samples)} == figures(samples)
        for key, share in (("p50_ns", 50), ("p99_ns", 99)):
            if samples:
                exact = sorted(samples)[-(-share * len(samples) // 100) - 1]
                assert exact <= ours[key] <= exact * 1.008


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([pcap, pcapng]))
def test_damage_never_does_harm(data: st.DataObject, form: Any) -> None:
    """Bytes changed, cut out or put in: it ends with a report, which can be drawn, or a refusal."""
    story = Story(7)
    for event in data.draw(stories):
        story.tell(event)
    capture = bytearray(form(story.records))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(capture)))
        capture[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with tempfile.NamedTemporaryFile() as file:
        file.write(capture)
        file.flush()
        try:
            report = trace.read(file.name, flows=4, outstanding=8, icrc=True)
        except TickwireError as error:
            assert "offset" in str(error) or "neither pcap nor pcapng" in str(error) or "it ends" in str(error)
            return
    assert len(report["queue_pairs"]) <= 4 and text.table(report)
    for element in re.findall(r"<svg.*?</svg>", page.page(report)):
        ElementTree.fromstring(element)
