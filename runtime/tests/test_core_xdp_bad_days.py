# SPDX-License-Identifier: Apache-2.0
"""What happens to an interface under an engine whose feed comes by AF_XDP, and who else may be on it."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_messages import imbalance
from front_site import TIME_LIMIT_S, Processes
from test_core_xdp_steer import LINES as ANY_LINES
from test_core_xdp_steer import Program
from xdp_other import DRIVER, GENERIC, OtherSocket, attach
from xdp_site import bench_argv, start, write_configs
from xdp_trader import LINES, Lines, Trader, until
from xdp_wire import ENGINE, Wire, ip

from tickwire import _core


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire(pairs=2, queues=2)
    yield made
    made.close()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


def load(lines: Lines, names: str, stack: contextlib.ExitStack) -> None:
    """Send a message on each of the lines again and again, whatever becomes of their interfaces."""
    ended = threading.Event()
    messages = imbalance(first=1, count=20000)

    def send() -> None:
        for n, message in enumerate(messages, 1):
            for name in names:
                with contextlib.suppress(OSError):
                    lines.send(name, _core.mold_encode("DAY1", n, [message]))
            if ended.wait(0.001):
                return

    thread = threading.Thread(target=send)
    thread.start()
    stack.callback(thread.join)
    stack.callback(ended.set)


def further(trader: Trader, packets: int = 50) -> None:
    """So many more come in."""
    seen = trader.read()["packets"]
    until(lambda: trader.read()["packets"] >= seen + packets, trader.read)


def stands_still(trader: Trader) -> bool:
    before = trader.read()["packets"]
    time.sleep(0.05)
    return bool(trader.read()["packets"] == before)


@pytest.mark.parametrize("mode", ["copy", "generic"])
def test_a_link_that_goes_down_and_comes_up(wire: Wire, tmp_path: Path, stack: contextlib.ExitStack, mode: str) -> None:
    trader = Trader(wire, tmp_path / "block", feed={**LINES, "xdp_mode": mode, "gap_timeout_ms": 100}).start()
    stack.callback(trader.close)
    load(Lines(wire), "a", stack)
    for _ in range(3):
        further(trader)
        ip(f"-n {wire.names[ENGINE]} link set e0 down")
        until(lambda: stands_still(trader), trader.read)
        ip(f"-n {wire.names[ENGINE]} link set e0 up")
    further(trader)
    until(lambda: trader.read()["messages_lost"] > 0, trader.read)
    assert trader.engine.problem() == "" and trader.thread.is_alive()
    _, by_kernel, damaged, dropped = trader.counts()
    assert (by_kernel, damaged, dropped) == (0, 0, 0)


def test_an_interface_that_is_removed_leaves_the_other_line(
    wire: Wire, tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    trader = Trader(wire, tmp_path / "block", feed={**LINES, "interface_b": wire.address(ENGINE, 1)}).start()
    stack.callback(trader.close)
    load(Lines(wire, pair_b=1), "ab", stack)
    further(trader)
    wire.remove(1)
    until(trader.engine.problem, trader.read)
    assert trader.engine.problem() == ("AF_XDP: interface e1 was removed; bring it back (`ip link`) and start again")
    further(trader)
    assert trader.read()["messages_lost"] == 0 and trader.thread.is_alive()


def test_an_interface_that_is_removed_with_the_whole_feed_ends_the_engine(
    processes: Processes, wire: Wire, tmp_path: Path
) -> None:
    """No hang, and orders and positions are there at the next start."""
    configs = write_configs(wire, tmp_path, pair=1)
    _, engine = start(processes, wire, configs, "exchange", "engine")
    with subprocess.Popen(bench_argv(wire, configs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as load:
        until(lambda: _core.block_read(configs["block"])["orders_accepted"] > 20, lambda: processes.log(engine))
        wire.remove(1)
        assert engine.wait(TIME_LIMIT_S) == 1
        load.kill()
    log = processes.log(engine).splitlines()
    assert log[-1] == (
        "tickwire: feed 10.99.1.2:26400 on 10.99.1.2: AF_XDP: interface e1 was removed; bring it back (`ip link`) and "
        "start again"
    )
    (journal,) = tmp_path.glob("*.journal")
    kept = _core.journal_read(str(journal))
    assert kept["positions"] or kept["orders"]
    wire.connect(1)
    (again,) = start(processes, wire, configs, "engine")
    assert processes.stop(again)[0] == 0
    assert _core.journal_read(str(journal))["positions"] == kept["positions"]


def refusal(trader: Trader) -> str:
    with trader.wire.inside(ENGINE), pytest.raises(OSError) as caught:
        trader.engine.open()
    return str(caught.value).partition("] ")[2]


def test_a_queue_that_is_taken(wire: Wire, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    with wire.inside(ENGINE):
        other = OtherSocket("e0", 1)
    stack.callback(other.close)
    trader = Trader(wire, tmp_path / "block", feed=LINES)
    stack.callback(trader.close)
    assert refusal(trader) == (
        "AF_XDP on e0: queue 1: Device or resource busy: another program has the queue; stop it (`ss --xdp -p` names "
        "it), or name other queues in feed.xdp_queues"
    )
    assert "xdp" not in wire.link(ENGINE)
    elsewhere = Trader(wire, tmp_path / "elsewhere", feed={**LINES, "xdp_queues": [0]}).start()
    stack.callback(elsewhere.close)
    assert "1 queue" in elsewhere.engine.feed()


@pytest.mark.parametrize(("mode", "remedy"), [(DRIVER, "xdp off"), (GENERIC, "xdpgeneric off")])
def test_a_program_that_somebody_forgot(
    wire: Wire, tmp_path: Path, stack: contextlib.ExitStack, mode: int, remedy: str
) -> None:
    other = Program(ANY_LINES)
    with wire.inside(ENGINE):
        attach("e0", other.fd, mode)
    other.close()
    trader = Trader(wire, tmp_path / "block", feed=LINES)
    stack.callback(trader.close)
    text = refusal(trader)
    assert text.startswith(f"AF_XDP on e0: XDP program {wire.link(ENGINE)['xdp']['prog']['id']} is there already")
    assert f"`ip link set e0 {remedy}` takes a forgotten one away" in text
    ip(f"-n {wire.names[ENGINE]} link set e0 {remedy}")
    trader.start()
