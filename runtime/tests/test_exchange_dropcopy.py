# SPDX-License-Identifier: Apache-2.0
"""The drop copy: what is in the file, and that no file can stop the exchange."""

import json
import logging
import os

import pytest
from core_disk import on_a_small_disk

from tickwire.exchange import dropcopy as module
from tickwire.exchange.dropcopy import DropCopy
from tickwire.exchange.soupbin import Account

ACCOUNT = Account("TRADE1", "secret", version="4.2")


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_appended_in_batches(tmp_path):
    path = tmp_path / "drop.jsonl"
    path.write_text('{"of": "yesterday"}\n')
    copy = DropCopy(str(path))
    copy(ACCOUNT, "in", {"type": "O", "shares": 3, "appendage": b"\x01\xff"})
    copy(ACCOUNT, "out", {"type": "A"})
    assert len(lines_of(path)) == 1
    copy.flush()
    copy.close()
    old, first, second = lines_of(path)
    assert old == {"of": "yesterday"}
    assert first["message"] == {"type": "O", "shares": 3, "appendage": "01ff"} and first["time_ns"] > 10**18
    assert (second["account"], second["version"], second["direction"]) == ("TRADE1", "4.2", "out")
    assert (copy.lines, copy.lost) == (2, 0)


def test_a_full_disk_costs_lines_and_one_warning(caplog):
    copy = DropCopy("/dev/full")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            copy(ACCOUNT, "in", {"type": "O"})
            copy(ACCOUNT, "in", {"type": "X"})
            copy.flush()
    copy.close()
    assert copy.lost == 6 and copy.lines == 0
    assert [record.message for record in caplog.records] == [
        "exchange.drop_copy /dev/full: No space left on device; lines are lost and counted"
    ]


SMALL_DISK = """
import logging, os, sys
from tickwire.exchange.dropcopy import DropCopy
from tickwire.exchange.soupbin import Account

logging.basicConfig(format="%(message)s")
place = sys.argv[1]
copy, account = DropCopy(place + "/copy"), Account("TRADE1", "secret")

def enter(numbers):
    for number in numbers:
        copy(account, "in", {"type": "O", "n": number})
        if number % 10 == 9:
            copy.flush()

with open(place + "/filler", "wb") as filler:
    filler.write(bytes(1 << 19))
enter(range(10000))  # more than the rest of the disk takes
print(os.statvfs(place).f_bavail, copy.lines, copy.lost)
os.unlink(place + "/filler")
enter(range(10000, 10100))
copy.close()
print(copy.lines, copy.lost)
sys.stdout.write(open(place + "/copy").read())
"""


def test_a_disk_that_fills_up_costs_lines_until_it_has_room_again():
    """On a real file system, where the last write before it is full is a part of what was asked for."""
    done = on_a_small_disk(SMALL_DISK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "exchange.drop_copy /mnt/copy: No space left on device; lines are lost and counted\n"
    full, end, *lines = done.stdout.splitlines()
    free, written, lost = map(int, full.split())
    assert free == 0 and 1000 < written < 10000 and written + lost == 10000
    assert end == f"{written + 100} {lost}"
    torn, found = 0, []
    for line in lines:
        try:
            found.append(json.loads(line)["message"]["n"])
        except ValueError:
            torn += 1
    assert torn <= 1 and found[-100:] == list(range(10000, 10100)) and len(found) == written + 100
    assert found[: written - 10] == list(range(written - 10)), "what was written before it was full is there"


def test_a_file_that_cannot_be_opened_is_tried_again_later(tmp_path, monkeypatch, caplog):
    path = tmp_path / "missing" / "drop.jsonl"
    copy = DropCopy(str(path))
    for _ in range(2):
        copy(ACCOUNT, "in", {"type": "O"})
        copy.flush()
    assert copy.lost == 2 and len(caplog.records) == 1
    path.parent.mkdir()
    monkeypatch.setattr(copy, "_retry_at", 0.0)
    copy(ACCOUNT, "in", {"type": "X"})
    copy.close()
    assert [line["message"]["type"] for line in lines_of(path)] == ["X"]


@pytest.mark.parametrize("room", [0, 1, 70, 500, 1000])
def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next(tmp_path, monkeypatch, room):
    """A disk with room for `room` bytes, then full, then with room again."""
    path = tmp_path / "drop.jsonl"
    left = [room]
    real = os.write

    def write(handle, data):
        if not left[0]:
            raise OSError(28, "No space left on device")
        taken = real(handle, data[: left[0]])
        left[0] -= taken
        return taken

    monkeypatch.setattr(module.os, "write", write)
    copy = DropCopy(str(path))
    for n in range(8):
        copy(ACCOUNT, "in", {"type": "O", "n": n})
    copy.flush()
    left[0] = 1 << 20
    for n in range(8, 16):
        copy(ACCOUNT, "in", {"type": "O", "n": n})
    copy.close()
    good = []
    for line in path.read_text().splitlines():
        try:
            good.append(json.loads(line)["message"]["n"])
        except ValueError:
            continue
    assert good == [*range(8 - copy.lost), *range(8, 16)]
    assert copy.lines == len(good)
