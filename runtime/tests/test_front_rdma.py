# SPDX-License-Identifier: Apache-2.0
"""A whole site over RDMA: exchange, gateway, engine and ledger, with the double in place of libibverbs and librdmacm.

What the engine has booked is held against the exchange's drop copy after queue pairs and links have failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from front_copy import Copy, compare
from front_site import FREE, TIME_LIMIT_S, Site

HERE = Path(__file__).parent
RETRY_EXCEEDED = 12  # IBV_WC_RETRY_EXC_ERR
AN_ORDER = 50  # bytes and more: heartbeats and queries are shorter

# What sysfs says of the double's device: its first GID is that of 127.0.0.1.
SYSFS = {
    "gids/0": "0000:0000:0000:0000:0000:ffff:7f00:0001\n",
    "gid_attrs/types/0": "RoCE v2\n",
    "gid_attrs/ndevs/0": "dbl0\n",
}
IN_A_SITE_OF_ITS_OWN = 'mount -t tmpfs none /sys/class && cp -r "$0" /sys/class/infiniband && exec "$@"'


class Pair:
    """Both ends of a site in one process (rdma_pair.py), in a mount namespace where the double's device is in sysfs."""

    def __init__(self, directory: Path, site: Site) -> None:
        self.site, self.log_path = site, directory / "pair.log"
        libraries, devices = directory / "lib", directory / "infiniband"
        libraries.mkdir()
        build = ["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-pthread", "-shared", "-fPIC", "-fvisibility=hidden"]
        sources = sorted(map(str, (HERE / "c").glob("verbs_double*.c")))
        subprocess.run([*build, "-o", str(libraries / "double.so"), *sources], check=True)
        for name in ("libibverbs.so.1", "librdmacm.so.1"):
            (libraries / name).symlink_to("double.so")
        for name, text in SYSFS.items():
            path = devices / "double0" / "ports" / "1" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        apart = ["unshare", "--mount", "sh", "-c", IN_A_SITE_OF_ITS_OWN, str(devices)]
        with self.log_path.open("wb") as stream:
            self.process = subprocess.Popen(
                [*apart, sys.executable, str(HERE / "rdma_pair.py"), site.exchange, site.engine],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            )
        self.until("is live", lambda: Path(site.block).exists() and site.read()["state"] == "live")

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def until(self, what: str, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + TIME_LIMIT_S
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, f"{what}: {self.log}"
            time.sleep(0.01)

    def call(self, *what: object) -> None:
        """A function of the double."""
        assert self.process.stdin is not None and self.process.stdout is not None
        line = " ".join(map(str, what)) + "\n"
        self.process.stdin.write(line)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == line

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(TIME_LIMIT_S) == 0 and "Traceback" not in self.log, self.log

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def pair(make: Any, tmp_path: Path, free_ports: Any) -> Iterator[Pair]:
    """Feed over datagrams with a re-request server, orders over a reliable connection, a drop copy."""
    gateway, requests = free_ports(2)
    site = make(
        exchange_exchange=f'drop_copy = "{tmp_path / "copy.jsonl"}"',
        exchange_feed=f"request_port = {requests}",
        engine_feed=f'transport = "verbs"\ngateway = "127.0.0.1"\ngateway_port = {gateway}\n'
        f'request_host = "127.0.0.1"\nrequest_port = {requests}\ngap_timeout_ms = 20000',
        engine_risk=FREE,
    )
    exchange, engine = Path(site.exchange), Path(site.engine)
    exchange.write_text(f'{exchange.read_text()}\n[rdma]\ninterface = "127.0.0.1"\nport = {gateway}\n')
    orders = engine.read_text().replace(f"port = {site.orders}\n", f"port = {gateway}\n")
    engine.write_text(f"{orders}\n[verbs]\nhugepages = false\n")
    started = Pair(tmp_path, site)
    yield started
    started.close()


def at_rest(pair: Pair, path: Path) -> tuple[dict[str, Any], Copy]:
    """The engine's counters and the drop copy, once no order comes any more and what came is booked on both sides."""
    pair.site.stop_replay()
    pair.site.wait("quiet", lambda block: block["unsure_orders"] == 0 and block["state"] == "live")
    copy = compare(pair.site, path)
    return pair.site.wait("all answers", lambda block: block["orders_accepted"] >= len(copy.entered)), copy


def sent_by_the_exchange(pair: Pair) -> int:
    return int(pair.site.control_line(command="status")["followed"])


@pytest.mark.parametrize("arrives", [True, False], ids=["after it arrived", "before it arrived"])
def test_an_order_whose_queue_pair_fails_is_booked_once_or_dropped_once(
    pair: Pair, tmp_path: Path, arrives: bool
) -> None:
    """The engine cannot tell which it was: its send is not acknowledged in both. The exchange's answers settle it."""
    pair.call("verbs_double_fail", RETRY_EXCEEDED, AN_ORDER, int(arrives))
    pair.site.replay(rate=300)
    pair.until("the order is lost", lambda: "transport retry counter exceeded" in pair.log)
    pair.site.wait("trades again", lambda block: block["state"] == "live" and block["orders_sent"] >= 10)
    block, copy = at_rest(pair, tmp_path / "copy.jsonl")
    assert copy.position, "nothing was traded"
    assert copy.entered == list(range(1 if arrives else 2, block["orders_sent"] + 1))
    assert block["orders_accepted"] == len(copy.entered)
    assert block["orders_unknown"] == 0 and block["answers_damaged"] == 0
    pair.stop()
    assert pair.log.count("next attempt in") == 1, pair.log


def test_a_link_that_goes_down_under_load_costs_no_message_and_no_order(pair: Pair, tmp_path: Path) -> None:
    pair.site.replay(rate=200)
    pair.site.wait("orders", lambda block: block["orders_sent"] >= 10)
    pair.call("verbs_double_link", 0)
    pair.site.wait("lost", lambda block: block["state"] == "login")
    sent = sent_by_the_exchange(pair)
    pair.until("the feed goes on", lambda: sent_by_the_exchange(pair) > sent + 100)
    pair.call("verbs_double_link", 1)
    block = pair.site.wait("back", lambda block: block["state"] == "live" and block["gaps_closed"] > 0)
    traded = block["orders_sent"]
    pair.site.wait("trades again", lambda block: block["orders_sent"] > traded)
    block, copy = at_rest(pair, tmp_path / "copy.jsonl")
    assert block["gaps"] == block["gaps_closed"] and block["packets_requested"] > 0
    assert block["messages_lost"] == 0 and not block["stale"] and block["book_errors"] == 0
    assert block["orders_accepted"] == len(copy.entered) and block["orders_unknown"] == 0
    pair.stop()
    assert "transport retry counter exceeded" in pair.log
