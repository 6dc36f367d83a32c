# SPDX-License-Identifier: Apache-2.0
"""The two ends of `tickwire bench pingpong` and `burst`: how they meet, run, and learn that the other is gone.

One TCP connection to the server's port controls a run, in lines of JSON:

    client  {"tickwire_bench": 1, "transport": ..., "size_bytes": ..., "tos": ..., "offer": {...}}
    server  {"offer": {...}, "host": {...}}     or {"error": ...} and the connection is closed
    both meet over the transport (ends.py)
    server  {"ready": true}                     the server sends back what comes
    client  {"done": true}
    server  {"reflected": N, "wrong_size": N}

While messages are timed nothing else is said: when the connection becomes readable the other end has ended the run, or
is gone. One client at a time; the next one waits in the listener's queue.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from ..errors import TickwireError
from ..strategy import interruptible
from . import ends, machine

PROTOCOL = 1
MEET_S = 10.0  # for each step before and after a run
_LINE = 65536
_RETRY_S = 0.1
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))

logger = logging.getLogger("tickwire.bench")


@dataclass
class Request:
    """What to exchange with whom. `burst` 0: closed loop; else that many messages `gap_ns` apart, every `every_ns`."""

    host: str
    port: int
    transport: str
    size: int
    count: int
    warmup: int
    timeout_s: float
    cpu: int | None = None
    tos: int = 0
    burst: int = 0
    every_ns: int = 0
    gap_ns: float = 0.0
    wait_s: float = 0.0


class Lines:
    """One end of a control connection."""

    def __init__(self, sock: socket.socket, who: str) -> None:
        self.sock, self.who = sock, who
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, name, value)
        sock.settimeout(MEET_S)
        self.lines = sock.makefile("rb")

    def say(self, **what: Any) -> None:
        try:
            self.sock.sendall(json.dumps(what).encode() + b"\n")
        except OSError as error:
            raise TickwireError(f"{self.who}: connection lost: {error.strerror or error}") from None

    def hear(self) -> dict[str, Any]:
        """The next line. TickwireError for {"error": ...}, silence, a closed connection, or what is not ours."""
        try:
            line = self.lines.readline(_LINE)
        except TimeoutError:
            raise TickwireError(
                f"{self.who}: no answer within {MEET_S:g} s; is it `tickwire bench serve`, and not busy?"
            ) from None
        except OSError as error:
            raise TickwireError(f"{self.who}: connection lost: {error.strerror or error}") from None
        if not line:
            raise TickwireError(f"{self.who}: the connection was closed; see what it says there")
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise TickwireError(f"{self.who}: {line[:60]!r} is no line of `tickwire bench`")
        if "error" in said:
            raise TickwireError(f"{self.who}: {said['error']}")
        return said

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.lines.close()
        self.sock.close()


def pin(cpu: int | None) -> None:
    """Keep this thread on one CPU."""
    if cpu is not None:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError as error:
            allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))))
            raise TickwireError(f"--cpu {cpu}: {error.strerror}; this process may run on {allowed}") from None


# --- the server ---


def listen(host: str, port: int) -> socket.socket:
    """The server's listener."""
    try:
        return socket.create_server((host, port), backlog=16)
    except OSError as error:
        raise TickwireError(f"{host}:{port}: cannot listen: {error.strerror or error}; give another address") from None


def serve(listener: socket.socket, cpu: int | None, idle_s: float | None) -> None:
    """Serve one client after the other, until none has come for `idle_s` seconds (None: for ever)."""
    pin(cpu)
    while True:
        listener.settimeout(idle_s)
        try:
            sock, (host, port) = listener.accept()
        except TimeoutError:
            return
        control = Lines(sock, f"{host}:{port}")
        try:
            _serve_one(listener, control, host, cpu)
        except (TickwireError, OSError, ValueError) as error:
            logger.warning("%s", error)
            with contextlib.suppress(TickwireError):
                control.say(error=str(error))
        finally:
            control.close()


def _wanted(said: dict[str, Any]) -> tuple[str, int, int, dict[str, Any]]:
    if said.get("tickwire_bench") != PROTOCOL:
        raise TickwireError(
            f"it speaks version {said.get('tickwire_bench')!r} of the benchmark, this is {PROTOCOL}; "
            "install one version of tickwire on both hosts"
        )
    transport, size, tos, offer = (said.get(name) for name in ("transport", "size_bytes", "tos", "offer"))
    if not (isinstance(transport, str) and isinstance(size, int) and isinstance(tos, int) and isinstance(offer, dict)):
        raise TickwireError("its request is not complete; install one version of tickwire on both hosts")
    if not 0 <= tos <= 255:
        raise TickwireError(f"tos {tos} is outside 0..255")
    return transport, size, tos, offer


def _serve_one(listener: socket.socket, control: Lines, peer: str, cpu: int | None) -> None:
    transport, size, tos, offer = _wanted(control.hear())
    address = control.sock.getsockname()[0]
    side = ends.open_side(transport, address, size, tos, listener, MEET_S)
    try:
        control.say(offer=side.offer, host=machine.read(address, cpu, side.rdma_device))
        side.connect(peer, offer)
        control.say(ready=True)
        logger.info("%s: %s, messages of %d bytes", control.who, transport, size)
        with interruptible():
            done = side.end.reflect(control.sock.fileno())
        control.hear()
        control.say(**done)
        logger.info("%s: %d messages sent back", control.who, done["reflected"])
    finally:
        side.close()


# --- the client ---


def _meet(request: Request) -> Lines:
    """A control connection; tried for `wait_s` seconds, for a server that is being started."""
    where = f"{request.host}:{request.port}"
    deadline = time.monotonic() + request.wait_s
    while True:
        try:
            return Lines(socket.create_connection((request.host, request.port), MEET_S), where)
        except OSError as error:
            if time.monotonic() >= deadline:
                raise TickwireError(
                    f"{where}: {error.strerror or error}; run `tickwire bench serve {where}` there"
                ) from None
        time.sleep(_RETRY_S)


def exchange(request: Request) -> dict[str, Any]:
    """Run it: {"samples": native u64 of warm-up and count, "outcome", "server" and "hosts"}."""
    pin(request.cpu)
    control = _meet(request)
    side = None
    try:
        address, peer = control.sock.getsockname()[0], control.sock.getpeername()[0]
        side = ends.open_side(request.transport, address, request.size, request.tos, None, MEET_S)
        wanted = {"transport": request.transport, "size_bytes": request.size, "tos": request.tos, "offer": side.offer}
        control.say(tickwire_bench=PROTOCOL, **wanted)
        answer = control.hear()
        side.connect(peer, answer["offer"])
        control.hear()
        here = machine.read(address, request.cpu, side.rdma_device)
        samples, outcome = _run(request, side.end, control)
        control.say(done=True)
        return {
            "samples": samples,
            "outcome": outcome,
            "reflected": control.hear(),
            "hosts": {"client": here, "server": answer["host"]},
        }
    finally:
        if side is not None:
            side.close()
        control.close()


def _run(request: Request, end: Any, control: Lines) -> tuple[bytes, dict[str, int]]:
    total, timeout_ns = request.warmup + request.count, round(request.timeout_s * 1e9)
    watch = control.sock.fileno()
    samples: bytes
    outcome: dict[str, int]
    try:
        with interruptible():
            if request.burst:
                plan = (request.burst, request.every_ns, request.gap_ns)
                samples, outcome = end.burst(total, timeout_ns, watch, *plan)
            else:
                samples, outcome = end.pingpong(total, timeout_ns, watch)
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise TickwireError(f"{request.transport}: {text}; {_last_words(control)}") from None
    return samples, outcome


def _last_words(control: Lines) -> str:
    """What the other end says of a run that broke."""
    try:
        control.say(done=True)
        control.hear()
    except TickwireError as error:
        return str(error)
    return f"{control.who} sees nothing wrong"
