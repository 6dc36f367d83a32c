# SPDX-License-Identifier: Apache-2.0
"""The wall clock steps and the disk fails under both processes, by a preloaded library (`c/shim.c`)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import core_samples
import pytest
from front_copy import compare
from front_shim import Shim
from front_site import FREE, MAKER, Processes, Site

from tickwire import _core, engine

HOUR_S, DAY_S = 3600, 86400


def more_orders(site: Site, count: int = 30) -> dict[str, Any]:
    """Wait until so many more requests were sent, and answered."""
    before = site.read()
    asked = before["orders_sent"] + before["replaces_sent"] + before["cancels_sent"]
    return site.wait(
        "orders",
        lambda block: (
            block["orders_sent"] + block["replaces_sent"] + block["cancels_sent"] >= asked + count
            and block["orders_accepted"] > before["orders_accepted"]
        ),
    )


def beats(site: Site) -> None:
    before = site.read()
    for direction in ("heartbeats_out", "heartbeats_in"):
        site.wait(direction, lambda block, name=direction: block[name] > before[name])


def test_a_wall_clock_that_steps_changes_nothing(quoting: Any, processes: Processes, shim: Shim) -> None:
    site, copy_path = quoting(engine_feed="silent_ms = 2000", engine_risk=f"{FREE}\nduplicate_ms = 1")
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    assert str(shim.library) in Path(f"/proc/{engine.pid}/maps").read_text()
    site.replay(rate=2500)
    more_orders(site)
    for shift_s in (HOUR_S, -HOUR_S):
        shim.set(shift_s)
        more_orders(site)
    block = site.wait("the end", lambda block: block["feed_ended"])
    beats(site)
    assert block["messages"] == 4000 and not block["silent"] and not block["stale"] and block["state"] == "live"
    for counter in ("gaps", "messages_lost", "book_errors", "orders_unsent", "orders_rejected", "answers_damaged"):
        assert block[counter] == 0, counter

    # Both stamps of a sample are the kernel's, which no step of the clock of these processes moves.
    samples = list(core_samples.unpack(site.block))
    assert len(samples) == block["samples"] > 60 and block["samples_dropped"] == 0
    now_ns = time.time_ns()
    for sample in samples:
        assert sample.receive_ns < sample.transmit_ns < now_ns
        assert sample.transmit_ns - sample.receive_ns < HOUR_S * 10**9 / 2

    copy = compare(site, copy_path)
    assert len(copy.entered) > 60
    stamps = [json.loads(line)["time_ns"] for line in copy_path.read_text().splitlines()]
    steps = [round((b - a) / 1e9 / HOUR_S) for a, b in zip(stamps, stamps[1:], strict=False)]
    assert [step for step in steps if step] == [1, -2], "the exchange has seen the clock step"
    code, log = processes.stop(engine)
    assert code == 0 and "next attempt" not in log and "silent" not in log and "0 still open" in log, log


def seconds_to_midnight() -> int:
    return DAY_S - int(time.time()) % DAY_S


@pytest.mark.parametrize("version", ["5.0", "4.2"])
def test_the_journal_of_the_day_stays_in_use_over_midnight(
    quoting: Any, processes: Processes, shim: Shim, version: str
) -> None:
    site, copy_path = quoting(version)
    evening = seconds_to_midnight() - HOUR_S // 2
    shim.set(evening)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=2000)
    more_orders(site)
    shim.set(evening + HOUR_S)
    block = more_orders(site)
    assert block["state"] == "live"
    (before,) = site.journals
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    site.stop_replay()

    # The new day has a journal of its own, and the exchange's replay of its session fills it.
    engine = processes.start("run", site.engine)
    site.wait("settled", lambda block: block["state"] == "live" and block["unsure_orders"] == 0)
    assert len(site.journals) == 2 and site.journals[0] == before
    compare(site, copy_path)
    used = _core.journal_read(site.journals[0])["last_reference"]
    sent = len(compare(site, copy_path).entered)
    site.replay(rate=4000)
    more_orders(site)
    site.stop_replay()
    copy = compare(site, copy_path)
    assert min(copy.entered[sent:]) > used
    code, log = processes.stop(engine)
    assert code == 0 and "0 still open" in log, log
    assert compare(site, copy_path).open == {}


def test_a_disk_that_does_not_write_stops_nothing(make: Any, processes: Processes, shim: Shim) -> None:
    site = make(engine_strategy=MAKER, engine_risk=FREE)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=500)
    more_orders(site)
    shim.set(disk_error=5)
    line = "journal: fdatasync: Input/output error; trading goes on, but a loss of power would lose order state"
    processes.wait_log(engine, line)
    block = more_orders(site)
    assert block["orders_unsent"] == 0 and block["state"] == "live"
    code, log = processes.stop(engine)
    assert code == 0 and log.count(line) == 1, log


def test_the_journal_is_made_ready_many_times_between_two_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders come faster than what is made ready at a time lasts from one write to the disk to the next."""
    calls: list[str] = []

    class Engine:
        def ahead(self) -> None:
            calls.append("ahead")

        def sync(self) -> None:
            calls.append("sync")
            if calls.count("sync") == 2:
                runner.stopping.set()

    runner: Any = object.__new__(engine.Runner)
    runner.stopping, runner.engine = threading.Event(), Engine()
    monkeypatch.setattr(engine, "_SYNC_S", 0.2)
    monkeypatch.setattr(engine, "_AHEAD_S", 0.01)
    runner._write()
    first, second, *_ = "".join("a" if call == "ahead" else " " for call in calls).split()
    assert len(first) > 1 and len(second) > 1 and calls[-1] == "sync"
