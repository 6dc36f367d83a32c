# SPDX-License-Identifier: Apache-2.0
"""The spread strategy against the real exchange: legs in groups, and what `tickwire bench t2t` says about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from front_copy import compare
from front_site import FREE, Processes

from tickwire import _core
from tickwire.bench import t2t

WEIGHTS = {"TAAAA": 1, "TAAAB": -2}
SPREAD = 'name = "spread"\nsize = 100\nedge_bps = 0.0\nmax_position = 100000\nlegs = [{}]'.format(
    ", ".join(f'{{symbol = "{symbol}", weight = {weight}}}' for symbol, weight in WEIGHTS.items())
)


def test_legs_go_back_to_back_and_are_measured(make: Any, processes: Processes, tmp_path: Path) -> None:
    copy_path = tmp_path / "copy.jsonl"
    site = make(exchange_exchange=f'drop_copy = "{copy_path}"', engine_strategy=SPREAD, engine_risk=FREE)
    processes.start("exchange", site.exchange)
    engine = processes.start("run", site.engine)
    done = site.bench("--rate", "4000", "--json")
    assert done.returncode == 0, done.stderr
    result, block = json.loads(done.stdout), site.read()

    # One time between first and last leg for each group, and their figures, for programs and for people.
    legs = result["legs"]
    assert legs["groups"] == block["leg_groups"] > 10
    assert 0 < legs["min_ns"] <= legs["median_ns"] <= legs["p99_ns"] <= legs["max_ns"]
    spreads = _core.block_legs(site.block)
    assert len(spreads) == 8 * legs["groups"]
    assert f"legs: {legs['groups']} groups, first to last send: min " in t2t.table(result)
    assert block["legs_sent"] == result["orders"]["sent"] == 2 * legs["groups"] and result["orders"]["unsent"] == 0

    # The drop copy has both legs of each group side by side, in the order of the configuration, on opposite sides.
    entered = [
        entry["message"]
        for entry in map(json.loads, copy_path.read_text().splitlines())
        if entry["direction"] == "in" and entry["message"]["type"] == "O"
    ]
    assert len(entered) == 2 * legs["groups"]
    for first, last in zip(entered[::2], entered[1::2], strict=True):
        assert [first["symbol"], last["symbol"]] == list(WEIGHTS)
        assert {first["side"], last["side"]} == {"B", "S"}
        assert last["quantity"] == 2 * first["quantity"] > 0
    copy = compare(site, copy_path)
    assert copy.open == {} and set(copy.position) == set(WEIGHTS), "orders of a group are gone at once, filled or not"

    code, log = processes.stop(engine)
    assert code == 0, log
