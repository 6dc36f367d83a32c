# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Co-existence: both ends over this machine's loopback with the kernel's stamps, the figures, and every way to fail."""

from __future__ import annotations

import socket
import threading

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence import client, figures
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.channel import (
    CoexistenceError,
    line,
    message,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.figures import BUSY, IDLE, LOADED, Round
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.server import Server
from ansible_collections.tickwire.fabric.plugins.module_utils.coexistence.stamps import StampedSocket


class Running:
    """A server in a thread, and what came of it."""

    def __init__(self, address: str = "127.0.0.1", connect_timeout_s: float = 5, timeout_s: float = 20) -> None:
        self.server = Server(address, 0, "", connect_timeout_s, timeout_s)
        self.port = self.server.port
        self.result: dict[str, object] | None = None
        self.error = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self.server.run()
        except CoexistenceError as error:
            self.error = str(error)

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server's waits are bounded"


def wanted(port: int, **over: object) -> client.Wanted:
    given = {"rate": 100, "round_s": 0.2, "rounds": 1, "flows": 2, "settle_s": 0.05, "late_s": 0.5, "congestion": ""}
    return client.Wanted("127.0.0.1", port, 104, 0, **{**given, "connect_timeout_s": 5, **over})


def test_both_ends_over_loopback_lose_nothing_and_stamp_everything() -> None:
    running = Running()
    rounds = client.measure(wanted(running.port, busy_mbps=80, rounds=2))
    running.join()
    assert [one.kind for one in rounds] == [IDLE, BUSY, LOADED] * 2
    for one in rounds:
        assert one.sent == one.answered == len(one.round_trips_ns) == 20
        assert all(nanoseconds > 0 for nanoseconds in one.round_trips_ns)
    idle, busy, loaded = rounds[:3]
    assert idle.load_mbps == 0 < busy.load_mbps < loaded.load_mbps
    assert running.result and running.result["answered"] == 120


def test_the_kernel_says_when_a_packet_left_and_came() -> None:
    one, two = StampedSocket("127.0.0.1"), StampedSocket("127.0.0.1")
    try:
        for number in range(3):
            assert one.send(b"probe", ("127.0.0.1", two.port)) == number
        one.wait_for_stamps(5)
        came = [stamp for data, sender, stamp in two.receive()]
        assert sorted(one.sent) == [0, 1, 2]
        assert all(came[number] >= one.sent[number] for number in range(3))
    finally:
        one.close()
        two.close()


def test_no_server_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CoexistenceError, match=rf"no connection to 127\.0\.0\.1 port {port} within 0\.3 s.*server run"):
        client.measure(wanted(port, connect_timeout_s=0.3))


def test_no_client_is_told() -> None:
    running = Running(connect_timeout_s=0.3)
    running.join()
    assert "no client came within 0.3 s" in running.error


def test_a_client_that_goes_is_told() -> None:
    running = Running()
    with socket.create_connection(("127.0.0.1", running.port)) as sock:
        sock.sendall(line({"kind": "hello", "traffic_class": 0}))
        assert message(sock.recv(1000).strip())["kind"] == "ready"
    running.join()
    assert "the client ended the connection before it was done" in running.error


def test_a_client_that_stops_talking_ends_the_server() -> None:
    running = Running(timeout_s=0.3)
    with socket.create_connection(("127.0.0.1", running.port)) as sock:
        sock.sendall(line({"kind": "hello", "traffic_class": 0}))
        running.join()
    assert "did not finish in time" in running.error


def test_something_else_on_the_port_is_told() -> None:
    running = Running()
    with socket.create_connection(("127.0.0.1", running.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        running.join()
    assert "is no co-existence measurement of version 1" in running.error


def test_a_congestion_control_that_is_not_there_is_told() -> None:
    with pytest.raises(CoexistenceError, match="congestion control nosuch can not be had"):
        Server("127.0.0.1", 0, "nosuch", 1, 1)


def test_the_other_ends_error_is_passed_on() -> None:
    with pytest.raises(CoexistenceError, match="the other end says: out of paper"):
        message(line({"error": "out of paper"}).strip())


def made(kind: str, p99_us: float, lost: int = 0, marks: int = 0) -> Round:
    return Round(
        kind, tuple([1000] * 98 + [int(p99_us * 1000)] * 2), 100 + lost, 100, marks, 0.0 if kind == IDLE else 50.0
    )


def test_figures_are_of_the_median_round_and_loss_of_all() -> None:
    rounds = [made(IDLE, 10), made(LOADED, 15, lost=1, marks=5), made(IDLE, 900), made(LOADED, 19, marks=2)]
    rounds += [made(IDLE, 10), made(LOADED, 700, lost=2)]
    found = figures.figures(rounds)
    assert found["p99_ratio"] == 1.9 and found["loss"] == 3 and found["ecn_marks"] == 7
    assert found["busy"] is None and found["p99_busy_ratio"] is None
    assert found["idle"]["max_us"] == 900


def test_no_answer_at_all_has_no_ratio() -> None:
    found = figures.figures([made(IDLE, 10), Round(LOADED, (), 100, 0, 0, 50.0)])
    assert found["loss"] == 100 and found["p99_ratio"] is None
