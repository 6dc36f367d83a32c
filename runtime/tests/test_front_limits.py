# SPDX-License-Identifier: Apache-2.0
"""`tickwire limits` and `tickwire kill` on an engine that trades."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_exchange import soup
from core_messages import imbalance
from front_trader import Trader, until

from tickwire import _core, cli, config, limits, status
from tickwire.watch import Watcher


@pytest.fixture
def trader(tmp_path: Path) -> Iterator[Trader]:
    trader = Trader(tmp_path / "t2t.block")
    yield trader
    trader.stop()


class Command:
    """The command line, and what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *args: str, code: int = 0) -> str:
        assert cli.main(args) == code
        said = self.capsys.readouterr()
        if code:
            assert said.err.count("\n") == 1 and said.err.startswith("tickwire: ") and said.out == ""
            return said.err
        assert said.err == ""
        return said.out


@pytest.fixture
def tickwire(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


class Feed:
    """One more order, or one more refusal, at a time."""

    def __init__(self, trader: Trader) -> None:
        self.trader, self.next, self.sent = trader, 1, 0

    def _message(self, messages: list[bytes]) -> None:
        before = self.trader.read()
        for message in messages:
            self.trader.exchange.send_feed(_core.mold_encode("DAY1", self.trader.sequence, [message]))
            self.trader.sequence += 1
        until(lambda: self.trader.read()["messages"] == before["messages"] + len(messages))

    def provoke(self, **expected: int) -> None:
        """The strategy wants one order more; `expected` are the counters that change by it, and how."""
        before = self.trader.read()
        messages = imbalance(self.next, 2)
        self._message(messages if self.next == 1 else messages[2:])
        self.next += 100
        until(lambda: all(self.trader.read()[name] == before[name] + more for name, more in expected.items()))
        after = self.trader.read()
        changed = {
            name: after[name] - before[name]
            for name in before
            if (name.startswith("risk_") or name == "orders_sent") and after[name] != before[name]
        }
        assert changed == expected


def test_a_changed_limit_is_in_force_when_the_command_returns(trader: Trader, tickwire: Command) -> None:
    feed = Feed(trader)
    feed.provoke(orders_sent=2)
    out = tickwire("limits", trader.block, "--set", "max_size=99", "--set", "max_notional_usd=12345.5")
    assert ": in force" in out and "max_size                          99" in out and "12,345.50" in out
    feed.provoke(risk_size=2)
    out = json.loads(tickwire("limits", trader.block, "--set", "max_size=100", "--json"))
    assert out["limits"]["max_size"] == 100 and out["limits"]["max_notional_usd"] == 12345.5
    assert out["running"] and out["engine_version"] == out["version"]
    feed.provoke(orders_sent=2)


def test_the_restricted_list(trader: Trader, tickwire: Command) -> None:
    feed = Feed(trader)
    feed.provoke(orders_sent=2)
    assert "TICK, ZVZZT" in tickwire("limits", trader.block, "--restrict", "ZVZZT", "--restrict", "TICK")
    feed.provoke(risk_restricted=2)
    assert "--allow TOCK: is not on the restricted list" in tickwire(
        "limits", trader.block, "--allow", "TOCK", "--restrict", "A", code=1
    )
    assert "TICK, ZVZZT" in tickwire("limits", trader.block)
    out = tickwire("limits", trader.block, "--allow", "TICK")
    assert "TICK" not in out and "ZVZZT" in out
    feed.provoke(orders_sent=2)


def test_a_kill_stops_orders_until_it_is_taken_back_and_outlives_the_engine(
    trader: Trader, tickwire: Command, tmp_path: Path
) -> None:
    feed = Feed(trader)
    feed.provoke(orders_sent=2)
    assert "killed; the engine confirms: no order goes out" in tickwire("kill", trader.block, "--reason", "fat finger")
    assert trader.read()["killed"]
    feed.provoke(risk_killed=2)
    assert ": fat finger" in tickwire("limits", trader.block)
    trader.stop()
    again = Trader(tmp_path / "t2t.block")
    try:
        until(lambda: again.read()["killed"])
        feed = Feed(again)
        feed.provoke(risk_killed=2)
        assert "revived; the engine confirms" in tickwire("kill", again.block, "--revive")
        feed.provoke(orders_sent=2)
        assert not again.read()["killed"]
    finally:
        again.stop()
    assert "killed; no engine is running; the next one starts killed" in tickwire("kill", again.block)
    out = tickwire("limits", again.block)
    assert "no engine is running" in out and "yes: " in out
    assert "revived; no engine is running; the next one may trade" in tickwire("kill", again.block, "--revive")


def test_the_reason_of_a_kill_is_one_line(trader: Trader, tickwire: Command) -> None:
    tickwire("kill", trader.block, "--reason", "fat\n finger ")
    assert tickwire("limits", trader.block).splitlines()[-1].endswith(": fat finger")


def test_the_log_has_limits_in_the_units_of_the_configuration(
    trader: Trader, tickwire: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config.engine_defaults()
    settings["engine"]["block"] = trader.block
    watcher = Watcher(settings, _core.Control(f"{trader.block}.control"))
    watcher.look()
    tickwire("limits", trader.block, "--set", "max_notional_usd=2500.5", "--restrict", "TICK")
    with caplog.at_level("INFO"):
        watcher.look()
    assert "max_size 1000, max_notional_usd 2500.5, collar_bps" in caplog.text and "restricted TICK" in caplog.text


def test_gaps_that_close_all_the_time_do_not_fill_the_log(
    trader: Trader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watcher = Watcher(config.engine_defaults(), _core.Control(f"{trader.block}.control"))
    block = trader.read()
    with caplog.at_level("INFO"):
        for closed in range(1, 50):
            watcher._feed({**block, "gaps_closed": closed})
        now[0] += 10
        watcher._feed({**block, "gaps_closed": 50})
    said = [record.getMessage() for record in caplog.records if "gaps closed" in record.getMessage()]
    assert [text.split(" (")[0] for text in said] == [
        "feed: 1 gaps closed without loss",
        "feed: 49 gaps closed without loss",
    ]


def test_answers_of_another_version_are_said_once(
    trader: Trader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config.engine_defaults()
    settings["engine"]["block"] = trader.block
    watcher = Watcher(settings, _core.Control(f"{trader.block}.control"))
    watcher.look()
    for count in (1, 2):
        trader.exchange.send_orders(soup(b"S", b"A" * 65))  # Accepted of 4.2 has 66 bytes, of 5.0 other ones
        until(lambda count=count: trader.read()["answers_damaged"] == count)
        watcher.look()
    said = [record.getMessage() for record in caplog.records if "OUCH" in record.getMessage()]
    assert len(said) == 1 and "no message of OUCH 5.0" in said[0] and said[0].endswith("correct orders.version")


def test_an_engine_that_hangs_is_said_once_and_that_it_moves_again(
    trader: Trader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = Watcher(config.engine_defaults(), _core.Control(f"{trader.block}.control"))
    block = trader.read()
    for shown_ns in (0, 10**6, time.monotonic_ns(), time.monotonic_ns()):
        watcher._pulse({**block, "shown_ns": shown_ns})
    hangs, moves = (record.getMessage() for record in caplog.records)
    assert re.match(r"the engine hangs since \d\d:\d\d:\d\d: no order and no cancel goes out; .*engine.cpu -1", hangs)
    assert re.fullmatch(r"the engine moves again after \d+\.\d s", moves)
    watcher._pulse({**block, "shown_ns": 0, "state": "stopped"})
    assert len(caplog.records) == 2, "one that has ended does not hang"


def test_limits_of_an_engine_that_does_not_run_cannot_be_changed(trader: Trader, tickwire: Command) -> None:
    trader.stop()
    said = tickwire("limits", trader.block, "--set", "max_size=1", code=1)
    assert "no engine is running on it" in said and "change [risk] there" in said
    assert "max_size                       1,000" in tickwire("limits", trader.block)


def test_an_engine_that_does_not_answer_is_named(
    trader: Trader, tickwire: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = status.read(trader.block)
    monkeypatch.setattr(status, "read", lambda path: frozen)
    monkeypatch.setattr(limits, "PATIENCE_S", 0.05)
    said = tickwire("limits", trader.block, "--set", "max_size=99", code=1)
    assert "is set, but t2t (process" in said and "has not taken it within 0.05 s" in said
    assert "not taken yet: the engine has version" in tickwire("limits", trader.block)
    assert '"killed" is set, but t2t' in tickwire("kill", trader.block, code=1)
    frozen["state"] = "login"
    assert "killed; the engine has no order session now" in tickwire("kill", trader.block)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["max_size=0"], "--set: max_size: 0 is outside 1..999999"),
        (["max_size=1.5"], "--set: max_size: must be an integer, not 1.5"),
        (["max_size="], "--set: max_size: must be an integer, not ''"),
        (["max_notional_usd=lots"], "--set: max_notional_usd: must be a number, not 'lots'"),
        (["max_notional_usd=nan"], "--set: max_notional_usd: nan is outside"),
        (["collar_bps=10001"], "--set: collar_bps: 10001 is outside 1..10000"),
        (["collar=5"], "--set: collar: unknown key; did you mean 'collar_bps'?"),
        (["max_size"], "--set max_size: is not NAME=VALUE, such as max_size=500"),
        (["restricted=A"], "--set restricted: is not changed by --set; use --restrict and --allow"),
        (["kill_file=/x"], "--set kill_file: is not changed by --set; use the configuration and a restart"),
    ],
)
def test_wrong_values_are_refused_by_the_rules_of_the_configuration(
    pairs: list[str], said: str, tickwire: Command
) -> None:
    args = [word for pair in pairs for word in ("--set", pair)]
    assert said in tickwire("limits", "absent.block", *args, code=1)


def test_wrong_symbols_and_files_are_refused(tickwire: Command, tmp_path: Path) -> None:
    assert "--restrict: restricted: 'tick' must be a symbol" in tickwire(
        "limits", "absent", "--restrict", "tick", code=1
    )
    assert "--allow: restricted: 'NINECHARS' has 9" in tickwire("limits", "absent", "--allow", "NINECHARS", code=1)
    for command in ("limits", "kill"):
        assert "absent.control: No such file or directory; the engine makes it" in tickwire(command, "absent", code=1)
    (tmp_path / "b.control").write_bytes(b"something else")
    assert "b.control: has 14 bytes, where one of this release has " in tickwire("kill", str(tmp_path / "b"), code=1)


def test_every_limit_of_the_configuration_is_known_here() -> None:
    risk: Any = config.ENGINE["risk"]
    assert set(limits.UNITS) == set(risk) - {"restricted", "kill_file"}


def test_usd_and_the_core_agree() -> None:
    assert limits._to_core({"max_notional_usd": 1234.5678, "max_size": 3}) == {"max_notional": 12345678, "max_size": 3}
    core = {name.removesuffix("_usd"): 7 for name in limits.UNITS}
    assert limits._to_core(limits.from_core(core)) == core
