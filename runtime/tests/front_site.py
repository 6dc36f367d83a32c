# SPDX-License-Identifier: Apache-2.0
"""Both processes of one site on free loopback ports, for the end-to-end tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tickwire import _core

TIME_LIMIT_S = 30
TICKWIRE = [sys.executable, "-m", "tickwire"]

# A strategy with much to do, and limits that let it.
MAKER = 'name = "market_maker"\nsize = 100\nmax_position = 1000\nedge_bps = 5.0\nsymbols = ["TAAAA", "TAAAB", "TAAAC"]'
FREE = "max_orders_per_s = 100000\nmax_position = 1000000"


class Processes:
    """Starts tickwire commands, waits for their readiness by sd_notify, and leaves none behind."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.running: list[tuple[subprocess.Popen, Path]] = []
        self.env: dict[str, str] = {}  # what the next ones get beside this process's own

    def start(self, *args: str, until: bytes = b"READY=1", before: Sequence[str] = ()) -> subprocess.Popen:
        """A command, once it has said `until` by sd_notify; `before` is put before it, such as `ip netns exec`."""
        name = f"{args[0]}{len(self.running)}"
        path = str(self.directory / f"{name}.notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(path)
            ready.settimeout(0.2)
            deadline = time.monotonic() + TIME_LIMIT_S
            log = self.directory / f"{name}.log"
            with log.open("wb") as stream:
                process = subprocess.Popen(
                    [*before, *TICKWIRE, *args],
                    stderr=stream,
                    stdout=stream,
                    env={**os.environ, **self.env, "NOTIFY_SOCKET": path},
                )
            self.running.append((process, log))
            said = b""
            while until not in said:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                with contextlib.suppress(TimeoutError):
                    said = ready.recv(4096)
        return process

    def stop(self, process: subprocess.Popen, signum: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code after `signum`, and the log."""
        process.send_signal(signum)
        return process.wait(TIME_LIMIT_S), self.log(process)

    def log(self, process: subprocess.Popen) -> str:
        return next(log for known, log in self.running if known is process).read_text()

    def wait_log(self, process: subprocess.Popen, text: str) -> None:
        deadline = time.monotonic() + TIME_LIMIT_S
        while text not in (log := self.log(process)):
            assert time.monotonic() < deadline, log
            time.sleep(0.02)

    def close(self):
        for process, _ in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()


def tickwire(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([*TICKWIRE, *args], capture_output=True, text=True, timeout=60)


class Site:
    """Configurations of one exchange and one engine on free loopback ports.

    `more`: further lines for a table, such as engine_orders='version = "4.2"', exchange_feed="loss_a = 0.05".
    """

    def __init__(self, directory: Path, ports: list[int], password: str = "tickwire", **more: str):
        self.orders, self.control, self.feed = ports[:3]
        self.directory = directory
        self.block, self.state = str(directory / "t2t.block"), str(directory / "exchange.json")
        self.itch = str(directory / "feed.itch.gz")
        self.exchange, self.engine = str(directory / "exchange.toml"), str(directory / "engine.toml")
        Path(self.exchange).write_text(
            f"""
            [exchange]
            {more.get("exchange_exchange", "")}
            itch_file = "{self.itch}"
            block = "{self.state}"
            [feed]
            {more.get("exchange_feed", "")}
            group = "127.0.0.1"
            port = {self.feed}
            interface = "127.0.0.1"
            rate = 2000
            [orders]
            {more.get("exchange_orders", "")}
            address = "127.0.0.1"
            port = {self.orders}
            heartbeat_ms = 200
            [[orders.accounts]]
            username = "TRADE1"
            password = "tickwire"
            {more.get("exchange_account", "")}
            [control]
            port = {self.control}
            """
        )
        Path(self.engine).write_text(
            f"""
            [engine]
            {more.get("engine_engine", "")}
            cpu = -1
            block = "{self.block}"
            idle_after_ms = 1
            max_orders = 65536
            max_instruments = 64
            max_samples = 16384
            [feed]
            {more.get("engine_feed", "")}
            group = "127.0.0.1"
            port = {self.feed}
            interface = "127.0.0.1"
            [orders]
            {more.get("engine_orders", "")}
            host = "127.0.0.1"
            port = {self.orders}
            username = "TRADE1"
            password = "{password}"
            heartbeat_ms = 200
            [strategy]
            {more.get("engine_strategy", "")}
            [risk]
            {more.get("engine_risk", "")}
            """
        )

    def status(self, path: str) -> dict:
        return json.loads(tickwire("status", path, "--json").stdout)

    def bench(self, *more: str) -> subprocess.CompletedProcess:
        return tickwire(
            "bench", "t2t", "--block", self.block, "--exchange", f"127.0.0.1:{self.control}", "--timeout", "30", *more
        )

    def control_line(self, **request: Any) -> dict[str, Any]:
        """Send one command to the exchange's control port; its first answer."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=TIME_LIMIT_S) as client:
            client.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(client.makefile("rb").readline())
        assert "error" not in answer, answer
        return answer

    def replay(self, **request: Any) -> None:
        """Begin a replay, once the one before has ended."""
        deadline = time.monotonic() + TIME_LIMIT_S
        while self.control_line(command="status")["state"] != "idle":
            assert time.monotonic() < deadline, "the replay before goes on"
            time.sleep(0.02)
        self.control_line(command="replay", **request)

    def stop_replay(self) -> None:
        """End the replay that is running, if there is one."""
        if self.control_line(command="status")["state"] != "idle":
            with contextlib.suppress(AssertionError):  # it ended by itself in between
                self.control_line(command="stop")

    def read(self) -> dict[str, Any]:
        return _core.block_read(self.block)

    def wait(self, what: str, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        deadline = time.monotonic() + TIME_LIMIT_S
        while True:
            block = self.read()
            if condition(block):
                return block
            assert time.monotonic() < deadline, f"{what}: {block}"
            time.sleep(0.02)

    @property
    def journals(self) -> list[str]:
        """By day."""
        return sorted(str(path) for path in self.directory.glob("*.journal"))

    @property
    def journal(self) -> str:
        (path,) = self.journals
        return path
