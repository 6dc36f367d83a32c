"""The engine over RDMA verbs from trade1 to the exchange's gateway on exch1, through the switch, by Soft-RoCE.

On a lab that was rolled out, beside the services it has: everything here has files and ports of its own.
"""

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conftest import Lab

TICKWIRE = "/opt/tickwire/current/bin/tickwire"
HOME = "/run/tickwire-verbs"
MESSAGES = 4000
EXCHANGE = f"""
[exchange]
itch_file = "{HOME}/feed.itch"
block = "{HOME}/exchange.json"
drop_copy = "{HOME}/dropcopy.jsonl"
[feed]
group = "239.192.110.99"
port = 27400
interface = "10.110.0.1"
request_port = 27403
rate = 200
[orders]
address = "10.110.0.1"
port = 27401
[[orders.accounts]]
username = "VERBS1"
password = "tickwire"
[control]
port = 27402
[rdma]
interface = "10.110.0.1"
port = 27404
"""
ENGINE = f"""
[engine]
block = "{HOME}/t2t.block"
idle_after_ms = 20
journal_records = 65536
max_orders = 65536
max_instruments = 256
[feed]
transport = "verbs"
group = "239.192.110.99"
port = 27400
interface = "10.110.0.11"
gateway = "10.110.0.1"
gateway_port = 27404
request_host = "10.110.0.1"
request_port = 27403
gap_timeout_ms = 20000
keep_packets = 8192
[orders]
host = "10.110.0.1"
port = 27404
username = "VERBS1"
password = "tickwire"
"""
UNITS = {"exch1": ("exchange", EXCHANGE), "trade1": ("run", ENGINE)}


def unit(command: str) -> str:
    return f"""[Service]
ExecStart={TICKWIRE} {command} {HOME}/config.toml
StandardOutput=append:{HOME}/log
StandardError=append:{HOME}/log
"""


def until(lab: Lab, host: str, command: str, wanted: str) -> None:
    """Wait, with a bound, until what `command` prints on the host has `wanted` in it."""
    deadline = time.monotonic() + 180
    while wanted not in (said := lab.ssh(host, command, check=False)):
        assert time.monotonic() < deadline, f"{host}: no {wanted!r} in 180 s: {said}{lab.ssh(host, f'cat {HOME}/log')}"
        time.sleep(1)


@contextmanager
def running(lab: Lab) -> Iterator[None]:
    """Exchange and engine as services of their own."""
    for host, (command, config) in UNITS.items():
        lab.ssh(host, f"mkdir -p {HOME}; cat > {HOME}/config.toml <<'END'\n{config}END")
        lab.ssh(host, f"cat > /run/systemd/system/tickwire-verbs.service <<'END'\n{unit(command)}END")
    lab.ssh("exch1", f"{TICKWIRE} generate {HOME}/feed.itch --messages {MESSAGES} && systemctl daemon-reload")
    lab.ssh("trade1", "systemctl daemon-reload")
    try:
        for host in UNITS:
            lab.ssh(host, "systemctl start tickwire-verbs")
            until(lab, host, f"cat {HOME}/log", "RDMA gateway on" if host == "exch1" else "live: logged in")
        yield
    finally:
        for host in reversed(UNITS):
            lab.ssh(host, "systemctl stop tickwire-verbs", check=False)
            lab.ssh(host, f"rm -r {HOME} /run/systemd/system/tickwire-verbs.service; systemctl daemon-reload")


def positions_of(copy: str) -> dict[str, int]:
    """Positions by the exchange's drop copy, without those that are flat."""
    orders: dict[int, tuple[str, int]] = {}
    found: dict[str, int] = {}
    for line in copy.splitlines():
        entry: dict[str, Any] = json.loads(line)
        message = entry["message"]
        if entry["direction"] == "out" and message["type"] in ("A", "U"):
            orders[message["user_ref_num"]] = (message["symbol"], 1 if message["side"] == "B" else -1)
        elif entry["direction"] == "out" and message["type"] == "E":
            symbol, sign = orders[message["user_ref_num"]]
            found[symbol] = found.get(symbol, 0) + sign * message["quantity"]
    return {symbol: shares for symbol, shares in found.items() if shares}


PLAY = f"""
import json, socket
with socket.create_connection(("127.0.0.1", 27402), 10) as control:
    control.sendall(json.dumps({{"command": "replay", "messages": {MESSAGES}}}).encode() + b"\\n")
    print(control.makefile().readline())
"""


def trade(lab: Lab) -> tuple[dict[str, Any], dict[str, Any], dict[str, int], dict[str, int]]:
    """Trade over a replay: the engine's counters, the exchange's state, positions by journal and by drop copy."""
    with running(lab):
        assert '"session"' in lab.ssh("exch1", f"python3 - <<'END'{PLAY}END")
        look = f"{TICKWIRE} status --json {HOME}/t2t.block"
        until(lab, "trade1", look, f'"messages": {MESSAGES}')
        time.sleep(3)  # for the answers to the last orders, and the exchange's state file
        engine = json.loads(lab.ssh("trade1", look))
        exchange = json.loads(lab.ssh("exch1", f"cat {HOME}/exchange.json"))
        lab.ssh("trade1", "systemctl stop tickwire-verbs")
        journal = json.loads(lab.ssh("trade1", f"{TICKWIRE} journal --json {HOME}/*.journal"))
        booked = {entry["stock"]: entry["shares"] for entry in journal["positions"] if entry["shares"]}
        return engine, exchange, booked, positions_of(lab.ssh("exch1", f"cat {HOME}/dropcopy.jsonl"))
