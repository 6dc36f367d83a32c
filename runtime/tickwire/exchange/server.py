# SPDX-License-Identifier: Apache-2.0
"""`tickwire exchange`: one loop over the sockets of order sessions and control clients, beside the feed's thread."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from types import FrameType
from typing import Any

from .. import itchfile
from ..errors import TickwireError
from ..notify import notify
from .control import ControlConnection, ReplayRequest, parse
from .feed import Feed, Job
from .ouch import OrderEntry
from .soupbin import Account, Session, SessionClosed

log = logging.getLogger("tickwire.exchange")

MAX_CLIENTS = 64
_STATE_S = 1.0
_SNDBUF = 1 << 18  # fixed, or the kernel would grow it to megabytes for a client that does not read


def listen(address: str, port: int, key: str) -> socket.socket:
    """A listening TCP socket; TickwireError names address:port, the key and the next step."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen(16)
    except OSError as error:
        sock.close()
        step = {
            errno.EADDRINUSE: f"see who holds it with `ss -ltnp sport = :{port}`, or choose another {key}",
            errno.EADDRNOTAVAIL: f"no interface has this address (see `ip -br address`); correct {key}",
            errno.EACCES: f"ports below 1024 need privileges; choose another {key}",
        }.get(error.errno or 0, f"check {key}")
        raise TickwireError(f"cannot listen on {address}:{port}: {error.strerror}; {step}") from None
    sock.setblocking(False)
    return sock


@dataclasses.dataclass
class _Waiting:
    """A replay request whose `wait_for` user has not logged in yet."""

    request: ReplayRequest
    client: ControlConnection
    deadline: float


Client = Session | ControlConnection


class Exchange:
    """Everything of one exchange process. Construct (opens all sockets), then `run`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        orders, control = config["orders"], config["control"]
        self.file = itchfile.load(config["exchange"]["itch_file"])
        self.accounts = {
            entry["username"].strip().upper(): Account(entry["username"], entry["password"])
            for entry in orders["accounts"]
        }
        self.heartbeat_s = orders["heartbeat_ms"] / 1000
        self.entry = OrderEntry()
        self.state_path = Path(config["exchange"]["block"])
        self._check_state_path()
        self.selector = selectors.DefaultSelector()
        self.clients: dict[Client, None] = {}
        self.waiting: list[_Waiting] = []
        self.running: tuple[ControlConnection, int] | None = None  # who asked for the replay; orders before it
        self.finished: list[Job] = []  # appended by the feed's thread
        self.stopping = False
        self._written: tuple[float, str] = (0.0, "")
        self._wake_in, self._wake_out = socket.socketpair()
        self._listeners: list[socket.socket] = []
        try:
            for address, port, key in (
                (orders["address"], orders["port"], "orders.port"),
                (control["address"], control["port"], "control.port"),
            ):
                self._listeners.append(listen(address, port, key))
            self.feed = Feed(self.file, config, self._job_done)
        except BaseException:
            self._close_listeners()
            raise
        self.session = self.feed.session

    def _check_state_path(self) -> None:
        if not self.state_path.parent.is_dir():
            raise TickwireError(
                f"exchange.block: directory {self.state_path.parent} does not exist; "
                "create it (systemd: RuntimeDirectory=tickwire)"
            )
        if self.state_path.exists() and not self.state_path.is_file():
            raise TickwireError(f"exchange.block: {self.state_path} is not a regular file and will not be replaced")

    # --- called from elsewhere: the feed's thread, signal handlers
    def _job_done(self, job: Job) -> None:
        self.finished.append(job)
        self._wake()

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"\0")
        except OSError:
            pass  # full: the loop has reason enough to wake up; closed: it has ended

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """End `run`; from any thread, and the handler of SIGTERM and SIGINT."""
        del frame
        if signum:
            log.info("stopping on %s", signal.Signals(signum).name)
        self.stopping = True
        self._wake()

    # --- the loop
    def run(self) -> None:
        """Serve until `stop`."""
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self.selector.register(self._wake_in, selectors.EVENT_READ)
        for listener in self._listeners:
            self.selector.register(listener, selectors.EVENT_READ)
        self.feed.start()
        orders, feed = self.config["orders"], self.config["feed"]
        log.info(
            "%s: %d messages of %s; orders on %s:%d, control on %s:%d, feed to %s:%d",
            self.session,
            len(self.file),
            self.file.path,
            orders["address"],
            orders["port"],
            self.config["control"]["address"],
            self.config["control"]["port"],
            feed["group"],
            feed["port"],
        )
        pace = min(0.25, self.heartbeat_s / 4)
        ticked = 0.0
        try:
            self._write_state(time.monotonic())
            notify("READY=1\nSTATUS=listening")
            while not self.stopping:
                events = self.selector.select(pace)
                now = time.monotonic()
                for key, mask in events:
                    self._event(key, mask, now)
                if now - ticked >= pace:
                    ticked = now
                    self._tick(now)
                self._finish(now)
        finally:
            notify("STOPPING=1")
            self._shut_down()

    def _event(self, key: selectors.SelectorKey, mask: int, now: float) -> None:
        if key.fileobj is self._wake_in:
            self._wake_in.recv(4096)
        elif key.data is None:
            self._accept(key.fileobj, now)  # type: ignore[arg-type]
        elif key.data in self.clients:  # not dropped by an earlier event of this round
            self._serve(key.data, mask, now)

    def _serve(self, client: Client, mask: int, now: float) -> None:
        """Let a client act: on socket readiness, or (mask 0) on the clock."""
        try:
            if mask & selectors.EVENT_READ:
                client.readable(now)
            if mask & selectors.EVENT_WRITE:
                client.writable(now)
            if not mask:
                client.tick(now)
        except SessionClosed as closed:
            self._drop(client, closed)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.wants_write else 0)
        if self.selector.get_key(client.sock).events != wanted:
            self.selector.modify(client.sock, wanted, client)

    def _drop(self, client: Client, closed: SessionClosed) -> None:
        self.selector.unregister(client.sock)
        self.clients.pop(client, None)
        log.log(logging.WARNING if closed.fault else logging.INFO, "%s: closed: %s", client.name, closed)
        client.close(closed.final)

    def _accept(self, listener: socket.socket, now: float) -> None:
        try:
            sock, (host, port) = listener.accept()
        except OSError as error:  # gone again, or out of descriptors
            log.warning("accept: %s", error)
            return
        if len(self.clients) >= MAX_CLIENTS:
            log.warning("%s:%d: refused, %d clients are connected", host, port, MAX_CLIENTS)
            sock.close()
            return
        client: Client
        if listener is self._listeners[0]:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SNDBUF)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self.config["feed"]["tos"])
            client = Session(sock, f"{host}:{port}", self.accounts, self.session, self.entry, self.heartbeat_s, now)
        else:
            client = ControlConnection(sock, f"{host}:{port}", self._control)
        self.clients[client] = None
        self.selector.register(sock, selectors.EVENT_READ, client)

    def _tick(self, now: float) -> None:
        for client in list(self.clients):
            if client.replaced:
                self._drop(client, SessionClosed("replaced by another login of the same user"))
            else:
                self._serve(client, 0, now)
        for waiting in list(self.waiting):
            self._resume(waiting, now)
        if now - self._written[0] >= _STATE_S:
            self._write_state(now)

    # --- replays
    def _control(self, client: ControlConnection, line: bytes) -> None:
        try:
            request = parse(line)
            if request is None:
                client.say(self.status())
            elif request.wait_for is not None and not self._logged_in(request.wait_for):
                self.waiting.append(_Waiting(request, client, time.monotonic() + request.wait_s))
            else:
                self._replay(client, request)
        except TickwireError as error:
            client.say({"error": str(error)})

    def _logged_in(self, username: str) -> bool:
        account = self.accounts.get(username.strip().upper())
        if account is None:
            raise TickwireError(f"wait_for: no account {username!r} in orders.accounts")
        return account.session is not None

    def _resume(self, waiting: _Waiting, now: float) -> None:
        request, client = waiting.request, waiting.client
        ready = self._logged_in(request.wait_for or "")
        if not (ready or client.closed or now > waiting.deadline):
            return
        self.waiting.remove(waiting)
        if client.closed:
            return
        try:
            if not ready:
                raise TickwireError(f"{request.wait_for} did not log in within {request.wait_s:g} s")
            self._replay(client, request)
        except TickwireError as error:
            client.say({"error": str(error)})

    def _replay(self, client: ControlConnection, request: ReplayRequest) -> None:
        messages = min(request.messages or len(self.file), len(self.file))
        job = Job(messages, self.config["feed"]["rate"] if request.rate is None else float(request.rate))
        before = self.entry.counters.orders
        self.feed.submit(job)
        self.running = client, before
        client.say({"session": job.session, "messages": job.messages, "rate": job.rate})

    def _finish(self, now: float) -> None:
        """Report the replays that the feed's thread has finished."""
        while self.finished:
            job = self.finished.pop(0)
            assert self.running is not None
            client, before = self.running
            self.running = None
            if job.result is None:
                answer: dict[str, Any] = {"error": f"replay {job.session}: {job.error}"}
            else:
                answer = {
                    "done": True,
                    "session": job.session,
                    "sent": job.result["messages"],
                    "packets": job.result["packets"],
                    "orders": self.entry.counters.orders - before,
                    "elapsed_ms": round(job.result["elapsed_ns"] / 1e6, 3),
                    "late_max_us": round(job.result["late_max_ns"] / 1e3, 3),
                }
            log.info("replay %s: %s", job.session, answer)
            self._write_state(now)  # before anybody acts on the answer and reads a state of a second ago
            if not client.closed:
                client.say(answer)
                self._serve(client, selectors.EVENT_WRITE, now)

    # --- state
    def status(self, state: str = "") -> dict[str, Any]:
        """What the state file and the status command say."""
        return {
            "name": self.config["exchange"]["name"],
            "pid": os.getpid(),
            "state": state or ("replaying" if self.feed.busy else "idle"),
            "feed_session": self.feed.session,
            "order_session": self.session,
            "itch_file": self.file.path,
            "itch_messages": len(self.file),
            "replays": self.feed.replays,
            "messages_sent": self.feed.sent,
            "logged_in": sorted(account.username for account in self.accounts.values() if account.session),
            **dataclasses.asdict(self.entry.counters),
        }

    def _write_state(self, now: float, state: str = "") -> None:
        text = json.dumps(self.status(state)) + "\n"
        if text == self._written[1]:
            return
        self._written = now, text
        beside = self.state_path.with_name(f".{self.state_path.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(self.state_path)
        except OSError as error:
            log.warning("exchange.block %s not written: %s", self.state_path, error.strerror)

    def _close_listeners(self) -> None:
        for sock in (*self._listeners, self._wake_in, self._wake_out):
            sock.close()
        self.selector.close()

    def _shut_down(self) -> None:
        for client in list(self.clients):
            try:
                client.end()
            except SessionClosed as closed:
                self._drop(client, closed)
        self.feed.stop()
        self._write_state(time.monotonic(), "stopped")
        self._close_listeners()
        log.info("stopped after %d orders", self.entry.counters.orders)


def run(config: dict[str, Any]) -> None:
    """The `exchange` command: config is a checked exchange configuration."""
    exchange = Exchange(config)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, exchange.stop)
    exchange.run()
