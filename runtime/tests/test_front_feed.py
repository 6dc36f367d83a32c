# SPDX-License-Identifier: Apache-2.0
"""The feed's thread: what a listener of the MoldUDP64 packets sees around and in a replay."""

import queue
import socket

import pytest

from tickwire import _core, generate, itchfile
from tickwire.errors import TickwireError
from tickwire.exchange import feed as feed_module
from tickwire.exchange.feed import Feed, Job

TIME_LIMIT_S = 10
END_OF_SESSION = 0xFFFF


@pytest.fixture
def rig(tmp_path, monkeypatch):
    """A started Feed of 60 messages, the socket that hears it, and the queue of finished jobs."""
    monkeypatch.setattr(feed_module, "IDLE_S", 0.05)
    itchfile.write(tmp_path / "f.itch", generate.generate(60, 1, 2))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(TIME_LIMIT_S)
        settings = {
            "exchange": {"session_prefix": "TEST"},
            "feed": {
                "group": "127.0.0.1",
                "port": heard.getsockname()[1],
                "interface": "127.0.0.1",
                "messages_per_packet": 7,
                "tos": 104,
            },
        }
        done: queue.SimpleQueue[Job] = queue.SimpleQueue()
        feed = Feed(itchfile.load(tmp_path / "f.itch"), settings, done.put)
        feed.start()
        yield feed, heard, done
        feed.stop()


def packets_until(heard, count):
    """Packets up to and with the first whose count is the given one."""
    found: list[tuple[str, int, int, list[bytes]]] = []
    while not found or found[-1][2] != count:
        found.append(_core.mold_decode(heard.recv(2048)))
    return found


def replay(feed, heard, done, messages):
    job = Job(messages, 0.0)
    feed.submit(job)
    packets = packets_until(heard, END_OF_SESSION)
    return job, packets, done.get(timeout=TIME_LIMIT_S)


def test_a_replay_is_a_session_between_heartbeats_and_its_end(rig):
    feed, heard, done = rig
    session = feed.session
    assert len(session) == 10 and session.startswith("TEST")
    assert packets_until(heard, 0)[-1] == (session, 1, 0, [])

    job, packets, finished = replay(feed, heard, done, 50)
    assert finished is job and job.session == session and job.result["messages"] == 50
    assert {packet[0] for packet in packets} == {session}
    data = [packet for packet in packets if 0 < packet[2] < END_OF_SESSION]
    assert [message for packet in data for message in packet[3]] == list(generate.generate(60, 1, 2))[:50]
    assert all(packet[2] == len(packet[3]) <= 7 for packet in data)
    assert packets[-1][1] == 51

    # The end is said again, several times at once and then for as long as nothing else happens.
    for _ in range(feed_module.END_PACKETS + 2):
        assert _core.mold_decode(heard.recv(2048)) == (session, 51, END_OF_SESSION, [])


def test_the_end_is_repeated_at_once_for_those_who_lose_a_packet(rig, monkeypatch):
    feed, heard, done = rig
    packets_until(heard, 0)
    monkeypatch.setattr(feed_module, "IDLE_S", 3600)
    replay(feed, heard, done, 10)
    for _ in range(2):
        assert _core.mold_decode(heard.recv(2048))[2] == END_OF_SESSION


def test_each_replay_is_a_new_session_from_sequence_one(rig):
    feed, heard, done = rig
    first, _, _ = replay(feed, heard, done, 10)
    second, packets, _ = replay(feed, heard, done, 60)
    while packets[-1][0] != second.session:  # the repeated ends of the first
        packets = packets_until(heard, END_OF_SESSION)
    assert int(second.session[4:]) == (int(first.session[4:]) + 1) % 10**6
    data = [packet for packet in packets if packet[0] == second.session and 0 < packet[2] < END_OF_SESSION]
    assert data[0][1] == 1 and sum(packet[2] for packet in data) == 60
    assert (feed.replays, feed.sent, feed.busy) == (2, 70, False)


def test_one_replay_at_a_time(rig):
    feed, _, done = rig
    feed.submit(Job(60, 200.0))
    with pytest.raises(TickwireError, match="is running"):
        feed.submit(Job(1, 0.0))
    feed.stop()  # does not wait for the rest of the replay
    assert done.get(timeout=TIME_LIMIT_S).result["messages"] < 60


def test_an_address_that_is_not_ours_is_named(tmp_path):
    itchfile.write(tmp_path / "f.itch", generate.generate(60, 1, 2))
    settings = {
        "exchange": {"session_prefix": "TEST"},
        "feed": {"group": "239.1.1.1", "port": 9, "interface": "192.0.2.1", "messages_per_packet": 1, "tos": 0},
    }
    with pytest.raises(TickwireError, match=r"feed 239.1.1.1:9 from 192.0.2.1: .*see `ip -br address`"):
        Feed(itchfile.load(tmp_path / "f.itch"), settings, lambda job: None)
