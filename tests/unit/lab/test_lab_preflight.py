"""Each thing the lab refuses before it starts, with its message and next step; and the choice of ports."""

from __future__ import annotations

import socket
from collections import namedtuple
from pathlib import Path

import pytest

from lab import accel, ports, preflight, supervisor
from lab.errors import LabError
from lab.progress import Progress
from lab.topology import LAB

Usage = namedtuple("Usage", "total used free")


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_tool", lambda name: None if name == "qemu-system-x86_64" else "/bin/x")
    with pytest.raises(LabError) as caught:
        preflight.check_tools(preflight.RUN_TOOLS, "run the lab")
    assert "needed to run the lab: qemu-system-x86_64" in caught.value.message
    assert caught.value.next_step == "install them: apt-get install qemu-system-x86"


def test_no_disk_space_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(0, 0, int(1.2e9)))
    with pytest.raises(LabError, match="needs 3.0 GB free, has 1.2 GB") as caught:
        preflight.check_space(tmp_path / "not/there/yet", 3.0, "build the lab image")
    assert "free 1.8 GB there" in caught.value.next_step
    preflight.check_space(tmp_path, 1.0, "build the lab image")


def test_root_or_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_tool", lambda name: "/usr/bin/sudo")
    assert preflight.root_prefix(0, tty=False) == []
    assert preflight.root_prefix(1000, tty=True) == ["/usr/bin/sudo"]
    assert preflight.root_prefix(1000, tty=False) == ["/usr/bin/sudo", "-n"]
    monkeypatch.setattr(preflight, "find_tool", lambda name: None)
    with pytest.raises(LabError, match="needs root .you are uid 1000., and sudo is not installed") as caught:
        preflight.root_prefix(1000, tty=True)
    # Not "build the image as root": that one would be in root's cache, where this user never looks.
    assert caught.value.next_step.startswith("run `make site` as root")


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preflight.memory_needed_mb(LAB) == 1024 + 512 + 1536 + 3 * 256
    assert preflight.memory_available_mb("MemTotal: 9 kB\nMemAvailable:   2048000 kB\n") == 2000
    monkeypatch.setattr(preflight, "memory_available_mb", lambda text: 100)
    with pytest.raises(LabError, match="need 3840 MB, available are 100 MB"):
        preflight.check_memory(LAB)


@pytest.fixture
def taken_port() -> object:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def test_a_pinned_port_in_use_is_refused(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ports.BASE_VARIABLE, str(taken_port))
    with pytest.raises(LabError, match=f"port 127.0.0.1:{taken_port} for exch1 is in use") as caught:
        ports.choose(["exch1", "sw1"])
    assert "ss -ltnp" in caught.value.next_step


def test_pinned_ports_follow_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ports.BASE_VARIABLE, "22000")
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    assert ports.choose(["exch1", "sw1"]) == {"exch1": 22000, "sw1": 22001}


@pytest.mark.parametrize("text", ["ssh", "80", "70000", "-1"])
def test_a_wrong_port_base_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ports.BASE_VARIABLE, text)
    with pytest.raises(LabError, match="is not a port from 1024 to 65000"):
        ports.choose(["exch1"])


def test_free_ports_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ports.BASE_VARIABLE, raising=False)
    chosen = ports.choose([f"vm{index}" for index in range(20)])
    assert len(set(chosen.values())) == 20


def test_boot_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(supervisor.BOOT_LIMIT_VARIABLE, raising=False)
    assert supervisor.boot_limit_s("tcg") > supervisor.boot_limit_s("kvm")
    monkeypatch.setenv(supervisor.BOOT_LIMIT_VARIABLE, "12.5")
    assert supervisor.boot_limit_s("tcg") == 12.5
    monkeypatch.setenv(supervisor.BOOT_LIMIT_VARIABLE, "soon")
    with pytest.raises(LabError, match="'soon' is not a number of seconds above 0"):
        supervisor.boot_limit_s("tcg")


def test_a_forced_accelerator_is_taken_without_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "trial", lambda image, progress: pytest.fail("no trial wanted"))
    monkeypatch.setenv(accel.VARIABLE, "kvm")
    assert accel.choose(tmp_path / "i.qcow2", tmp_path, Progress()) == "kvm"
    monkeypatch.setenv(accel.VARIABLE, "hvf")
    with pytest.raises(LabError, match="neither kvm nor tcg"):
        accel.choose(tmp_path / "i.qcow2", tmp_path, Progress())


def test_the_trial_is_made_once_per_image_and_its_result_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(accel.VARIABLE, raising=False)
    device = tmp_path / "kvm-device"
    device.write_bytes(b"")
    monkeypatch.setattr(accel, "KVM_DEVICE", device)
    trials: list[str] = []

    def trial(image: Path, progress: Progress) -> tuple[bool, str]:
        trials.append(image.name)
        return image.stem == "good", "no word"

    monkeypatch.setattr(accel, "trial", trial)
    for stem, wanted in (("good", "kvm"), ("good", "kvm"), ("bad", "tcg"), ("bad", "tcg")):
        assert accel.choose(tmp_path / f"{stem}.qcow2", tmp_path, Progress()) == wanted
    assert trials == ["good.qcow2", "bad.qcow2"]
    device.unlink()
    assert accel.choose(tmp_path / "good.qcow2", tmp_path, Progress()) == "tcg"
