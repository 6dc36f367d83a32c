# SPDX-License-Identifier: Apache-2.0
"""`tickwire exchange` and `tickwire run` with feed.transport = "xdp" as processes over a veth pair: a measurement,
kill -9, what the process may and may not, what is missing on the machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_site import TIME_LIMIT_S, Processes
from xdp_site import NEEDED, bench, bounded, refused, start, write_configs
from xdp_wire import ENGINE, Wire

from tickwire import _core


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def configs(wire: Wire, tmp_path: Path) -> dict[str, str]:
    return write_configs(wire, tmp_path)


def test_measures_tick_to_trade(processes: Processes, wire: Wire, configs: dict[str, str]) -> None:
    _, engine = start(processes, wire, configs, "exchange", "engine")
    assert "feed by AF_XDP on e0: copy, 1 queue" in processes.log(engine)
    result = bench(wire, configs)
    assert result["timestamp_source"] == "software"
    assert (result["feed"]["messages"], result["feed"]["lost"], result["feed"]["gaps"]) == (3000, 0, 0)
    assert result["orders"]["sent"] == result["orders"]["accepted"] == result["exchange"]["orders"] > 50
    assert result["samples"] + result["unstamped"] == result["orders"]["sent"] and result["unstamped"] == 0
    assert 0 < result["min_ns"] <= result["median_ns"]
    code, log = processes.stop(engine)
    assert code == 0 and "packets by ring, 0 by the kernel's sockets, 0 with a wrong checksum, 0 dropped" in log
    assert "xdp" not in wire.link(ENGINE)


def test_a_killed_engine_leaves_nothing_behind(processes: Processes, wire: Wire, configs: dict[str, str]) -> None:
    _, engine = start(processes, wire, configs, "exchange", "engine")
    assert wire.link(ENGINE)["xdp"]["prog"]["name"] == "steer"
    engine.kill()
    engine.wait(TIME_LIMIT_S)
    assert "xdp" not in wire.link(ENGINE)
    (again,) = start(processes, wire, configs, "engine")  # at once, with the same queues
    assert wire.link(ENGINE)["xdp"]["prog"]["name"] == "steer"
    assert processes.stop(again)[0] == 0


def test_the_capabilities_of_the_unit_are_enough(processes: Processes, wire: Wire, configs: dict[str, str]) -> None:
    start(processes, wire, configs, "exchange")
    engine = processes.start("run", configs["engine"], before=[*wire.argv(ENGINE), *bounded(*NEEDED)])
    assert wire.link(ENGINE)["xdp"]["prog"]["name"] == "steer"
    assert processes.stop(engine)[0] == 0


@pytest.mark.parametrize("left_out", NEEDED)
def test_a_missing_capability_is_named(wire: Wire, configs: dict[str, str], left_out: str) -> None:
    line = refused(wire, configs, *bounded(*(name for name in NEEDED if name != left_out)))
    assert line.startswith("tickwire: AF_XDP on e0 is not allowed: ") and "Operation not permitted" in line
    assert "it needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW" in line


def test_too_little_memory_to_lock_is_named(wire: Wire, configs: dict[str, str]) -> None:
    line = refused(wire, configs, "prlimit", "--memlock=65536", "setpriv", "--bounding-set=-ipc_lock")
    assert line == (
        "tickwire: AF_XDP on e0: the limit of locked memory is below the 8 MB of 1 receive queues; raise it (systemd: "
        "LimitMEMLOCK=infinity), or name fewer in feed.xdp_queues"
    )


@pytest.mark.parametrize(("library", "package"), [("xdp", "libxdp1"), ("bpf", "libbpf1")])
def test_a_missing_library_names_its_package(wire: Wire, configs: dict[str, str], library: str, package: str) -> None:
    """A mount namespace in which the library is empty."""
    done = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True)
    (path,) = {line.split(" => ")[1] for line in done.stdout.splitlines() if f"lib{library}.so.1 " in line}
    hide = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"', path]
    line = refused(wire, configs, *hide)
    assert line.startswith(f'tickwire: feed.transport "xdp" needs lib{library}.so.1: ')
    assert line.endswith(f'; install the Debian package {package}, or set feed.transport = "socket"')


def test_a_refusal_loses_no_order_state(processes: Processes, wire: Wire, configs: dict[str, str]) -> None:
    """Positions of an engine that was killed, then one that is refused: the journal still has them."""
    _, engine = start(processes, wire, configs, "exchange", "engine")
    assert bench(wire, configs)["orders"]["sent"] > 50
    engine.kill()
    engine.wait(TIME_LIMIT_S)
    (journal,) = Path(configs["block"]).parent.glob("*.journal")
    kept = _core.journal_read(str(journal))
    assert kept["positions"]
    config = Path(configs["engine"])
    config.write_text(config.read_text().replace("[feed]", '[feed]\nxdp_mode = "zerocopy"'))
    assert 'set feed.xdp_mode = "auto"' in refused(wire, configs)
    after = _core.journal_read(str(journal))
    assert (after["orders"], after["positions"]) == (kept["orders"], kept["positions"])
