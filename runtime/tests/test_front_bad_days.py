# SPDX-License-Identifier: Apache-2.0
"""Bad days, with the real processes over loopback: every row of docs/bad-days.md that needs both of them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from front_copy import compare
from front_site import FREE, MAKER, Processes, tickwire

from tickwire import _core, config


@pytest.mark.parametrize("version", ["5.0", "4.2"])
def test_killed_in_the_middle_of_orders_it_goes_on_where_it_was(
    quoting: Any, processes: Processes, version: str
) -> None:
    site, copy_path = quoting(version)
    processes.start("exchange", site.exchange)
    for _ in range(2):
        engine = processes.start("run", site.engine)
        before = site.read()["orders_sent"]
        site.replay(rate=4000)
        site.wait("orders", lambda block, before=before: block["orders_sent"] + block["replaces_sent"] >= before + 60)
        os.kill(engine.pid, signal.SIGKILL)
        engine.wait()
        site.stop_replay()
        time.sleep(0.1)
    engine = processes.start("run", site.engine)
    block = site.wait("settled", lambda block: block["state"] == "live" and block["unsure_orders"] == 0)
    assert block["orders_sent"] == 0, "nothing is sent again"
    copy = compare(site, copy_path)
    assert len(copy.entered) > 60
    code, log = processes.stop(engine)
    assert code == 0, log
    copy = compare(site, copy_path)
    assert copy.open == {}, "a clean stop leaves nothing open"


def test_fills_move_the_position_and_quotes_are_replaced_and_cancelled(quoting: Any, processes: Processes) -> None:
    site, copy_path = quoting()
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    done = site.bench("--rate", "4000", "--json")
    assert done.returncode == 0, done.stderr
    block = site.read()
    assert min(block[name] for name in ("orders_sent", "replaces_sent", "orders_replaced", "orders_accepted")) > 0, (
        block
    )
    assert block["messages_lost"] == block["orders_unsent"] == 0
    compare(site, copy_path)
    code, log = processes.stop(engine)
    assert code == 0 and "0 still open" in log, log
    assert compare(site, copy_path).open == {}


def test_two_lines_and_the_request_server_lose_nothing(
    make: Any, processes: Processes, tmp_path: Path, free_ports: Any
) -> None:
    line_b, requests = free_ports(2)
    site = make(
        exchange_feed=f'group_b = "127.0.0.1"\nport_b = {line_b}\nrequest_port = {requests}\n'
        "loss_a = 0.05\nloss_b = 0.05",
        engine_feed=f'group_b = "127.0.0.1"\nport_b = {line_b}\nrequest_host = "127.0.0.1"\nrequest_port = {requests}\n'
        "gap_timeout_ms = 5000",
    )
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    done = site.bench("--rate", "4000", "--json")
    assert done.returncode == 0, done.stderr
    result, block = json.loads(done.stdout), site.read()
    assert result["feed"]["messages"] == 4000 and block["messages_lost"] == 0 and not block["stale"]
    assert block["gaps"] == block["gaps_closed"] > 0 and block["packets_b"] > 0 and block["packets_requested"] > 0
    assert block["book_errors"] == 0
    assert processes.stop(engine)[0] == 0


def test_a_session_that_drops_is_resumed_without_losing_an_answer(quoting: Any, processes: Processes) -> None:
    site, copy_path = quoting()
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=1000)
    site.wait("orders", lambda block: block["orders_sent"] >= 10)
    # A second login of the same user closes the first connection, as if the line had broken.
    rival = _core.soup_login("TRADE1", "tickwire", "", 1)
    with socket.create_connection(("127.0.0.1", site.orders), timeout=10) as other:
        other.sendall(rival)
        other.recv(100)
        site.wait("lost", lambda block: block["state"] == "login")
    site.wait("back", lambda block: block["state"] == "live")
    site.stop_replay()
    block = site.wait("quiet", lambda block: block["unsure_orders"] == 0)
    assert block["gaps"] == 0, "the feed was read all the time"
    compare(site, copy_path)
    code, log = processes.stop(engine)
    assert code == 0 and "next attempt in 0.1 s" in log, log


@pytest.mark.parametrize("way", ["signal", "file", "command"])
def test_trading_stops_at_once_in_each_of_three_ways(make: Any, processes: Processes, tmp_path: Path, way: str) -> None:
    kill_file = tmp_path / "STOP"
    site = make(engine_strategy=MAKER, engine_risk=f'{FREE}\nkill_file = "{kill_file}"')
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=1000)
    site.wait("orders", lambda block: block["orders_sent"] >= 5)
    if way == "signal":
        engine.send_signal(signal.SIGUSR1)
    elif way == "file":
        kill_file.touch()
    else:
        done = tickwire("kill", site.block)
        assert done.returncode == 0, done.stderr
    block = site.wait("killed, nothing open", lambda block: block["killed"] and block["open_orders"] == 0)
    sent = block["orders_sent"] + block["replaces_sent"]
    block = site.wait("refused", lambda block: block["risk_killed"] > 0)
    if way == "file":
        done = tickwire("kill", "--revive", site.block)
        assert done.returncode == 1 and "the engine's risk.kill_file is there; remove it" in done.stderr, done.stderr
        time.sleep(0.3)
        block = site.read()
        assert block["killed"]
    assert block["orders_sent"] + block["replaces_sent"] == sent
    code, log = processes.stop(engine)
    assert code == 0 and "killed: no order goes out" in log, log
    kill_file.unlink(missing_ok=True)
    processes.start("run", site.engine)
    assert site.wait("live", lambda block: block["state"] == "live")["killed"], "a restart is no way around it"
    done = tickwire("kill", "--revive", site.block)
    assert done.returncode == 0 and not site.wait("revived", lambda block: not block["killed"])["killed"], done.stderr


@pytest.mark.parametrize(("mine", "theirs"), [("5.0", "4.2"), ("4.2", "5.0")])
def test_a_wrong_version_of_ouch_is_said_by_the_engine_too(
    make: Any, processes: Processes, mine: str, theirs: str
) -> None:
    site = make(exchange_account=f'version = "{theirs}"', engine_orders=f'version = "{mine}"')
    exchange = processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine, until=b"STATUS=reconnecting" if mine == "5.0" else b"READY=1")
    site.replay(rate=1000)
    processes.wait_log(
        engine,
        "the order connection was closed, and no request was answered: most likely the account of user TRADE1 there "
        f"does not speak OUCH {mine}; ask the exchange, and correct orders.version",
    )
    processes.stop(engine)
    code, log = processes.stop(exchange)
    assert code == 0 and "closed: " in log, log


def test_limits_change_while_it_runs(make: Any, processes: Processes) -> None:
    site = make()
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=1000)
    site.wait("orders", lambda block: block["orders_sent"] >= 5)
    done = tickwire("limits", site.block, "--set", "max_size=50")
    assert done.returncode == 0, done.stderr
    sent = site.read()["orders_sent"]
    block = site.wait("refused", lambda block: block["risk_size"] > 2)
    assert block["orders_sent"] <= sent + 1
    code, log = processes.stop(engine)
    assert code == 0 and re.search(r"limits version \d+ in force", log), log


def test_a_full_disk_is_one_line(make: Any) -> None:
    site = make(engine_engine="journal_records = 67108864")
    # 4 GiB of records are refused by a limit on file sizes just as by a disk without room for them.
    done = tickwire_limited("run", site.engine)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tickwire: journal ") and "engine.journal_records" in last, last


def tickwire_limited(*args: str) -> Any:
    import resource
    import subprocess
    import sys

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))

    return subprocess.run(
        [sys.executable, "-m", "tickwire", *args], capture_output=True, text=True, timeout=60, preexec_fn=limit
    )


def test_the_journal_of_another_engine_is_one_line(make: Any, processes: Processes, tmp_path: Path) -> None:
    site = make()
    processes.start("exchange", site.exchange)
    processes.start("run", site.engine)
    other = tmp_path / "other.toml"
    # The same directory, name and user.
    other.write_text(Path(site.engine).read_text().replace(site.block, f"{site.block}2"))
    done = tickwire("run", str(other))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"tickwire: journal {site.journal}: another engine has it open; stop that one, or give this one another name"
    )


def test_a_full_journal_refuses_orders_and_a_restart_makes_room(quoting: Any, processes: Processes) -> None:
    site, copy_path = quoting(engine_engine="journal_records = 1024")
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=4000)
    for way in (signal.SIGKILL, signal.SIGTERM):
        block = site.wait("full", lambda block: block["risk_full"] > 10 and block["cancels_sent"] > 0)
        assert block["state"] == "live" and 0 < block["journal_room"] < 100
        assert block["orders_sent"] + block["replaces_sent"] > 100
        processes.wait_log(engine, "the journal is full: no new order goes out, cancels do")
        site.stop_replay()
        copy = compare(site, copy_path)  # every answer was booked
        code, log = processes.stop(engine, way)
        assert code == (0 if way == signal.SIGTERM else -way) and "raise engine.journal_records" in log, log
        left = copy.open if way == signal.SIGKILL else {}
        assert compare(site, copy_path).open == left
        engine = processes.start("run", site.engine)
        block = site.wait("settled", lambda block: block["state"] == "live" and block["unsure_orders"] == 0)
        assert block["journal_room"] > 1024 - 100 and block["open_orders"] == len(left)
        site.replay(rate=4000)
        site.wait("orders", lambda block: block["orders_sent"] + block["replaces_sent"] >= 50)
    site.stop_replay()
    used = max(copy.entered)
    copy = compare(site, copy_path)
    assert copy.entered == sorted(copy.entered) and copy.entered[-1] > used


ENDLESS = """
from tickwire.records import *
STATE = [("n", "i8")]
def on_top(state, event, orders):
    state.n += 1
    while state.n >= 50:
        state.n = 50 + state.n % 50
    return enter(orders, 0, event, BUY, event.bid, 1) if event.bid and event.ask else 0
"""


def test_a_strategy_that_does_not_return_is_named_and_can_be_ended(
    make: Any, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    site = make(engine_strategy=f'file = "{tmp_path / "endless.py"}"', engine_risk=FREE)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.replay(rate=4000)
    processes.wait_log(engine, f"in on_top of strategy {tmp_path / 'endless.py'} (call ")
    done = tickwire("status", site.block)
    assert done.returncode == 0 and re.search(r"ORDERS +HANGS$", done.stdout, re.MULTILINE), done.stdout
    state = site.status(site.block)
    assert not state["trading"] and "endless.py" in state["not_trading"][0]
    done = tickwire("kill", site.block)
    assert done.returncode == 1 and "if that process hangs, end it with SIGKILL" in done.stderr
    code, log = processes.stop(engine)
    assert code == 1 and log.count("the engine hangs since ") == 1, log
    left = len(_core.journal_read(site.journal)["orders"])
    assert left > 0 and f"the engine hangs and is ended as it is: {left} orders stay open" in log


def test_the_start_is_logged_with_memory_and_time(make: Any, processes: Processes) -> None:
    site = make(engine_engine="journal_records = 1024")
    processes.start("exchange", site.exchange)
    code, log = processes.stop(processes.start("run", site.engine))
    lines = [line.partition("tickwire.engine: ")[2] for line in log.splitlines()]
    need = _core.memory_needed(config.load(site.engine, config.ENGINE)) >> 20
    assert code == 0 and lines[0] == (
        f"taking {need} MB of memory, for engine.max_orders 65536 and engine.max_instruments 64"
    )
    ready = re.fullmatch(
        r"ready after (\d+\.\d\d) s: (\d+) MB on (.* pages|.*hugepages.*); waiting for feed 127\.0\.0\.1:\d+ and "
        r"orders 127\.0\.0\.1:\d+",
        lines[1],
    )
    assert ready is not None and need <= int(ready[2]) <= need + 2, lines[1]


def test_a_feed_that_goes_silent_is_said(make: Any, processes: Processes) -> None:
    site = make(engine_feed="silent_ms = 300")
    exchange = processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    assert site.bench("--messages", "200", "--rate", "2000").returncode == 0
    processes.stop(exchange)
    site.wait("silent", lambda block: block["silent"])
    time.sleep(0.3)
    code, log = processes.stop(engine)
    assert code == 0 and "silent for 300 ms" in log, log
