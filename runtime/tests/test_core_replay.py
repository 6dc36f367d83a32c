# SPDX-License-Identifier: Apache-2.0
"""The exchange's side of the feed: what is on the wire, and when."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from core_messages import imbalance

from tickwire import _core

BODIES = imbalance(1, 40)
DATA = b"".join(struct.pack(">H", len(body)) + body for body in BODIES)
INDEX = _core.itch_frame_index(DATA)[0]


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver


def replay(receiver: socket.socket, **more: Any) -> _core.Replay:
    port = receiver.getsockname()[1]
    return _core.Replay(DATA, INDEX, group="127.0.0.1", port=port, interface="127.0.0.1", session="LAB1", **more)


def receive(receiver: socket.socket, packets: int) -> list[tuple[str, int, int, list[bytes]]]:
    return [_core.mold_decode(receiver.recv(65536)) for _ in range(packets)]


@pytest.mark.parametrize(("per_packet", "packets"), [(1, 82), (5, 17), (1000, 2)])
def test_every_message_is_sent_once_in_sequence(receiver: socket.socket, per_packet: int, packets: int) -> None:
    sent = replay(receiver, messages_per_packet=per_packet).run(0.0, 0, 1000)
    assert (sent["messages"], sent["packets"]) == (82, packets)
    got = receive(receiver, packets)
    assert [body for *_, bodies in got for body in bodies] == BODIES
    expected = 1
    for session, sequence, count, _ in got:
        assert (session, sequence) == ("LAB1", expected)
        expected += count


def test_a_part_and_the_packets_without_messages(receiver: socket.socket) -> None:
    feed = replay(receiver)
    feed.heartbeat()
    assert feed.run(0.0, 10, 3)["messages"] == 3
    feed.heartbeat()
    feed.end_of_session()
    got = receive(receiver, 6)
    assert [packet[1:3] for packet in got] == [(1, 0), (11, 1), (12, 1), (13, 1), (14, 0), (14, 0xFFFF)]
    assert feed.run(0.0, 81, 100)["messages"] == 1
    assert feed.run(0.0, 82, 100)["messages"] == 0


def test_the_rate_is_kept(receiver: socket.socket) -> None:
    """42 messages at 420 a second: the last is due 41/420 s after the first, and none is sent before it is due."""
    sent = replay(receiver).run(420.0, 0, 42)
    assert sent["elapsed_ns"] >= 41 / 420 * 1e9
    assert sent["late_max_ns"] >= 0


def test_stop_ends_a_slow_run(receiver: socket.socket) -> None:
    feed = replay(receiver)
    timer = threading.Timer(0.05, feed.stop)
    timer.start()
    assert feed.run(0.01, 0, 42)["messages"] == 1  # the second would be due after 100 s
    timer.join()
    assert feed.run(0.0, 0, 42)["messages"] == 0


def test_two_runs_at_a_time_are_refused(receiver: socket.socket) -> None:
    feed = replay(receiver)
    thread = threading.Thread(target=feed.run, args=(0.01, 0, 42))
    thread.start()
    receive(receiver, 1)
    with pytest.raises(RuntimeError, match="already running"):
        feed.run(0.0, 0, 1)
    feed.stop()
    thread.join(10)


def test_type_of_service_marks_the_lane(receiver: socket.socket) -> None:
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    replay(receiver, tos=104).heartbeat()
    _, ancillary, _, _ = receiver.recvmsg(65536, 64)
    assert [data[0] for _, kind, data in ancillary if kind == socket.IP_TOS] == [104]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"port": 0}, "port 0"),
        ({"messages_per_packet": 0}, "messages_per_packet 0"),
        ({"session": "ELEVENCHARS"}, "at most 10"),
        ({"group": "localhost"}, "IPv4"),
    ],
)
def test_wrong_arguments_are_named(receiver: socket.socket, more: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"group": "127.0.0.1", "port": 9, "interface": "127.0.0.1", "session": "S", **more}
    with pytest.raises(ValueError, match=text):
        _core.Replay(DATA, INDEX, **arguments)


def test_an_interface_of_another_machine_is_named() -> None:
    with pytest.raises(OSError, match="from 192.0.2.1: bind"):
        _core.Replay(DATA, INDEX, group="239.1.1.1", port=9, interface="192.0.2.1", session="S")
