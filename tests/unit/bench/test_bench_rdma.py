"""Sections rdma_rc and rdma_ud: what runs on the hosts, and what is made of its times. No RDMA device is needed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import far, rdma, results, sections
from bench.contest import BenchError

FAR = Path(far.__file__)


@pytest.fixture
def host() -> Iterator[rdma.Far]:
    """bench/far.py as ssh would start it."""
    found = rdma.Far("here", [sys.executable, "-u", "-c", FAR.read_text(encoding="utf-8"), "-1"])
    yield found
    found.close()


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
        return found


def listener(port: int, then: str) -> list[str]:
    return [sys.executable, "-c", f"import socket, sys; s = socket.create_server(('127.0.0.1', {port})); {then}"]


def test_a_process_is_timed_from_outside(host: rdma.Far) -> None:
    found = host.ask(time=[sys.executable, "-c", "import time; time.sleep(0.2); print('done')"], limit_s=60)
    assert found["output"] == "done\n" and 0.2e9 < found["ns"]


def test_a_server_is_waited_for_and_finished(host: rdma.Far, port: int) -> None:
    assert host.ask(start=listener(port, "s.accept(); print('served')"), port=port) == {}
    socket.create_connection(("127.0.0.1", port)).close()
    assert host.ask(finish=port, limit_s=60)["output"] == "served\n"


def test_what_was_started_ends_with_the_next_and_with_the_questions(port: int) -> None:
    host = rdma.Far("here", [sys.executable, "-u", str(FAR), "-1"])
    waits = listener(port, "s.accept(); s.accept()")
    assert host.ask(start=waits, port=port) == host.ask(start=waits, port=port) == {}
    host.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            {"time": ["/nowhere/ib_send_lat"], "limit_s": 9},
            "/nowhere/ib_send_lat: No such file or directory; is it installed there?",
        ),
        ({"time": [sys.executable, "-c", "exit('no device')"], "limit_s": 9}, "exit code 1, it said: no device"),
        ({"time": [sys.executable, "-c", "input = __import__('time').sleep(60)"], "limit_s": 0.2}, "not done after"),
        ({"start": [sys.executable, "-c", "exit('taken')"], "port": 1}, "exit code 1, it said: taken"),
        ({"facts": "203.0.113.0/24"}, "no active RDMA device with a RoCE v2 GID in 203.0.113.0/24"),
    ],
)
def test_what_cannot_be_done_is_named(host: rdma.Far, question: dict[str, Any], said: str) -> None:
    with pytest.raises(BenchError) as caught:
        host.ask(**question)
    assert said in str(caught.value)
    assert host.ask(time=["true"], limit_s=60)["output"] == "", "it goes on"


def test_a_taken_port_is_not_taken_for_the_servers(host: rdma.Far) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(BenchError, match=f"TCP port {number} is taken"):
            host.ask(start=["sleep", "60"], port=number)


def test_ssh_that_ends_is_said() -> None:
    gone = rdma.Far("trade9", ["false"])
    time.sleep(0.1)
    with pytest.raises(BenchError, match="trade9: ssh has ended"):
        gone.ask(facts="")
    gone.close()


def gid(root: Path, device: str, index: int, kind: str, value: str, state: str = "4: ACTIVE") -> None:
    port = root / device / "ports" / "1"
    ndev, mtu = f"gid_attrs/ndevs/{index}", f"../../../../net/{device}n/mtu"
    texts = {f"gid_attrs/types/{index}": kind, f"gids/{index}": value, "state": state, ndev: f"{device}n", mtu: "9000"}
    for path, text in texts.items():
        (port / path).parent.mkdir(parents=True, exist_ok=True)
        (port / path).write_text(text + "\n", encoding="utf-8")


def test_the_gid_of_the_network_is_taken(tmp_path: Path) -> None:
    """As sysfs has them: ABI/stable/sysfs-class-infiniband."""
    gid(tmp_path, "mlx5_0", 0, "IB/RoCE v1", "0000:0000:0000:0000:0000:ffff:0a6e:000b")
    gid(tmp_path, "mlx5_0", 1, "RoCE v2", "fe80:0000:0000:0000:5054:00ff:fe7c:0101")
    gid(tmp_path, "mlx5_0", 3, "RoCE v2", "0000:0000:0000:0000:0000:ffff:0a6e:000b")
    gid(tmp_path, "mlx5_1", 3, "RoCE v2", "0000:0000:0000:0000:0000:ffff:0a6f:000b")
    gid(tmp_path, "mlx5_2", 1, "RoCE v2", "0000:0000:0000:0000:0000:ffff:0a70:000b", "1: DOWN")
    place = {"device": "mlx5_0", "port": 1, "gid_index": 3, "address": "10.110.0.11", "mtu": 9000}
    assert place.items() <= far.facts("", tmp_path).items()
    assert far.facts("10.111.0.0/16", tmp_path)["device"] == "mlx5_1"
    assert set(far.facts("", tmp_path)["machine"]) == set(results.machine())
    with pytest.raises(far.Refused, match="no active RDMA device"):
        far.facts("10.112.0.0/16", tmp_path)


class Double(rdma.Far):
    """A host on which a process takes 1 s and every round trip as long as its program says."""

    round_trip_ns = {"ours": 200_000, "theirs": 400_000}

    def __init__(self, lost: int = 0, mtu: int = 9000) -> None:
        self.host, self.lost, self.mtu = "double", lost, mtu
        self.commands: list[list[str]] = []

    def ask(self, **question: Any) -> dict[str, Any]:
        if "facts" in question:
            place = {"device": "rxe0", "port": 1, "gid_index": 1, "address": "10.0.0.1", "mtu": self.mtu}
            return {**place, "pinned": [3], "machine": results.machine()}
        if "time" not in question:
            return {"output": ""}
        command = question["time"]
        self.commands.append(command)
        if command[0] == "sh":
            return {"ns": 0, "output": "Version: 6.24\n"}
        ours = "-n" not in command
        count = int(command[-1] if ours else command[command.index("-n") + 1])
        elapsed = count * self.round_trip_ns["ours" if ours else "theirs"]
        said = {"elapsed_ns": elapsed, "lost": self.lost, "software": True}
        return {"ns": 1_000_000_000 + elapsed, "output": json.dumps(said) if ours else "no JSON"}


def test_what_every_run_needs_falls_out() -> None:
    client = Double()
    rig = rdma.Rig(Double(), client, rdma.Where(), "ud")
    longer_s = {(many - rdma.FEW) * Double.round_trip_ns["ours"] / 1e9 for many in rig.many.values()}
    assert longer_s == {rdma.STARTS * 1.0}, "much longer than the second that a start takes here"
    section, (ours, theirs) = rdma.contest_of(rig)
    assert set(section.metrics) <= set(ours.run(0)) and set(section.metrics) == set(theirs.run(0))
    for size in rdma.SIZES:
        assert ours.run(0)[rdma.metric(size)] == ours.run(0)[f"own_{rdma.metric(size)}"] == 100
        assert theirs.run(0)[rdma.metric(size)] == 200
    assert theirs.version == "6.24"
    asked = [command for command in client.commands if command[0] == rdma.PERFTEST and "-s" in command]
    sizes = {(command[command.index("-c") + 1], int(command[command.index("-s") + 1])) for command in asked}
    assert sizes == {("UD", size) for size in rdma.SIZES}
    assert {command[command.index("-I") + 1] for command in asked} == {"256"}
    assert section.title.endswith(". Soft-RoCE: this proves function and says nothing about RDMA hardware")


@pytest.mark.parametrize(("transport", "largest"), [("ud", 1024), ("rc", 4096)])
def test_a_datagram_fits_into_the_path_mtu(transport: str, largest: int) -> None:
    rig = rdma.Rig(Double(), Double(mtu=1500), rdma.Where(), transport)
    section, (ours, theirs) = rdma.contest_of(rig)
    assert max(rig.many) == largest and section.metrics[-1] == rdma.metric(largest)
    assert set(section.metrics) <= set(ours.run(0)) and set(section.metrics) == set(theirs.run(0))


def test_a_lost_message_is_no_figure() -> None:
    with pytest.raises(BenchError, match="1 of 200 messages were lost"):
        rdma.Rig(Double(), Double(lost=1), rdma.Where(), "rc")


def test_without_the_lab_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "ssh_config"
    monkeypatch.setattr(rdma, "LAB_SSH", missing)
    with (
        pytest.raises(BenchError, match="the lab is not up; next: `make lab rollout`"),
        rdma.rig(rdma.Where(ssh_config=missing), "rc"),
    ):
        pass


def test_our_client_is_what_the_host_runs() -> None:
    """The program given to the host's python compiles, and asks for what `Request` takes."""
    compile(rdma.PINGPONG, "pingpong", "exec")
    done = subprocess.run(
        [sys.executable, "-c", rdma.PINGPONG, "127.0.0.1", "1", "rc", "64", "10"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "run `tickwire bench serve 127.0.0.1:1` there" in done.stderr


def test_a_host_that_ended_says_why() -> None:
    """The server is asked after the client, and its ssh may have ended by then."""
    gone = rdma.Far("exch9", [sys.executable, "-u", str(FAR), "4095"])
    gone.process.wait(timeout=60)
    with pytest.raises(BenchError, match="exch9: CPU 4095: Invalid argument"):
        gone.ask(facts="")
    gone.close()


@pytest.mark.parametrize(
    ("named", "measured"),
    [([], [name for name in sections.ORDER if name not in rdma.SECTIONS]), (["rdma_ud"], ["rdma_ud"])],
)
def test_without_a_name_one_machine_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: list[str], measured: list[str]
) -> None:
    found: list[str] = []
    monkeypatch.setattr(sys, "argv", ["bench", *named])
    monkeypatch.setattr(sections, "build", lambda: None)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "none")
    monkeypatch.setattr(command, "measure", lambda name, _plan, _rounds: found.append(name))
    assert command.main() == 0
    assert found == measured


@pytest.mark.parametrize("refused", [set(), {3}])
def test_without_a_cpu_the_last_one_that_may_be_had_is_taken(
    monkeypatch: pytest.MonkeyPatch, refused: set[int]
) -> None:
    """CPU 3 is isolated: by the command line it may be had, by the slice of a login it may not."""
    on: set[int] = {0, 1, 2}

    def stay(pid: int, cpus: set[int]) -> None:
        if cpus & refused:
            raise OSError(22, "Invalid argument")
        on.clear()
        on.update(cpus)

    monkeypatch.setattr(far.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(far.os, "sched_getaffinity", lambda pid: on)
    monkeypatch.setattr(far.os, "sched_setaffinity", stay)
    far.stay_on(-1)
    assert on == ({2} if refused else {3})
