# SPDX-License-Identifier: Apache-2.0
"""Time stamps of whole processes: the kernel's on loopback, and those of a card that `c/shim.c` puts there.

The card's clock is ahead of the kernel's by 37 s; it stamps a packet 300 ns before the kernel does and an order 500 ns
after it (`c/fake_card.h`), so that tick-to-trade by the card is 800 ns above that by the kernel, order by order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from core_samples import CLOCKS, unpack
from front_shim import ALL, PTP_V2_EVENT, Card, Shim
from front_site import Processes, Site, tickwire

from tickwire import realtime

LO = Card(name=b"lo")
CARD_MORE_NS = 800


def bench(site: Site) -> dict[str, Any]:
    done = site.bench("--messages", "3000", "--rate", "3000", "--json")
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "said": done.stderr}


@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_a_card_stamps_and_is_put_back(make: Any, processes: Processes, shim: Shim, wish: str) -> None:
    site = make(engine_engine=f'timestamps = "{wish}"')
    shim.set_card(LO)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    assert (shim.card.tx_type, shim.card.rx_filter) == (1, ALL)
    assert site.read()["timestamp_source"] == "hardware"

    result = bench(site)
    assert result["timestamp_source"] == "hardware" and result["samples"] > 50, result
    assert (result["unstamped"], result["unstamped_by"], result["other_clocks"]) == (0, {}, {})
    assert result["software"]["samples"] == result["samples"] == result["orders"]["sent"]
    for name in ("min_ns", "median_ns", "p99_ns", "max_ns"):
        assert result[name] == result["software"][name] + CARD_MORE_NS
    for sample in unpack(site.block):
        assert sample.clock == CLOCKS["hardware"]
        by_kernel = sample.transmit_software_ns - sample.receive_software_ns
        assert sample.transmit_ns - sample.receive_ns == by_kernel + CARD_MORE_NS
    shown = site.bench().stdout
    assert "tick-to-trade, hardware time stamps" in shown and "the same orders by the kernel's stamps" in shown
    assert "hardware stamps" in tickwire("status", site.block).stdout

    code, log = processes.stop(engine)
    assert code == 0 and "time stamps: hardware, by /dev/ptp0 of lo (switched on)" in log, log
    assert (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (0, 0, 2)


def test_a_card_is_put_back_when_the_start_fails(make: Any, processes: Processes, shim: Shim) -> None:
    """The card is switched on before the line, whose group no address of this machine is, cannot be bound."""
    site = make()
    Path(site.engine).write_text(Path(site.engine).read_text().replace('group = "127.0.0.1"', 'group = "192.0.2.1"'))
    shim.set_card(LO)
    with pytest.raises(AssertionError, match="192.0.2.1"):
        processes.start("run", site.engine)
    assert (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (0, 0, 2)


def test_after_sigkill_the_card_stays_on_and_the_next_start_leaves_it(
    make: Any, processes: Processes, shim: Shim
) -> None:
    site = make()
    shim.set_card(LO)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    processes.stop(engine, signal.SIGKILL)
    assert (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (1, ALL, 1)
    engine = processes.start("run", site.engine)
    code, log = processes.stop(engine)
    assert code == 0 and "by /dev/ptp0 of lo (was on)" in log, log
    assert (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (1, ALL, 1)


def test_a_card_that_refuses_to_be_put_back_is_said(make: Any, processes: Processes, shim: Shim) -> None:
    site = make()
    shim.set_card(LO)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    shim.set_card(shim.card._replace(set_error=5))
    code, log = processes.stop(engine)
    assert code == 0 and "lo: its stamping cannot be put back (hwstamp_ctl -i lo -t 0 -r 0)" in log, log


@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_stamps_that_go_missing_are_said_and_counted(make: Any, processes: Processes, shim: Shim, wish: str) -> None:
    """Somebody else narrows the filter while the engine runs, as ptp4l does when it starts."""
    site = make(engine_engine=f'timestamps = "{wish}"')
    shim.set_card(LO)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    shim.set_card(shim.card._replace(rx_filter=PTP_V2_EVENT, rx_filters=0b11 | 1 << PTP_V2_EVENT))
    result = bench(site)
    orders = result["orders"]["sent"]
    shown = " ".join(tickwire("status", site.block).stdout.split())
    if wish == "auto":
        assert (result["samples"], result["unstamped"], result["by_kernel"]) == (orders, 0, orders)
        assert result["timestamp_source"] == "software" and result["software"] is None and result["min_ns"] > 0
        assert f"{orders} orders lack its stamps" in result["said"]
        assert "by the kernel, as the card gave no stamps" in shown and f"{orders}, software stamps" in shown
    else:
        assert result["samples"] == 0 and result["median_ns"] is None
        assert result["unstamped"] == orders > 50
        assert result["unstamped_by"] == {"two stamps of one clock": orders}
        assert "orders are missing in the figures (without two stamps of one clock" in result["said"]
        assert "unstamped" in shown and "without two stamps of one clock" in shown
    code, log = processes.stop(engine)
    assert code == 0 and log.count("has somebody else changed the card's filter") == 1, log
    assert shim.card.rx_filter == PTP_V2_EVENT, "what somebody else has set is his"


@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_a_card_that_is_switched_on_and_stamps_nothing(make: Any, processes: Processes, shim: Shim, wish: str) -> None:
    site = make(engine_engine=f'timestamps = "{wish}"')
    shim.set_card(LO._replace(mute=1))
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    result = bench(site)
    orders = result["orders"]["sent"]
    if wish == "auto":
        assert (result["samples"], result["by_kernel"], result["timestamp_source"]) == (orders, orders, "software")
        processes.wait_log(engine, "without the card's stamps, so that its sample is by the kernel's")
    else:
        assert result["samples"] == 0 and result["unstamped_by"] == {"transmit stamp": orders}
        processes.wait_log(engine, "whose transmit stamp did not come back")


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (Card(), "lo has no PTP hardware clock"),
        (LO._replace(rx_filters=1), "lo does not stamp every received packet"),
        (
            LO._replace(set_error=1),
            "lo: its driver refuses to stamp: Operation not permitted (CAP_NET_ADMIN is needed)",
        ),
    ],
)
def test_without_a_card_the_kernel_stamps_or_nothing_starts(
    make: Any, processes: Processes, shim: Shim, card: Card, why: str
) -> None:
    site = make()
    shim.set_card(card)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    block = site.read()
    assert block["timestamp_source"] == "software" and why in block["timestamp_reason"]
    code, log = processes.stop(engine)
    assert code == 0 and "time stamps: software, " in log and why in log, log

    config = Path(site.engine)
    config.write_text(config.read_text().replace("[engine]", '[engine]\ntimestamps = "hardware"'))
    with pytest.raises(AssertionError) as refused:
        processes.start("run", site.engine)
    assert 'engine.timestamps "hardware": ' in str(refused.value) and why in str(refused.value)
    assert shim.card == card


@pytest.mark.parametrize(("wish", "source"), [("software", "software"), ("none", "none")])
def test_a_card_that_is_not_wanted_is_left_alone(
    make: Any, processes: Processes, shim: Shim, wish: str, source: str
) -> None:
    site = make(engine_engine=f'timestamps = "{wish}"')
    shim.set_card(LO)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    result = bench(site)
    assert result["timestamp_source"] == source and result["software"] is None
    orders = result["orders"]["sent"]
    assert (result["samples"], result["unstamped"]) == ((orders, 0) if source == "software" else (0, orders))
    code, log = processes.stop(engine)
    assert code == 0 and f"time stamps: {source}, as engine.timestamps says" in log, log
    assert shim.card == LO


# --- real time


def may_be_real_time() -> bool:
    """Root may, except in a container without CAP_SYS_NICE; others up to their RLIMIT_RTPRIO."""
    return subprocess.run(["chrt", "-f", "1", "true"], capture_output=True, check=False).returncode == 0


needs_real_time = pytest.mark.skipif(not may_be_real_time(), reason="no real-time priorities here, as the kernel says")


def policies(pid: int) -> dict[int, tuple[int, int]]:
    """Scheduling policy and priority of each thread."""
    threads = [int(entry) for entry in os.listdir(f"/proc/{pid}/task")]
    return {thread: (os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority) for thread in threads}


def real_time(pid: int) -> list[tuple[int, int]]:
    return [found for found in policies(pid).values() if found[0] in (os.SCHED_FIFO, os.SCHED_RR)]


def pinned(site: Site, **engine: Any) -> None:
    """The engine on a CPU of its own: it sleeps between packets, so nobody has to give way to it for long."""
    config = Path(site.engine)
    cpu = max(os.sched_getaffinity(0))
    more = "\n".join(f"{key} = {json.dumps(value)}" for key, value in engine.items())
    config.write_text(config.read_text().replace("cpu = -1", f"cpu = {cpu}\n{more}"))


@needs_real_time
def test_the_thread_takes_its_priority_once_stamps_have_come(make: Any, processes: Processes) -> None:
    site = make()
    pinned(site, priority=1)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    site.wait("priority", lambda block: block["priority"] == 1)
    assert real_time(engine.pid) == [(os.SCHED_FIFO, 1)], "the engine's thread, and no other"
    result = bench(site)
    assert result["timestamp_source"] == "software" and result["unstamped"] == 0 and result["samples"] > 50
    code, log = processes.stop(engine)
    assert code == 0 and "the engine's thread runs in real time, SCHED_FIFO 1" in log, log
    assert site.read()["priority"] == 0


@needs_real_time
@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_with_a_card_the_thread_waits_for_the_cards_stamps(
    make: Any, processes: Processes, shim: Shim, wish: str
) -> None:
    """By `auto` it has to be seen only that the card gives none; the kernel's will do then."""
    site = make()
    pinned(site, priority=1, timestamps=wish)
    shim.set_card(LO._replace(mute=1))
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    assert site.read()["priority"] == 0 and not real_time(engine.pid), "no packet has come"
    bench(site)
    if wish == "hardware":
        assert site.read()["priority"] == 0 and not real_time(engine.pid)
        shim.set_card(shim.card._replace(mute=0))
        bench(site)
    site.wait("priority", lambda block: block["priority"] == 1)
    assert real_time(engine.pid) == [(os.SCHED_FIFO, 1)]


def test_a_priority_that_is_not_allowed_is_named(make: Any, processes: Processes) -> None:
    site = make()
    pinned(site, priority=2)
    # Root has the capability as well, which goes beyond the limit.
    without = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"] if os.geteuid() == 0 else []
    denied = [*without, "prlimit", "--rtprio=0:0"]
    processes.start("exchange", site.exchange)
    with pytest.raises(AssertionError, match=r"engine\.priority 2: cannot be had: .*LimitRTPRIO=2"):
        processes.start("run", site.engine, before=denied)


def test_what_a_spinning_thread_must_know(tmp_path: Path) -> None:
    assert realtime.throttling(tmp_path, "6.1.0-28-amd64") is None
    for runtime_us, says in (
        ("950000", r"950000: .* for 50 ms of each 1000 ms"),
        ("-1", None),
        ("1000000", None),
    ):
        (tmp_path / "sched_rt_runtime_us").write_text(f"{runtime_us}\n")
        (tmp_path / "sched_rt_period_us").write_text("1000000\n")
        assert realtime.throttling(tmp_path, "6.12.107+deb13-amd64") is None
        said = realtime.throttling(tmp_path, "6.1.0-28-amd64")
        assert said is None if says is None else said is not None and re.search(says, said)
    config = {"engine": {"cpu": 3, "priority": 50}}
    realtime.check(config, {0, 3})
    with pytest.raises(realtime.TickwireError, match=r"engine\.priority 50: CPU 3 is the only one"):
        realtime.check(config, {3})
