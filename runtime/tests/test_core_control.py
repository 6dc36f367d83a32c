# SPDX-License-Identifier: Apache-2.0
"""The control block from Python: what is written is read, writers do not undo each other, other files are refused."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_trader import Trader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickwire import _core

CORE = Path(__file__).resolve().parents[1] / "core"
U32 = 2**32 - 1


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """A control block as an engine leaves it."""
    trader = Trader(tmp_path / "t2t.block", risk={"max_size": 777, "restricted": ["ZVZZT"]})
    trader.stop()
    yield f"{trader.block}.control"


def test_it_begins_with_what_the_configuration_says(path: str) -> None:
    said = _core.Control(path).read()
    assert (said["killed"], said["reason"], said["restricted"]) == (False, "", ["ZVZZT"])
    assert said["limits"] == {
        "max_size": 777,
        "max_notional": 10**10,
        "collar_bps": 500,
        "max_position": 100_000,
        "max_open_orders": 1000,
        "max_orders_per_s": 10_000,
        "duplicate_ms": 0,
    }


NAMES = ("max_size", "collar_bps", "max_position", "max_open_orders", "max_orders_per_s", "duplicate_ms")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {}, optional={**dict.fromkeys(NAMES, st.integers(0, U32)), "max_notional": st.integers(0, 2**64 - 1)}
    ),
    st.lists(st.text("ABC.+-", min_size=1, max_size=8), max_size=30),
    st.text(max_size=80).filter(lambda text: "\0" not in text),
)
def test_what_is_written_is_read(path: str, limits: dict[str, int], symbols: list[str], reason: str) -> None:
    control = _core.Control(path)
    before = control.read()
    control.set_limits(limits)
    control.restrict(symbols)
    control.kill(reason)
    said = _core.Control(path).read()
    assert said["limits"] == {**before["limits"], **limits} and said["restricted"] == symbols
    assert said["killed"] and said["reason"] == reason.encode()[:63].decode(errors="replace")
    assert said["version"] == before["version"] + 4
    control.revive()
    said = control.read()
    assert (said["killed"], said["reason"]) == (False, "")


def test_wrong_values_change_nothing(path: str) -> None:
    control = _core.Control(path)
    before = control.read()
    with pytest.raises(ValueError, match="max_size: 4294967296 must be an integer that fits"):
        control.set_limits({"collar_bps": 1, "max_size": U32 + 1})
    with pytest.raises(ValueError, match="'max_syze' is no field"):
        control.set_limits({"max_syze": 1})
    with pytest.raises(ValueError, match="257 symbols are more than 256"):
        control.restrict([f"S{n}" for n in range(257)])
    with pytest.raises(ValueError, match="symbol '' must be 1 to 8"):
        control.restrict(["A", ""])
    assert control.read() == before


def test_changes_by_several_writers_are_all_kept(path: str) -> None:
    def add(letter: str) -> None:
        control = _core.Control(path)
        for n in range(60):
            with control:
                control.restrict([*control.read()["restricted"], f"{letter}{n}"])

    _core.Control(path).restrict([])
    threads = [threading.Thread(target=add, args=(letter,)) for letter in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(_core.Control(path).read()["restricted"]) == sorted(f"{x}{n}" for x in "ABC" for n in range(60))


def test_a_writer_that_does_not_let_go_is_an_error_and_holds_up_no_kill(path: str) -> None:
    control = _core.Control(path)
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        control.kill("now")
        assert control.read()["killed"]
        with pytest.raises(TimeoutError, match=r"t2t\.block\.control: another process has held it for 1000 ms"):
            control.set_limits({"max_size": 1})
    control.set_limits({"max_size": 1})
    assert control.read()["limits"]["max_size"] == 1


def test_an_engine_started_again_lets_others_write(path: str, tmp_path: Path) -> None:
    """The lock of a file lives as long as a mapping of it: the engine must give it back by hand."""
    trader = Trader(tmp_path / "t2t.block")
    try:
        _core.Control(path).set_limits({"max_size": 1})
    finally:
        trader.stop()


def test_a_writer_killed_within_its_change_leaves_nothing_stuck(path: str) -> None:
    with open(path, "r+b") as raw:  # the lock, odd: a change under way
        raw.seek(16)
        lock = int.from_bytes(raw.read(8), sys.byteorder)
        raw.seek(16)
        raw.write((lock + 1).to_bytes(8, sys.byteorder))
    control = _core.Control(path)
    assert control.read()["limits"]["max_size"] == 777
    control.set_limits({"max_size": 5})
    said = control.read()
    assert said["limits"]["max_size"] == 5 and said["version"] % 2 == 0 and said["version"] > lock


@pytest.mark.parametrize(
    ("offset", "content", "text"),
    [
        (0, b"NOTATALL", "not a tickwire control block"),
        (8, b"\x07\0\0\0", "version 7, this release has version 1"),
        (12, b"\x07\0\0\0", "damaged: says 7 bytes"),
        (28, b"\xff\xff\xff\xff", "4294967295 restricted symbols"),
        (100_000, b"x", "has 100001 bytes, where one of this release has 2176"),
    ],
)
def test_other_files_are_refused(path: str, offset: int, content: bytes, text: str, tmp_path: Path) -> None:
    with open(path, "r+b") as raw:
        raw.seek(offset)
        raw.write(content)
    with pytest.raises(ValueError, match=text):
        _core.Control(path)
    with pytest.raises(ValueError, match=f"{text}.*; remove it when trading may start"):
        Trader(tmp_path / "t2t.block")
    with pytest.raises(FileNotFoundError, match="absent: No such file"):
        _core.Control(str(tmp_path / "absent"))


def test_readers_beside_a_writer_under_the_thread_sanitizer(tmp_path: Path) -> None:
    program = tmp_path / "tsan_control"
    sources = [
        CORE.parent / "tests" / "c" / "test_control.c",
        *(CORE / f"{name}.c" for name in ("control", "mapped", "risk", "arena", "populate", "clock")),
    ]
    build = subprocess.run(
        ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fsanitize=thread", "-pthread", f"-I{CORE}"]
        + [f"-I{CORE.parent / 'tests' / 'c'}", *map(str, sources), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    done = subprocess.run(["setarch", "-R", str(program)], capture_output=True, text=True, timeout=120, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert done.returncode == 0 and done.stdout.startswith("ok"), done.stdout + done.stderr
