# SPDX-License-Identifier: Apache-2.0
"""The generator: published proportions, valid histories, books that behave, the same bytes for the same seed."""

import gzip
import hashlib
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire import _core, cli, generate, itchfile
from tickwire.errors import TickwireError

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "itch"

# Per cent of the messages after the start of day; see the docstring of tickwire.generate for the source.
PUBLISHED = {"AF": (43, 46), "D": (40.5, 41.5), "U": (8, 11), "EC": (1.8, 2.0), "X": (0.8, 1.1), "PI": (1.2, 1.4)}


class Reference:
    """Live orders in plain Python; refuses every message that a valid history cannot have."""

    def __init__(self):
        self.orders = {}  # reference -> [locate, side, price, shares]
        self.seen = set()
        self.instruments = {}
        self.now = 0

    def apply(self, m):
        kind, locate = m["type"], m["stock_locate"]
        assert m["timestamp"] >= self.now, "time runs backwards"
        self.now = m["timestamp"]
        if kind == "R":
            assert locate not in self.instruments
            self.instruments[locate] = m["stock"]
        elif kind != "S":
            assert locate in self.instruments
        if "stock" in m:
            assert self.instruments[locate] == m["stock"]
        if kind in "AF":
            self.enter(m["order_reference"], locate, m["side"], m["price"], m["shares"])
        elif kind in "EC":
            self.reduce(m["order_reference"], locate, m["executed_shares"])
        elif kind == "X":
            order = self.reduce(m["order_reference"], locate, m["cancelled_shares"])
            assert order[3] > 0, "a partial cancel took all"
        elif kind == "D":
            assert self.orders.pop(m["order_reference"])[0] == locate
        elif kind == "U":
            old = self.orders.pop(m["original_reference"])
            assert old[0] == locate
            self.enter(m["new_reference"], locate, old[1], m["price"], m["shares"])

    def enter(self, reference, locate, side, price, shares):
        assert reference not in self.seen, "a reference is used twice"
        assert shares > 0 and price > 0 and side in "BS"
        self.seen.add(reference)
        self.orders[reference] = [locate, side, price, shares]

    def reduce(self, reference, locate, shares):
        order = self.orders[reference]
        assert order[0] == locate and 0 < shares <= order[3], "more taken than there is"
        order[3] -= shares
        if order[3] == 0:
            del self.orders[reference]
        return order

    def top(self, locate):
        best = {"B": None, "S": None}
        for at, side, price, _ in self.orders.values():
            if at == locate and (best[side] is None or (price > best[side]) == (side == "B")):
                best[side] = price
        return best["B"], best["S"]


def shares_of(messages, instruments):
    counts = Counter(chr(message[0]) for message in messages)
    body = len(messages) - generate.start_messages(instruments)
    return {group: 100 * sum(counts[kind] for kind in group) / body for group in PUBLISHED}, counts


@pytest.mark.parametrize(("messages", "instruments", "seed"), [(100_000, 100, 1), (20_000, 3, 7), (12_012, 20, 2)])
def test_mix_is_the_published_one(messages, instruments, seed):
    stream = list(generate.generate(messages, seed, instruments))
    assert len(stream) == messages
    shares, counts = shares_of(stream, instruments)
    for group, (low, high) in PUBLISHED.items():
        assert low <= shares[group] <= high, (group, shares)
    assert counts["R"] == counts["H"] == counts["Y"] == instruments and counts["S"] == 3
    attributed = counts["F"] / (counts["A"] + counts["F"])
    assert 0.007 <= attributed <= 0.013
    assert set(counts) == set("SRHYAFDUECXPI")


@settings(max_examples=15)
@given(seed=st.integers(), instruments=st.integers(1, 30), body=st.integers(1, 3000))
def test_histories_are_valid(seed, instruments, body):
    reference = Reference()
    stream = list(generate.generate(generate.start_messages(instruments) + body, seed, instruments))
    for message in stream:
        assert len(message) == _core.itch_length(chr(message[0]))
        reference.apply(_core.itch_decode(message))
    assert len(stream) == generate.start_messages(instruments) + body


def test_books_do_not_cross_and_move():
    """At every order message the book it touches is uncrossed; over the day mids move and the imbalance turns."""
    reference = Reference()
    mids: dict[int, set[int]] = {}
    imbalances: Counter[str] = Counter()
    book = _core.Book(65536, 16)
    for message in generate.generate(30_000, 5, 5):
        fields = _core.itch_decode(message)
        reference.apply(fields)
        book.apply(message)
        if fields["type"] not in "AFDUECX":
            continue
        locate = fields["stock_locate"]
        bid, bid_shares, ask, ask_shares = book.top(locate)
        if bid and ask:
            assert bid < ask, f"crossed after {fields}"
            mids.setdefault(locate, set()).add(bid + ask)
            turn = "buy" if bid_shares >= 3 * ask_shares else "sell" if ask_shares >= 3 * bid_shares else "even"
            imbalances[turn] += 1
    assert all(len(seen) > 10 for seen in mids.values())
    assert min(imbalances["buy"], imbalances["sell"], imbalances["even"]) > 2000
    for locate in reference.instruments:
        bid, ask = reference.top(locate)
        assert book.top(locate)[::2] == (bid or 0, ask or 0)
    assert book.stats()["live_orders"] == len(reference.orders)
    assert not any(value for key, value in book.stats().items() if key != "live_orders")


def test_same_seed_same_bytes_on_every_machine():
    digest = hashlib.sha256(b"".join(generate.generate(5000, 42, 10))).hexdigest()
    assert digest == hashlib.sha256(b"".join(generate.generate(5000, 42, 10))).hexdigest()
    assert digest != hashlib.sha256(b"".join(generate.generate(5000, 43, 10))).hexdigest()
    assert digest == "6205b8cbd77f14d3ae6cb06904f3483ebe54659db6de993b351de50b2417abc6"


def test_deep_books_are_an_option_of_the_command(tmp_path):
    spread = []
    for name, more in (("flat", []), ("deep", ["--deep"])):
        path = str(tmp_path / name)
        assert cli.main(["generate", path, "--messages", "4000", "--instruments", "2", *more]) == 0
        prices = [
            fields["price"]
            for fields in map(_core.itch_decode, itchfile.load(path).messages())
            if fields["type"] == "A" and fields["stock_locate"] == 1
        ]
        spread.append(max(prices) - min(prices))
    assert spread[1] > 3 * spread[0] and spread[1] > generate.DEEP_TICKS / 2 * 100


def test_file_is_framed_compressed_and_reproducible(tmp_path):
    for name in ("a.itch.gz", "b.itch.gz", "c.itch"):
        assert itchfile.write(tmp_path / name, generate.generate(500, 1, 5)) == 500
    assert (tmp_path / "a.itch.gz").read_bytes() == (tmp_path / "b.itch.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.itch.gz").read_bytes()) == (tmp_path / "c.itch").read_bytes()
    file = itchfile.load(tmp_path / "a.itch.gz")
    assert (len(file), file.framing) == (500, "length")
    assert list(file.messages()) == list(generate.generate(500, 1, 5))
    assert len(list(file.messages(7))) == 7


def test_a_failed_write_leaves_nothing(tmp_path):
    def breaks():
        yield b"S" * 12
        raise RuntimeError("generator broke")

    with pytest.raises(RuntimeError):
        itchfile.write(tmp_path / "x.itch", breaks())
    assert list(tmp_path.iterdir()) == []


def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(TickwireError, match="is not a regular file and will not be replaced"):
            itchfile.write(tmp_path / name, generate.generate(100, 1, 1))
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize(
    ("messages", "instruments", "message"),
    [
        (10, 5, "--messages 10 is too few: 5 instruments need 18"),
        (10, 0, "outside 1..16384"),
        (10**6, 16385, "outside"),
    ],
)
def test_impossible_requests_are_refused(messages, instruments, message):
    with pytest.raises(TickwireError, match=message):
        list(generate.generate(messages, 1, instruments))


def test_damaged_files_are_refused_by_name(tmp_path):
    whole = (FIXTURES / "syn100k.itch.gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.gz").write_bytes(whole[:5000] + bytes(64) + whole[5064:])
    (tmp_path / "text.gz").write_bytes(b"not gzip")
    (tmp_path / "cut.itch").write_bytes(gzip.decompress(whole)[:1001])
    (tmp_path / "empty.itch").write_bytes(b"")
    for name, reason in (
        ("cut.gz", "damaged gzip"),
        ("flipped.gz", "damaged gzip"),
        ("text.gz", "damaged gzip"),
        ("cut.itch", "not an ITCH 5.0 file, or a damaged one"),
        ("empty.itch", "is empty"),
        ("absent.itch", "No such file"),
    ):
        with pytest.raises(TickwireError, match=reason) as caught:
            itchfile.load(tmp_path / name)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "framing", "count"),
    [("ex20101224.TEST_ITCH_50.gz", "zero", 12_012), ("syn100k.itch.gz", "length", 100_002)],
)
def test_fixture_files_load(name, framing, count):
    file = itchfile.load(FIXTURES / name)
    assert (len(file), file.framing) == (count, framing)
