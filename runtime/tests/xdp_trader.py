# SPDX-License-Identifier: Apache-2.0
"""An engine with its feed by AF_XDP at one end of a wire, its exchange and hand-made frames at the other."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from core_exchange import Exchange, accept_order
from xdp_frames import Frame
from xdp_wire import ENGINE, EXCHANGE, Wire

import tickwire
from tickwire import _core

PROGRAM = str(Path(tickwire.__file__).with_name("steer.bpf.o"))
PATIENCE_S = 20.0
GROUP_A, GROUP_B, PORT = "239.192.110.1", "239.192.110.2", 26400
COUNTS = re.compile(r"(\d+) packets by ring, (\d+) by the kernel's sockets, (\d+) with a wrong checksum, (\d+) dropped")


def until(condition: Callable[[], Any], what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, str(what())
        time.sleep(0.002)


class Trader:
    """An engine in its namespace, with an order session at a small exchange in the other."""

    def __init__(self, wire: Wire, block: Path, answers: bool = True, **sections: dict[str, Any]) -> None:
        self.block = str(block)
        with wire.inside(EXCHANGE):
            self.exchange = Exchange(address=wire.address(EXCHANGE), answer=accept_order if answers else lambda _: [])
        config: dict[str, dict[str, Any]] = {
            "engine": {"block": self.block, "idle_after_ms": 1, "max_orders": 65536, "max_instruments": 1024, "cpu": -1,
                       "max_samples": 65536},
            "feed": {"group": wire.address(ENGINE), "port": PORT, "interface": wire.address(ENGINE), "transport": "xdp",
                     "xdp_program": PROGRAM},
            "orders": {"host": wire.address(EXCHANGE), "port": self.exchange.port, "username": "TRADE1",
                       "password": "tickwire"},
        }  # fmt: skip
        for name, values in sections.items():
            config.setdefault(name, {}).update(values)
        self.engine = _core.Engine(config)
        self.wire = wire
        self.thread = threading.Thread(target=self.engine.run, daemon=True)

    def start(self) -> Trader:
        with self.wire.inside(ENGINE):
            self.engine.open()
            self.engine.connect()
        self.thread.start()
        until(lambda: self.read()["state"] == "live", self.read)
        return self

    def read(self) -> dict[str, Any]:
        return _core.block_read(self.block)

    def wait_for(self, **values: Any) -> dict[str, Any]:
        until(lambda: all(self.read()[key] == value for key, value in values.items()), lambda: (values, self.read()))
        return self.read()

    def close(self) -> None:
        if self.thread.is_alive():
            self.engine.stop()
            self.thread.join(PATIENCE_S)
            assert not self.thread.is_alive()
        self.exchange.close()

    def counts(self) -> tuple[int, int, int, int]:
        """Packets by ring, by the kernel's sockets, with a wrong checksum, dropped; the engine is stopped for it."""
        self.close()
        found = COUNTS.search(self.engine.feed())
        assert found, self.engine.feed()
        by_ring, by_kernel, damaged, dropped = map(int, found.groups())
        return by_ring, by_kernel, damaged, dropped


LINES = {
    "group": GROUP_A, "port": PORT, "interface": Wire.address(ENGINE), "group_b": GROUP_B, "port_b": PORT + 1,
}  # fmt: skip


class Lines:
    """Sends frames on the lines A and B of LINES, by hand."""

    def __init__(self, wire: Wire, pair_b: int = 0) -> None:
        self.sockets = {"a": wire.frames(), "b": wire.frames(pair_b)}
        a = Frame(GROUP_A, PORT, source=wire.address(EXCHANGE), macs=wire.macs())
        self.frames = {"a": a, "b": replace(a, group=GROUP_B, port=PORT + 1, macs=wire.macs(pair_b))}

    def send(self, line: str, packet: bytes, **wrong: Any) -> None:
        self.sockets[line].send(replace(self.frames[line], payload=packet, **wrong).packed())
