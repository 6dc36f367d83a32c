# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ends of an RDMA ping tell each other, over a pair of sockets."""

import json
import socket
import time

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import hello

HELLO = {
    "host": "exch1",
    "device": "rxe0",
    "transport": "rc",
    "roce_version": 2,
    "qpn": 17,
    "psn": 5,
    "gid": "0000:0000:0000:0000:0000:ffff:0a6e:0001",
    "mtu": 4096,
    "iterations": 10,
    "warmup": 1,
    "size_bytes": 64,
}


@pytest.fixture
def ends():
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def soon(seconds=2.0):
    return time.monotonic() + seconds


def test_a_message_arrives_with_the_version(ends):
    hello.Channel(ends[0]).send(dict(HELLO, kind="hello"), soon())
    assert hello.Channel(ends[1]).receive("hello", soon()) == dict(
        HELLO, kind="hello", tickwire_rdma_ping=hello.VERSION
    )


def test_messages_that_come_together_and_in_pieces(ends):
    wire = b"".join(
        json.dumps({"tickwire_rdma_ping": hello.VERSION, "kind": kind}).encode() + b"\n"
        for kind in ("hello", "ready", "done")
    )
    channel = hello.Channel(ends[1])
    ends[0].sendall(wire[:10])
    ends[0].sendall(wire[10:])
    assert [channel.receive(kind, soon())["kind"] for kind in ("hello", "ready", "done")] == ["hello", "ready", "done"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"GET / HTTP/1.1\n", "is no JSON"),
        (b"[1]\n", "protocol version is None, here it is 3"),
        (b"{}\n", "protocol version is None"),
        (b'{"tickwire_rdma_ping": 1, "kind": "hello"}\n', "protocol version is 1, here it is 3"),
        (b'{"tickwire_rdma_ping": 3, "kind": "ready"}\n', "sent 'ready' where 'hello' was due"),
        (b"x" * (hello.LINE_LIMIT + 5000), "a line longer than"),
    ],
)
def test_what_is_not_of_this_protocol(ends, line, text):
    ends[0].sendall(line)
    with pytest.raises(ValueError, match=text):
        hello.Channel(ends[1]).receive("hello", soon())


def test_the_peers_failure_is_told(ends):
    hello.Channel(ends[0]).send({"error": "trade1 has no rxe0"}, soon())
    with pytest.raises(hello.PeerFailed, match="trade1 has no rxe0"):
        hello.Channel(ends[1]).receive("hello", soon())


def test_a_peer_that_goes(ends):
    ends[0].close()
    with pytest.raises(hello.PeerFailed, match="closed the connection before its ready"):
        hello.Channel(ends[1]).receive("ready", soon())


def test_a_peer_that_says_nothing(ends):
    with pytest.raises((TimeoutError, socket.timeout)):
        hello.Channel(ends[1]).receive("hello", soon(0.05))
    with pytest.raises(TimeoutError):
        hello.Channel(ends[1]).receive("hello", soon(-1))


def test_failure_waiting_reads_nothing_but_failures(ends):
    channel = hello.Channel(ends[1])
    channel.failure_waiting()
    hello.Channel(ends[0]).send({"kind": "done"}, soon())
    channel.failure_waiting()
    assert channel.receive("done", soon())["kind"] == "done"
    hello.Channel(ends[0]).send({"error": "link is gone"}, soon())
    with pytest.raises(hello.PeerFailed, match="link is gone"):
        channel.failure_waiting()


def test_failure_waiting_sees_a_peer_that_went(ends):
    channel = hello.Channel(ends[1])
    ends[0].close()
    with pytest.raises(hello.PeerFailed, match="closed the connection"):
        channel.failure_waiting()


@pytest.mark.parametrize("name", sorted(hello.HELLO_FIELDS))
def test_every_field_of_a_hello_is_needed(name):
    hello.check_hello(HELLO, HELLO)
    for value in (None, True, [], 1.5):
        with pytest.raises(ValueError, match="no usable %s" % name):
            hello.check_hello(HELLO, dict(HELLO, **{name: value}))


def test_both_ends_have_to_want_the_same_transport():
    with pytest.raises(ValueError, match="transport is rc here and ud there: give both ends the same"):
        hello.check_hello(HELLO, dict(HELLO, transport="ud"))


@pytest.mark.parametrize("name", ["roce_version", "iterations", "warmup", "size_bytes"])
def test_both_ends_have_to_want_the_same(name):
    with pytest.raises(ValueError, match="%s is %s here and 99 there" % (name, HELLO[name])):
        hello.check_hello(HELLO, dict(HELLO, **{name: 99}))


def test_an_error_tells_the_next_step_once():
    told = str(hello.PingError("rxe0", "exch1", "ping-pong", "no answer", "look"))
    assert told == "RDMA ping over rxe0 with exch1 failed at 'ping-pong': no answer. Next: look"
    assert str(hello.PingError("rxe0", "exch1", "open device", "none. Next: load it", "look")).count("Next: ") == 1
