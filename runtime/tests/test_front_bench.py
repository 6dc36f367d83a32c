# SPDX-License-Identifier: Apache-2.0
"""`tickwire bench serve`, `pingpong`, `burst` and `compare` as they are used, and what their files say."""

from __future__ import annotations

import json
import math
import random
import re
import signal
import socket
import statistics
import subprocess
import xml.etree.ElementTree as tree
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from front_site import TICKWIRE, TIME_LIMIT_S, tickwire
from hypothesis import given
from hypothesis import strategies as st

from tickwire.bench import compare, machine, page, rendezvous, results, stats
from tickwire.errors import TickwireError

SCHEMA = json.loads((Path(results.__file__).parent / "bench-result.schema.json").read_text(encoding="utf-8"))
SLOW = ["--timeout", "30"]  # a loaded machine loses nothing


@pytest.fixture
def server(processes, free_ports):
    """HOST:PORT of a server."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    processes.start("bench", "serve", address, "--verbose")
    return address


# --- runs ---


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("test", ["pingpong", "burst"])
def test_a_run_writes_what_its_schema_describes(server, tmp_path, transport, test):
    out = tmp_path / "result.json"
    shape = ["--burst", "10", "--every-ms", "2", "--rate", "100000"] if test == "burst" else []
    asked = ["--transport", transport, "--size", "128", "--count", "1200", "--warmup", "7", "--json", str(out)]
    done = tickwire("bench", test, server, *asked, *SLOW, *shape)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    samples = results.decode(result["samples"], 1200)
    assert len(samples) == 1200
    figures = result["round_trip"]
    assert (figures["min_ns"], figures["max_ns"]) == (min(samples), max(samples))
    assert figures["median_ns"] == statistics.median_low(samples)
    assert math.isclose(figures["stddev_ns"], statistics.pstdev(samples), rel_tol=1e-6)
    assert (result["lost"], result["reflected"], result["software_rdma"]) == (0, 1207, False)
    assert sum(count for _, _, count in result["histogram"]) == 1200
    if test == "pingpong":
        assert result["half_round_trip"]["median_ns"] == figures["median_ns"] / 2
        assert "half round trip median" in result["headline"] and result["schedule"] is None
    else:
        assert result["half_round_trip"] is None and "round trip from due time" in result["headline"]
        assert result["schedule"] == {"burst": 10, "every_ms": 2.0, "rate_per_s": 100000.0}
    assert done.stdout.startswith(result["headline"])
    assert "the client is not pinned" in done.stderr


def test_pinning_is_done_and_recorded(processes, free_ports, tmp_path):
    address, out = f"127.0.0.1:{free_ports(1)[0]}", tmp_path / "result.json"
    processes.start("bench", "serve", address, "--cpu", "0")
    done = tickwire(
        *("bench", "pingpong", address, "--transport", "udp", "--count", "20", "--cpu", "0", "--json", str(out)), *SLOW
    )
    assert done.returncode == 0 and "not pinned" not in done.stderr
    hosts = json.loads(out.read_text(encoding="utf-8"))["hosts"]
    for host in hosts.values():
        assert (host["pinned_cpu"], host["allowed_cpus"], host["cpu"]["number"]) == (0, [0], 0)
        assert host["nic"]["interface"] == "lo" and host["rdma"] is None
    refused = tickwire("bench", "pingpong", address, "--transport", "udp", "--cpu", "4096")
    assert refused.returncode == 1 and "--cpu 4096" in refused.stderr


def test_a_server_that_dies_ends_the_client_with_its_name(processes, free_ports):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    for transport in ("udp", "tcp"):
        server = processes.start("bench", "serve", address, "--verbose")
        command = [*TICKWIRE, "bench", "burst", address, "--transport", transport, "--rate", "100", "--count", "100000"]
        client = subprocess.Popen(
            [*command, "--timeout", "60"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.wait_log(server, f": {transport}, messages of 64 bytes")
        processes.stop(server, signal.SIGKILL)
        _, error = client.communicate(timeout=TIME_LIMIT_S)
        assert client.returncode == 1
        assert re.match(rf"tickwire: {transport}: .*{address}", error) and error.count("\n") == 1


def test_a_client_that_dies_leaves_the_server_to_the_next(processes, server):
    command = [*TICKWIRE, "bench", "burst", server, "--transport", "tcp", "--rate", "100", "--count", "100000"]
    client = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    processes.wait_log(processes.running[0][0], ": tcp, messages of 64 bytes")
    client.kill()
    client.wait()
    done = tickwire("bench", "pingpong", server, "--transport", "udp", "--count", "5", *SLOW)
    assert done.returncode == 0, done.stderr


def test_a_server_without_clients_ends_when_told_to(free_ports):
    done = tickwire("bench", "serve", f"127.0.0.1:{free_ports(1)[0]}", "--idle", "0.2")
    assert (done.returncode, done.stderr) == (0, "")


def test_who_is_not_the_server_is_told(free_ports):
    where = f"127.0.0.1:{free_ports(1)[0]}"
    run = ("bench", "pingpong", where, "--transport", "udp")
    nobody = tickwire(*run)
    assert nobody.returncode == 1 and f"run `tickwire bench serve {where}` there" in nobody.stderr
    with socket.create_server(("127.0.0.1", int(where.rpartition(":")[2]))) as listener:

        def another() -> None:
            listener.settimeout(TIME_LIMIT_S)
            client, _ = listener.accept()
            with client:
                client.settimeout(TIME_LIMIT_S)
                client.recv(4096)
                client.sendall(b"220 ready\r\n")

        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(another)
            other = tickwire(*run)
            beside.result()
    assert other.returncode == 1 and "no line of `tickwire bench`" in other.stderr


@pytest.mark.parametrize(
    "request_, why",
    [
        (b'{"tickwire_bench": 2}\n', "install one version"),
        (b'{"tickwire_bench": 1, "transport": "udp"}\n', "not complete"),
        (b'{"tickwire_bench": 1, "transport": "ipx", "size_bytes": 64, "tos": 0, "offer": {}}\n', "none of udp"),
        (b'{"tickwire_bench": 1, "transport": "udp", "size_bytes": 4, "tos": 0, "offer": {}}\n', "8 to 32768"),
        (b'{"tickwire_bench": 1, "transport": "udp", "size_bytes": 64, "tos": 256, "offer": {}}\n', "tos 256"),
        (b'{"tickwire_bench": 1, "transport": "udp", "size_bytes": 64, "tos": 0, "offer": {"port": 0}}\n', "port 0"),
        (b"GET / HTTP/1.1\r\n", "no line"),
    ],
)
def test_the_server_refuses_what_it_does_not_understand_and_goes_on(server, request_, why):
    host, _, port = server.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=TIME_LIMIT_S) as client:
        client.sendall(request_)
        lines = client.makefile("rb").read().splitlines()
    assert why in json.loads(lines[-1])["error"]
    assert tickwire("bench", "pingpong", server, "--transport", "tcp", "--count", "5", *SLOW).returncode == 0


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["--size", "7"], "7 is outside 8..32768"),
        (["--size", "32769"], "outside 8..32768"),
        (["--count", "0"], "not above 0"),
        (["--transport", "sctp"], "invalid choice"),
    ],
)
def test_wrong_values_are_refused_before_anything_runs(arguments, why):
    done = tickwire("bench", "pingpong", "127.0.0.1:9", "--transport", "udp", *arguments)
    assert done.returncode == 2 and why in done.stderr


@pytest.mark.parametrize(
    "arguments, why",
    [
        ([], "give --rate"),
        (["--burst", "5"], "belong together"),
        (["--burst", "100", "--every-ms", "1", "--rate", "1000"], "take longer than --every-ms 1"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(arguments, why):
    done = tickwire("bench", "burst", "127.0.0.1:9", "--transport", "udp", *arguments)
    assert done.returncode == 1 and why in done.stderr


# --- figures ---


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200))
def test_figures_are_of_all_samples(values):
    figures, mean = stats.summary(values), statistics.fmean(values)
    jitter = figures["jitter"]
    close = {"rel_tol": 1e-9, "abs_tol": 1e-9}
    assert math.isclose(jitter["stddev_over_mean"], statistics.pstdev(values) / mean, **close)
    assert math.isclose(jitter["max_minus_min_over_mean"], (max(values) - min(values)) / mean, **close)
    p99 = sorted(values)[math.ceil(len(values) * 99 / 100) - 1]
    assert math.isclose(jitter["p99_minus_min_over_mean"], (p99 - min(values)) / mean, **close)
    near = [value for value in values if abs(value - mean) <= 0.05 * mean]
    assert math.isclose(jitter["share_within_5_percent_of_mean"], len(near) / len(values), **close)


def test_p99_9_is_measured_from_a_thousand_samples_on():
    assert stats.summary(range(1, 1000))["p99_9_ns"] is None
    assert stats.summary(range(1, 1001))["p99_9_ns"] == 999


@given(st.lists(st.integers(0, 2**64 - 1), max_size=100))
def test_samples_are_kept_to_the_last(values):
    assert list(results.decode(results.encode(values), len(values))) == values


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(0, 200))
def test_samples_that_were_cut_or_grew_are_refused(values, at):
    text = results.encode(values)
    with pytest.raises(ValueError, match="decode"):
        results.decode(text, len(values) - 1)
    with pytest.raises(ValueError, match="decode"):
        results.decode(text[: at % len(text)], len(values))


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=3000))
def test_a_curve_says_the_share_that_took_as_long(values):
    ordered = sorted(values)
    points = compare.curve(ordered)
    assert points[0] == [ordered[0], 1.0] and points[-1] == [ordered[-1], 1 / len(ordered)]
    for latency, share in points:
        assert sum(1 for value in ordered if value >= latency) >= share * len(ordered) - 1e-6
        assert sum(1 for value in ordered if value > latency) < share * len(ordered) + 1e-6
    assert [share for _, share in points] == sorted((share for _, share in points), reverse=True)


# --- comparing ---


def host(name: str, rdma: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**machine.read("127.0.0.1", None), "name": name, "rdma": rdma}


RXE = {"device": "rxe0", "driver": "rxe", "firmware": "", "software": True}
MLX = {"device": "mlx5_0", "driver": "mlx5_core", "firmware": "1", "software": False}


def write(path: Path, transport: str, test: str, rdma: dict[str, Any] | None = None, **change: Any) -> str:
    """A result file of made up samples, as `build` makes it."""
    chance = random.Random(f"{transport} {test}")
    count = change.pop("count", 1500)
    samples = array("Q", [round(chance.lognormvariate(9, 0.4)) + 1 for _ in range(count)])
    samples[3] = results.LOST
    request = rendezvous.Request("10.0.0.2", 1, transport, change.pop("size", 64), count, 0, 1.0)
    if test == "burst":
        request.burst, request.every_ns = change.pop("burst", 50), 10_000_000
    outcome = {"late": 0, "wrong_size": 0, "send_late_max_ns": 5, "elapsed_ns": 10**9}
    hosts = {"client": host(change.pop("client", "a"), rdma), "server": host("b", rdma)}
    ran = {"samples": samples.tobytes(), "outcome": outcome, "reflected": {"reflected": count}, "hosts": hosts}
    result = {**results.build(request, ran), **change}
    path.write_text(json.dumps(result), encoding="utf-8")
    return str(path)


def six(directory: Path, rdma: dict[str, Any]) -> list[str]:
    return [
        write(directory / f"{transport}-{test}.json", transport, test, rdma if transport == "rc" else None)
        for transport in ("rc", "tcp", "udp")
        for test in ("burst", "pingpong")
    ]


def test_transports_stand_side_by_side(tmp_path):
    files = six(tmp_path, MLX)
    out, html = tmp_path / "all.json", tmp_path / "all.html"
    done = tickwire(
        *("bench", "compare", *files, "--json", str(out), "--html", str(html), "--without", "ud=<no> such device")
    )
    assert done.returncode == 0, done.stderr
    comparison = json.loads(out.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(comparison)
    assert comparison["headline"] == "UDP, TCP, RDMA RC between the same two hosts, messages of 64 bytes"
    assert [(row["transport"], row["test"]) for row in comparison["rows"]] == [
        (transport, test) for test in ("pingpong", "burst") for transport in ("udp", "tcp", "rc")
    ]
    for row in comparison["rows"]:
        kept = json.loads(Path(row["file"]).read_text(encoding="utf-8"))
        assert {name: row[name] for name in kept["round_trip"]} == kept["round_trip"]
        assert (row["samples"], row["lost"]) == (1499, 1)
    assert comparison["missing"] == [{"transport": "ud", "reason": "<no> such device"}]
    assert "RDMA UD: not measured: <no> such device" in done.stdout
    assert not re.search("refute|confirm", done.stdout), "numbers only"
    text = html.read_text(encoding="utf-8")
    assert "&lt;no&gt; such device" in text and "Soft-RoCE" not in text
    assert not re.search(r"<script|src=|href=|url\(", text), "it needs nothing else"
    drawing = tree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])
    curves = drawing.findall("polyline")
    assert len(curves) == 6 and sum("stroke-dasharray" in curve.attrib for curve in curves) == 3
    for curve in curves:
        for x, y in (map(float, point.split(",")) for point in curve.attrib["points"].split()):
            assert 0 <= x <= page.WIDTH and 0 <= y <= page.HEIGHT


@pytest.mark.parametrize("test", ["pingpong", "burst"])
@pytest.mark.parametrize("transport", ["rc", "ud"])
@pytest.mark.parametrize("rdma", [RXE, MLX], ids=lambda rdma: rdma["device"])
def test_a_result_over_rdma_is_what_its_schema_describes(tmp_path, transport, test, rdma):
    result = json.loads(Path(write(tmp_path / "a.json", transport, test, rdma)).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(result)
    assert result["software_rdma"] == rdma["software"]
    result["hosts"]["server"]["rdma"] = {"device": "rxe0"}
    assert not validator.is_valid(result), "half an RDMA device"


def test_soft_roce_is_in_every_headline(tmp_path):
    files = six(tmp_path, RXE)
    for file in files:
        result = json.loads(Path(file).read_text(encoding="utf-8"))
        assert result["headline"].startswith("Soft-RoCE: ") == (result["transport"] == "rc")
    done = tickwire("bench", "compare", *files, "--html", str(tmp_path / "all.html"))
    assert done.stdout.startswith("Soft-RoCE: this proves function and says nothing about RDMA hardware. ")
    assert "neither support nor refute the claim" in done.stdout
    text = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert re.search(r"<title>Soft-RoCE: ", text) and re.search(r"<h1>Soft-RoCE: ", text)


@pytest.mark.parametrize(
    "change, why",
    [
        ({"size": 128}, r"b.json: messages of 128 bytes, .*a.json has messages of 64 bytes"),
        ({"tos": 104}, r"b.json: tos 104, .*a.json has tos 0; only like is compared"),
        ({"client": "c"}, r"b.json: hosts \['client c .*a.json has hosts \['client a"),
        ({"burst": 10}, r"b.json: bursts of 10 every 10 ms.*a.json has bursts of 50"),
    ],
)
def test_only_like_is_compared(tmp_path, change, why):
    files = [write(tmp_path / "a.json", "tcp", "burst"), write(tmp_path / "b.json", "udp", "burst", **change)]
    with pytest.raises(TickwireError, match=why):
        compare.compare([(file, results.load(file)) for file in files], {})
    done = tickwire("bench", "compare", *files)
    assert done.returncode == 1 and re.search(why, done.stderr) and done.stderr.count("\n") == 1


def test_one_transport_twice_is_refused(tmp_path):
    files = [write(tmp_path / name, "tcp", "burst") for name in ("a.json", "b.json")]
    with pytest.raises(TickwireError, match="tcp burst is in .*a.json already"):
        compare.compare([(file, results.load(file)) for file in files], {})


def test_a_file_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "a.json"
    changes: list[dict[str, Any]] = [{"samples": "AAAA"}, {"samples": None}, {"lost": 7}, {"count": 7}]
    for change in (*changes, {"transport": "ipx"}, {"hosts": {}}):
        content = json.loads(Path(write(path, "tcp", "pingpong")).read_text(encoding="utf-8"))
        path.write_text(json.dumps({**content, **change}), encoding="utf-8")
        with pytest.raises(TickwireError, match="changed or cut off"):
            results.load(str(path))
    for content in ("{}", "[]", "{", ""):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(TickwireError, match="a.json: not"):
            results.load(str(path))
    with pytest.raises(TickwireError, match="No such file"):
        results.load(str(tmp_path / "none.json"))


def test_what_weakens_a_comparison_is_noted(tmp_path):
    files = [write(tmp_path / "a.json", "tcp", "burst", count=500), write(tmp_path / "b.json", "udp", "burst")]
    comparison = compare.compare([(file, results.load(file)) for file in files], {})
    notes = " ".join(comparison["notes"])
    assert "a.json: under 1000 samples, p99.9 is not measured" in notes and "1 of 500 messages were lost" in notes
    assert "the client was not pinned in every run" in notes
    assert "not measured" in compare.table(comparison).splitlines()[5]


def test_how_the_hosts_and_runs_differ_is_noted(tmp_path):
    files = [write(tmp_path / f"{transport}.json", transport, "burst") for transport in ("tcp", "udp")]
    other = json.loads(Path(files[1]).read_text(encoding="utf-8"))
    states = [{"name": name, "latency_us": 1, "disabled": name == "C6"} for name in ("POLL", "C1", "C6")]
    for role, change in (
        ("client", {"scheduler": "fifo", "scheduler_priority": 80}),
        ("server", {"smt": {True: False, False: True, None: True}[other["hosts"]["server"]["smt"]]}),
    ):
        other["hosts"][role].update(change)
    other["hosts"]["client"]["cpu"]["idle_states"] = states
    Path(files[1]).write_text(json.dumps({**other, "warmup": 77}), encoding="utf-8")
    first = json.loads(Path(files[0]).read_text(encoding="utf-8"))
    first["hosts"]["client"]["cpu"]["idle_states"] = [{**state, "disabled": False} for state in states]
    Path(files[0]).write_text(json.dumps(first), encoding="utf-8")
    notes = compare.compare([(file, results.load(file)) for file in files], {})["notes"]
    assert "the runs had different warm-ups: 0, 77 messages" in notes
    assert any(re.match("the client had different schedulers: fifo priority 80, ", note) for note in notes)
    assert "the client had different idle states: POLL C1, POLL C1 C6" in notes
    assert [note for note in notes if note.startswith("the server had different SMT: ")]
    assert not [note for note in notes if "different kernels" in note or "server had different idle" in note]


def test_what_late_means_is_said_of_each_test(tmp_path):
    """A ping-pong gives an echo up after --timeout; a burst keeps one however late, and counts what comes twice."""
    said = {}
    for test in ("pingpong", "burst"):
        loaded = results.load(write(tmp_path / f"{test}.json", "udp", test, late=3))
        (said[test],) = [warning for warning in results.warnings(loaded) if "echoes" in warning]
    assert said["pingpong"] == "3 echoes came after --timeout, which count as lost, or twice"
    assert said["burst"] == "3 echoes came twice, of which the first is in the figures"


def test_registration_without_a_device_says_so():
    done = tickwire("bench", "registration", "127.0.0.1")
    assert done.returncode == 1 and re.match("tickwire: registration 127.0.0.1: .*RDMA", done.stderr)


# --- what is recorded ---


def test_what_a_machine_says_of_itself(tmp_path):
    cpu, ib = tmp_path / "sys/devices/system/cpu", tmp_path / "sys/class/infiniband/mlx5_0"
    for path, text in (
        ("cpu3/cpufreq/scaling_governor", "performance"),
        ("cpu3/cpufreq/scaling_cur_freq", "3600000"),
        ("cpu3/cpuidle/state0/name", "POLL"),
        ("cpu3/cpuidle/state0/latency", "0"),
        ("cpu3/cpuidle/state0/disable", "0"),
        ("cpu3/cpuidle/state10/name", "C6"),
        ("cpu3/cpuidle/state10/latency", "133"),
        ("cpu3/cpuidle/state10/disable", "1"),
        ("cpu3/cpuidle/state2/name", "C1"),
        ("isolated", "2-3"),
        ("nohz_full", "(null)"),
        ("smt/active", "0"),
    ):
        (cpu / path).parent.mkdir(parents=True, exist_ok=True)
        (cpu / path).write_text(text + "\n", encoding="ascii")
    (ib / "device").mkdir(parents=True)
    (tmp_path / "drivers/mlx5_core").mkdir(parents=True)
    (ib / "device/driver").symlink_to(tmp_path / "drivers/mlx5_core")
    found = machine.read("127.0.0.1", 3, "mlx5_0", tmp_path)
    assert (found["isolated_cpus"], found["nohz_full_cpus"], found["smt"]) == ("2-3", "", False)
    assert (found["cpu"]["governor"], found["cpu"]["frequency_khz"]) == ("performance", 3600000)
    assert [state["name"] for state in found["cpu"]["idle_states"]] == ["POLL", "C1", "C6"]
    assert found["cpu"]["idle_states"][2] == {"name": "C6", "latency_us": 133, "disabled": True}
    assert found["rdma"] == {"device": "mlx5_0", "driver": "mlx5_core", "firmware": None, "software": False}
    assert machine.rdma("rxe0", tmp_path)["software"] and machine.rdma("rxe0", tmp_path)["driver"] == "rxe"
