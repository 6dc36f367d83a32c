# SPDX-License-Identifier: Apache-2.0
"""`tickwire exchange` and `tickwire run` as processes over loopback, measured by `tickwire bench t2t`."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest
from front_site import TICKWIRE, TIME_LIMIT_S, Site, tickwire

from tickwire import config
from tickwire.bench import results, stats

SCHEMA = json.loads((Path(results.__file__).parent / "bench-result.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def site(tmp_path, free_ports):
    made = Site(tmp_path, free_ports(3))
    done = tickwire("generate", made.itch, "--messages", "4000", "--seed", "3", "--instruments", "5")
    assert done.returncode == 0, done.stderr
    return made


def test_measures_tick_to_trade_and_ends_cleanly(site, processes):
    exchange = processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)

    done = site.bench("--messages", "3000", "--rate", "3000", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["samples"] > 50
    assert result["timestamp_source"] == "software"
    assert result["feed"]["messages"] == 3000 and result["feed"]["lost"] == 0 and result["feed"]["gaps"] == 0
    assert result["orders"]["sent"] == result["orders"]["accepted"] == result["exchange"]["orders"] > 50
    assert result["samples"] + result["unstamped"] == result["orders"]["sent"]
    rows = [result[f"{name}_ns"] for name in ("min", "median", "p99", "p99_9", "max")]
    assert (result["p99_9_ns"] is None) == (result["samples"] < stats.FEWEST_FOR_P99_9)
    assert rows[0] > 0 and [row for row in rows if row is not None] == sorted(row for row in rows if row is not None)
    assert (result["software_rdma"], result["host"]["rdma"]) == (False, None)
    assert result["headline"].startswith("tick-to-trade, software time stamps, session ")
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert sum(count for _, _, count in result["histogram"]) == result["samples"]
    assert result["exchange"]["sent"] == 3000 and result["exchange"]["session"] == result["feed"]["session"]

    # A second replay is a day of its own: nothing of the first is counted again. The whole file, for people.
    again = site.bench()
    assert again.returncode == 0, again.stderr
    assert "4000 messages, 0 lost" in again.stdout and "median" in again.stdout
    assert again.stdout.startswith("tick-to-trade, software time stamps, session ")

    state = site.status(site.block)
    assert (state["component"], state["alive"], state["state"]) == ("engine", True, "live")
    assert state["orders_sent"] == state["orders_accepted"] and len(state["top"]) == 5
    state = site.status(site.state)
    assert (state["component"], state["alive"], state["logged_in"]) == ("exchange", True, ["TRADE1"])
    assert state["replays"] == 2

    code, log = processes.stop(engine)
    assert code == 0 and "stopping on SIGTERM" in log and "Traceback" not in log
    code, log = processes.stop(exchange)
    assert code == 0 and "Traceback" not in log
    stopped = tickwire("status", site.block)
    assert stopped.returncode == 1 and "is not running" in stopped.stderr
    done = site.bench()
    assert done.returncode == 1
    assert "is not running; start it with `tickwire run`" in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_measurement_out_of_time_leaves_no_replay_running(site, processes):
    processes.start("exchange", site.exchange)
    processes.start("run", site.engine)
    # Slow enough for hours; somebody else's replay is not stopped by a measurement that is refused for it.
    site.replay(rate=0.1)
    done = site.bench()
    assert done.returncode == 1 and "is running" in done.stderr
    assert site.control_line(command="status")["state"] != "idle"
    site.control_line(command="stop")
    deadline = time.monotonic() + TIME_LIMIT_S
    while site.control_line(command="status")["state"] != "idle":
        assert time.monotonic() < deadline
    done = site.bench("--rate", "0.1", "--timeout", "0.5")
    assert done.returncode == 1 and "no answer in time" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    while site.control_line(command="status")["state"] != "idle":
        assert time.monotonic() < deadline, "the replay goes on"


def test_reconnects_when_the_exchange_comes_back(site, processes):
    exchange = processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    assert site.bench("--messages", "500", "--rate", "2000").returncode == 0
    code, _ = processes.stop(exchange, signal.SIGINT)
    assert code == 0
    done = site.bench("--messages", "500")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr

    processes.start("exchange", site.exchange)
    done = site.bench("--messages", "500", "--rate", "2000", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["feed"] == {**result["feed"], "messages": 500, "lost": 0}
    assert result["orders"]["sent"] == result["orders"]["accepted"]
    code, log = processes.stop(engine)
    assert code == 0 and "next attempt in 0.1 s" in log


def test_engine_stops_cleanly_while_it_waits_for_an_exchange(site):
    engine = subprocess.Popen([*TICKWIRE, "run", site.engine], stderr=subprocess.PIPE, text=True)
    assert engine.stderr is not None
    try:
        line = engine.stderr.readline()
        while "next attempt" not in line:
            assert line
            line = engine.stderr.readline()
        engine.send_signal(signal.SIGTERM)
        _, rest = engine.communicate(timeout=TIME_LIMIT_S)
        assert engine.returncode == 0 and "Traceback" not in rest
    finally:
        engine.kill()
        engine.wait()
        engine.stderr.close()


def test_a_refused_login_ends_the_engine_with_one_line(tmp_path, free_ports, processes):
    site = Site(tmp_path, free_ports(3), password="wrong")
    assert tickwire("generate", site.itch, "--messages", "100", "--instruments", "2").returncode == 0
    processes.start("exchange", site.exchange)
    done = tickwire("run", site.engine)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tickwire: ") and "TRADE1" in last


def test_a_port_in_use_is_named_with_the_next_step(site, processes):
    processes.start("exchange", site.exchange)
    second = tickwire("exchange", site.exchange)
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == (
        f"tickwire: cannot listen on 127.0.0.1:{site.orders}: Address already in use; "
        f"see who holds it with `ss -ltnp sport = :{site.orders}`, or choose another orders.port"
    )


def test_control_port_answers_what_is_wrong(site, processes):
    processes.start("exchange", site.exchange)
    with socket.create_connection(("127.0.0.1", site.control), timeout=TIME_LIMIT_S) as client:
        lines = client.makefile("rb")

        def ask(line: bytes) -> dict:
            client.sendall(line + b"\n")
            return json.loads(lines.readline())

        assert "not a line of JSON" in ask(b"{")["error"]
        assert "not a JSON object" in ask(b"[]")["error"]
        assert "unknown command 'halt'" in ask(b'{"command": "halt"}')["error"]
        assert ask(b'{"command": "stop"}')["error"] == "no replay is running"
        assert "unknown key 'mesages'" in ask(b'{"command": "replay", "mesages": 3}')["error"]
        assert "messages: 0 is not" in ask(b'{"command": "replay", "messages": 0}')["error"]
        assert "rate: -1 is not" in ask(b'{"command": "replay", "rate": -1}')["error"]
        assert "no account 'TRADE9'" in ask(b'{"command": "replay", "wait_for": "TRADE9"}')["error"]
        missing = ask(b'{"command": "replay", "wait_for": "TRADE1", "wait_s": 0.2}')
        assert missing["error"] == "TRADE1 did not log in within 0.2 s"
        assert ask(b'{"command": "status"}')["state"] == "idle"

        begun = ask(b'{"command": "replay", "messages": 1000000, "rate": 1000}')
        assert begun["messages"] == 4000  # not more than there are
        assert "is running" in ask(b'{"command": "replay"}')["error"]
        client.sendall(b"x" * 5000)
        assert lines.readline() == b""  # an endless line is not collected
        lines.close()
    # The exchange ends without waiting for the replay.
    begun_at = time.monotonic()
    process, _ = processes.running[-1]
    assert processes.stop(process)[0] == 0
    assert time.monotonic() - begun_at < TIME_LIMIT_S


def test_second_engine_on_one_block_is_refused(site, processes):
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)

    second = tickwire("run", site.engine)
    assert second.returncode == 1
    assert f"{site.block} is in use by process {engine.pid}" in second.stderr
    assert site.status(site.block)["state"] == "live", "the first one goes on"

    assert processes.stop(engine)[0] == 0
    processes.start("run", site.engine)  # the block is free again


def test_lock_that_cannot_be_written_is_one_line(site):
    Path(f"{site.block}.lock").mkdir()
    done = tickwire("run", site.engine)
    assert done.returncode == 1
    assert f"cannot write {site.block}.lock: Is a directory; remove it" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_examples_fit_each_other():
    examples = Path(__file__).parents[1] / "examples"
    engine = config.load(examples / "engine.toml", config.ENGINE)
    exchange = config.load(examples / "exchange.toml", config.EXCHANGE)
    for key in ("group", "port", "request_port"):
        assert engine["feed"][key] == exchange["feed"][key]
    assert engine["feed"]["request_host"] == exchange["feed"]["interface"]
    assert (engine["orders"]["host"], engine["orders"]["port"]) == (
        exchange["orders"]["address"],
        exchange["orders"]["port"],
    )
    for key in ("username", "password", "version"):
        assert engine["orders"][key] == exchange["orders"]["accounts"][0][key]


@pytest.mark.parametrize("name", ["engine", "exchange"])
def test_examples_of_the_readme_fit_the_schema(name):
    path = Path(__file__).parents[1] / "examples" / f"{name}.toml"
    config.load(path, config.ENGINE if name == "engine" else config.EXCHANGE)
