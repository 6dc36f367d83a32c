# SPDX-License-Identifier: Apache-2.0
"""`tickwire status`, once and live, over blocks that real engines write on loopback."""

from __future__ import annotations

import io
import itertools
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import core_samples
import pytest
from core_messages import imbalance
from front_trader import PATIENCE_S, Trader, until

from tickwire import _core, cli, live, status
from tickwire.bench import samples, stats


@pytest.fixture
def block(tmp_path: Path) -> Path:
    return tmp_path / "t2t.block"


@pytest.fixture
def trader(block: Path) -> Iterator[Trader]:
    trader = Trader(block)
    yield trader
    trader.stop()


class Watch:
    """A view whose clock stands still unless told."""

    def __init__(self, block: Path) -> None:
        self.now = 1000.0
        self.view = live.View(str(block), lambda: self.now, lambda: "12:30:00")

    def after(self, seconds: float) -> str:
        self.now += seconds
        lines = self.view.lines()
        assert all(len(line) <= status.WIDTH for line in lines if not line.startswith(("waiting", "/"))), lines
        return "\n".join(lines)


def latency_row(text: str) -> list[str]:
    return next(line for line in text.splitlines() if "stamps" in line).split("stamps")[1].split()


def latency_of(block: Path) -> list[str]:
    """The same from the samples in the block, by the statistics of the bench."""
    figures = stats.summary(samples.read(_core.block_samples(str(block))).latencies)
    shown = [figures[f"{name}_ns"] for name in ("min", "median", "p99", "p99_9", "max")]
    # a busy machine needs milliseconds
    return ["-" if ns is None else f"{ns / 1000:.3f}" if ns < 10_000_000 else f"{ns / 1000:,.0f}" for ns in shown]


def test_rates_and_percentiles_over_several_intervals_and_a_restart(block: Path, trader: Trader) -> None:
    watch = Watch(block)
    first = watch.after(0)
    assert "/s" not in first and "t2t  live" in first and "FEED" in first and "no packet yet" in first

    messages = imbalance(1, 20)  # 42 messages, 20 orders
    trader.feed(messages, 20)
    text = watch.after(2)
    assert re.search(r"messages +42 +21\.0/s +accepted|messages +42 +21\.0/s +sent +20 +10\.0/s", text)
    assert re.search(r"packets +42 +21\.0/s", text)
    assert re.search(r"refused +0 +0/s", text)
    assert "FEED DAY1" in text and " ok " in text and "trading" in text

    assert latency_row(text) == latency_of(block)
    assert next(line for line in text.splitlines() if "stamps" in line).startswith("20, software stamps")

    text = watch.after(5)
    assert re.search(r"messages +42 +0/s", text)
    trader.feed(imbalance(100, 5)[2:], 25)  # further orders on the same book
    text = watch.after(0.5)
    assert re.search(r"messages +52 +20\.0/s", text) and re.search(r"sent +25 +10\.0/s", text)
    assert latency_row(text) == latency_of(block)
    assert re.search(r"^TICK +100 +1\.0000 +1\.0010 +100", text, re.MULTILINE)

    trader.stop()
    text = watch.after(1)
    assert "not running" in text and "/s" not in text
    again = Trader(block)  # another file under the name
    try:
        text = watch.after(1)
        assert "t2t  live" in text and "/s" not in text and re.search(r"messages +0 ", text)
        again.feed(messages, 20)
        text = watch.after(4)
        assert re.search(r"messages +42 +10\.5/s", text) and re.search(r"sent +20 +5\.0/s", text)
    finally:
        again.stop()
    third = Trader(block)
    try:
        third.feed(imbalance(1, 30), 30)  # it has already counted more than the one before
        assert "/s" not in watch.after(1)
        assert re.search(r"messages +62 +0/s", watch.after(1))
    finally:
        third.stop()


def test_counters_that_go_back_have_no_rate(trader: Trader, block: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another engine that cannot be told from the one before: process ids and inodes come again."""
    watch = Watch(block)
    trader.feed(imbalance(1, 4), 4)
    watch.after(1)
    younger = {**status.read(str(block)), "messages": 3}
    monkeypatch.setattr(status, "read", lambda path: younger)
    assert "/s" not in watch.after(1)


def test_percentiles_are_those_of_the_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    latencies = [(7919 * n) % 100_003 for n in range(2500)]
    raw = core_samples.pack(core_samples.Sample(1000, 1000 + latency) for latency in latencies)
    monkeypatch.setattr(_core, "block_samples", lambda path: raw)
    shown, figures = status.percentiles("any"), stats.summary(latencies)
    assert shown is not None and (shown.pop("samples"), shown.pop("clock")) == (2500, "software")
    assert shown == {name: figures[f"{name}_ns"] for name in ("min", "median", "p99", "p99_9", "max")}
    assert len(set(shown.values())) == 5


def test_an_engine_that_does_not_exist_yet_is_waited_for(block: Path, tmp_path: Path) -> None:
    watch = Watch(block)
    assert watch.after(1).startswith(f"waiting for {block}\n\n{block}: No such file")
    block.write_bytes(b"half a block")
    assert "neither an engine's block nor" in watch.after(1)
    trader = Trader(block)
    try:
        assert "t2t  live" in watch.after(1)
        assert re.search(r"messages +0 +0/s", watch.after(1))
        block.rename(tmp_path / "moved")
        assert watch.after(1).startswith("waiting for")
        (tmp_path / "moved").rename(block)
        assert "/s" not in watch.after(1)
    finally:
        trader.stop()


def test_follow_prints_a_picture_every_interval_and_does_not_make_up_for_lost_ones(trader: Trader, block: Path) -> None:
    watch, out, slept = Watch(block), io.StringIO(), []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        watch.now += seconds if len(slept) != 2 else 60.0
        if len(slept) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live.follow(watch.view, 1.5, out, sleep)
    assert slept == [1.5, 1.5, 0.0, 1.5]
    assert out.getvalue().count("t2t  live") == 4 and out.getvalue().count("\n\nt2t  live") == 3
    assert "\x1b" not in out.getvalue()


def test_the_table_of_a_running_and_of_a_stopped_engine(
    trader: Trader, block: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trader.feed(imbalance(1, 4), 4)
    assert cli.main(["status", str(block)]) == 0
    out = capsys.readouterr().out
    assert "t2t  live" in out and re.search(r"sent +4\n", out) and "refused by" not in out
    assert cli.main(["status", str(block), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["component"] == "engine" and state["orders_sent"] == 4 and state["limits_version"] >= 0
    assert {"stale", "silent", "killed", "positions", "risk_position", "legs_sent", "journal_room"} <= set(state)
    trader.stop()
    assert cli.main(["status", str(block)]) == 1
    captured = capsys.readouterr()
    assert "not running (was stopped)" in captured.out and "t2t is not running (state stopped" in captured.err


def state_of(trader: Trader, **changed: Any) -> dict[str, Any]:
    state = {"component": "engine", "alive": True, **trader.read(), **changed}
    for top in state["top"]:
        top.setdefault("trading_state", "H" if top["stock"] == "FLAT" else "T")
    return state


def test_the_widest_picture_fits_and_says_everything(trader: Trader) -> None:
    most, high = 10**12 - 1, 1999999999
    state = state_of(
        trader,
        **{name: most for name, value in trader.read().items() if isinstance(value, int) and name != "pid"},
    )
    state |= {
        "name": "n" * 31,
        "state": "starting",
        "stale": True,
        "silent": True,
        "killed": True,
        "full": True,
        "strategy": "s" * 63,
        "pid": 4194304,
        "limits_version": 2**32 - 1,
        "memory": "hugepages",
        "feed_session": "SESSION010",
        "timestamp_source": "hardware",
        "samples": 2**26,
        "top": [
            {"locate": 1, "stock": "TICKWIRE", "bid": high, "bid_size": 10**7, "ask": high, "ask_size": 10**7},
            {"locate": 2, "stock": "ONESIDED", "bid": 10000, "bid_size": 1, "ask": 0, "ask_size": 0},
            {"locate": 3, "stock": "FLAT", "bid": 10000, "bid_size": 1, "ask": 10100, "ask_size": 2},
        ],
        "positions": [
            {"stock": "TICKWIRE", "shares": -1000000, "cash": 10**18, "open_buys": 0, "open_sells": 0},
            {"stock": "ONESIDED", "shares": 5, "cash": -5, "open_buys": 0, "open_sells": 0},
            {"stock": "NOBOOK", "shares": 5, "cash": -5, "open_buys": 0, "open_sells": 0},
        ],
    }  # fmt: skip
    state = state_of(trader, **state)
    rates = dict.fromkeys(status.RATES, 123456789.0)
    latency = {
        "clock": "hardware",
        "samples": 5,
        "min": 1,
        "median": 1000,
        "p99": 9_999_999,
        "p99_9": 10_000_000,
        "max": 10**12,
    }
    lines = status.picture(state, rates, latency, "12:30:00")
    assert max(map(len, lines)) <= status.WIDTH, lines
    text = "\n".join(lines)
    said = " ".join(text.split())
    for part in (
        "TICKWIRE    10.0M  200000.00  200000.00    10.0M    -1.0M",
        " HANGS\n",
        "STALE, SILENT",
        "halted: FLAT",
        *("killed until", "not logged in", "the books miss messages", "is full", "failed and is not called"),
        "hardware stamps",
        "limits 4294967295",
        "12:30:00",
    ):
        assert part in text or part in said, part
    assert [line.split()[0] for line in lines[-4:]] == ["TICKWIRE", "ONESIDED", "NOBOOK", "FLAT"]
    assert re.search(r"0\.001 +1\.000 +9999\.999 +10,000 +1,000\.0 s$", text, re.MULTILINE)


def test_positions_are_valued_at_the_mid(trader: Trader) -> None:
    state = state_of(
        trader,
        top=[{"locate": 1, "stock": "TICK", "bid": 100_000, "bid_size": 1, "ask": 100_300, "ask_size": 1}],
        positions=[{"stock": "TICK", "shares": -200, "cash": 20_100_000, "open_buys": 0, "open_sells": 0}],
        risk_rate=3,
        risk_open_orders=12,
    )
    lines = status.picture(state)
    assert lines[-1].split() == ["TICK", "1", "10.0000", "10.0300", "1", "-200", "-2,003.00", "7.00"]
    assert "refused by risk: open orders 12, rate 3" in lines
    assert len(lines) <= 24


def test_what_keeps_orders_from_going_out_is_said(trader: Trader, block: Path) -> None:
    def said(*words: str) -> None:
        """The first of them stands at the top of the orders, the others below it and in the JSON."""
        until(lambda: list(status.obstacles(trader.read())) == list(words))
        state = status.read(str(block))
        assert state["trading"] == (not words) and len(state["not_trading"]) == len(words)
        lines = status.picture(state)
        assert re.search(rf"ORDERS +{words[0] if words else 'trading'}$", lines[1])
        text = " ".join(" ".join(lines).split())
        assert all(reason in text for reason in state["not_trading"])
        assert ("no order goes out" in text) == bool(words)

    said("no feed")
    trader.feed(imbalance(1, 4), 4)
    said()
    state = {"stock_locate": 1, "stock": "TICK", "trading_state": "H"}
    trader.feed([_core.itch_encode({"type": "H", **state})], 4)
    said("HALTED")
    assert "halted: TICK" in status.picture(trader.read() | {"alive": True})
    trader.feed([_core.itch_encode({"type": "H", **state, "trading_state": "T"})], 4)
    said()
    trader.sequence += 3  # a gap that nobody closes
    trader.exchange.send_feed(_core.mold_encode("DAY1", trader.sequence, []))
    said("STALE FEED")
    control = _core.Control(f"{block}.control")
    control.kill("test")
    said("KILLED", "STALE FEED")
    assert trader.exchange.connection is not None
    trader.exchange.connection.shutdown(socket.SHUT_RDWR)
    said("KILLED", "no session", "STALE FEED")


def test_a_small_terminal_shows_what_fits_and_says_so() -> None:
    lines = [f"line {n}" for n in range(10)]
    assert live.fit(lines, 80, 10) == lines
    assert live.fit(lines, 4, 10) == ["line"] * 10
    assert live.fit(lines, 80, 4)[:3] == lines[:3]
    assert live.fit(lines, 80, 4)[3].startswith("... 7 more lines")


def test_paint_moves_nothing() -> None:
    line = "t2t  live  KILLED      FEED X   STALE, SILENT   ok"
    painted = live.paint(line)
    assert "\x1b[32mlive\x1b[0m" in painted and "\x1b[1;31mKILLED\x1b[0m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == line


def test_a_machine_too_slow_for_the_interval_never_sleeps_less_than_nothing(tmp_path: Path) -> None:
    """Every look at the clock is later than a whole interval: time.sleep would refuse what is left of it."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    ticks = itertools.count(0.0, 10.0)
    view = live.View(str(tmp_path / "none.block"), clock=lambda: next(ticks))
    with pytest.raises(KeyboardInterrupt):
        live.follow(view, 0.05, io.StringIO(), sleep)
    assert min(slept) >= 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_on_a_terminal_it_draws_in_place_and_leaves_it_as_it_was(trader: Trader, block: Path, signum: int) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tickwire", "status", str(block), "--live", "--interval", "0.05"],
        stdout=follower,
        stderr=follower,
        stdin=follower,
    )
    os.close(follower)
    drawn = b""

    def read() -> bool:
        """One piece more of what it draws; False when there will be none."""
        nonlocal drawn
        assert select.select([leader], [], [], PATIENCE_S)[0], "nothing is drawn any more"
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other side is closed
            return False
        drawn += piece
        return bool(piece)

    try:
        while drawn.count(b"\x1b[H") < 3:
            assert read(), drawn
        process.send_signal(signum)
        while read():
            pass
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    text = drawn.decode()
    assert text.startswith("\x1b[?1049h\x1b[?25l\x1b[H") and text.endswith("\x1b[?25h\x1b[?1049l")
    pictures = text.removeprefix("\x1b[?1049h\x1b[?25l").removesuffix("\x1b[?25h\x1b[?1049l").split("\x1b[H")[1:]
    for picture in pictures[:-1]:
        assert picture.endswith("\x1b[K\x1b[J") and "t2t" in picture and "\x1b[2J" not in picture
