# SPDX-License-Identifier: Apache-2.0
"""`tickwire run`: the C engine in a thread of its own, everything slow around it on the housekeeping CPUs.

Four threads. The engine's pins itself to `engine.cpu` inside `Engine.run` with the GIL released, and reads the feed
from start to end whatever becomes of the order session. The connector makes the order connection, and again when it
drops, after a pause that doubles from 0.1 s to 5 s. The writer has the kernel write the journal to the disk once a
second. The main thread takes signals and watches (`watch.py`): SIGUSR1 or the kill file stop trading, SIGTERM and
SIGINT the process. What cannot heal by itself (a refused login, a wrong address) ends the process with one line and
exit code 1.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from . import _core, realtime, status, strategy
from .errors import TickwireError
from .notify import notify
from .watch import Watcher

log = logging.getLogger("tickwire.engine")

FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0
_WATCH_S = 0.1
_SESSION_S = 0.02
_SYNC_S = 1.0
_AHEAD_S = 0.05  # 4,096 records of the journal are made ready at a time: enough for 80,000 a second
_STOP_S = 3.0  # for an engine that was told to stop; it takes a second at most for the answers to its cancels

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}

XDP_PROGRAM = str(Path(__file__).with_name("steer.bpf.o"))  # setup.py builds it

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


def journal_path(config: dict[str, Any], now: float | None = None) -> tuple[str, str]:
    """Path of the journal and the name in its header: one for each engine, user and UTC day.

    The day is that of the start: the journal stays in use over midnight. Who starts on a new day begins a new one, and
    the exchange's replay brings what of its session is in the old one only.
    """
    engine, username = config["engine"], config["orders"]["username"]
    day = time.strftime("%Y%m%d", time.gmtime(now))
    directory = engine["journal_dir"] or str(Path(engine["block"]).parent)
    file = f"{engine['name']}-{username}-{day}.journal".replace(" ", "_").replace("/", "_")
    return f"{directory}/{file}", f"{username} {day}"


class Runner:
    """Life of one engine process: start, reconnect, stop."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.started = time.monotonic()
        self.config = config
        self.block: str = config["engine"]["block"]
        self.peer = f"{config['orders']['host']}:{config['orders']['port']}"
        self.stopping = threading.Event()
        self.finished = threading.Event()
        self.failure: str | None = None
        self.control: _core.Control | None = None
        self.journal, name = journal_path(config)
        if config["strategy"]["file"]:
            log.info("compiling strategy %s", config["strategy"]["file"])
        settings = strategy.prepare(
            {
                **config,
                "engine": {**config["engine"], "journal": self.journal, "journal_name": name},
                "feed": {
                    **config["feed"],
                    **({"xdp_program": XDP_PROGRAM} if config["feed"]["transport"] == "xdp" else {}),
                },
            }
        )
        try:
            log.info(
                "taking %d MB of memory, for engine.max_orders %d and engine.max_instruments %d",
                _core.memory_needed(settings) >> 20,
                config["engine"]["max_orders"],
                config["engine"]["max_instruments"],
            )
            with strategy.interruptible():  # with much memory, or an init that does not return, it takes long
                self.engine = _core.Engine(settings)
        except (ValueError, MemoryError) as error:
            raise TickwireError(f"the engine refuses its configuration: {error}") from None

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """End the run cleanly; also the handler of SIGTERM and SIGINT."""
        del frame
        if signum:
            log.info("stopping on %s", signal.Signals(signum).name)
        self.stopping.set()
        self.engine.stop()

    def kill(self, reason: str) -> None:
        """No order goes out from here on, and open ones are cancelled; until `tickwire kill --revive`."""
        if self.control is not None:
            self.control.kill(reason)

    def _on_kill_signal(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self.kill(signal.Signals(signum).name)

    # --- the threads

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            # Signals are for the main thread: here they would only interrupt system calls of the hot path.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                work()
            except Exception as error:  # the main thread must hear of a bug here, or it would wait for ever
                log.exception("the %s thread failed", name)
                self.failure = f"internal error: {error!r}"
                self.finished.set()

        return threading.Thread(target=guarded, name=f"tickwire-{name}")

    def _trade(self) -> None:
        """The engine's thread."""
        try:
            self.engine.run()
        except OSError as error:
            self.failure = _os_error_text(error)
        finally:
            self.finished.set()

    def _connect(self) -> None:
        """The connector: make the order connection, and again."""
        pause = FIRST_PAUSE_S
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                self.engine.connect()
                log.info("order connection to %s open, logging in as %s", self.peer, self.config["orders"]["username"])
                while (problem := self._until_closed()) is None and not self.stopping.wait(FIRST_PAUSE_S):
                    self.engine.connect()
            except OSError as error:
                if error.errno == errno.ECANCELED:
                    return  # the engine ends, and says why itself
                problem = _os_error_text(error)
                if not heals(error) and not self.stopping.is_set():
                    self.failure = problem
                    self.finished.set()
                    return
            if self.stopping.is_set() or problem is None:
                return
            if time.monotonic() - started > LAST_PAUSE_S:
                pause = FIRST_PAUSE_S  # it had worked
            problem = problem.removeprefix(f"orders {self.peer}: ")
            log.warning("orders %s: %s; next attempt in %.1f s", self.peer, problem, pause)
            notify(f"STATUS=reconnecting to {self.peer}: {problem}")
            self.stopping.wait(pause)
            pause = min(2 * pause, LAST_PAUSE_S)

    def _until_closed(self) -> str | None:
        """Why the order session ended; a refused login ends the engine itself, with its own reason.

        None: the engine has learned where the session ends, and needs another connection to log in for what it missed.
        """
        while not self.stopping.wait(_SESSION_S):
            state, problem = self.engine.session()
            if state in ("closed", "again"):
                return problem if state == "closed" else None
        return "stopping"

    def _write(self) -> None:
        """The writer: a host that loses power loses at most the last second of the journal."""
        failed = False
        due = time.monotonic() + _SYNC_S
        while not self.stopping.wait(_AHEAD_S):
            self.engine.ahead()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + _SYNC_S
            try:
                self.engine.sync()
                failed = False
            except OSError as error:
                if not failed:
                    log.error("%s; trading goes on, but a loss of power would lose order state", _os_error_text(error))
                failed = True

    def run(self) -> None:
        """Run until a signal or a failure; TickwireError on the latter."""
        _check_cpus(self.config)
        cpus = housekeeping_cpus(self.config)
        realtime.check(self.config, cpus)
        try:
            os.sched_setaffinity(0, cpus)  # this thread, and the later ones that inherit it
        except OSError as error:
            raise TickwireError(
                f"engine.housekeeping_cpus {sorted(cpus)}: {error.strerror}; are they in this service's CPU set?"
            ) from None
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self.stop)
        try:
            self.engine.open()
            self.control = _core.Control(f"{self.block}.control")
        except ValueError as error:
            raise TickwireError(str(error)) from None
        except OSError as error:
            raise TickwireError(_os_error_text(error)) from None
        signal.signal(signal.SIGUSR1, self._on_kill_signal)
        watcher = Watcher(self.config, self.control, self.engine.problem)
        watcher.look()  # a kill file that is there stops trading before it begins
        threads = [
            self._thread(*work)
            for work in (("engine", self._trade), ("connect", self._connect), ("write", self._write))
        ]
        taken, pages = self.engine.memory()
        log.info(
            "ready after %.2f s: %d MB on %s; waiting for feed %s:%s and orders %s",
            time.monotonic() - self.started,
            taken >> 20,
            pages,
            self.config["feed"]["group"],
            self.config["feed"]["port"],
            self.peer,
        )
        if self.engine.feed():
            log.info("feed by %s", self.engine.feed())
        self._say_rdma()
        stamping = self._say_stamps()
        if self.config["engine"]["priority"] and (problem := realtime.throttling()):
            log.warning("%s", problem)
        for thread in threads:
            thread.start()
        try:
            while not self.finished.wait(_WATCH_S):
                self.failure = watcher.look() or self.failure
                if self.failure is not None or (self.stopping.is_set() and watcher.stood_s):
                    break
        finally:
            notify("STOPPING=1")
            self.stop()
            self._join(threads)
            watcher.look()  # what came in the last moments
            if self.engine.feed():
                log.info("feed by %s", self.engine.feed())
        if self.failure is not None:
            raise TickwireError(self.failure)
        block = _core.block_read(self.block)
        if block["timestamp_reason"] != stamping:
            log.warning("%s", block["timestamp_reason"])
        log.info(
            "stopped after %s messages and %s orders, %s still open",
            block["messages"],
            block["orders_sent"],
            block["open_orders"],
        )

    def _say_rdma(self) -> None:
        """Log what was found for the sides over verbs."""
        text, short_pages = self.engine.rdma()
        if short_pages:
            log.warning("RDMA: %s, as verbs.hugepages = false allows; see roce_host_hugepages", text)
        elif text:
            log.info("RDMA: %s", text)

    def _say_stamps(self) -> str:
        """Log which clock stamps, and why; the reason, which changes when a card cannot be put back in the end."""
        block = _core.block_read(self.block)
        source, reason = block["timestamp_source"], str(block["timestamp_reason"])
        if source == "none" and self.config["engine"]["timestamps"] != "none":
            log.warning("no time stamps, so no tick-to-trade: %s", reason)
        else:
            log.info("time stamps: %s, %s", source, reason)
        return reason

    def _stands_s(self) -> float:
        try:
            return status.stands_s(_core.block_read(self.block))
        except (OSError, ValueError):  # somebody removed it
            return 0.0

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait for all threads. When the engine's hangs (a strategy does not return), the process ends here."""
        deadline = time.monotonic() + _STOP_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            while thread.is_alive():
                if self._stands_s() > _STOP_S:
                    log.error(
                        "the engine hangs and is ended as it is: %s orders stay open at the exchange; the next start "
                        "takes them up from the journal",
                        len(_core.journal_read(self.journal)["orders"]),  # the block may be older
                    )
                    sys.stderr.flush()
                    os._exit(1)
                thread.join(_WATCH_S)


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
    for key, directory, unit in (
        ("block", str(Path(config["engine"]["block"]).parent), "RuntimeDirectory"),
        ("journal_dir", config["engine"]["journal_dir"], "StateDirectory"),
    ):
        if directory and not Path(directory).is_dir():
            raise TickwireError(
                f"engine.{key}: directory {directory} does not exist; create it (systemd: {unit}=tickwire)"
            )
    with _own(config["engine"]["block"]):
        Runner(config).run()
