# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end that sends probes, takes the load in, and makes the figures."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from .channel import Channel, CoexistenceError, line
from .figures import BUSY, IDLE, LOADED, Round
from .server import NUMBER, number, set_congestion
from .stamps import StampedSocket, set_traffic_class

RECEIVE_BYTES = 256 * 1024
COUNTERS = (("/proc/net/netstat", "IpExt:", "InCEPkts"), ("/proc/net/snmp6", "Ip6InCEPkts", ""))


@dataclass(frozen=True)
class Wanted:
    """What is measured. Times in seconds; ``rate`` probes a second of ``size_bytes``; ``flows`` TCP connections.

    ``late_s``: an answer that comes so long after the round is not lost, since the server may have waited for its CPU,
    and that time is in no round trip. ``rounds`` of each kind; ``busy_mbps`` is the load of a busy round in Mbit/s, 0:
    no such rounds.
    """

    address: str
    port: int
    traffic_class: int
    load_traffic_class: int
    rate: int = 200
    size_bytes: int = 128
    round_s: float = 3
    rounds: int = 3
    busy_mbps: float = 0
    flows: int = 4
    settle_s: float = 1
    late_s: float = 5
    congestion: str = "dctcp"
    connect_timeout_s: float = 15
    timeout_s: float = 120


def measure(wanted: Wanted) -> list[Round]:
    """One round after the other, the kinds taking turns. CoexistenceError when it can not be."""
    kinds = (IDLE, BUSY, LOADED) if wanted.busy_mbps else (IDLE, LOADED)
    control = _connect(wanted)
    probes: StampedSocket | None = None
    try:
        channel = Channel(control, wanted.connect_timeout_s)
        ready = channel.ask({"kind": "hello", "traffic_class": wanted.traffic_class})
        family = control.family
        probes = StampedSocket(control.getsockname()[0])
        set_traffic_class(probes.socket, wanted.traffic_class)
        to = socket.getaddrinfo(wanted.address, number(ready, "port"), family, socket.SOCK_DGRAM)[0][4]
        rounds = [_Round(wanted, channel, probes, to).run(kind) for kind in kinds * wanted.rounds]
        channel.send({"kind": "done"})
    finally:
        control.close()
        if probes:
            probes.close()
    return rounds


def _connect(wanted: Wanted, congestion: str = "") -> socket.socket:
    """A connection to the server, which may come up only now."""
    deadline = time.monotonic() + wanted.connect_timeout_s
    family, kind, protocol, _name, where = socket.getaddrinfo(wanted.address, wanted.port, type=socket.SOCK_STREAM)[0]
    while True:
        sock = socket.socket(family, kind, protocol)
        try:
            if congestion:
                set_congestion(sock, congestion)
            sock.settimeout(max(0.1, deadline - time.monotonic()))
            sock.connect(where)
            return sock
        except OSError as error:
            sock.close()
            if time.monotonic() >= deadline:
                raise CoexistenceError(
                    f"no connection to {wanted.address} port {wanted.port} within {wanted.connect_timeout_s:g} s: "
                    f"{error}; does the server run, and does the fabric pass TCP between them?"
                ) from error
            time.sleep(0.2)
        except CoexistenceError:
            sock.close()
            raise


def ce_packets() -> int:
    """Packets this host received with the mark Congestion Experienced, IPv4 and IPv6."""
    total = 0
    for path, first, column in COUNTERS:
        try:
            with open(path, encoding="ascii") as handle:
                rows = [row.split() for row in handle if row.startswith(first)]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        if column and len(rows) == 2 and column in rows[0]:
            total += int(rows[1][rows[0].index(column)])
        elif not column and rows:
            total += int(rows[0][1])
    return total


@dataclass
class _Round:
    """One round on its way: numbers of probes go on from round to round, so that a late answer is nobody else's.

    The kernel stamps, so nothing has to be read at once: this wakes up once for each probe and takes in what is there,
    which keeps a small machine from measuring its own Python.
    """

    wanted: Wanted
    channel: Channel
    probes: StampedSocket
    to: tuple[object, ...]
    flows: list[socket.socket] = field(default_factory=list)
    received: dict[int, int] = field(default_factory=dict)
    received_bytes: int = 0
    first: int = 0

    def run(self, kind: str) -> Round:
        wanted = self.wanted
        self.first = self.probes.count
        try:
            if kind != IDLE:
                self._start(self.wanted.busy_mbps if kind == BUSY else 0)
                self._wait(time.monotonic() + wanted.settle_s)
            marks, self.received_bytes, began = ce_packets(), 0, time.monotonic()
            for number_of_probe in range(int(wanted.rate * wanted.round_s)):
                self._wait(began + number_of_probe / wanted.rate)
                self._send()
            elapsed, taken, marks = time.monotonic() - began, self.received_bytes, ce_packets() - marks
            late = time.monotonic() + wanted.late_s
            while len(self.received) < self.probes.count - self.first and time.monotonic() < late:
                self._wait(time.monotonic() + 1 / wanted.rate)
        finally:
            for flow in self.flows:
                flow.close()
        if self.flows:
            time.sleep(wanted.settle_s)  # what is queued now is of this round, not of the next one
        self.probes.wait_for_stamps(0.5)
        there = _stamps(self.channel.ask({"kind": "stamps"}))
        return Round(
            kind=kind,
            round_trips_ns=self._round_trips(there),
            sent=self.probes.count - self.first,
            answered=len(self.received),
            ce_packets=marks,
            load_mbps=taken * 8 / elapsed / 1e6,
        )

    def _start(self, load_mbps: float) -> None:
        wanted = {
            "kind": "load",
            "traffic_class": self.wanted.load_traffic_class,
            "pace_bytes_s": int(load_mbps * 1e6 / 8 / self.wanted.flows),
        }
        for _number in range(self.wanted.flows):
            sock = _connect(self.wanted, self.wanted.congestion)
            self.flows.append(sock)
            set_traffic_class(sock, self.wanted.load_traffic_class)
            sock.sendall(line(wanted))
            sock.setblocking(False)

    def _wait(self, until: float) -> None:
        """Wait, waking up at the probes' pace to take in what came."""
        while True:
            left = until - time.monotonic()
            if left > 0:
                time.sleep(min(left, 1 / self.wanted.rate))
            self._take()
            if time.monotonic() >= until:
                return

    def _take(self) -> None:
        for flow in self.flows:
            self._load(flow)
        self.probes.collect()
        for data, _sender, stamp in self.probes.receive():
            if len(data) < NUMBER.size or stamp is None:
                continue
            (probe,) = NUMBER.unpack_from(data)
            if probe >= self.first:
                self.received[probe] = stamp

    def _send(self) -> None:
        probe = self.probes.count
        data = NUMBER.pack(probe).ljust(self.wanted.size_bytes, b"\0")
        try:
            self.probes.send(data, self.to)
        except OSError as error:
            raise CoexistenceError(f"a probe can not be sent to {self.wanted.address}: {error}") from error

    def _load(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise CoexistenceError(f"a flow of the load broke: {error}") from error
        if not data:
            raise CoexistenceError("the server ended a flow of the load; its own message says why")
        self.received_bytes += len(data)

    def _round_trips(self, there: Mapping[int, tuple[int, int]]) -> tuple[int, ...]:
        """Of the answers with all four stamps: there and back, without the server's own time."""
        found = []
        for probe, back in sorted(self.received.items()):
            if probe in self.probes.sent and probe in there:
                received, answered = there[probe]
                found.append((back - self.probes.sent[probe]) - (answered - received))
        return tuple(found)


def _stamps(answer: dict[str, object]) -> dict[int, tuple[int, int]]:
    echoes = answer.get("echoes")
    if not isinstance(echoes, list):
        raise CoexistenceError("the server's stamps are no list; use one version of tickwire.fabric on both ends")
    return {probe: (received, sent) for probe, received, sent in echoes if sent is not None}
