# SPDX-License-Identifier: Apache-2.0
"""Figures of RDMA say which device they are of, and those of Soft-RoCE what they are not: `bench t2t`, `registration`,
and the states of engine and exchange they take it from."""

from __future__ import annotations

import json
import os
import subprocess
from array import array
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from front_site import TICKWIRE, TIME_LIMIT_S, Processes, Site
from verbs_host import VerbsHost

from tickwire import _core
from tickwire.bench import machine, registration, results, t2t, ticks

SCHEMA = json.loads((Path(results.__file__).parent / "bench-result.schema.json").read_text(encoding="utf-8"))
VERBS = 'transport = "verbs"\ngateway = "127.0.0.1"'


@pytest.fixture
def verbs_host(tmp_path: Path) -> VerbsHost:
    return VerbsHost(tmp_path)


# --- which device ---


@pytest.mark.parametrize(
    ("feed", "orders", "devices"),
    [
        ("127.0.0.1", "", ["double0"]),
        ("127.0.0.1", "127.0.0.2", ["double0", "double1"]),
        ("127.0.0.2", "127.0.0.3", ["double1"]),  # two interfaces of one device
    ],
)
def test_an_engine_over_verbs_says_its_devices(
    tmp_path: Path, free_ports: Any, processes: Processes, verbs_host: VerbsHost, feed: str, orders: str, devices: Any
) -> None:
    more = f'interface = "{orders}"' if orders else ""
    site = Site(tmp_path, free_ports(3), engine_feed=VERBS, engine_orders=more)
    config = Path(site.engine).read_text(encoding="utf-8").replace('interface = "127.0.0.1"', f'interface = "{feed}"')
    Path(site.engine).write_text(f"{config}\n[verbs]\nhugepages = false\n", encoding="utf-8")
    processes.env = verbs_host.env
    engine = processes.start("run", site.engine, until=b"STATUS=reconnecting", before=verbs_host.before)
    assert site.status(site.block)["rdma_devices"] == devices
    assert f"RDMA: {devices[0]} port 1" in processes.log(engine)


def test_an_exchange_says_the_device_of_its_gateway(
    make: Any, free_ports: Any, processes: Processes, verbs_host: VerbsHost
) -> None:
    site = make()
    with Path(site.exchange).open("a", encoding="utf-8") as config:
        config.write(f'\n[rdma]\ninterface = "127.0.0.2"\nport = {free_ports(1)[0]}\n')
    processes.env = verbs_host.env
    processes.start("exchange", site.exchange, before=verbs_host.before)
    gateway = site.status(site.state)["rdma"]
    assert (gateway["device"], gateway["bridges"], gateway["subscribers"]) == ("double1", 0, 0)


def test_of_several_devices_one_in_software_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "rdma", lambda name: {"software": name.startswith("rxe")})
    assert machine.rdma_of([]) is None
    assert machine.rdma_of(["mlx5_1", "mlx5_0"]) == "mlx5_1"
    assert machine.rdma_of(["mlx5_0", "rxe0"]) == "rxe0"


# --- t2t ---


@pytest.mark.parametrize("software", [True, False])
def test_tick_to_trade_over_rdma_says_what_it_is(
    make: Any, processes: Processes, monkeypatch: pytest.MonkeyPatch, software: bool
) -> None:
    """A run over sockets whose engine says it has an RDMA device."""
    site = make()
    processes.start("exchange", site.exchange)
    processes.start("run", site.engine)
    device = {"device": "rxe0", "driver": "rxe", "firmware": None, "software": software}
    monkeypatch.setattr(machine, "rdma", lambda name, root=None: {**device, "device": name})
    block = t2t.read_block
    monkeypatch.setattr(t2t, "read_block", lambda path: {**block(path), "rdma_devices": ["rxe0"]})
    result = t2t.measure(t2t.Request(site.block, "127.0.0.1", site.control, 3000, 3000.0))
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert (result["software_rdma"], result["host"]["rdma"]) == (software, device)
    assert result["headline"].startswith(f"{results.WARNING}. tick-to-trade, " if software else "tick-to-trade, ")
    assert t2t.table(result).splitlines()[0] == result["headline"]


def test_every_row_of_a_table_is_a_figure_or_not_measured() -> None:
    stamps = "software time stamps"
    few: dict[str, Any] = {f"{row}_ns": 1500 for row in ticks.ROWS} | {"p99_9_ns": None}
    result = {"headline": stamps, "samples": 999, "timestamp_source": "hardware", "software": {**few, "samples": 999}}
    lines = ticks.table({**result, **few, "jitter": {}})
    assert lines[5].split() == ["p99.9", "not", "measured"] and lines[6].split() == ["max", "1.500", "us"]
    assert "p99.9 not measured, max 1.500 us" in lines[-1]


# --- registration ---


def test_registration_is_measured_and_described(tmp_path: Path, verbs_host: VerbsHost) -> None:
    out = tmp_path / "registration.json"
    command = ["bench", "registration", "127.0.0.1", "--most", "4194304", "--rounds", "3", "--json", str(out)]
    done = subprocess.run(
        [*verbs_host.before, *TICKWIRE, *command],
        env={**os.environ, **verbs_host.env},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert [(row["size_bytes"], row["pages"]) for row in result["rows"]] == [
        *((4096 << shift, "ordinary") for shift in (0, 2, 4, 6, 8)),
        *((4 << 20, pages) for pages in ("ordinary", "huge")),
    ]
    assert all((row["warmup"], row["rounds"]) == (1, 3) for row in result["rows"])
    assert all("register" in row for row in result["rows"] if row["pages"] == "ordinary")
    assert result["host"]["rdma"]["device"] == "double0" and result["software_rdma"] is True  # it has no driver
    assert result["headline"].startswith(f"{results.WARNING}. ") and done.stdout.startswith(result["headline"])


def test_the_first_registration_of_a_size_is_in_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(address: str, size: int, hugepages: bool, rounds: int) -> tuple[bytes, bytes]:
        assert (address, size, hugepages, rounds) == ("10.0.0.1", 4096, False, 4)
        return array("Q", [10**9, 7, 5, 6]).tobytes(), array("Q", [10**9, 1, 2, 3]).tobytes()

    monkeypatch.setattr(_core, "bench_registration", cost)
    row = registration._row("10.0.0.1", 4096, False, 3)
    assert (row["warmup"], row["rounds"]) == (1, 3)
    assert (row["register"]["min_ns"], row["register"]["median_ns"], row["register"]["max_ns"]) == (5, 6, 7)
    assert row["deregister"]["max_ns"] == 3
