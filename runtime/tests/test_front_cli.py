# SPDX-License-Identifier: Apache-2.0
"""The command line: expected errors are one line and exit code 1; the small commands do what they say."""

import gzip
import json
import os
import signal
from pathlib import Path

import pytest

from tickwire import _core, cli, generate, itchfile
from tickwire.bench import t2t
from tickwire.errors import TickwireError

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "itch"
EXAMPLE = str(FIXTURES / "ex20101224.TEST_ITCH_50.gz")
SYNTHETIC = str(FIXTURES / "syn100k.itch.gz")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "absent.toml"], "absent.toml: cannot read the configuration"),
        (["exchange", "absent.toml"], "absent.toml: cannot read the configuration"),
        (["replay", "absent.itch"], "absent.itch: cannot read the ITCH file"),
        (["decode", "absent.itch"], "absent.itch: cannot read the ITCH file"),
        (["generate", "absent/x.itch"], "absent/x.itch: cannot write"),
        (["generate", "x.itch", "--messages", "5"], "--messages 5 is too few"),
        (["config", "check", "absent.toml"], "absent.toml: cannot read the configuration"),
        (["status", "absent.block"], "absent.block: No such file"),
        (["journal", "absent.journal"], "absent.journal: cannot be opened: No such file"),
        (["strategy", "check", "absent.py"], "absent.py: cannot read the strategy"),
        (
            ["bench", "t2t", "--block", "absent.block", "--exchange", "127.0.0.1:1"],
            "block file absent.block: No such file",
        ),
    ],
)
def test_expected_errors_are_one_line(args, said, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(t2t, "COMES_S", 0.0)
    monkeypatch.chdir(tmp_path)
    assert cli.main(args) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("tickwire: ") and said in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ["bench", "t2t", "--block", "x", "--exchange", "nowhere"],
        ["bench", "t2t", "--block", "x", "--exchange", "h:1", "--rate", "nan"],
        ["generate", "x", "--messages", "0"],
        [],
    ],
)
def test_wrong_usage_exits_with_2(args, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    assert caught.value.code == 2
    assert "usage: tickwire" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["generate", "x", "--messages", "many"], "argument --messages: 'many' is not a whole number"),
        (["generate", "x", "--seed", "1.5"], "argument --seed: '1.5' is not a whole number"),
        (["bench", "t2t", "--block", "x", "--exchange", "h:1", "--rate", "fast"], "'fast' is not a number"),
        (["bench", "t2t", "--block", "x", "--exchange", "h:1", "--timeout", "5s"], "'5s' is not a number"),
        (["status", "x", "--live", "--interval", "1s"], "'1s' is not a number"),
    ],
)
def test_what_is_no_number_is_said_in_plain_words(args, said, capsys):
    with pytest.raises(SystemExit):
        cli.main(args)
    assert said in capsys.readouterr().err


def test_a_wrong_block_directory_is_named_before_anything_starts(tmp_path, capsys):
    (tmp_path / "engine.toml").write_text(
        '[engine]\nblock = "/nonexistent/t2t.block"\n[feed]\ngroup = "127.0.0.1"\ninterface = "127.0.0.1"\n'
        '[orders]\nhost = "127.0.0.1"\nusername = "T"\npassword = "p"\n'
    )
    assert cli.main(["run", str(tmp_path / "engine.toml")]) == 1
    assert "engine.block: directory /nonexistent does not exist" in capsys.readouterr().err


def test_generate_then_decode_then_replay(tmp_path, capsys):
    out = str(tmp_path / "g.itch.gz")
    assert cli.main(["generate", out, "--messages", "2000", "--seed", "9", "--instruments", "4"]) == 0
    assert "2000 messages (A " in capsys.readouterr().out
    assert cli.main(["decode", out, "--limit", "10"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, 11))
    assert lines[0]["type"] == "S" and lines[1]["stock"] == "TAAAA"
    for line, message in zip(lines, generate.generate(2000, 9, 4), strict=False):
        assert _core.itch_encode({k: v for k, v in line.items() if k != "sequence"}) == message

    assert cli.main(["replay", out, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["messages"] == 2000 and result["orders"] > 0
    assert result["orders"] == result["orders_sent"] and result["book_errors"] == 0
    assert result["journal_room"] is None and max(n for n in result.values() if isinstance(n, int)) < 2**63


def test_replay_of_the_example_file_counts_what_is_wrong_with_it(capsys):
    assert cli.main(["replay", EXAMPLE]) == 0
    out = capsys.readouterr().out
    assert "messages        12012\n" in out and "book errors     117\n" in out


def test_replay_takes_limits_from_a_configuration(tmp_path, capsys):
    base = '[feed]\ngroup="127.0.0.1"\ninterface="127.0.0.1"\n[orders]\nhost="127.0.0.1"\nusername="T"\npassword="p"\n'
    counts = {}
    for ratio in (1.5, 50.0):
        (tmp_path / "e.toml").write_text(base + f"[strategy]\nratio = {ratio}\n")
        assert (
            cli.main(["replay", str(FIXTURES / "syn100k.itch.gz"), "--config", str(tmp_path / "e.toml"), "--json"]) == 0
        )
        counts[ratio] = json.loads(capsys.readouterr().out)["orders"]
    assert counts[1.5] > counts[50.0] > 0


def test_config_check_says_kind_and_ok_or_the_line(tmp_path, capsys):
    examples = Path(__file__).parents[1] / "examples"
    for kind in ("engine", "exchange"):
        assert cli.main(["config", "check", str(examples / f"{kind}.toml")]) == 0
        assert capsys.readouterr().out.endswith(f"{kind}.toml: {kind} configuration, ok\n")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[engine]\ncpu = -2\n")
    assert cli.main(["config", "check", str(wrong)]) == 1
    assert capsys.readouterr().err.startswith(f"tickwire: {wrong}:2: engine.cpu: -2 is outside -1..1023")


def test_decode_shows_a_damaged_message_and_goes_on(tmp_path, capsys):
    messages = list(generate.generate(20, 1, 2))
    itchfile.write(tmp_path / "x.itch", [messages[0], b"A" * 5, messages[1]])
    assert cli.main(["decode", str(tmp_path / "x.itch")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("type") for line in lines] == ["S", None, "R"]
    assert lines[1]["message"] == "4141414141" and "36" in lines[1]["error"]


def test_status_of_a_file_that_is_neither(tmp_path, capsys):
    for content in (
        b"",
        b"{",
        b"{}",
        b'{"pid": "x", "name": "", "state": ""}',
        b"not a block" * 1000,
        gzip.compress(b"x"),
    ):
        (tmp_path / "block").write_bytes(content)
        assert cli.main(["status", str(tmp_path / "block")]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "neither an engine's block nor an exchange's state file" in err


def test_warnings_say_what_the_figures_hide():
    result = {
        "timestamp_source": "none",
        "timestamp_reason": "the kernel does not stamp",
        "unstamped": 3,
        "unstamped_by": {"receive stamp": 2, "two stamps of one clock": 1},
        "by_kernel": 4,
        "other_clocks": {"software": 4},
        "samples_dropped": 2,
        "samples": 0,
        "feed": {"lost": 7},
    }
    said = "\n".join(t2t.warnings(result))
    for part in (
        "no time stamps are taken at all: the kernel does not stamp",
        "3 orders are missing in the figures (without receive stamp 2, without two stamps of one clock 1)",
        "4 orders lack its stamps",
        "4 samples are of another clock (software)",
        "2 samples were dropped",
        "7 feed messages",
    ):
        assert part in said
    assert "no sample" not in said, "there were orders"
    result |= {"unstamped": 0, "by_kernel": 0}
    assert "no sample: the strategy sent no order" in "\n".join(t2t.warnings(result))
    fine = {
        "timestamp_source": "software",
        "unstamped": 0,
        "by_kernel": 0,
        "other_clocks": {},
        "samples_dropped": 0,
        "samples": 9,
        "feed": {"lost": 0},
    }
    assert t2t.warnings(fine) == []
    (said,) = t2t.warnings(fine | {"timestamp_source": "completion"})
    assert "not when the order departed: they are no tick-to-trade" in said


def test_bench_waits_for_an_engine_and_an_exchange_that_were_just_started(monkeypatch):
    class Reached(Exception):
        pass

    looks, knocks = [], []

    def read_block(path):
        looks.append(path)
        if len(looks) < 3:
            raise TickwireError("no block yet")
        return {"state": "connecting", "pid": os.getpid(), "name": "t2t"}

    def control(*args):
        knocks.append(args)
        if len(knocks) < 2:
            raise TickwireError("refused")
        raise Reached

    monkeypatch.setattr(t2t, "read_block", read_block)
    monkeypatch.setattr(t2t, "Control", control)
    with pytest.raises(Reached):
        t2t.measure(t2t.Request("x.block", "127.0.0.1", 1))
    assert (len(looks), len(knocks)) == (3, 2)
    monkeypatch.setattr(t2t, "COMES_S", 0.0)
    looks.clear()
    with pytest.raises(TickwireError, match="no block yet"):
        t2t.measure(t2t.Request("x.block", "127.0.0.1", 1))


def test_a_zero_length_in_the_middle_of_a_file_is_damage_and_at_its_end_is_the_end(tmp_path, capsys):
    path = tmp_path / "x.itch"
    itchfile.write(path, generate.generate(1000, 1, 10))
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(2))
    assert len(itchfile.load(path)) == 1000
    path.write_bytes(whole[:14] + bytes(2) + whole[14:])
    assert cli.main(["replay", str(path)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"a length of 0 at offset 14 ends it after 1 messages, but {len(whole) - 14} bytes follow" in err


def test_ctrl_c_ends_a_replay_at_once(tmp_path, monkeypatch):
    # The core does not return to the interpreter before it is done, so Python's own handler would come too late.
    during = []
    process = _core.process

    def watched(*args):
        during.append(signal.getsignal(signal.SIGINT))
        return process(*args)

    monkeypatch.setattr(_core, "process", watched)
    before = signal.getsignal(signal.SIGINT)
    itchfile.write(tmp_path / "x.itch", generate.generate(1000, 1, 10))
    assert cli.main(["replay", str(tmp_path / "x.itch")]) == 0
    assert during == [signal.SIG_DFL] and signal.getsignal(signal.SIGINT) == before
