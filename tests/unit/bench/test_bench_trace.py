"""Section trace of `make bench`: what is timed, and that its capture is what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import contest, trace
from bench.contest import BenchError

RUNTIME = Path(__file__).resolve().parents[3] / "runtime"
CPU = min(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator, of the files of the core that it needs."""
    built = tmp_path_factory.mktemp("roce") / "roce"
    core = [str(RUNTIME / "core" / f"{name}.c") for name in ("arena", "populate", "itch", "itch_frames", "wire")]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", f"-I{RUNTIME / 'core'}", "-pthread"]
    subprocess.run(["gcc", *flags, str(RUNTIME / "bench" / "roce.c"), *core, "-o", str(built)], check=True)
    return built


def test_a_command_is_timed_on_its_cpu(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(len(os.sched_getaffinity(0)) - 1)"
    figures = trace.timed([sys.executable, "-c", code], CPU, 5, tmp_path / "log")
    assert set(figures) == {"mb_per_s", "cpu_mb_per_s", "peak_mb"} and all(value > 0 for value in figures.values())


def test_what_fails_is_named_with_its_last_word(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="exit code 1, it said: no such thing"):
        trace.timed([sys.executable, "-c", "raise SystemExit('no such thing')"], CPU, 5, tmp_path / "log")
    with pytest.raises(BenchError, match="is it installed"):
        trace.timed(["/nowhere/at-all"], CPU, 5, tmp_path / "log")


def test_both_are_measured(program: Path) -> None:
    with trace.contest_of(program, megabytes=1, pairs=4, cpu=CPU) as (section, contenders):
        outcomes = contest.run(contenders, 1, CPU)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert all(set(section.metrics) == set(outcome.rounds[0]) for outcome in outcomes)


def test_the_capture_is_the_same_for_the_same_seed_and_tells_its_story(program: Path, tmp_path: Path) -> None:
    capture = trace.make(program, tmp_path / "one.pcap", 2, 8)
    assert capture.read_bytes() == trace.make(program, tmp_path / "other.pcap", 2, 8).read_bytes()
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "tickwire", "rdma", "trace", str(capture), "--json", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    report = json.loads(out.read_text(encoding="utf-8"))
    pairs = report["queue_pairs"]
    assert len(pairs) == 16 and {pair["pairing"] for pair in pairs} == {"psn"}
    assert report["capture"]["malformed"] == report["capture"]["cut"] == report["capture"]["other"] == 0
    for key in ("missing", "out_of_order", "restarts", "unanswered", "overrun", "backwards"):
        assert sum(pair["requester"][key] for pair in pairs) == 0, key
    resent = sum(pair["requester"]["retransmissions"] for pair in pairs)
    naks = sum(sum(pair["received"]["naks"].values()) for pair in pairs)
    assert 0 < naks <= resent
    assert sum(pair["sent"]["ce_marks"] for pair in pairs) == sum(pair["received"]["cnps"] for pair in pairs) > 0
