"""Mounts of hugetlbfs: names of units as systemd-escape makes them, options as sets, put back, and refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host import hugepages, hugetlbfs
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import hugepages as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host
from tests.unit.host.machine_double import UNITS, Machine

MOUNTS: list[dict[str, Any]] = [
    {"path": "/mnt/huge pages", "size": "1G", "owner": "tickwire", "group": "990", "mode": "0770"},
    {"path": "/mnt/small"},
]
UNIT = f"{UNITS}/mnt-huge\\x20pages.mount"
SHOWN = "gid=990,mode=770,pagesize=1024M,uid=990"


@pytest.fixture
def machine(host: Host) -> Machine:
    host.write("etc/passwd", "root:x:0:0::/:/bin/sh\ntickwire:x:990:990::/:/bin/sh\n")
    for kb in (2048, 1048576):
        host.write(f"sys/kernel/mm/hugepages/hugepages-{kb}kB/nr_hugepages", "0\n")
    return Machine(host)


def no_sleep(seconds: float) -> None:
    raise AssertionError("there is nothing to wait for")


def apply(machine: Machine, mounts: list[dict[str, Any]], check: bool = False, pages: Any = None) -> tuple[Any, Any]:
    run = machine.host.run_nothing if check else machine.run
    system = System(machine.host.root, run)
    wanted = hugetlbfs.parse_mounts(system, mounts)
    return hugetlbfs.apply_all(system, pages or {}, wanted, check, 1, no_sleep, False)


def drift(machine: Machine, mounts: list[dict[str, Any]]) -> list[str]:
    system = System(machine.host.root, machine.host.run_nothing)
    return [str(one) for one in part.PART.drift(system, {"hugetlbfs": mounts}, False)]


def texts(host: Host) -> dict[str, str]:
    return {name: text for name, (dummy, text, dummy_time) in host.tree().items() if (host.root / name).is_file()}


def test_it_is_mounted_now_and_at_boot_once(machine: Machine) -> None:
    host = machine.host
    foretold = apply(machine, MOUNTS, check=True)[1]
    outcome = apply(machine, MOUNTS)[1]
    assert outcome.diff() == foretold.diff()
    assert outcome.after["hugetlbfs /mnt/huge pages"] == SHOWN
    assert "Where=/mnt/huge pages\n" in host.read(UNIT)
    assert "Options=pagesize=1G,uid=990,gid=990,mode=0770\n" in host.read(UNIT)
    assert (host.root / f"{UNITS}/local-fs.target.wants/mnt-small.mount").is_symlink()
    before, ran = host.tree(), list(machine.ran)
    assert not apply(machine, MOUNTS)[1].changed
    assert host.tree() == before and machine.ran == ran
    assert drift(machine, MOUNTS) == []
    running = part.PART.running(System(host.root, host.run_nothing), {})["hugetlbfs"]
    assert sorted(running) == ["/dev/hugepages", "/mnt/huge pages", "/mnt/small"]


def test_check_mode_writes_nothing(machine: Machine) -> None:
    before = machine.host.tree()
    assert apply(machine, MOUNTS, check=True)[1].changed
    assert machine.host.tree() == before and machine.ran == []


def test_other_options_are_another_mount_and_none_takes_it_away(machine: Machine) -> None:
    before = texts(machine.host)
    apply(machine, MOUNTS)
    changed = [{**MOUNTS[0], "mode": "0700"}, MOUNTS[1]]
    outcome = apply(machine, changed)[1]
    assert outcome.before == {"hugetlbfs /mnt/huge pages": SHOWN + ", not at boot"}
    assert "mode=700" in machine.host.read("proc/self/mountinfo")
    assert "systemctl stop mnt-huge\\x20pages.mount" in machine.ran
    gone = apply(machine, [])[1]
    assert set(gone.after.values()) == {"not mounted"} and len(gone.after) == 2
    assert texts(machine.host) == before
    assert not (machine.host.root / "mnt/small").exists(), "systemd made the directory for us"
    assert not apply(machine, [])[1].changed


def test_a_directory_that_was_there_or_is_used_stays(machine: Machine) -> None:
    (machine.host.root / "mnt/small").mkdir(parents=True)
    apply(machine, MOUNTS)
    machine.host.write("mnt/huge pages/somebody's", "file")
    apply(machine, [])
    assert (machine.host.root / "mnt/small").exists() and (machine.host.root / "mnt/huge pages").exists()


def test_a_mount_that_was_taken_down_by_hand_comes_back(machine: Machine) -> None:
    apply(machine, MOUNTS)
    machine.stop("mnt-small.mount")
    assert drift(machine, MOUNTS) == ["hugetlbfs /mnt/small: wanted 'pagesize=2M', found 'not mounted'"]
    assert apply(machine, MOUNTS)[1].before == {"hugetlbfs /mnt/small": "not mounted"}
    (machine.host.root / f"{UNITS}/local-fs.target.wants/mnt-small.mount").unlink()
    assert drift(machine, MOUNTS) == ["mnt-small.mount: wanted 'enabled', found 'disabled'"]
    machine.ran.clear()
    assert apply(machine, MOUNTS)[1].before == {"hugetlbfs /mnt/small": "pagesize=2M, not at boot"}
    assert "systemctl stop mnt-small.mount" not in machine.ran, "what is mounted right stays mounted"


def test_a_mount_in_use_stays_as_it_was(machine: Machine) -> None:
    apply(machine, MOUNTS)
    before = texts(machine.host)
    machine.refuse["systemctl stop mnt-small.mount"] = "Job for mnt-small.mount failed: target is busy"
    with pytest.raises(HostError, match="it stays mounted: Job for mnt-small.mount failed"):
        apply(machine, [])
    after = texts(machine.host)
    assert sorted(after.pop("proc/self/mountinfo").splitlines()) == sorted(
        before.pop("proc/self/mountinfo").splitlines()
    )
    assert after == before


def test_a_mount_that_the_kernel_makes_otherwise_takes_the_pages_back_too(machine: Machine) -> None:
    before = texts(machine.host)
    machine.mount_options = "rw,pagesize=4M"
    with pytest.raises(HostError, match="/proc/self/mountinfo says pagesize=4M after it was mounted"):
        apply(machine, MOUNTS, pages={(0, "2M"): 8})
    assert texts(machine.host) == before
    assert hugepages.read_pools(machine.host.root)[(0, "2M")] == 0


def test_a_systemd_that_does_not_answer_leaves_nothing_behind(machine: Machine) -> None:
    """As seen on a loaded machine: systemd 257 says so after the 25 seconds that a call over D-Bus may take."""
    before = texts(machine.host)
    machine.refuse["systemctl daemon-reload"] = "Reload daemon failed: Connection timed out"
    with pytest.raises(HostError, match="systemctl daemon-reload 'exit status 1': Reload daemon failed: Connection"):
        apply(machine, MOUNTS, pages={(0, "2M"): 8})
    assert texts(machine.host) == before
    assert not (machine.host.root / UNITS / "mnt-small.mount").exists()


@pytest.mark.parametrize(
    ("mount", "reason"),
    [
        ({"path": "/dev/hugepages"}, "there is a mount of hugetlbfs already which is not ours"),
        ({"path": "mnt"}, "no absolute path in its shortest form"),
        ({"path": "/"}, "no absolute path"),
        ({"path": "/mnt/../x"}, "no absolute path"),
        ({"path": "/mnt/"}, "no absolute path"),
        ({"path": "/mnt\nOptions=x"}, "no absolute path"),
        ({"path": "/mnt", "size": "4M"}, "it is none of 2M, 1G"),
        ({"path": "/mnt", "mode": "0999"}, "no octal mode"),
        ({"path": "/mnt", "owner": "nobody-here"}, "/etc/passwd has no such user. Make it first, or give its number"),
        ({"path": "/mnt", "group": "none"}, "/etc/group has no such group"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    machine: Machine, mount: dict[str, Any], reason: str
) -> None:
    before = machine.host.tree()
    system = System(machine.host.root, machine.host.run_nothing)
    for act in (lambda: apply(machine, [mount], check=True), lambda: part.PART.check(system, {"hugetlbfs": [mount]})):
        with pytest.raises(HostError, match=reason):
            act()
    with pytest.raises(HostError, match="it is there twice"):
        apply(machine, [{"path": "/mnt"}, {"path": "/mnt"}], check=True)
    assert machine.host.tree() == before


def test_a_size_that_the_kernel_has_not(machine: Machine) -> None:
    directory = machine.host.root / "sys/kernel/mm/hugepages/hugepages-1048576kB"
    (directory / "nr_hugepages").unlink()
    directory.rmdir()
    with pytest.raises(HostError, match="the kernel has no pages of that size"):
        apply(machine, MOUNTS, check=True)


PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(max_examples=3)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=3), min_size=30, max_size=60))
def test_units_are_named_as_systemd_names_them(paths: list[list[str]]) -> None:
    names = ["/" + "/".join(parts) for parts in paths if not {".", ".."} & set(parts)]
    done = subprocess.run(
        ["systemd-escape", "--path", "--suffix=mount", *names], capture_output=True, check=True, timeout=20
    )
    assert [hugetlbfs.unit_name(name) for name in names] == done.stdout.decode().rstrip("\n").split(" ") or not names


def test_the_names_that_are_easily_wrong() -> None:
    assert hugetlbfs.unit_name("/") == "-.mount"
    assert hugetlbfs.unit_name("/dev/huge-1") == "dev-huge\\x2d1.mount"
    assert hugetlbfs.unit_name("/.a/.b") == "\\x2ea-.b.mount"


def test_a_unit_that_systemd_reads_as_it_was_meant(machine: Machine, tmp_path: Path) -> None:
    """systemd's own checker knows every section, key and the name of the file."""
    system = System(machine.host.root, machine.host.run_nothing)
    for mount in hugetlbfs.parse_mounts(system, [*MOUNTS, {"path": "/mnt/50%"}]):
        unit = tmp_path / mount.unit
        unit.write_text(mount.render())
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert mount.unit not in done.stderr and done.returncode == 0, done.stderr
