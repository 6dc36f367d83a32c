# SPDX-License-Identifier: Apache-2.0
"""The engine with its feed by AF_XDP on veth pairs between network namespaces, and that engine on kernel sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from core_messages import SYNTHETIC, imbalance, itch_file
from xdp_frames import checksum, fragments
from xdp_trader import GROUP_A, LINES, PORT, Lines, Trader, until
from xdp_wire import ENGINE, EXCHANGE, Wire

from tickwire import _core


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    made = Wire(pairs=2, queues=4)
    yield made
    made.close()


@pytest.fixture
def trader(wire: Wire, tmp_path: Path) -> Iterator[Callable[..., Trader]]:
    """trader(**sections): a Trader that has not started; feed={...} and the like override its configuration."""
    with contextlib.ExitStack() as stack:

        def made(on: Wire = wire, answers: bool = True, **sections: dict[str, Any]) -> Trader:
            trader = Trader(on, tmp_path / f"{len(list(tmp_path.iterdir()))}.block", answers, **sections)
            stack.callback(trader.close)
            return trader

        yield made


def heartbeats(count: int, first: int = 1) -> list[bytes]:
    """MoldUDP64 packets of a message each."""
    messages = imbalance(first=1, count=count)
    return [_core.mold_encode("DAY1", first + n, [message]) for n, message in enumerate(messages)]


def send(trader: Trader, packets: list[bytes]) -> None:
    """By the exchange's kernel."""
    for packet in packets:
        trader.exchange.send_feed(packet, trader.wire.address(ENGINE))


DAY, STEP = 5000, 50  # packets; a queue has 4,096 frames, so they come round


def trade(trader: Trader) -> list[bytes]:
    """The orders for a day of the synthetic market, byte for byte; no answer comes, so no time matters."""
    trader.exchange.feed_port = PORT
    trader.start()
    _, _, messages = itch_file(SYNTHETIC)
    packets = [_core.mold_encode("DAY1", n, [message]) for n, message in enumerate(messages[:DAY], 1)]
    for n in range(0, DAY, STEP):
        send(trader, packets[n : n + STEP])
        block = trader.wait_for(messages=n + STEP)
        until(lambda block=block: len(entered(trader)) == block["orders_sent"], trader.read)  # or it could be too full
    assert (block["gaps"], block["messages_lost"], block["malformed"], block["orders_unsent"]) == (0, 0, 0, 0)
    return entered(trader)


def entered(trader: Trader) -> list[bytes]:
    return [payload for kind, payload in list(trader.exchange.packets) if kind == b"U" and payload[:1] == b"O"]


RISK = {"max_orders_per_s": 1_000_000, "max_position": 1_000_000_000, "max_open_orders": 1 << 20}


def test_the_orders_are_those_of_the_same_feed_over_sockets(trader: Callable[..., Trader]) -> None:
    by_sockets = trade(trader(answers=False, feed={"transport": "socket"}, risk=RISK))
    assert len(by_sockets) > 50
    for mode in ("auto", "generic"):
        by_ring = trader(answers=False, feed={"xdp_mode": mode}, risk=RISK)
        assert trade(by_ring) == by_sockets
        ring, _, damaged, dropped = by_ring.counts()
        assert (ring, damaged, dropped) == (DAY, 0, 0)


def test_orders_have_both_stamps(trader: Callable[..., Trader]) -> None:
    running = trader()
    running.exchange.feed_port = PORT
    running.start()
    before = time.time_ns()
    send(running, heartbeats(20))
    running.wait_for(orders_accepted=20)
    running.exchange.send_feed(_core.mold_end_of_session("DAY1", 1 + len(heartbeats(20))), running.wire.address(ENGINE))
    block = running.wait_for(feed_ended=True)
    assert (block["samples"], block["unstamped"], block["timestamp_source"]) == (20, 0, "software")
    stamps = list(struct.iter_unpack("=QQQQII", _core.block_samples(running.block)))  # struct block_sample
    assert all(before < receive < transmit < time.time_ns() for receive, transmit, *_rest in stamps)
    assert {clock for *_rest, clock, _reserved in stamps} == {_core.stamp_clocks().index("software")}


def test_what_was_got_is_said(trader: Callable[..., Trader]) -> None:
    automatic = trader(feed={"xdp_queues": [2]}).start()
    assert automatic.engine.feed() == (
        "AF_XDP on e0: copy, 1 queue (refused: zerocopy: queue 2: Operation not supported)"
    )
    automatic.close()
    every = trader(feed={"xdp_mode": "generic"}).start()
    assert every.engine.feed() == "AF_XDP on e0: generic, 4 queues"
    every.close()
    polled = trader(feed={"busy_poll_budget": 64, "xdp_mode": "copy"}).start()
    polled.exchange.feed_port = PORT
    send(polled, heartbeats(5))
    polled.wait_for(orders_accepted=5)


@pytest.mark.parametrize("pair_b", [0, 1], ids=["one interface", "two interfaces"])
@pytest.mark.parametrize("mode", ["copy", "generic"])
def test_lines_a_and_b(trader: Callable[..., Trader], wire: Wire, mode: str, pair_b: int) -> None:
    feed = {**LINES, "interface_b": Wire.address(ENGINE, pair_b), "xdp_mode": mode}
    running = trader(feed=feed).start()
    lines, packets = Lines(wire, pair_b), heartbeats(9)
    lines.send("b", packets[0])
    running.wait_for(messages=1)  # the lines come by different queues, and a session begins with its first packet
    for n, packet in enumerate(packets[1:], 1):
        for line in ("a", "b"):
            if n % 3 != "ab".index(line):  # each misses a third, and what both have comes twice
                lines.send(line, packet)
    block = running.wait_for(messages=len(packets))
    assert (block["messages_lost"], block["orders_sent"]) == (0, 9)
    twice = sum(1 for n in range(len(packets)) if n % 3 == 2)
    running.wait_for(packets_b=sum(1 for n in range(len(packets)) if n % 3 != 1))
    block = running.wait_for(duplicates=twice)
    assert block["packets"] == len(packets) + twice
    assert running.counts() == (len(packets) + twice, 0, 0, 0)


def test_same_group_told_apart_by_source(trader: Callable[..., Trader], wire: Wire) -> None:
    one, two = "198.51.100.1", "198.51.100.2"
    feed = {**LINES, "group_b": GROUP_A, "port_b": PORT, "source": one, "source_b": two}
    running = trader(feed=feed).start()
    lines, packets = Lines(wire), heartbeats(3)
    for n, packet in enumerate(packets):
        lines.send("a", packet, source="198.51.100.3")  # nobody's
        lines.send("a", packet, source=(one, two)[n % 2])
    block = running.wait_for(messages=len(packets))
    assert (block["packets"], block["packets_b"]) == (len(packets), len(packets) // 2)
    assert running.counts() == (len(packets), 0, 0, 0)


def test_a_wrong_checksum_is_a_packet_that_is_missing(trader: Callable[..., Trader], wire: Wire) -> None:
    running = trader(feed=LINES).start()
    lines, packets = Lines(wire), heartbeats(3)
    for packet in packets:
        lines.send("a", packet, udp_checksum=0x1234)
        lines.send("a", packet, ip_checksum=0x1234)
        lines.send("a", packet, udp_checksum=0)  # none made: nothing to be wrong
    block = running.wait_for(messages=len(packets))
    assert (block["duplicates"], block["packets"]) == (0, len(packets))
    assert running.counts() == (len(packets), 0, 2 * len(packets), 0)


def test_what_the_program_leaves_to_the_kernel_is_not_lost(trader: Callable[..., Trader], tmp_path: Path) -> None:
    """Fragments, options, and what is too long for a frame: they come by the sockets, in the same session."""
    wide = Wire(mtu=9000)
    try:
        running = trader(on=wide, feed=LINES).start()
        messages = imbalance(first=1, count=200)
        lines = Lines(wide)
        sent = 0
        by_kernel = 0

        def packet(count: int) -> bytes:
            nonlocal sent
            sent += count
            return _core.mold_encode("DAY1", 1 + sent - count, messages[sent - count : sent])

        def arrived() -> None:
            running.wait_for(messages=sent)

        lines.send("a", packet(1))
        arrived()
        lines.send("a", packet(1), options=b"\x01" * 4)
        by_kernel += 1
        arrived()
        lines.send("a", packet(100))  # 3.8 kB in one frame
        by_kernel += 1
        arrived()
        lines.send("a", packet(2), vlans=(0x6000,))
        arrived()
        whole = replace(lines.frames["a"], payload=packet(10), fragment=0).packed()
        for part in fragments(whole):
            lines.sockets["a"].send(part)
        by_kernel += 1
        arrived()
        lines.send("a", packet(1))
        arrived()
        assert running.read()["messages_lost"] == 0
        assert running.counts() == (3, by_kernel, 0, 0)
    finally:
        wide.close()


def test_other_traffic_stays_the_kernels(trader: Callable[..., Trader], wire: Wire) -> None:
    """Other ports, ping, and the order session itself."""
    running = trader(feed={"xdp_mode": "generic"}).start()  # logged in: TCP
    with wire.inside(ENGINE):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind((wire.address(ENGINE), PORT + 7))
    other.settimeout(5)
    running.exchange.feed.sendto(b"for somebody else", (wire.address(ENGINE), PORT + 7))
    assert other.recv(100) == b"for somebody else"
    other.close()
    with wire.inside(EXCHANGE):
        ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ping.settimeout(5)
    echo = struct.pack(">BBHHH", 8, 0, 0, 7, 1)
    ping.sendto(echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:], (wire.address(ENGINE), 0))
    assert ping.recv(100)[20:22] == b"\0\0"  # an echo reply
    ping.close()
    assert running.counts() == (0, 0, 0, 0)


def test_a_second_engine_on_the_interface_is_refused(trader: Callable[..., Trader], wire: Wire) -> None:
    first = trader().start()
    attached = wire.link(ENGINE)["xdp"]["prog"]["id"]
    second = trader(feed={"port": PORT + 1})
    with wire.inside(ENGINE), pytest.raises(OSError, match=f"AF_XDP on e0: XDP program {attached} is there already"):
        second.engine.open()
    first.exchange.feed_port = PORT
    send(first, heartbeats(3))
    first.wait_for(orders_accepted=3)
    first.close()
    assert "xdp" not in wire.link(ENGINE)
    with wire.inside(ENGINE):
        second.engine.open()  # nothing is in its way now


def refusal(trader: Trader) -> str:
    with trader.wire.inside(ENGINE), pytest.raises((OSError, ValueError)) as caught:
        trader.engine.open()
    assert "xdp" not in trader.wire.link(ENGINE)
    return str(caught.value).partition("] ")[2] or str(caught.value)


def test_refusals_name_the_remedy(trader: Callable[..., Trader], tmp_path: Path) -> None:
    text = refusal(trader(feed={"xdp_mode": "zerocopy"}))
    assert "AF_XDP on e0 (MTU 1500) is refused: zerocopy: queue 0: Operation not supported" in text
    assert 'set feed.xdp_mode = "auto"' in text
    text = refusal(trader(feed={"xdp_queues": [1, 4]}))
    assert text == "feed.xdp_queues: e0 has no receive queue 4, only 0 to 3; see `ethtool -l e0`"
    text = refusal(trader(feed={"xdp_program": str(tmp_path / "steer.bpf.o")}))
    assert "was built without clang; install clang and libbpf-dev" in text
    text = refusal(trader(feed={**LINES, "interface": "192.0.2.1"}))
    assert "is feed.interface an address of this machine?" in text
    broken = tmp_path / "broken.o"
    broken.write_bytes(b"no program")
    text = refusal(trader(feed={"xdp_program": str(broken)}))
    assert "load the XDP program" in text
    for queues in ([64], [-1], ["0"], 3):
        with pytest.raises(ValueError, match=r"feed\.xdp_queues: .* must be a list of receive queues from 0 to 63"):
            trader(feed={"xdp_queues": queues})
    with pytest.raises(ValueError, match="must be auto, zerocopy, copy or generic"):
        trader(feed={"xdp_mode": "native"})
