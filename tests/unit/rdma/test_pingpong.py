# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Both ends of an RDMA ping over TCP on the loopback, with queues in the place of queue pairs."""

import itertools
import queue
import socket
import threading
import time

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import exchange, hello, pingpong


class Wire:
    """Two directions; an end takes one of them by the queue pair number it announced."""

    def __init__(self):
        self.queues = {1: queue.Queue(), 2: queue.Queue()}


class FakeEndpoint:
    """A queue pair made of two queues; ``broken`` names the method that fails, ``drop_after`` stops answering."""

    def __init__(self, wire, qpn, broken="", drop_after=None):
        self.wire, self.qpn, self.broken, self.drop_after = wire, qpn, broken, drop_after
        self.sent, self.closed, self.flushed, self.remote = 0, False, False, None
        self.port = itertools.repeat({"sent_pkts": 0})

    def describe(self):
        return {
            "qpn": self.qpn,
            "psn": 7,
            "gid": "gid-%d" % self.qpn,
            "gid_index": 1,
            "roce_version": 2,
            "mtu": 1024 * self.qpn,
            "emulated": True,
        }

    def connect(self, remote):
        if self.broken == "connect":
            raise RuntimeError("the queue pair does not reach ready-to-send")
        self.remote = remote

    def counters(self):
        return dict(next(self.port))

    def send(self, number):
        if self.broken == "send":
            raise RuntimeError("work completion status 12")
        self.sent += 1
        if self.drop_after is None or self.sent <= self.drop_after:
            self.wire.queues[self.remote["qpn"]].put(number)

    def receive(self, deadline, idle):
        while True:
            try:
                return self.wire.queues[self.qpn].get(timeout=0.02)
            except queue.Empty:
                idle()
                if time.monotonic() > deadline:
                    raise TimeoutError("time is up") from None

    def flush(self, deadline):
        self.flushed = True

    def close(self):
        self.closed = True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plan(mode, port, **changes):
    values = {
        "mode": mode,
        "transport": "rc",
        "device": "rxe0",
        "host": "exch1" if mode == "server" else "trade1",
        "peer": "" if mode == "server" else "127.0.0.1",
        "address": "127.0.0.1",
        "port": port,
        "iterations": 20,
        "warmup": 3,
        "size_bytes": 64,
        "connect_timeout_s": 5.0,
        "timeout_s": 10.0,
    }
    values.update(changes)
    return pingpong.Plan(**values)


def run_both(server, client, server_plan=None, client_plan=None):
    """Run both ends; each may be an endpoint or an exception that opening raises. Returns (server, client) outcomes."""
    port = free_port()
    outcomes = {}

    def run(name, endpoint, changes):
        def open_endpoint(local):
            assert local == "127.0.0.1"
            if isinstance(endpoint, Exception):
                raise endpoint
            return endpoint

        try:
            outcomes[name] = pingpong.ping(plan(name, port, **(changes or {})), open_endpoint)
        except hello.PingError as error:
            outcomes[name] = error

    ends = [
        threading.Thread(target=run, args=("server", server, server_plan)),
        threading.Thread(target=run, args=("client", client, client_plan)),
    ]
    for end in ends:
        end.start()
    for end in ends:
        end.join(30)
        assert not end.is_alive(), "an end hangs"
    return outcomes["server"], outcomes["client"]


def test_a_ping():
    wire = Wire()
    server, client = FakeEndpoint(wire, 1), FakeEndpoint(wire, 2)
    at_server, at_client = run_both(server, client)
    figures = at_client["half_round_trip"]
    assert figures["samples"] == 20 and sum(bucket[2] for bucket in figures["histogram"]) == 20
    assert 0 < figures["min_us"] <= figures["median_us"] <= figures["p99_us"] <= figures["max_us"]
    assert at_server["half_round_trip"] == figures
    assert (at_client["peer_host"], at_server["peer_host"]) == ("exch1", "trade1")
    assert (at_client["peer_gid"], at_client["gid"]) == ("gid-1", "gid-2")
    assert at_client["mtu_bytes"] == at_server["mtu_bytes"] == 1024
    assert at_client["emulated"] is True
    assert client.sent == server.sent == 23, "warm-up and iterations, each answered"
    assert server.flushed and server.closed and client.closed
    assert client.remote["qpn"] == 1 and server.remote["qpn"] == 2


def test_a_sample_is_half_of_the_round_trip(monkeypatch):
    ticks = itertools.count(0, 10_000)  # ns; read before and after each round trip
    monkeypatch.setattr(pingpong.time, "perf_counter_ns", lambda: next(ticks))
    wire = Wire()
    figures = run_both(FakeEndpoint(wire, 1), FakeEndpoint(wire, 2))[1]["half_round_trip"]
    assert figures["min_us"] == figures["max_us"] == 5.0


def test_counters_that_rose_during_the_ping():
    wire = Wire()
    server, client = FakeEndpoint(wire, 1), FakeEndpoint(wire, 2)
    server.port = iter([{"out_of_sequence": 3, "sent_pkts": 1}, {"out_of_sequence": 5, "sent_pkts": 99, "new_one": 1}])
    at_server, at_client = run_both(server, client)
    assert (at_server["errors_risen"], at_server["others_risen"]) == ({"out_of_sequence": 2}, {"new_one": 1})
    assert (at_client["errors_risen"], at_client["others_risen"]) == ({}, {})


def test_counters_that_rose_until_the_ping_failed():
    wire = Wire()
    server, client = FakeEndpoint(wire, 1, drop_after=8), FakeEndpoint(wire, 2)
    server.port = iter([{"out_of_sequence": 3}, {"out_of_sequence": 5}])
    client.port = iter([{"packet_seq_err": 0}, {"packet_seq_err": 9, "new_one": 1}])
    at_server, at_client = run_both(server, client, client_plan={"timeout_s": 0.5})
    assert at_client.risen == {"errors_risen": {"packet_seq_err": 9}, "others_risen": {"new_one": 1}}
    assert at_server.risen == {"errors_risen": {"out_of_sequence": 2}, "others_risen": {}}
    assert at_client.step not in pingpong.SILENT_STEPS and at_server.step not in pingpong.SILENT_STEPS


@pytest.mark.parametrize("broken", [LookupError("no RDMA device rxe0"), FakeEndpoint(Wire(), 1, broken="connect")])
def test_before_the_queue_pairs_are_connected_no_counter_says_anything(broken):
    at_server = run_both(broken, FakeEndpoint(Wire(), 2))[0]
    assert at_server.risen == {} and at_server.step in pingpong.SILENT_STEPS


def test_a_device_that_went_away_keeps_the_reason_of_the_failure():
    wire = Wire()
    client = FakeEndpoint(wire, 2, broken="send")

    def gone():
        yield {"sent_pkts": 0}
        raise FileNotFoundError("/sys/class/infiniband/rxe0")

    client.port = gone()
    at_client = run_both(FakeEndpoint(wire, 1), client)[1]
    assert "work completion status 12" in str(at_client) and at_client.risen == {}


def test_ends_with_different_transports():
    wire = Wire()
    told = run_both(FakeEndpoint(wire, 1), FakeEndpoint(wire, 2), client_plan={"transport": "ud"})
    assert "transport is" in str(told[0]) + str(told[1])


UD = {"transport": "ud"}


class Lossy(FakeEndpoint):
    """Answers datagrams but for those with a number in ``lost``, and those in ``late`` only before the next one."""

    def __init__(self, wire, qpn, lost=(), late=()):
        super().__init__(wire, qpn)
        self.lost, self.late, self.kept = lost, late, []

    def send(self, number):
        for old in self.kept:
            super().send(old)
        self.kept = [number] if number in self.late else []
        if number not in self.lost and number not in self.late:
            super().send(number)


@pytest.fixture
def soon_lost(monkeypatch):
    monkeypatch.setattr(exchange, "LOSS_S", 0.3)


def test_datagrams_all_answered():
    wire = Wire()
    at_server, at_client = run_both(FakeEndpoint(wire, 1), FakeEndpoint(wire, 2), UD, UD)
    assert at_client["transport"] == at_server["transport"] == "ud"
    assert at_client["half_round_trip"]["samples"] == 20 and at_client["lost"] == 0
    assert at_server["half_round_trip"] == at_client["half_round_trip"]


def test_lost_and_late_datagrams_are_in_no_figure(soon_lost):
    wire = Wire()
    server = Lossy(wire, 1, lost=[1, 8], late=[12])  # 1 is of the warm-up, and the answer to 12 comes with that to 13
    at_server, at_client = run_both(server, FakeEndpoint(wire, 2), UD, UD)
    assert (at_client["half_round_trip"]["samples"], at_client["lost"]) == (18, 2)
    assert at_server["lost"] == 2
    assert wire.queues[2].empty(), "each answer was taken for the datagram that it is of"


def test_no_path_for_datagrams_ends_soon(soon_lost):
    wire = Wire()
    at_server, at_client = run_both(Lossy(wire, 1, lost=range(6, 100)), FakeEndpoint(wire, 2), UD, UD)
    assert "5 datagrams in a row got no answer within 0.3 s each, after 3 that did" in str(at_client)
    assert at_client.step == "ping-pong" and "the other end reports" in str(at_server)


def test_not_one_datagram_answered(soon_lost):
    wire = Wire()
    plans = dict(UD, iterations=2)
    at_client = run_both(Lossy(wire, 1, lost=range(3, 100)), FakeEndpoint(wire, 2), plans, plans)[1]
    assert "none of 2 datagrams got an answer" in str(at_client)


def test_datagrams_end_at_the_deadline():
    wire = Wire()
    at_client = run_both(Lossy(wire, 1, lost=[5]), FakeEndpoint(wire, 2), UD, dict(UD, timeout_s=0.5))[1]
    assert "2 of 20 iterations done, 0 datagrams lost" in str(at_client)


def test_a_missing_device_is_told_on_both_ends():
    at_server, at_client = run_both(FakeEndpoint(Wire(), 1), LookupError("no RDMA device rxe0; devices here: none"))
    assert at_client.step == "open device"
    assert "rxe0 with 127.0.0.1 failed at 'open device': no RDMA device rxe0" in str(at_client)
    assert "Next: " in str(at_client)
    assert "the other end reports: trade1 failed at 'open device': no RDMA device rxe0" in str(at_server)


def test_a_missing_device_on_the_server_is_told_to_the_client():
    at_server, at_client = run_both(LookupError("no RDMA device rxe0"), FakeEndpoint(Wire(), 2))
    assert at_server.step == "open device"
    assert "exch1 failed at 'open device'" in str(at_client)


def test_ends_that_want_different_things():
    at_server, at_client = run_both(FakeEndpoint(Wire(), 1), FakeEndpoint(Wire(), 2), client_plan={"size_bytes": 4096})
    texts = str(at_server) + str(at_client)
    assert "size_bytes is" in texts and "give both ends the same" in texts
    assert isinstance(at_server, hello.PingError) and isinstance(at_client, hello.PingError)


def test_a_queue_pair_that_does_not_connect():
    wire = Wire()
    at_server, at_client = run_both(FakeEndpoint(wire, 1, broken="connect"), FakeEndpoint(wire, 2))
    assert at_server.step == "connection of queue pairs"
    assert "exch1 failed at 'connection of queue pairs'" in str(at_client)
    assert "trade1 (127.0.0.1)" in str(at_server), "the peer is known by then"


def test_answers_that_stop_end_in_time_and_say_how_far_it_came():
    wire = Wire()
    server = FakeEndpoint(wire, 1, drop_after=8)
    at_server, at_client = run_both(server, FakeEndpoint(wire, 2), client_plan={"timeout_s": 0.5})
    assert at_client.step == "ping-pong"
    assert "no answer within 0.5 s (5 of 20 iterations done)" in str(at_client)
    assert "the other end reports: trade1 failed at 'ping-pong'" in str(at_server)
    assert server.closed


def test_a_failing_send_is_told_on_both_ends():
    wire = Wire()
    at_server, at_client = run_both(FakeEndpoint(wire, 1), FakeEndpoint(wire, 2, broken="send"))
    assert "work completion status 12" in str(at_client) and at_client.step == "ping-pong"
    assert "work completion status 12" in str(at_server)


def test_no_server():
    port = free_port()
    with pytest.raises(hello.PingError, match="failed at 'connect': no server on 127.0.0.1:%d within 0.3 s" % port):
        pingpong.ping(plan("client", port, connect_timeout_s=0.3), lambda local: None)


def test_no_client():
    port = free_port()
    with pytest.raises(
        hello.PingError, match="failed at 'connect': no client came to 127.0.0.1:%d within 0.1 s" % port
    ):
        pingpong.ping(plan("server", port, connect_timeout_s=0.1), lambda local: None)


def test_an_address_that_is_not_here():
    with pytest.raises(hello.PingError, match="cannot listen on 192.0.2.1:18515.*give this host that address"):
        pingpong.ping(plan("server", 18515, address="192.0.2.1"), lambda local: None)


def test_a_server_that_comes_late():
    port = free_port()
    wire, outcomes = Wire(), {}

    def client():
        outcomes["client"] = pingpong.ping(plan("client", port), lambda local: FakeEndpoint(wire, 2))

    end = threading.Thread(target=client)
    end.start()
    time.sleep(0.5)
    pingpong.ping(plan("server", port), lambda local: FakeEndpoint(wire, 1))
    end.join(20)
    assert outcomes["client"]["half_round_trip"]["samples"] == 20
