"""Up, down and status against real QEMU processes, with a disk that cannot boot; and the state on disk."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cli, image, preflight, supervisor, vm
from lab.errors import LabError
from lab.progress import Progress, last_words, tail
from lab.state import LabDir, LabState, VmState, locked
from lab.supervisor import Supervisor, UpResult
from lab.topology import Topology, Vm

ONE = Topology((Vm("lone", 1, 64, ()),), ())


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """A lab of one VM whose image is an empty disk, with its run directory below tmp_path."""
    empty = tmp_path / "empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(empty), "1M"], check=True)
    runs = Path(tempfile.mkdtemp(prefix="twtest-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(runs))
    monkeypatch.setattr(image, "ensure_image", lambda progress: (empty, False))
    monkeypatch.setenv("TICKWIRE_LAB_ACCEL", "tcg")
    monkeypatch.delenv("TICKWIRE_LAB_PORT_BASE", raising=False)
    made = Supervisor(tmp_path / ".lab", Progress(sys.stderr), ONE)
    yield made
    made.down()
    assert vm.strays(made.dir.root) == []
    shutil.rmtree(runs)


def left(lab: Supervisor) -> list[str]:
    runs = Path(tempfile.gettempdir())
    return sorted(path.name for path in [*lab.dir.root.iterdir(), *runs.iterdir()])


def test_a_vm_that_does_not_boot_is_shown_by_its_console_and_undone(
    lab: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(supervisor.BOOT_LIMIT_VARIABLE, "6")
    with pytest.raises(LabError) as caught:
        lab.up()
    assert "lone does not boot: no ssh within 6 s" in caught.value.message
    assert "No bootable device" in caught.value.message
    assert "raise TICKWIRE_LAB_BOOT_TIMEOUT_S" in caught.value.next_step
    assert vm.strays(lab.dir.root) == []
    assert left(lab) == ["lock"]


def test_up_is_idempotent_and_down_leaves_only_the_lock(lab: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm, "answers", lambda port, timeout_s=2.0: True)
    monkeypatch.setattr(vm, "is_booted", lambda config, name: (True, ""))
    first = lab.up()
    pid = first.state.vms["lone"].pid
    assert first.changed and vm.strays(lab.dir.root) == [pid]
    assert lab.status() == [("lone", pid, first.state.vms["lone"].port, "answers")]
    second = lab.up()
    assert not second.changed and second.state == first.state
    os.kill(pid, 9)
    assert vm.wait_gone(lambda: vm.is_ours(pid, lab.dir.pidfile("lone")), 5.0)
    assert lab.status() == [("lone", None, None, "down")]
    third = lab.up()
    assert third.changed and third.state.vms["lone"].pid != pid
    assert lab.down() and not lab.down()
    assert left(lab) == ["lock"] and vm.strays(lab.dir.root) == []


def test_a_vm_of_a_killed_run_is_found_without_state(lab: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm, "answers", lambda port, timeout_s=2.0: True)
    monkeypatch.setattr(vm, "is_booted", lambda config, name: (True, ""))
    lab.up()
    lab.dir.state_file.unlink()
    assert lab.down()
    assert vm.strays(lab.dir.root) == []


def test_a_port_taken_after_the_check_is_chosen_again(lab: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm, "answers", lambda port, timeout_s=2.0: True)
    monkeypatch.setattr(vm, "is_booted", lambda config, name: (True, ""))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        taken = listener.getsockname()[1]
        choices = iter([{"lone": taken}, {"lone": _free_port()}])
        monkeypatch.setattr(supervisor.ports, "choose", lambda names: next(choices))
        assert lab.up().state.vms["lone"].port != taken


def test_two_runs_do_not_race(lab: Supervisor) -> None:
    def never(who: str) -> None:
        pytest.fail("the lock was free")

    with locked(lab.dir.lock_file, never), pytest.raises(LabError, match=f"changing the lab .*pid {os.getpid()}"):
        lab.up()


def test_no_memory_starts_nothing(lab: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "memory_available_mb", lambda text: 1)
    with pytest.raises(LabError, match="no memory"):
        lab.up()
    assert left(lab) == ["lock"]


def test_state_survives_a_round_trip_and_refuses_another_version(tmp_path: Path) -> None:
    directory = LabDir(tmp_path)
    assert directory.load() is None
    state = LabState("/image", "tcg", "/tmp/run", {"a": VmState(7, 2201)})
    directory.save(state)
    assert directory.load() == state
    directory.state_file.write_text(json.dumps({"version": 99}))
    with pytest.raises(LabError, match="another version"):
        directory.load()
    directory.state_file.write_text("{")
    with pytest.raises(LabError, match="cannot be read"):
        directory.load()


def test_a_reused_pid_is_not_taken_for_a_vm(tmp_path: Path) -> None:
    assert not vm.is_ours(os.getpid(), tmp_path / "x.pid")
    vm.stop(os.getpid(), tmp_path / "x.pid", tmp_path / "x.qmp")


def test_an_open_port_without_ssh_is_no_answer() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        assert not vm.answers(listener.getsockname()[1], timeout_s=0.2)


def test_console_tail_has_no_control_characters(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\r\n\x1b[0;32m OK \x07\n\n\xff last\n")
    assert tail(log, 2) == [" OK", "\ufffd last"]
    assert tail(tmp_path / "none", 2) == []


def test_of_a_kernel_that_died_the_first_words_are_shown(tmp_path: Path) -> None:
    console = tmp_path / "console"
    calm = [f"[ {number}.0] systemd[1]: Started unit {number}." for number in range(40)]
    died = ["[ 28.0] Oops: general protection fault, 0000 [#1]", *(f"[ 28.1] R{number}: 0" for number in range(20))]
    console.write_text("\n".join(calm))
    assert last_words(console, 10) == calm[-10:]
    console.write_text("\n".join([*calm, *died, "[ 33.8] Kernel panic - not syncing: Fatal exception in interrupt"]))
    assert last_words(console, 10)[:2] == died[:2] and "Kernel panic" in last_words(console, 10)[-1]


@pytest.mark.parametrize(
    ("says", "status", "booted"),
    [("running", 0, True), ("degraded", 1, True), ("starting", 1, False), ("", 255, False)],
)
def test_booted_means_login_and_no_job_left(
    says: str, status: int, booted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\n[ -z '{says}' ] || echo '{says}'\n[ -n '{says}' ] || echo refused >&2\nexit {status}\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert vm.is_booted(tmp_path / "config", "lone") == (booted, says or "refused")


def test_a_slow_vm_is_waited_for_and_not_a_change(lab: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    greetings = iter([True, False, True])
    monkeypatch.setattr(vm, "answers", lambda port, timeout_s=2.0: next(greetings))
    monkeypatch.setattr(vm, "is_booted", lambda config, name: (True, ""))
    first = lab.up()
    again = lab.up()
    assert first.changed and not again.changed and again.state == first.state


def test_json_and_table() -> None:
    state = LabState("/i", "tcg", "/r", {"exch1": VmState(7, 2201)})
    found = cli.up_json(UpResult(True, state, {"image_s": 0.04, "boot_s": 31.26}))
    assert found["changed"] is True and found["accel"] == "tcg" and found["stages"] == {"image_s": 0.0, "boot_s": 31.3}
    assert found["vms"] == {"exch1": {"pid": 7, "port": 2201}}
    table = cli.status_table([("exch1", 7, 2201, "answers"), ("sw1", None, None, "down")])
    assert table.splitlines() == ["VM     PID  PORT  SSH", "exch1  7    2201  answers", "sw1    -    -     down"]


def test_an_error_is_one_message_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "ROOT", tmp_path / ".lab")
    monkeypatch.setattr(preflight, "find_tool", lambda name: None)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert cli.main(["preflight", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("lab: error: not installed") and "\n  next: install them: apt-get install" in said.err
    assert json.loads(said.out)["failed"] is True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# A process of a QEMU's name whose first thread has ended, and another one has not.
HALF_GONE = """
import ctypes, threading, time
libc = ctypes.CDLL(None)
libc.prctl(15, b"qemu-half", 0, 0, 0)
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("ready", flush=True)
libc.pthread_exit(None)
"""


def test_a_process_that_has_a_thread_left_is_not_gone(tmp_path: Path) -> None:
    """Its files, and so the lock on its pidfile, go with the last thread."""
    process = subprocess.Popen([sys.executable, "-c", HALF_GONE], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        state = Path(f"/proc/{process.pid}/stat")
        assert vm.wait_gone(lambda: state.read_text().rpartition(")")[2].split()[0] != "Z", 20.0)
        assert vm.is_ours(process.pid, tmp_path / "half.pid")
    finally:
        process.kill()
        process.wait()
    assert not vm.is_ours(process.pid, tmp_path / "half.pid")
