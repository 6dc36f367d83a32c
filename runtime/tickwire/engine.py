# SPDX-License-Identifier: Apache-2.0
"""`tickwire run`: the C engine in a thread of its own, everything slow around it on the housekeeping CPUs.

The main thread only waits, watches the shared block twice a second and takes signals; the engine's thread pins itself
to `engine.cpu` inside `Engine.run` with the GIL released. When the order session drops, the engine's thread opens it
again after a pause that doubles from 0.1 s to 5 s; what cannot heal by itself (a refused login, a wrong address) ends
the process with one line and exit code 1.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from . import _core
from .errors import TickwireError
from .notify import notify

log = logging.getLogger("tickwire.engine")

FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0
_WATCH_S = 0.5
_STATUS_S = 10.0

# Beside ConnectionError and TimeoutError: the way to an exchange that is not there yet, or no longer.
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ENOTCONN}


def housekeeping_cpus(config: dict[str, Any]) -> set[int]:
    """CPUs for the Python threads: those configured, else all that the process may use except the engine's own."""
    allowed = os.sched_getaffinity(0)
    cpus = set(config["engine"]["housekeeping_cpus"])
    if cpus:
        return cpus
    return (allowed - {config["engine"]["cpu"]}) or allowed


def _check_cpus(config: dict[str, Any]) -> None:
    present = range(os.cpu_count() or 1)
    for key, cpus in (
        ("cpu", [config["engine"]["cpu"]]),
        ("housekeeping_cpus", config["engine"]["housekeeping_cpus"]),
    ):
        for cpu in cpus:
            if cpu >= 0 and cpu not in present:
                raise TickwireError(
                    f"engine.{key}: CPU {cpu} does not exist here (0..{len(present) - 1}); choose one of these"
                )


def heals(error: OSError) -> bool:
    """Whether trying again can help: the peer is missing, as opposed to this host being wrong."""
    return isinstance(error, ConnectionError | TimeoutError) or error.errno in _UNREACHABLE


class Runner:
    """Life of one engine process: start, reconnect, stop."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.block: str = config["engine"]["block"]
        self.peer = f"{config['orders']['host']}:{config['orders']['port']}"
        self.stopping = threading.Event()
        self.finished = threading.Event()
        self.failure: str | None = None
        try:
            self.engine = _core.Engine(config)
        except (ValueError, MemoryError) as error:
            raise TickwireError(f"the engine refuses its configuration: {error}") from None

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """End the run cleanly; also the handler of SIGTERM and SIGINT."""
        del frame
        if signum:
            log.info("stopping on %s", signal.Signals(signum).name)
        self.stopping.set()
        self.engine.stop()

    def _trade(self) -> None:
        """The engine's thread: open, run, and again."""
        # Signals are for the main thread: here they would only interrupt system calls of the hot path.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        pause = FIRST_PAUSE_S
        try:
            while not self.stopping.is_set():
                started = time.monotonic()
                try:
                    self.engine.open()
                    log.info("order connection to %s open, logging in as %s", self.peer, self._username)
                    reason = self.engine.run()
                    if reason == "stopped":
                        break
                    problem = {
                        "session_closed": "the exchange ended the order session",
                        "logged_out": "the order connection closed or fell silent",
                    }.get(reason, reason)
                except OSError as error:
                    problem = str(error) if error.strerror is None else _os_error_text(error)
                    if not heals(error):
                        self.failure = problem
                        break
                if time.monotonic() - started > LAST_PAUSE_S:
                    pause = FIRST_PAUSE_S  # it had worked
                log.warning("orders %s: %s; next attempt in %.1f s", self.peer, problem, pause)
                notify(f"STATUS=reconnecting to {self.peer}: {problem}")
                self.stopping.wait(pause)
                pause = min(2 * pause, LAST_PAUSE_S)
        except Exception as error:  # the main thread must hear of a bug here, or it would wait for ever
            log.exception("the engine's thread failed")
            self.failure = f"internal error: {error!r}"
        finally:
            self.finished.set()

    @property
    def _username(self) -> str:
        return str(self.config["orders"]["username"])

    def _snapshot(self) -> dict[str, Any]:
        try:
            return _core.block_read(self.block)
        except (OSError, ValueError):
            return {}

    def _watch(self) -> None:
        """The main thread: readiness and a status line for systemd, until the engine's thread is done."""
        ready, said, due = False, "", 0.0
        while not self.finished.wait(_WATCH_S if ready else 0.05):
            snapshot = self._snapshot()
            state = snapshot.get("state", "starting")
            if state == "live" and not ready:
                ready = True
                log.info("live: logged in at %s, feed %s", self.peer, self._feed)
                notify("READY=1\nSTATUS=live")
            due -= _WATCH_S if ready else 0.05
            if snapshot and due <= 0:
                due = _STATUS_S
                status = (
                    f"{state}: {snapshot['messages']} messages, {snapshot['messages_lost']} lost, "
                    f"{snapshot['orders_sent']} orders"
                )
                if status != said:
                    notify(f"STATUS={status}")
                    said = status

    @property
    def _feed(self) -> str:
        return f"{self.config['feed']['group']}:{self.config['feed']['port']}"

    def run(self) -> None:
        """Run until a signal or a failure; TickwireError on the latter."""
        _check_cpus(self.config)
        cpus = housekeeping_cpus(self.config)
        try:
            os.sched_setaffinity(0, cpus)  # this thread, and the later ones that inherit it
        except OSError as error:
            raise TickwireError(
                f"engine.housekeeping_cpus {sorted(cpus)}: {error.strerror}; are they in this service's CPU set?"
            ) from None
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self.stop)
        worker = threading.Thread(target=self._trade, name="tickwire-engine")
        worker.start()
        try:
            self._watch()
        finally:
            notify("STOPPING=1")
            self.stop()
            worker.join()
        if self.failure is not None:
            raise TickwireError(self.failure)
        snapshot = self._snapshot()
        log.info("stopped after %s messages and %s orders", snapshot.get("messages"), snapshot.get("orders_sent"))


def _os_error_text(error: OSError) -> str:
    """The text of an error without its number, with the file where there is one."""
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror}"


@contextlib.contextmanager
def _own(block: str) -> Iterator[None]:
    """Hold the block for this process; TickwireError when another engine has it: two would log each other out."""
    try:
        lock = open(f"{block}.lock", "a", encoding="ascii")
    except OSError as error:
        raise TickwireError(
            f"engine.block: cannot write {block}.lock: {error.strerror}; remove it, or run as the user who owns it"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                owner = f"process {_core.block_read(block)['pid']}"
            except (OSError, ValueError):
                owner = "another engine"
            raise TickwireError(
                f"engine.block: {block} is in use by {owner}; stop that engine, or give this one its own block and user"
            ) from None
        yield


def run(config: dict[str, Any]) -> None:
    """The `run` command: config is a checked engine configuration."""
    directory = Path(config["engine"]["block"]).parent
    if not directory.is_dir():
        raise TickwireError(
            f"engine.block: directory {directory} does not exist; create it (systemd: RuntimeDirectory=tickwire)"
        )
    with _own(config["engine"]["block"]):
        Runner(config).run()
