# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own file: other people's decoders read it, the books take it, both programs run."""

from __future__ import annotations

import array
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from core_reference_book import ReferenceBook
from itch.parser import MessageParser
from meatpy.itch50.itch50_market_message import ITCH50MarketMessage

from tickwire import _core

BENCH = Path(__file__).resolve().parents[2] / "bench"
MESSAGES, INSTRUMENTS, LIVE = 20_000, 60, 3_000
# Per cent of the messages after the start of day, with room for chance and the ramp; source: tickwire.generate.
SHARES = {"AF": (42, 54), "D": (33, 42), "U": (8, 11), "EC": (1.3, 2.3), "X": (0.7, 1.3), "PI": (1.0, 1.6)}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bench")
    done = subprocess.run(["make", "-C", str(BENCH), f"BUILD={target}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def mix(build: Path, **settings: int) -> bytes:
    arguments = [f"{name}={value}" for name, value in settings.items()]
    return subprocess.run([str(build / "mix"), *arguments], capture_output=True, check=True, timeout=60).stdout


def bodies(data: bytes) -> list[bytes]:
    entries = array.array("Q")
    entries.frombytes(_core.itch_frame_index(data)[0])
    return [data[entry >> 16 : (entry >> 16) + (entry & 0xFFFF)] for entry in entries]


def run(program: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=True, timeout=60)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("deep", [0, 1])
def test_the_mix_is_valid_and_has_its_shares(build: Path, deep: int) -> None:
    data = mix(build, messages=MESSAGES, seed=7, instruments=INSTRUMENTS, live=LIVE, deep=deep)
    book, reference, parser = _core.Book(10_000, INSTRUMENTS + 1), ReferenceBook(), MessageParser()
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    for body in bodies(data):
        theirs = ITCH50MarketMessage.from_bytes(body)
        fields = _core.itch_decode(body)
        assert theirs.stock_locate == fields["stock_locate"] and theirs.timestamp == fields["timestamp"]
        assert parser.get_message_type(body).timestamp == fields["timestamp"]
        assert fields["type"] not in "AF" or fields["order_reference"] not in seen
        seen.add(fields.get("order_reference", 0))
        counts[fields["type"]] += 1
        book.apply(body)
        reference.apply(fields)
        bid, _, ask, _ = book.top(fields["stock_locate"])
        assert not bid or not ask or bid < ask
    stats = book.stats()
    assert LIVE * 0.95 < stats.pop("live_orders") == len(reference.orders) < LIVE * 1.05
    assert set(stats.values()) == {0} and reference.errors == 0
    total = counts.total() - 2 - 2 * INSTRUMENTS
    for types, (low, high) in SHARES.items():
        assert low <= 100 * sum(counts[type_] for type_ in types) / total <= high, types
    books = reference.books()
    deepest = max(len(side) for sides in books.values() for side in sides)
    assert (deepest > 60) if deep else (deepest < 40), deepest


def test_the_same_seed_gives_the_same_file(build: Path) -> None:
    settings = {"messages": 3000, "instruments": 20, "live": 300}
    assert mix(build, seed=1, **settings) == mix(build, seed=1, **settings) != mix(build, seed=2, **settings)


def test_however_a_file_is_walked_the_tops_are_the_same(build: Path, tmp_path: Path) -> None:
    path = tmp_path / "mix.itch"
    data = mix(build, messages=MESSAGES, seed=3, instruments=INSTRUMENTS, live=LIVE)
    path.write_bytes(data + b"\0\x03zzz" + b"\0\x05DDDDD")
    walks = ("per_packet=1", "per_packet=8", "per_packet=32", "look_ahead=0")
    results = [run(build / "book", str(path), "max_orders=10000", "max_instruments=61", walk) for walk in walks]
    assert len({(result["checksum"], result["tops"], result["live_orders"]) for result in results}) == 1
    for result in results:
        assert (result["messages"], result["errors"], result["unknown"], result["malformed"]) == (MESSAGES, 0, 1, 1)
    silent = run(build / "book", str(path), "max_orders=10000", "max_instruments=61", "callback=0")
    assert (silent["tops"], silent["live_orders"], silent["errors"]) == (0, results[0]["live_orders"], 0)
    book, tops = _core.Book(10_000, INSTRUMENTS + 1), 0
    for body in bodies(data):
        locate = _core.itch_decode(body)["stock_locate"]
        before = book.top(locate)
        book.apply(body)
        tops += book.top(locate) != before
    assert tops <= results[0]["tops"] <= tops * 1.1  # a replace that puts back what it took is told, too


def test_decoding_sums_up_every_field(build: Path, tmp_path: Path) -> None:
    path = tmp_path / "mix.itch"
    samples = b"".join(
        len(body).to_bytes(2, "big") + body
        for body in (bytes([ord(type_)]) + bytes(range(1, _core.itch_length(type_))) for type_ in _core.ITCH_TYPES)
    )
    data = samples + mix(build, messages=MESSAGES, seed=3, instruments=INSTRUMENTS, live=LIVE)
    path.write_bytes(data + b"\0\x03zzz" + b"\0\x05DDDDD")
    total = 0
    for body in bodies(data):
        for _, _, offset, length in _core.itch_fields(chr(body[0])):
            total += int.from_bytes(body[offset : offset + length], "big")
    result = run(build / "decode", str(path))
    assert (int(result["checksum"], 16), result["unknown"], result["malformed"]) == (total % 2**64, 1, 1)
