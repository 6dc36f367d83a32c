# SPDX-License-Identifier: Apache-2.0
"""The journal's file from outside: its bytes, its locks, a full disk, and a process killed while it writes."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from core_disk import on_a_small_disk

from tickwire import _core, journal
from tickwire.errors import TickwireError

RECORD = struct.Struct("<3Q8s5I4cII")
HEADER = 4096


def records_of(path: Path) -> list[tuple[int, str, int, bytes]]:
    """(sequence, kind, reference, symbol) of every record, read here and not by the core."""
    data = path.read_bytes()[HEADER:]
    rows = [RECORD.unpack_from(data, at) for at in range(0, len(data), RECORD.size)]
    return [(row[0], row[9].decode(), row[4], row[3]) for row in rows if row[0]]


def traded(path: Path) -> _core.Ledger:
    ledger = _core.Ledger(path, "user 2026-01-05", 64)
    ledger.session("S1", 1)
    for locate, stock in ((1, "AAPL"), (2, "MSFT")):
        ledger.bind(locate, stock)
    ledger.enter(1, "B", 100, 1_000_000, 0)
    ledger.answer(1, "A", 1, shares=100, price=1_000_000)
    ledger.answer(2, "E", 1, shares=40, price=999_900, match_number=1)
    ledger.replace(0, 80, 1_000_100)
    ledger.enter(2, "S", 10, 2_000_000)
    ledger.cancel(0)
    return ledger


def test_the_file_is_what_the_header_says(tmp_path: Path) -> None:
    ledger = traded(tmp_path / "j")
    data = (tmp_path / "j").read_bytes()
    assert data[:8] == b"TWJOURNL"
    assert struct.unpack_from("<IIQ", data, 8) == (1, 64, 64)
    assert data[24:56].rstrip(b"\0") == b"user 2026-01-05"
    assert len(data) == HEADER + 64 * 64
    assert [(kind, reference) for _, kind, reference, _ in records_of(tmp_path / "j")] == [
        ("S", 0),
        ("O", 1),
        ("A", 1),
        ("A", 1),
        ("U", 2),
        ("O", 3),
        ("X", 2),
    ]
    assert [sequence for sequence, *_ in records_of(tmp_path / "j")] == list(range(1, 8))
    assert {symbol for _, kind, _, symbol in records_of(tmp_path / "j") if kind in "OUX"} == {b"AAPL    ", b"MSFT    "}
    del ledger


def test_the_command_shows_it_beside_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = traded(tmp_path / "j")
    parser = argparse.ArgumentParser()
    journal.add_parser(parser.add_subparsers())
    args = parser.parse_args(["journal", str(tmp_path / "j"), "--json"])
    assert args.action(args) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["name"], state["session"], state["records"], state["room"]) == ("user 2026-01-05", "S1", 7, 57)
    assert (state["open_orders"], state["replacing_orders"], state["unsure_orders"]) == (2, 1, 2)
    assert [(order["reference"], order["state"], order["tag"]) for order in state["orders"]] == [
        (1, "live", 0),
        (2, "unsure", 0),
        (3, "unsure", None),
    ]
    assert state["positions"][0] == {
        "stock": "AAPL",
        "shares": 40,
        "cash": -40 * 999_900,
        "open_buys": 80,
        "open_sells": 0,
    }
    args = parser.parse_args(["journal", str(tmp_path / "j")])
    assert args.action(args) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "lost records      0" in lines
    assert "         1 AAPL     B           60       100.0000      0 live" in lines
    assert "         2 AAPL     B           80       100.0100      0 unsure  replaces 1" in lines
    assert "         3 MSFT     S           10       200.0000      - unsure" in lines
    assert "AAPL                40        -3999.6000          80           0" in lines
    assert ledger.enter(1, "B", 1, 1, 5) == 4  # reading has locked nothing
    assert journal.read(str(tmp_path / "j"))["records"] == 8


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "No such file"), (b"not one", "not a tickwire journal"), (b"", "not a tickwire journal")],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, content: bytes | None, text: str) -> None:
    if content is not None:
        (tmp_path / "j").write_bytes(content)
    with pytest.raises(TickwireError, match=text) as caught:
        journal.read(str(tmp_path / "j"))
    assert str(tmp_path / "j") in str(caught.value) and "\n" not in str(caught.value)


def test_a_journal_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """Checksums and sequences do not save from a record of another engine's journal; the history does."""
    ledger = traded(tmp_path / "j")
    del ledger
    data = bytearray((tmp_path / "j").read_bytes())
    other = _core.Ledger(tmp_path / "k", "user 2026-01-05", 64)
    other.bind(1, "AAPL")
    for _ in range(5):
        other.enter(1, "B", 100, 1)
    del other
    foreign = (tmp_path / "k").read_bytes()
    data[HEADER + 64 : HEADER + 128] = foreign[HEADER + 64 : HEADER + 128]  # record 2 is another order now
    (tmp_path / "j").write_bytes(data)
    with pytest.raises(ValueError, match="record 5: of kind 0x55 for order 2 cannot follow"):
        _core.Ledger(tmp_path / "j", "user 2026-01-05", 64)
    with pytest.raises(TickwireError, match="record 5"):
        journal.read(str(tmp_path / "j"))


SMALL_DISK = """
import sys
from tickwire import _core
path = sys.argv[1] + "/j"
for capacity in (100_000, 30_000):
    try:
        _core.Ledger(path, "x", capacity)
    except OSError as error:
        print(error.errno, error.strerror)
ledger = _core.Ledger(path, "x", 10_000)
ledger.bind(1, "AAPL")
with open(sys.argv[1] + "/filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError as error:
        print("full", error.errno)
sent = 0
while ledger.enter(1, "B", 1, 1):
    sent += 1
    ledger.answer(sent, "E", sent, shares=1, price=1, match_number=sent)
print("sent", sent, ledger.state()["room"])
del ledger
try:
    _core.Ledger(path, "x", 10_000)
except OSError as error:
    print(error.errno, error.strerror)
print(_core.journal_read(path)["positions"][0]["shares"])
"""


def test_a_full_disk_stops_the_start_and_never_the_engine() -> None:
    """On a file system of 1 MB in a mount namespace of its own: too large is refused, and what was started goes on."""
    done = on_a_small_disk(SMALL_DISK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line, needed in zip(lines[:2], (HEADER + 64 * 100_000, HEADER + 64 * 30_000), strict=True):
        assert line.startswith(f"28 journal /mnt/j: no room for {needed} bytes, 104"), line
        assert "engine.journal_records" in line
    assert lines[2] == "full 28"
    # Two records an order, and the reserve of one order that may be open, and of the journal itself, is kept.
    sent = (10_000 - 4 - 8) // 2
    assert lines[3] == f"sent {sent} {10_000 - 2 * sent}"
    assert lines[4].startswith("28 journal /mnt/j: no room for ")  # it cannot grow for the next run: said, not lost
    assert lines[5] == str(sent)


CHILD = """
import os, sys
from tickwire import _core
ledger = _core.Ledger(sys.argv[1], "x", 1 << 16)
ledger.bind(1, "AAPL")
ledger.settle()
out = sys.stdout.fileno()
while True:
    reference = ledger.enter(1, "B", 1, 1)
    if reference:
        os.write(out, reference.to_bytes(4, "little"))  # the "wire"
    else:
        ledger.settle()
    sequence = ledger.state()["answered"] + 1
    ledger.answer(sequence, "E", reference, shares=1, price=1, match_number=sequence)
"""


def test_every_order_that_was_on_the_wire_is_in_the_journal(tmp_path: Path) -> None:
    """A process of its own, killed at no particular moment, 20 times over on one journal."""
    path, seed = tmp_path / "j", random.Random(1)
    wire: list[int] = []
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(_core.__file__).parents[1])},
        ) as child:
            assert child.stdout is not None
            told = child.stdout.read(4)
            time.sleep(seed.uniform(0, 0.01))
            child.send_signal(signal.SIGKILL)
            told += child.stdout.read()
        wire += [int.from_bytes(told[at : at + 4], "little") for at in range(0, len(told) - 3, 4)]
        entered = [reference for _, kind, reference, _ in records_of(path) if kind == "O"]
        assert entered == list(range(1, len(entered) + 1))
        assert set(wire) <= set(entered), "an order was sent that the journal does not know"
        state = _core.journal_read(path)
        assert state["last_reference"] == entered[-1] and state["lost_records"] == 0
    assert len(wire) == len(set(wire)), "a number was sent twice"
