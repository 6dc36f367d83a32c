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
from .control import ControlConnection
from .dropcopy import DropCopy
from .feed import Feed, Job
from .follow import Follower
from .ouch import OrderEntry
from .rdma import Gateway
from .replays import Replays
from .rerequest import RequestServer
from .soupbin import Account, Session, SessionClosed
from .timing import Timing

log = logging.getLogger("tickwire.exchange")

MAX_CLIENTS = 960  # below the usual limit of 1024 open files
_STATE_S = 1.0
_FOLLOW_S = 0.001  # between looks at the feed while something of ours depends on it
_FOLLOW_IDLE_S = 0.02
_SNDBUF = 1 << 18  # fixed, or the kernel would grow it to megabytes for a client that does not read


def listen(address: str, port: int, key: str) -> socket.socket:
    """A listening TCP socket; TickwireError names address:port, the key and the next step."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    address_key = key.replace(".port", ".address")
    try:
        sock.bind((address, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        step = {
            errno.EADDRINUSE: f"see who holds it with `ss -ltnp sport = :{port}`, or choose another {key}",
            errno.EADDRNOTAVAIL: f"no interface has this address (see `ip -br address`); correct {address_key}",
            errno.EACCES: f"ports below 1024 need privileges; choose another {key}",
        }.get(error.errno or 0, f"check {key}")
        raise TickwireError(f"cannot listen on {address}:{port}: {error.strerror}; {step}") from None
    sock.setblocking(False)
    return sock


Client = Session | ControlConnection


class Exchange:
    """Everything of one exchange process. Construct (opens all sockets), then `run`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        orders, control = config["orders"], config["control"]
        self.file = itchfile.load(config["exchange"]["itch_file"])
        self.accounts = {
            entry["username"].strip().upper(): Account(entry["username"], entry["password"], version=entry["version"])
            for entry in orders["accounts"]
        }
        self.heartbeat_s = orders["heartbeat_ms"] / 1000
        path = config["exchange"]["drop_copy"]
        self.drop_copy = DropCopy(path) if path else None
        self.entry = OrderEntry(copy=self.drop_copy)
        self.follower = Follower(self.file, self.entry) if config["exchange"]["matching"] else None
        if self.follower is not None:
            self.entry.matcher = self.follower.matcher
        self.state_path = Path(config["exchange"]["block"])
        self._check_state_path()
        self.selector = selectors.DefaultSelector()
        self.clients: dict[Client, None] = {}
        self.finished: list[Job] = []  # appended by the feed's thread
        self.stopping = False
        self._written: tuple[float, str] = (0.0, "")
        self._wake_in, self._wake_out = socket.socketpair()
        self._listeners: list[socket.socket] = []
        self.requests: RequestServer | None = None
        self.gateway: Gateway | None = None
        self.timing: Timing | None = None
        try:
            for address, port, key in (
                (orders["address"], orders["port"], "orders.port"),
                (control["address"], control["port"], "control.port"),
            ):
                self._listeners.append(listen(address, port, key))
            timing = self.timing = Timing(config, self._listeners[0])
            self.feed = Feed(self.file, config, self._job_done, timing.inbox)
            if config["feed"]["request_port"]:
                self.requests = RequestServer(self.feed, config["feed"]["interface"], config["feed"]["request_port"])
            if config["rdma"]["interface"]:
                self.gateway = Gateway(config)
        except BaseException:
            self._close_listeners()
            raise
        self.session = self.feed.session
        self.replays = Replays(self.feed, self.entry, self.accounts, timing, self.status)
        for account in self.accounts.values():
            self.entry.system_event(account, "S")

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
        if self.requests is not None:
            self.requests.start()
        self.feed.start()
        if self.gateway is not None:
            self.gateway.start()
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
                events = self.selector.select(self._follow(pace))
                now = time.monotonic()
                self._follow(pace)  # orders meet the book that their senders have seen
                for key, mask in events:
                    self._event(key, mask, now)
                if now - ticked >= pace:
                    ticked = now
                    self._tick(now)
                self._finish(now)
                self._deliver(now)
        finally:
            notify("STOPPING=1")
            self._shut_down()

    def _follow(self, pace: float) -> float:
        """Bring the books up to what the feed has sent; returns how long the loop may wait for other things."""
        if self.follower is None or self.replays.running is None:
            return pace
        if not self.follower.follow(self.feed):
            return 0.0
        return min(pace, _FOLLOW_S if self.follower.matcher.watched else _FOLLOW_IDLE_S)

    def _deliver(self, now: float) -> None:
        """Send what is new in the journals to those who are connected, and to the drop copy."""
        for account in self.entry.take_touched():
            if account.session is not None:
                self._serve(account.session, selectors.EVENT_WRITE, now)
        if self.drop_copy is not None:
            self.drop_copy.flush()

    def _event(self, key: selectors.SelectorKey, mask: int, now: float) -> None:
        if key.fileobj is self._wake_in:
            self._wake_in.recv(4096)
        elif key.data is None:
            self._accept(key.fileobj, now)  # type: ignore[arg-type]
        elif key.data in self.clients:  # not dropped by an earlier event of this round
            self._serve(key.data, mask, now)

    def _serve(self, client: Client, mask: int, now: float) -> None:
        """Let a client act: on socket readiness, or (mask 0) on the clock."""
        if client.replaced:  # no order of it counts any more: the new login has been told where the session stands
            self._drop(client, SessionClosed("replaced by another login of the same user"))
            return
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
            reader = self.timing.reader(sock) if self.timing is not None else None
            name, beat_s = f"{host}:{port}", self.heartbeat_s
            client = Session(sock, name, self.accounts, self.session, self.entry, beat_s, now, reader)
        else:
            client = ControlConnection(sock, f"{host}:{port}", self.replays.on_line)
        self.clients[client] = None
        self.selector.register(sock, selectors.EVENT_READ, client)

    def _tick(self, now: float) -> None:
        for client in list(self.clients):
            self._serve(client, 0, now)
        self.replays.tick(now)
        if now - self._written[0] >= _STATE_S:
            self._write_state(now)

    def _finish(self, now: float) -> None:
        """End the trading day of the replay that the feed's thread has finished, and report it."""
        while self.finished:
            if self.follower is not None:
                if not self.follower.follow(self.feed):
                    return  # there is more of it; the next turn goes on
                self.follower.end(self.feed)
            job = self.finished.pop(0)
            client = self.replays.finish(job)
            self._write_state(now)  # before anybody acts on the answer and reads a state of a second ago
            if client is not None:
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
            "followed": self.follower.matcher.applied if self.follower else 0,
            "logged_in": sorted(account.username for account in self.accounts.values() if account.session),
            **dataclasses.asdict(self.entry.counters),
            "open_orders": sum(len(trader.orders) for trader in self.entry.traders.values()),
            "requests": self.requests.requests if self.requests else 0,
            "requests_ignored": self.requests.ignored if self.requests else 0,
            "drop_copy_lost": self.drop_copy.lost if self.drop_copy else 0,
            **({"rdma": self.gateway.state()} if self.gateway else {}),
            "feed_interface": self.config["feed"]["interface"],
            "control": f"{self.config['control']['address']}:{self.config['control']['port']}",
            **(self.timing.state() if self.timing else {}),
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
        if self.requests is not None:
            self.requests.close()
        if self.timing is not None:
            self.timing.close()
        self.selector.close()

    def _shut_down(self) -> None:
        for account in self.accounts.values():
            self.entry.system_event(account, "E")
        self._deliver(time.monotonic())
        for client in list(self.clients):
            try:
                client.end()
            except SessionClosed as closed:
                self._drop(client, closed)
        self.feed.stop()
        if self.gateway is not None:
            self.gateway.stop()
        if self.drop_copy is not None:
            self.drop_copy.close()
        self._write_state(time.monotonic(), "stopped")
        self._close_listeners()
        log.info("stopped after %d orders", self.entry.counters.orders)


def run(config: dict[str, Any]) -> None:
    """The `exchange` command: config is a checked exchange configuration."""
    exchange = Exchange(config)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, exchange.stop)
    exchange.run()
