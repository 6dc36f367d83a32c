# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One RDMA ping between two hosts: TCP connection, hello, ping-pong over a queue pair, figures. Every wait has a bound.

The queue pair is behind ``Endpoint`` (see ``verbs.py`` for the real one), so that the protocol can be tested without
a NIC.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any, Callable, Protocol

from ansible_collections.tickwire.fabric.plugins.module_utils import stats
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import counters, exchange
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.hello import (
    Channel,
    PeerFailed,
    PingError,
    check_hello,
)

RETRY_S = 0.2
#: Until these are over nothing is sent over RDMA, and no counter has anything to say.
SILENT_STEPS = ("connect", "open device", "exchange of queue pairs", "connection of queue pairs")


class Endpoint(Protocol):
    """One queue pair. Methods raise OSError, LookupError or RuntimeError with a text that can be
    shown."""

    def describe(self) -> dict[str, Any]:
        """Return qpn, psn, gid, gid_index, roce_version and mtu (bytes), and whether the device is emulated."""

    def connect(self, remote: dict[str, Any]) -> None:
        """Bring the queue pair to ready-to-send towards the other end's description, with receives posted."""

    def counters(self) -> dict[str, int]:
        """Return the counters of the port as they are now, see ``counters.settled_counters``."""

    def send(self, number: int) -> None:
        """Post one message of the agreed size; a datagram carries ``number`` (0 to 2^64 - 1)."""

    def receive(self, deadline: float, idle: Callable[[], None]) -> int:
        """Wait for one message and post its receive again; return the number a datagram carries, 0 over RC. Calls
        ``idle`` now and then; TimeoutError at the deadline."""

    def flush(self, deadline: float) -> None:
        """Wait until every message sent has been acknowledged."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True)
class Plan:
    """What one end was asked to do; ``transport`` is rc or ud. Times in seconds, sizes in bytes."""

    mode: str
    transport: str
    device: str
    host: str
    peer: str
    address: str
    port: int
    iterations: int
    warmup: int
    size_bytes: int
    connect_timeout_s: float
    timeout_s: float


def ping(plan: Plan, open_endpoint: Callable[[str], Endpoint]) -> dict[str, Any]:
    """Run one end; return the figures (client) or the client's figures (server). Raises PingError, with the counters
    that rose if the queue pairs were connected.

    ``open_endpoint(local address)`` opens the device and chooses the GID of that address.
    """
    step = "connect"
    channel: Channel | None = None
    endpoint: Endpoint | None = None
    before: dict[str, int] | None = None
    peer = plan.peer or "any client of %s:%d" % (plan.address, plan.port)
    sock = _listen_and_accept(plan) if plan.mode == "server" else _connect(plan)
    deadline = time.monotonic() + plan.timeout_s
    try:
        channel = Channel(sock)
        step = "open device"
        endpoint = open_endpoint(sock.getsockname()[0])
        mine = dict(
            endpoint.describe(),
            host=plan.host,
            device=plan.device,
            transport=plan.transport,
            iterations=plan.iterations,
            warmup=plan.warmup,
            size_bytes=plan.size_bytes,
        )
        step = "exchange of queue pairs"
        channel.send(dict(mine, kind="hello"), deadline)
        theirs = channel.receive("hello", deadline)
        peer = "%s (%s)" % (theirs.get("host"), sock.getpeername()[0])
        check_hello(mine, theirs)
        step = "connection of queue pairs"
        endpoint.connect(theirs)
        before = endpoint.counters()
        channel.send({"kind": "ready"}, deadline)
        channel.receive("ready", deadline)
        step = "ping-pong"
        if plan.mode == "client":
            figures = _measure(plan, endpoint, channel, deadline)
            channel.send({"kind": "done", "figures": figures}, deadline)
        else:
            _echo(plan, endpoint, channel, deadline)
            step = "end of the ping-pong"
            figures = channel.receive("done", deadline).get("figures") or {}
        return {
            "device": plan.device,
            "transport": plan.transport,
            "emulated": bool(mine.get("emulated")),
            "gid": mine["gid"],
            "gid_index": mine.get("gid_index"),
            "roce_version": mine["roce_version"],
            "mtu_bytes": min(mine["mtu"], theirs["mtu"]),
            "iterations": plan.iterations,
            "size_bytes": plan.size_bytes,
            "peer_host": theirs["host"],
            "peer_device": theirs["device"],
            "peer_gid": theirs["gid"],
            "lost": figures.pop("lost", 0),
            "half_round_trip": figures,
            **_risen(endpoint, before),
        }
    except PeerFailed as error:
        raise PingError(
            plan.device,
            peer,
            step,
            "the other end reports: %s" % error,
            "mend that on the other end",
            _risen_till_failure(endpoint, before),
        ) from None
    except (OSError, LookupError, RuntimeError, ValueError) as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, (TimeoutError, socket.timeout)):
            reason = "no answer within %g s (%s)" % (plan.timeout_s, reason)
        _tell(channel, "%s failed at '%s': %s" % (plan.host, step, reason))
        raise PingError(plan.device, peer, step, reason, _NEXT[step], _risen_till_failure(endpoint, before)) from error
    finally:
        if endpoint is not None:
            endpoint.close()
        sock.close()


_NEXT = {
    "connect": "run both ends at once, and look for a firewall or a down link between them",
    "open device": "'rdma link show' and 'ibv_devinfo -v' on this host",
    "exchange of queue pairs": "run both ends with the same options and one version of tickwire.fabric",
    "connection of queue pairs": "compare the RoCE version and MTU of both ends with rdma_link_info",
    "ping-pong": "look at the error counters of both ends with rdma_link_info, and for drops on the switch between "
    "them; UDP port 4791 has to pass",
    "end of the ping-pong": "look at the client's own error",
}


def _risen(endpoint: Endpoint, before: dict[str, int]) -> dict[str, dict[str, int]]:
    errors, others = counters.risen(before, endpoint.counters())
    return {"errors_risen": errors, "others_risen": others}


def _risen_till_failure(endpoint: Endpoint | None, before: dict[str, int] | None) -> dict[str, dict[str, int]]:
    """The same, for a ping that failed; {} when the counters were not read before it, or cannot be read now."""
    if endpoint is None or before is None:
        return {}
    try:
        return _risen(endpoint, before)
    except OSError:
        return {}


def _measure(plan: Plan, endpoint: Endpoint, channel: Channel, deadline: float) -> dict[str, Any]:
    if plan.transport == "rc":
        lost, samples = 0, exchange.measure(endpoint, channel, plan.warmup, plan.iterations, deadline)
    else:
        samples, lost = exchange.measure_datagrams(endpoint, channel, plan.warmup, plan.iterations, deadline)
    return dict(stats.summarise(samples, "us"), histogram=stats.histogram(samples), lost=lost)


def _echo(plan: Plan, endpoint: Endpoint, channel: Channel, deadline: float) -> None:
    if plan.transport == "rc":
        exchange.echo(endpoint, channel, plan.warmup + plan.iterations, deadline)
    else:
        exchange.echo_datagrams(endpoint, channel, deadline)


def _listen_and_accept(plan: Plan) -> socket.socket:
    family = socket.AF_INET6 if ":" in plan.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(plan.connect_timeout_s)
        try:
            listener.bind((plan.address, plan.port))
            listener.listen(1)
            return listener.accept()[0]
        except socket.timeout:  # TimeoutError itself only from Python 3.10 on
            raise PingError(
                plan.device,
                plan.peer or "any client",
                "connect",
                "no client came to %s:%d within %g s" % (plan.address, plan.port, plan.connect_timeout_s),
                _NEXT["connect"],
            ) from None
        except OSError as error:
            raise PingError(
                plan.device,
                plan.peer or "any client",
                "connect",
                "cannot listen on %s:%d: %s" % (plan.address, plan.port, error),
                "give this host that address, or choose a free port",
            ) from error


def _connect(plan: Plan) -> socket.socket:
    """Connect to the server, which may come up a moment later than this end: refused is tried again until the time is
    up."""
    deadline = time.monotonic() + plan.connect_timeout_s
    while True:
        try:
            return socket.create_connection((plan.peer, plan.port), timeout=max(0.05, deadline - time.monotonic()))
        except OSError as error:
            if time.monotonic() + RETRY_S >= deadline:
                raise PingError(
                    plan.device,
                    plan.peer,
                    "connect",
                    "no server on %s:%d within %g s: %s" % (plan.peer, plan.port, plan.connect_timeout_s, error),
                    _NEXT["connect"],
                ) from error
            time.sleep(RETRY_S)


def _tell(channel: Channel | None, text: str) -> None:
    """Tell the other end why it will hear no more; it may be gone already."""
    if channel is None:
        return
    try:
        channel.send({"error": text}, time.monotonic() + 2)
    except OSError:
        pass
