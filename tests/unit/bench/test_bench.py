"""The harness of `make bench`: who runs when, what is read from whose output, what is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import clos, contest, peers, results, sections
from bench.contest import BenchError, Contender

CPU = min(os.sched_getaffinity(0))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def counting(name: str, log: list[str], figures: list[float]) -> Contender:
    def measure() -> contest.Metrics:
        log.append(name)
        return {"ns_per_message": figures[log.count(name) - 1]}

    return Contender(name, measure=measure)


def test_everybody_runs_once_a_round_and_begins_in_turn():
    log: list[str] = []
    outcomes = contest.run([counting(name, log, [1.0, 2.0, 3.0]) for name in "abc"], 3, CPU)
    assert log == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [outcome.median("ns_per_message") for outcome in outcomes] == [2.0, 2.0, 2.0]


def test_ratio_compares_within_a_round():
    log: list[str] = []
    ours, theirs = contest.run([counting("a", log, [1, 4, 30]), counting("b", log, [2, 16, 40])], 3, CPU)
    assert contest.ratio(ours, theirs, "ns_per_message") == 0.5


def test_command_is_pinned_and_its_json_read():
    code = "import json, os; print('warm'); print(json.dumps({'cpus': len(os.sched_getaffinity(0)), 'name': 'x'}))"
    (outcome,) = contest.run([Contender("x", python(code))], 1, CPU)
    assert outcome.rounds == [{"cpus": 1.0}]
    (outcome,) = contest.run([Contender("x", python(code), pinned=False)], 1, CPU)
    assert outcome.rounds == [{"cpus": float(len(os.sched_getaffinity(0)))}]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (python("import sys; sys.exit('cannot open the file')"), "x: exit code 1, it said: cannot open the file"),
        (["/nowhere/at-all"], "x: /nowhere/at-all: No such file or directory; is it built?"),
        (python("print('nothing of use')"), "no JSON line in the output: 'nothing of use\\n'"),
    ],
)
def test_a_contender_that_fails_is_left_out_with_its_reason(command, said):
    log: list[str] = []
    bad, good = contest.run([Contender("x", command), counting("b", log, [1, 1])], 2, CPU)
    assert bad.error == said
    assert len(good.rounds) == 2 and bad.median("ns_per_message") is None


@pytest.mark.parametrize(
    ("unit", "text", "ns"), [("ns", "58.1", 58.1), ("us", "0.5", 500), ("s", "2", 200), ("messages_per_s", "4e6", 250)]
)
def test_units_of_a_pattern(unit, text, ns):
    read = contest.pattern(r"result: (\S+)", unit, messages=10_000_000)
    assert read(f"result: 99\nresult: {text}\n") == {"ns_per_message": pytest.approx(ns)}


def test_named_groups_are_metrics():
    read = contest.pattern(r"p50 +(?P<median_ns>\d+) ns +p99 +(?P<p99_ns>\d+)", "ns", 1)
    assert read("compute  p50   60 ns   p99   81 ns") == {"median_ns": 60.0, "p99_ns": 81.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[peer]]\nname = 'x'", "peer 1 (x): section is missing"),
        ("[[peer]]\nsection='book'\nname='x'\ncommand=['a']\npattern='b'\nspeed=1", "unknown key speed"),
        ("[[peer]]\nsection='book'\nname='x'\ncommand=['a']\npattern='b'\nunit='h'", "unit 'h' is not one of"),
        ("[[peer", "peers.toml: "),
    ],
)
def test_wrong_peers_are_refused(tmp_path, text, said):
    path = tmp_path / "peers.toml"
    path.write_text(text)
    with pytest.raises(BenchError) as caught:
        peers.load(path)
    assert said in str(caught.value)


def test_peer_command_gets_the_file(tmp_path):
    path = tmp_path / "peers.toml"
    path.write_text("[[peer]]\nsection='book'\nname='x'\ncommand=['run','-i','{file}']\npattern='(1)'\n")
    loaded = peers.load(path)
    (peer,) = peers.contenders(loaded, "book", tmp_path / "day.itch", 1)
    assert peer.command == ["run", "-i", str(tmp_path / "day.itch")]
    assert peers.contenders(loaded, "decode", path, 1) == []


@given(st.lists(st.tuples(st.floats(0.5, 1e6), st.floats(0.5, 1e6)), min_size=1, max_size=9))
def test_table_says_what_the_json_says(tmp_path_factory, rounds):
    directory = tmp_path_factory.mktemp("results")
    section = results.Section("book", "Books", ("ns_per_message",), bar="half of theirs")
    ours, theirs = (contest.Outcome(Contender(name, licence="MIT")) for name in ("ours", "theirs"))
    for mine, other in rounds:
        ours.rounds.append({"ns_per_message": mine})
        theirs.rounds.append({"ns_per_message": other})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "RESULTS", directory)
        document = json.loads(results.write(section, [ours, theirs], {"messages": 1}).read_text())
        text = results.write_table(["book"])
    assert document["contenders"][1]["ours_over_this"]["ns_per_message"] == contest.ratio(
        ours, theirs, "ns_per_message"
    )
    assert document["contenders"][0]["ours_over_this"]["ns_per_message"] == 1.0
    assert "Bar: half of theirs" in text and "theirs (MIT)" in text


@pytest.mark.parametrize("name", ["itchfeed", "meatpy"])
def test_peers_of_pypi_read_the_file(name: str):
    command = [sys.executable, "-m", "bench.pypi", name, str(sections.LAB_FILE), "500"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=sections.CHECKOUT, timeout=120)
    figures = json.loads(done.stdout)
    assert figures["messages"] == 500 and figures["ns_per_message"] > 0


def test_the_planned_clos_has_the_size_it_says():
    full = clos.intent(clos.FULL)
    hosts = {link["b"].partition(":")[0] for link in full["links"] if link["b"].startswith("host")}
    assert (len(full["devices"]), len(hosts)) == (1000, 32_000)
    assert clos.FULL.text == "1,000 switches, 32,000 hosts"


def figures_of(who: str, size: clos.Size) -> contest.Metrics:
    return Contender(who, sections.clos_command(who, size)).run(CPU)


def test_the_plan_is_timed_in_a_process_of_its_own():
    figures = figures_of("plan", clos.Size(pods=2, leaves=2, spines=2, tops=1, hosts=2, cables=1))
    assert figures["failures"] == 8 + 8 + 4 and figures["letters"] > 1000
    assert figures["whole_s"] >= figures["parse_s"] + figures["plan_s"] > 0 and figures["peak_mb"] > 0


@pytest.mark.parametrize("tops", [1, 2])
def test_networkx_over_every_path_agrees(tops: int):
    size = clos.Size(pods=2, leaves=2, spines=2, tops=tops, hosts=1, cables=1)
    ours, theirs = figures_of("deadlock", size), figures_of("networkx", size)
    assert ours["cycles"] == theirs["cycles"] == 0
    in_a_pod, between = 2 * 2 * 2, 4 * 2 * 2 * tops
    assert theirs["paths"] > in_a_pod + between, "with every link up, and again for each failure"
