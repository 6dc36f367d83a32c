# SPDX-License-Identifier: Apache-2.0
"""The card's receive stamps by way of the XDP program, over a veth pair.

What the kernel does is real: veth's driver has the function the program asks, the program is loaded for the device,
and its answer comes with the frame; but a packet on veth has no stamp of a card, so that answer is 0. Where a stamp is
needed the same program is compiled with another function in its place. What the card is set to, and its stamps of what
is sent, come from `c/shim.c`: its clock is ahead of the kernel's by 37 s and stamps an order 500 ns after the kernel.
"""

from __future__ import annotations

import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from core_samples import CLOCKS, unpack
from front_shim import ALL, Card, Shim
from front_site import Processes
from xdp_site import NEEDED, bench, bounded, refused, start, write_configs
from xdp_trader import PROGRAM
from xdp_wire import ENGINE, Wire

SOURCE = Path(__file__).resolve().parents[1] / "bpf" / "steer.bpf.c"
KERNELS = "extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *context, __u64 *stamp) __ksym __weak;"
AHEAD_NS, CARD_EARLIER_NS, CARD_LATER_NS = 37_000_000_000, 300, 500  # c/fake_card.h
E0 = Card(name=b"e0")


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def configs(wire: Wire, tmp_path: Path) -> dict[str, str]:
    return write_configs(wire, tmp_path)


def change(configs: dict[str, str], table: str, line: str) -> None:
    config = Path(configs["engine"])
    config.write_text(config.read_text().replace(f"[{table}]", f"[{table}]\n{line}"))


def compiled(directory: Path, function: str) -> list[str]:
    """A command in whose mount namespace the XDP program has `function` in place of the kernel's."""
    text = SOURCE.read_text()
    assert text.count(KERNELS) == 1
    source, program = directory / "card.bpf.c", directory / "card.bpf.o"
    source.write_text(text.replace(KERNELS, function))
    headers = [f"-I/usr/include/{sysconfig.get_config_var('MULTIARCH')}", f"-I{SOURCE.parent}"]
    files = ["-c", str(source), "-o", str(program)]
    subprocess.run(["clang", "-target", "bpf", "-O2", "-g", *headers, *files], check=True)
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(program), PROGRAM]


def attached(wire: Wire) -> str:
    return str(wire.link(ENGINE)["xdp"]["prog"]["name"])


def test_the_driver_is_asked_and_has_no_stamp(
    processes: Processes, wire: Wire, configs: dict[str, str], shim: Shim
) -> None:
    """With no more than the capabilities of the unit, too."""
    shim.set_card(E0)
    start(processes, wire, configs, "exchange")
    engine = processes.start("run", configs["engine"], before=[*wire.argv(ENGINE), *bounded(*NEEDED)])
    assert attached(wire) == "steer_card" and (shim.card.tx_type, shim.card.rx_filter) == (1, ALL)
    result = bench(wire, configs)
    orders = result["orders"]["sent"]
    assert orders > 50 and (result["samples"], result["unstamped"], result["by_kernel"]) == (orders, 0, orders)
    assert result["timestamp_source"] == "software" and 0 < result["min_ns"]
    code, log = processes.stop(engine)
    assert code == 0 and "time stamps: hardware, by /dev/ptp0 of e0 (switched on)" in log, log
    assert "without the card's stamps" in log and (shim.card.tx_type, shim.card.rx_filter) == (0, 0)


@pytest.mark.parametrize("wish", ["auto", "hardware"])
def test_stamps_of_the_card(
    processes: Processes, wire: Wire, configs: dict[str, str], shim: Shim, tmp_path: Path, wish: str
) -> None:
    shim.set_card(E0)
    change(configs, "engine", f'timestamps = "{wish}"')
    tai_ns = round(time.clock_gettime(time.CLOCK_TAI) - time.time()) * 1_000_000_000
    program = compiled(
        tmp_path,
        "static __always_inline int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *context, __u64 *stamp)\n{\n"
        f"    *stamp = bpf_ktime_get_tai_ns() + {AHEAD_NS - CARD_EARLIER_NS - tai_ns}ll;\n    return context == 0;\n}}",
    )
    start(processes, wire, configs, "exchange")
    engine = processes.start("run", configs["engine"], before=[*wire.argv(ENGINE), *program])
    assert attached(wire) == "steer_card"
    result = bench(wire, configs)
    orders = result["orders"]["sent"]
    assert orders > 50 and (result["samples"], result["unstamped"], result["other_clocks"]) == (orders, 0, {})
    assert result["timestamp_source"] == "hardware" and result["software"]["samples"] == orders
    for sample in unpack(configs["block"]):
        assert sample.clock == CLOCKS["hardware"]
        assert sample.transmit_ns == sample.transmit_software_ns + AHEAD_NS + CARD_LATER_NS
        assert sample.receive_ns <= sample.receive_software_ns + AHEAD_NS - CARD_EARLIER_NS  # read one after the other
        assert sample.transmit_ns - AHEAD_NS < sample.receive_ns < sample.transmit_ns  # of one clock
        assert 0 < sample.receive_software_ns < sample.transmit_software_ns
    code, log = processes.stop(engine)
    assert code == 0 and " 0 by the kernel's sockets, 0 with a wrong checksum, 0 dropped" in log, log


def test_a_kernel_without_the_function_has_its_own_stamps(
    processes: Processes, wire: Wire, configs: dict[str, str], shim: Shim, tmp_path: Path
) -> None:
    shim.set_card(E0)
    unknown = KERNELS + "\nextern int of_a_later_kernel(const struct xdp_md *context, __u64 *stamp) __ksym __weak;"
    program = compiled(tmp_path, unknown + "\n#define bpf_xdp_metadata_rx_timestamp of_a_later_kernel")
    start(processes, wire, configs, "exchange")
    engine = processes.start("run", configs["engine"], before=[*wire.argv(ENGINE), *program])
    assert attached(wire) == "steer" and (shim.card.tx_type, shim.card.rx_filter, shim.card.sets) == (0, 0, 2)
    result = bench(wire, configs)
    assert (result["timestamp_source"], result["by_kernel"], result["unstamped"]) == ("software", 0, 0)
    code, log = processes.stop(engine)
    why = "e0: asking the driver for the card's stamps: load the XDP program: Invalid argument; it needs Linux 6.8"
    assert code == 0 and log.count("time stamps: ") == 1 and f"time stamps: software, {why}" in log, log

    change(configs, "engine", 'timestamps = "hardware"')
    line = refused(wire, configs, *program, env=shim.env)
    assert line == f'tickwire: engine.timestamps "hardware": {why}; use another card, or "auto" or "software"'
    assert shim.card.rx_filter == 0


def test_generic_mode_has_no_stamps_of_the_card(
    processes: Processes, wire: Wire, configs: dict[str, str], shim: Shim
) -> None:
    shim.set_card(E0)
    change(configs, "feed", 'xdp_mode = "generic"')
    engine = start(processes, wire, configs, "exchange", "engine")[1]
    assert attached(wire) == "steer"
    code, log = processes.stop(engine)
    why = "e0: XDP in generic mode has no stamps of the card (feed.xdp_mode)"
    assert code == 0 and f"time stamps: software, {why}" in log, log
    change(configs, "engine", 'timestamps = "hardware"')
    line = refused(wire, configs, env=shim.env)
    assert line == f'tickwire: engine.timestamps "hardware": {why}; use another card, or "auto" or "software"'
    assert shim.card.rx_filter == 0
