"""Maintenance windows against datetime's own arithmetic of zones, and when a host may be disturbed."""

from __future__ import annotations

import struct
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.maintenance import DAYS, judge, window_open
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from ansible_collections.tickwire.fabric.plugins.module_utils.host.workload import find_trading
from tests.unit.host.host_tree import Host

minutes = st.integers(0, 24 * 60 - 1)
nows = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))
offsets = st.integers(-14 * 60, 14 * 60)


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def zone_of(offset: int) -> str:
    return f"{'-' if offset < 0 else '+'}{clock(abs(offset))}"


@given(st.sets(st.integers(0, 6), min_size=1), minutes, st.integers(1, 24 * 60), offsets, nows)
def test_a_window_is_what_datetime_says(days: set[int], begin: int, long: int, offset: int, now: datetime) -> None:
    """The model: on each of the days a span of real time begins, wherever it ends."""
    end = begin + long
    if end % (24 * 60) == begin:
        return  # a whole day that does not begin at midnight is not one window
    text = f"{','.join(DAYS[day] for day in sorted(days))} {clock(begin)}-"
    text += f"{clock(end if end == 24 * 60 else end % (24 * 60))} {zone_of(offset)}"
    local = now.astimezone(timezone(timedelta(minutes=offset)))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    inside = False
    for back in (0, 1):
        start = midnight - timedelta(days=back) + timedelta(minutes=begin)
        if (midnight - timedelta(days=back)).weekday() in days:
            inside = inside or start <= local < start + timedelta(minutes=long)
    assert window_open(text, now) is inside, text


@given(minutes, minutes, offsets, nows)
def test_the_opposite_of_a_window_is_open_when_it_is_not(begin: int, end: int, offset: int, now: datetime) -> None:
    if begin != end:
        one, other = (f"{clock(a)}-{clock(b)} {zone_of(offset)}" for a, b in ((begin, end), (end, begin)))
        assert window_open(one, now) is not window_open(other, now)
        assert window_open([one, other], now)


@pytest.mark.parametrize(
    ("text", "now", "is_open"),
    [
        ("22:00-06:00 UTC", "2026-11-21T22:00:00+00:00", True),
        ("22:00-06:00 UTC", "2026-11-21T21:59:59+00:00", False),
        ("22:00-06:00 UTC", "2026-11-22T05:59:59+00:00", True),
        ("22:00-06:00 UTC", "2026-11-22T06:00:00+00:00", False),
        ("Sat,Sun 00:00-24:00 UTC", "2026-11-20T23:59:59+00:00", False),
        ("Sat,Sun 00:00-24:00 UTC", "2026-11-22T23:59:59+00:00", True),
        ("sat-mon 00:00-24:00 UTC", "2026-11-23T12:00:00+00:00", True),
        ("Fri 22:00-06:00 UTC", "2026-11-21T05:00:00+00:00", True),
        ("Fri 22:00-06:00 UTC", "2026-11-20T05:00:00+00:00", False),
        ("Mon 00:00-01:00 +02:00", "2026-11-22T22:30:00+00:00", True),
        ("Sun 23:00-24:00 -05:00", "2026-11-23T04:30:00+00:00", True),
        ("22:00-23:00 Z", "2026-11-21T23:30:00+01:00", True),
        (True, "2026-11-21T12:00:00+00:00", True),
        ("true", "2026-11-21T12:00:00+00:00", True),
        ("", "2026-11-21T12:00:00+00:00", False),
        (False, "2026-11-21T12:00:00+00:00", False),
        (None, "2026-11-21T12:00:00+00:00", False),
        ([], "2026-11-21T12:00:00+00:00", False),
    ],
)
def test_windows(text: object, now: str, is_open: bool) -> None:
    assert window_open(text, datetime.fromisoformat(now)) is is_open


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("22:00-06:00", "a zone that is UTC"),
        ("22:00-06:00 Europe/Berlin", "a zone that is UTC"),
        ("at night", "this is no window"),
        ("Sonntag 22:00-06:00 UTC", "'Sonntag' is no day"),
        ("22:00-25:00 UTC", "'25:00' is no time"),
        ("22:60-23:00 UTC", "'22:60' is no time"),
        ("22:00-22:00 UTC", "at another time"),
        ("24:00-06:00 UTC", "begin before 24:00"),
        ("22:00-06:00 +15:00", "'+15:00' is no offset"),
        (17, "neither true nor a window"),
        ([True, "x"], "this is no window"),
    ],
)
def test_what_is_no_window_is_refused(text: object, rule: str) -> None:
    with pytest.raises(HostError, match=".*") as caught:
        window_open(text, datetime(2026, 11, 21, tzinfo=UTC))
    assert rule in str(caught.value) and "22:00-06:00 UTC" in str(caught.value)


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def block(state: int = 2, open_orders: int = 0, unsure: int = 0, pid: int = 41, version: int = 3) -> bytes:
    """A block as runtime/core/block.h lays it out, written down by offsets."""
    data = bytearray(4096)
    data[0:8] = b"TICKWIRE"
    struct.pack_into("<II", data, 8, version, pid)
    struct.pack_into("<I", data, 144, state)
    struct.pack_into("<QQ", data, 208 + 26 * 8, open_orders, unsure)
    return bytes(data)


class Running:
    """A host with systemd on which some units are in a state."""

    def __init__(self, host: Host, **units: str) -> None:
        (host.root / "run/systemd/system").mkdir(parents=True)
        self.host, self.units, self.pid = host, units, 41
        self.system = System(host.root, self.run)

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        assert argv[:2] == ["systemctl", "show"]
        names = argv[argv.index("--") + 1 :]
        blocks = []
        for name in names:
            state = self.units.get(name.split(".")[0].replace("-", "_"), "inactive")
            pid = self.pid if state in ("active", "deactivating") else 0
            blocks.append(f"MainPID={pid}\nId={name}\nActiveState={state}\n")
        return 0, "\n".join(blocks), ""

    def block(self, data: bytes) -> None:
        path = self.host.root / "run/tickwire/t2t.block"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (block(), "it has a session at the exchange"),
        (block(state=1), ""),
        (block(state=0), ""),
        (block(state=1, open_orders=3, unsure=1), "it has 4 open orders"),
        (block(state=1, version=5), ""),
        (block(version=6), "no block of version 3 to 5"),
        (block(pid=40), "the block is of process 40, not 41"),
        (b"TICKWIRE", "the block is too short"),
        (b"", "the block is too short"),
    ],
)
def test_an_engine_trades_with_a_session_or_orders_or_when_nobody_knows(host: Host, data: bytes, why: str) -> None:
    running = Running(host, tickwire_engine="active")
    running.block(data)
    found = find_trading(running.system, {})
    assert bool(found) is bool(why)
    assert all(why in line for line in found)


def test_an_engine_without_a_block_or_about_to_start_trades(host: Host) -> None:
    running = Running(host, tickwire_engine="active")
    assert "its state cannot be read: No such file" in find_trading(running.system, {})[0]
    running.units["tickwire_engine"] = "activating"
    assert find_trading(running.system, {}) == ["tickwire-engine.service is activating without a process"]
    assert find_trading(running.system, {}, attempts=False) == []
    running.units["tickwire_engine"] = "failed"
    assert find_trading(running.system, {}) == []


def test_other_units_trade_while_they_are_active(host: Host) -> None:
    running = Running(host, other="active")
    assert find_trading(running.system, {"workload_units": ["none.service", "other.service"]}) == [
        "other.service is active"
    ]


def test_a_host_without_systemd_runs_nothing(host: Host) -> None:
    assert find_trading(System(host.root, host.run_nothing), {"workload_units": ["x.service"]}) == []


def test_systemd_that_does_not_answer_is_an_error_and_no_permission(host: Host) -> None:
    (host.root / "run/systemd/system").mkdir(parents=True)
    with pytest.raises(OSError, match="Failed to connect"):
        judge(System(host.root, lambda dummy: (1, "", "Failed to connect to bus\n")), {}, NOON)


@pytest.mark.parametrize(
    ("wanted", "allowed", "reason"),
    [
        ({}, False, "it has a session at the exchange, and no maintenance window is open"),
        ({"maintenance_window": True}, True, "a maintenance window is open"),
        ({"maintenance_window": "11:00-13:00 UTC"}, True, "a maintenance window is open"),
        ({"maintenance_window": "13:00-11:00 UTC"}, False, "no maintenance window is open"),
        ({"workload_protection": False}, True, "workload protection is off"),
        ({"workload_protection": "true"}, False, "no maintenance window is open"),
    ],
)
def test_a_host_that_trades_may_be_disturbed_in_a_window_only(
    host: Host, wanted: dict[str, object], allowed: bool, reason: str
) -> None:
    running = Running(host, tickwire_engine="active")
    running.block(block())
    found = judge(running.system, wanted, NOON)
    assert (found.allowed, reason in found.reason) == (allowed, True), found


def test_a_host_on_which_nothing_trades_may_always_be_disturbed(host: Host) -> None:
    found = judge(Running(host).system, {"maintenance_window": "13:00-11:00 UTC"}, NOON)
    assert found.allowed and found.reason == "nothing trades on this host"


def test_a_wrong_window_is_told_even_where_nothing_trades(host: Host) -> None:
    with pytest.raises(HostError, match="this is no window"):
        judge(Running(host).system, {"maintenance_window": "at night"}, NOON)


def test_the_layout_of_the_block_is_what_the_compiler_says(tmp_path: Path) -> None:
    source = tmp_path / "layout.c"
    names = ("version", "pid", "state", "open_orders", "unsure_orders")
    shown = "".join(f'printf("%zu ", offsetof(struct block, {name}));' for name in names)
    source.write_text(
        f'#include <stddef.h>\n#include <stdio.h>\n#include "block.h"\nint main(void) {{ {shown} '
        'printf("%d %d\\n", (int)BLOCK_VERSION, (int)BLOCK_LIVE); return 0; }\n'
    )
    core = Path(__file__).resolve().parents[3] / "runtime/core"
    program = str(tmp_path / "layout")
    subprocess.run(["gcc", "-std=gnu11", f"-I{core}", "-o", program, str(source)], check=True, timeout=60)
    done = subprocess.run([program], capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout.split() == ["8", "12", "144", str(208 + 26 * 8), str(208 + 27 * 8), "5", "2"]
