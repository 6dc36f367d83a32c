# SPDX-License-Identifier: Apache-2.0
"""`tickwire exchange` and `tickwire run` with feed.transport = "xdp" as processes at the two ends of a wire."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from front_site import TICKWIRE, TIME_LIMIT_S, Processes, tickwire
from xdp_wire import ENGINE, EXCHANGE, Wire

FEED, ORDERS, CONTROL = 26400, 26401, 26402  # of namespaces that are the test's own
NEEDED = ("bpf", "net_admin", "net_raw")


def write_configs(wire: Wire, directory: Path, pair: int = 0) -> dict[str, str]:
    """Paths: of both configurations, of the engine's block, of the ITCH file. The feed comes on that pair."""
    paths = {name: str(directory / name) for name in ("exchange", "engine", "block", "itch", "state")}
    done = tickwire("generate", paths["itch"], "--messages", "4000", "--seed", "3", "--instruments", "5")
    assert done.returncode == 0, done.stderr
    here = wire.address(EXCHANGE)
    feed, there = wire.address(EXCHANGE, pair), wire.address(ENGINE, pair)
    Path(paths["exchange"]).write_text(
        f'[exchange]\nitch_file = "{paths["itch"]}"\nblock = "{paths["state"]}"\n'
        f'[feed]\ngroup = "{there}"\nport = {FEED}\ninterface = "{feed}"\n'
        f'[orders]\naddress = "{here}"\nport = {ORDERS}\n[[orders.accounts]]\nusername = "TRADE1"\npassword = "p"\n'
        f'[control]\naddress = "{here}"\nport = {CONTROL}\n'
    )
    Path(paths["engine"]).write_text(
        f'[engine]\nblock = "{paths["block"]}"\nidle_after_ms = 1\nmax_orders = 65536\nmax_instruments = 64\n'
        "max_samples = 16384\njournal_records = 65536\n"
        f'[feed]\ntransport = "xdp"\ngroup = "{there}"\nport = {FEED}\ninterface = "{there}"\n'
        f'[orders]\nhost = "{here}"\nport = {ORDERS}\nusername = "TRADE1"\npassword = "p"\n'
    )
    return paths


def start(processes: Processes, wire: Wire, configs: dict[str, str], *names: str) -> list[subprocess.Popen]:
    ends = {"exchange": EXCHANGE, "engine": ENGINE}
    command = {"exchange": "exchange", "engine": "run"}
    return [processes.start(command[name], configs[name], before=wire.argv(ends[name])) for name in names]


def bench_argv(wire: Wire, configs: dict[str, str]) -> list[str]:
    argv = [*TICKWIRE, "bench", "t2t", "--block", configs["block"], "--exchange", f"{wire.address(EXCHANGE)}:{CONTROL}"]
    return wire.argv(ENGINE, *argv, "--messages", "3000", "--rate", "3000", "--json")


def bench(wire: Wire, configs: dict[str, str]) -> dict[str, Any]:
    """The result of `tickwire bench t2t` over 3,000 messages."""
    done = subprocess.run(
        bench_argv(wire, configs),
        capture_output=True, text=True, timeout=2 * TIME_LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def refused(wire: Wire, configs: dict[str, str], *before: str, env: dict[str, str] | None = None) -> str:
    """The one line that an engine ends with which cannot have AF_XDP."""
    done = subprocess.run(
        wire.argv(ENGINE, *before, *TICKWIRE, "run", configs["engine"]),
        capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False, env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "xdp" not in wire.link(ENGINE)
    return done.stderr.splitlines()[-1]


def bounded(*capabilities: str) -> list[str]:
    """A command of root's with these capabilities only; and that for locked memory, where the unit raises the limit."""
    return ["setpriv", "--bounding-set", ",".join(["-all", "+ipc_lock", *(f"+{name}" for name in capabilities)])]
