"""The image's cache key, the disk's boot sectors, and what an image build does when it cannot go on."""

from __future__ import annotations

import io
import shutil
import struct
import tarfile
from pathlib import Path

import pytest

from lab import disk, image, preflight, recipe, rootfs
from lab.errors import LabError
from lab.progress import Progress, run_logged


@pytest.fixture
def lab_copy(tmp_path: Path) -> Path:
    copy = tmp_path / "lab"
    shutil.copytree(image.LAB_DIR, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_the_key_is_the_same_for_the_same_inputs(lab_copy: Path) -> None:
    assert recipe.image_key(lab_copy) == recipe.image_key(image.LAB_DIR)


@pytest.mark.parametrize("name", ["files/etc/default/grub", "kmod/dcb.c", "rootfs.py", "disk.py", "recipe.py"])
def test_the_key_changes_with_every_input(lab_copy: Path, name: str) -> None:
    before = recipe.image_key(lab_copy)
    with (lab_copy / name).open("a") as file:
        file.write("\n")
    assert recipe.image_key(lab_copy) != before


def test_the_key_changes_with_packages_mode_and_new_files(lab_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {recipe.image_key(lab_copy)}
    (lab_copy / "files/etc/hosts").chmod(0o755)
    keys.add(recipe.image_key(lab_copy))
    (lab_copy / "files/etc/new").write_text("")
    keys.add(recipe.image_key(lab_copy))
    monkeypatch.setattr(recipe, "PACKAGES", (*recipe.PACKAGES, "tcpdump"))
    keys.add(recipe.image_key(lab_copy))
    assert len(keys) == 4


def test_the_key_does_not_change_with_what_only_runs_the_vms(lab_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe.image_key(lab_copy)
    (lab_copy / "vm.py").write_text("")
    monkeypatch.setenv("TICKWIRE_DEBIAN_MIRROR", "http://mirror.example/debian")
    assert recipe.image_key(lab_copy) == before


def test_boot_sectors(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(4 * 1024 * 1024)
        file.seek(2048 * 512)
        file.write(b"FILESYSTEM")
    boot = b"\xeb\x63" + b"B" * 508 + b"\x55\xaa"
    disk.write_boot_sectors(raw, boot, b"CORE" * 1000, 2048)
    data = raw.read_bytes()
    assert len(data) == 4 * 1024 * 1024 and data[:440] == boot[:440] and data[510:512] == b"\x55\xaa"
    active, _, kind, _, start, sectors = struct.unpack("<B3sB3sII", data[446:462])
    assert (active, kind, start, sectors) == (0x80, 0x83, 2048, 4 * 2048 - 2048)
    assert data[512:4512] == b"CORE" * 1000 and data[2048 * 512 :].startswith(b"FILESYSTEM")


def test_a_core_image_too_large_for_the_gap_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(2048 * 512))
    with pytest.raises(ValueError, match="core.img has 40000 bytes, the gap before the partition has 31744"):
        disk.write_boot_sectors(raw, bytes(510) + b"\x55\xaa", bytes(40000), 63)
    with pytest.raises(ValueError, match="boot.img"):
        disk.write_boot_sectors(raw, bytes(512), b"", 63)


def test_the_overlay_masks_and_enables_units_and_belongs_to_root(tmp_path: Path) -> None:
    out = tmp_path / "overlay.tar"
    rootfs.overlay_tar(image.LAB_DIR, out)
    with tarfile.open(fileobj=io.BytesIO(out.read_bytes())) as tar:
        members = {member.name: member for member in tar}
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert members["etc/systemd/system/apt-daily.timer"].linkname == "/dev/null"
    wanted = "etc/systemd/system/sys-subsystem-net-devices-fab0.device.wants/tickwire-rxe@fab0.service"
    assert members[wanted].linkname == "/etc/systemd/system/tickwire-rxe@.service"
    assert members["etc/systemd/system/tickwire-rxe@.service"].mode == 0o644


def test_the_first_command_line_is_the_one_update_grub_writes() -> None:
    cmdline = rootfs.grub_cmdline((image.LAB_DIR / "files/etc/default/grub").read_text())
    assert cmdline.startswith("console=ttyS0,115200 ")
    with pytest.raises(ValueError, match="GRUB_CMDLINE_LINUX is not set"):
        rootfs.grub_cmdline("GRUB_TIMEOUT=0\n")


def test_a_failed_build_leaves_nothing_and_shows_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(preflight, "check_build", lambda cache: None)
    # Instead of sudo: lets `rm` through, and fails the build with a reason.
    false = tmp_path / "no-root"
    false.write_text('#!/bin/sh\n[ "$1" != rm ] || exec "$@"\necho \'E: no such mirror\'\nexit 7\n')
    false.chmod(0o755)
    monkeypatch.setattr(preflight, "root_prefix", lambda uid, tty: [str(false)])
    (tmp_path / "tickwire/images/lab-build-1").mkdir(parents=True)
    with pytest.raises(LabError, match=r"building the lab image failed \(status 7\)(.|\n)*E: no such mirror"):
        image.ensure_image(Progress())
    assert [path.name for path in (tmp_path / "tickwire/images").iterdir()] == ["lab.lock"]


def test_a_cached_image_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = image.image_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert image.ensure_image(Progress()) == (path, False)
    assert path.parent == tmp_path / "tickwire/images" and path.suffix == ".qcow2" and len(path.stem) == 64


def test_the_root_part_runs_only_in_its_own_namespace(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert rootfs.main([str(tmp_path), "http://mirror.example", "0", "0"]) == 1
    assert "first process of a pid namespace" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_build_ends_when_its_caller_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ignores signals, as one under sudo does; the closed standard input is what ends it."""
    script = tmp_path / "builder"
    script.write_text("#!/bin/sh\ntrap '' TERM\ncat\necho ended\n")
    script.chmod(0o755)
    log = tmp_path / "log"
    progress = Progress()

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "beat", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_logged([str(script)], log, progress, "building")
    assert log.read_text() == "ended\n"
