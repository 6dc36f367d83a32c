# SPDX-License-Identifier: Apache-2.0
"""The engine at work asks the kernel for nothing but packets and sends: no page fault, no other system call."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_exchange import Exchange
from core_messages import imbalance
from test_core_engine_loopback import Running, until

from tickwire import _core

MESSAGES = imbalance(first=1, count=600)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = Exchange()
    yield exchange
    exchange.close()


@pytest.fixture
def running(exchange: Exchange, tmp_path: Path) -> Iterator[Running]:
    settings = {"journal": str(tmp_path / "j"), "journal_name": "TRADE1 20240102", "journal_records": 1 << 16}
    running = Running(exchange, tmp_path / "t2t.block", engine=settings).start()
    running.wait_for("state", "live")
    yield running
    running.stop()


def engine_thread(running: Running) -> int:
    thread = running.thread
    assert isinstance(thread, threading.Thread) and thread.native_id is not None
    return thread.native_id


def faults(thread: int) -> tuple[int, int]:
    """Minor and major page faults of a thread of this process; proc(5)."""
    fields = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7]), int(fields[9])


def feed(exchange: Exchange, running: Running, first: int, end: int, orders: int) -> None:
    for at in range(first, end, 2):
        exchange.send_feed(_core.mold_encode("DAY1", at + 1, MESSAGES[at : at + 2]))
        if at % 100 == 0:
            time.sleep(0.002)
    running.wait_for("orders_accepted", orders)


def test_no_page_fault_once_it_runs(exchange: Exchange, running: Running) -> None:
    feed(exchange, running, 0, 202, 100)
    before = faults(engine_thread(running))
    feed(exchange, running, 202, 1202, 600)
    assert faults(engine_thread(running)) == before
    assert running.read()["journal_records"] >= 1200


def test_no_system_call_but_the_transports(exchange: Exchange, running: Running, tmp_path: Path) -> None:
    feed(exchange, running, 0, 202, 100)
    log = tmp_path / "strace"
    trace = subprocess.Popen(
        ["strace", "-o", str(log), "-p", str(engine_thread(running))], stderr=subprocess.PIPE, text=True
    )
    assert trace.stderr is not None
    said = trace.stderr.readline()
    if "attached" not in said:
        trace.wait(10)
        pytest.skip(f"strace cannot attach here: {said.strip()}")
    feed(exchange, running, 202, 1202, 600)
    trace.terminate()
    trace.wait(10)
    calls = set(re.findall(r"^(\w+)\(", log.read_text(), re.MULTILINE))
    assert "sendto" in calls
    assert calls <= {"recvmsg", "recvfrom", "sendto", "poll", "restart_syscall"}, calls
    until(lambda: running.read()["orders_sent"] == 600, "orders")
