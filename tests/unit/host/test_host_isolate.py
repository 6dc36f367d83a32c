"""cpu_isolation on a file tree with a systemd and cpusets: both ways, change, removal, refusal, check mode."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import isolate, slices
from ansible_collections.tickwire.fabric.plugins.module_utils.host.before import FILE
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolate import IsolationResult
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import wanted_tokens
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import isolation as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.cgroup_tree import CGROUP, MASK, NO_SETAFFINITY, Machine
from tests.unit.host.host_tree import Host

BOOT = {"isolated_cpus": "2-3"}
PARTITION = {"isolated_cpus": "2-3", "whole_processes": True}


@pytest.fixture
def machine(host: Host) -> Machine:
    host.cpus(4)
    machine = Machine(host)
    host.write("proc/sys/kernel/random/boot_id", "boot-1\n")
    machine.kthread(2, "kthreadd", "0-3")
    machine.kthread(15, "rcu (x) y", "0-3")
    machine.kthread(26, "cpuhp/2", "2", NO_SETAFFINITY)
    machine.kthread(30, "kworker/R-mm", "0-3", NO_SETAFFINITY)
    machine.kthread(31, "bound", "3")
    host.write("proc/400/stat", "400 (engine) S 1 0 0 0 -1 4194304 0 0\n")
    host.write("proc/400/status", "Cpus_allowed_list:\t0-3\n")
    return machine


def apply(machine: Machine, check: bool = False, **wanted: object) -> IsolationResult:
    return isolate.apply(machine.system, wanted, check, machine.set_affinity, lambda dummy: None)


def drift(machine: Machine, **wanted: object) -> list[str]:
    machine.host.boots(isolated="2-3", nohz_full="2-3")
    return [str(item) for item in part.PART.drift(machine.system, wanted, False)]


def live(machine: Machine, unit: str) -> str:
    return machine.host.read(f"{CGROUP}/{unit}/cpuset.cpus.effective").strip()


def test_way_boot_keeps_slices_workqueues_and_kernel_threads_off(machine: Machine) -> None:
    result = apply(machine, **BOOT)
    assert result.changed and (result.way.name, result.not_supported) == ("boot", [])
    for unit in machine.slices:
        assert live(machine, unit) == "0-1"
    for unit, section in slices.SECTIONS.items():  # machine.slice comes with the first container
        text = machine.host.read(slices.drop_in(unit))
        assert f"[{section}]\nAllowedCPUs=0-1\n" in text
    assert machine.host.read(MASK).strip() == "3"
    assert f"w! /{MASK} - - - - 3\n" in machine.host.read(slices.WORKQUEUE_FILE)
    assert machine.affinity == {2: "0-1", 15: "0-1"}, "nobody's program, and none that is bound"
    assert machine.ran == ["systemctl daemon-reload"]
    assert not (machine.host.root / CGROUP / "tickwire.slice").exists()
    assert drift(machine, **BOOT) == []


def test_way_partition_is_valid_and_kept_at_boot(machine: Machine) -> None:
    result = apply(machine, **PARTITION)
    assert result.way.name == "partition" and "whole_processes is set" in result.way.reason
    assert slices.partition_state(machine.system) == "isolated" and live(machine, "tickwire.slice") == "2-3"
    assert (machine.host.root / slices.WANTS).exists()
    assert drift(machine, **PARTITION) == []
    tokens = [str(token) for token in wanted_tokens(machine.system, PARTITION)]
    assert tokens == ["isolcpus=managed_irq,2-3", "nohz_full=2-3", "rcu_nocbs=2-3", "irqaffinity=0-1"]


@pytest.mark.parametrize("wanted", [BOOT, PARTITION])
def test_check_mode_foretells_and_a_second_run_does_nothing(machine: Machine, wanted: dict[str, object]) -> None:
    before = machine.host.tree()
    refusing = System(machine.host.root, machine.host.run_nothing, lambda path, text: pytest.fail(f"wrote {path}"))
    foretold = isolate.apply(refusing, wanted, True, lambda pid, cpus: pytest.fail("moved a thread"))
    assert machine.host.tree() == before
    done = apply(machine, **wanted)
    assert foretold.changed and (foretold.before, foretold.after) == (done.before, done.after)
    machine.kthread(900, "psimon", "0-3")  # born with a unit meanwhile: the kernel's to place
    before, machine.ran = machine.host.tree(), []
    again = apply(machine, **wanted)
    assert not again.changed and isolate.summary(again.before) == isolate.summary(again.after)
    assert machine.ran == [] and machine.host.tree() == before


@pytest.mark.parametrize("wanted", [BOOT, PARTITION])
def test_removal_gives_everything_back(machine: Machine, wanted: dict[str, object]) -> None:
    before = {name for name in machine.host.tree() if name.startswith(("etc/", "var/"))}
    apply(machine, **wanted)
    result = apply(machine)
    assert result.changed
    files = {name for name in machine.host.tree() if name.startswith(("etc/", "var/"))} - before
    assert not {name for name in files if (machine.host.root / name).is_file()}
    assert all(live(machine, unit) == "0-3" for unit in machine.slices)
    assert machine.host.read(MASK).strip() == "f"
    assert machine.affinity == {2: "0-3", 15: "0-3"}
    assert slices.partition_state(machine.system) in ("", "member")
    assert not apply(machine).changed


def test_a_host_that_never_was_ours_is_left_alone(machine: Machine) -> None:
    machine.host.write(f"{CGROUP}/system.slice/cpuset.cpus", "1\n")
    machine.host.write(f"{CGROUP}/system.slice/cpuset.cpus.effective", "1\n")
    before = machine.host.tree()
    assert not apply(machine).changed
    assert machine.host.tree() == before and machine.ran == []


def test_a_way_that_cannot_be_is_no_matter_without_isolated_cpus(host: Host) -> None:
    bare = System(host.root, host.run_nothing)
    assert not isolate.apply(bare, {"isolation": "partition"}, False).changed


@pytest.mark.parametrize(("first", "then"), [("2-3", "3"), ("3", "2-3"), ("2", "3")])
@pytest.mark.parametrize("whole", [False, True])
def test_other_cpus(machine: Machine, first: str, then: str, whole: bool) -> None:
    apply(machine, isolated_cpus=first, whole_processes=whole)
    result = apply(machine, isolated_cpus=then, whole_processes=whole)
    rest = {"3": "0-2", "2-3": "0-1"}[then]
    assert result.changed and live(machine, "system.slice") == rest
    assert machine.affinity == {2: rest, 15: rest}
    assert machine.host.read(MASK).strip() == {"3": "7", "2-3": "3"}[then]
    if whole:
        assert (slices.partition_state(machine.system), live(machine, "tickwire.slice")) == ("isolated", then)
    assert not apply(machine, isolated_cpus=then, whole_processes=whole).changed
    apply(machine)
    assert machine.affinity == {2: "0-3", 15: "0-3"} and machine.host.read(MASK).strip() == "f"


def test_from_one_way_to_the_other_and_back(machine: Machine) -> None:
    apply(machine, **BOOT)
    apply(machine, **PARTITION)
    assert slices.partition_state(machine.system) == "isolated"
    apply(machine, **BOOT)
    assert slices.partition_state(machine.system) == "member" and not (machine.host.root / slices.WANTS).exists()
    assert not (machine.host.root / slices.VALUES).exists() and drift(machine, **BOOT) == []


def test_a_refused_partition_is_told_with_the_reason_and_put_back(machine: Machine) -> None:
    apply(machine, **BOOT)
    before = {name: entry[1] for name, entry in machine.host.tree().items() if name.startswith("etc/")}
    machine.claimed = frozenset({3})
    with pytest.raises(HostError) as caught:
        apply(machine, **PARTITION)
    assert "'isolated invalid (Cpu list in cpuset.cpus not exclusive)'" in str(caught.value)
    assert "Another cgroup claims these CPUs" in str(caught.value) and "\n" not in str(caught.value)
    after = {name: entry[1] for name, entry in machine.host.tree().items() if name.startswith("etc/")}
    new = {name for name in set(after) - set(before) if (machine.host.root / name).is_file()}
    assert not new and all(after[name] == text for name, text in before.items())
    assert live(machine, "system.slice") == "0-1" and slices.partition_state(machine.system) == "member"


def test_a_first_run_that_fails_leaves_nothing(machine: Machine) -> None:
    machine.claimed = frozenset({3})
    with pytest.raises(HostError, match="isolated invalid"):
        apply(machine, **PARTITION)
    assert not [name for name in machine.host.tree() if "isolation" in name and "etc/" in name]
    assert all(live(machine, unit) == "0-3" for unit in machine.slices)
    assert machine.affinity == {} and not (machine.host.root / FILE).exists()
    machine.claimed = frozenset()
    apply(machine, **PARTITION)
    assert machine.affinity == {2: "0-1", 15: "0-1"}


def test_a_slice_that_keeps_an_isolated_cpu_is_an_error(machine: Machine) -> None:
    machine.reload_does = False
    with pytest.raises(HostError, match="AllowedCPUs of init.scope '0-1': it was set, and .* on CPUs all"):
        apply(machine, **BOOT)


def test_a_program_that_fails_is_named(machine: Machine) -> None:
    def run(argv: list[str]) -> tuple[int, str, str]:
        return 1, "", "Failed to connect to bus\n"

    with pytest.raises(HostError, match="systemctl 'daemon-reload': it ended with 1: Failed to connect to bus"):
        isolate.apply(System(machine.host.root, run, machine.write), BOOT, False, machine.set_affinity)


def test_what_the_kernel_refuses_of_threads_and_workqueues_is_reported(machine: Machine) -> None:
    def affinity(pid: int, cpus: Iterable[int]) -> None:
        if pid == 2:
            raise ProcessLookupError
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def write(path: Path, text: str) -> None:
        if path.name == "cpumask":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        machine.write(path, text)

    result = isolate.apply(System(machine.host.root, machine.run, write), BOOT, False, affinity)
    assert result.not_supported == [
        "unbound workqueues stay on CPUs 0-3: Invalid argument",
        "kernel thread 15 (rcu (x) y) stays on CPUs 0-3: Invalid argument",
    ]


def test_the_running_kernel_places_its_threads_itself_with_nohz_full(machine: Machine) -> None:
    machine.host.boots(isolated="2-3", nohz_full="2-3")
    apply(machine, **BOOT)
    assert machine.affinity == {}


def test_threads_of_an_earlier_boot_are_forgotten(machine: Machine) -> None:
    apply(machine, **BOOT)
    machine.affinity.clear()
    machine.host.write("proc/sys/kernel/random/boot_id", "boot-2\n")
    machine.kthread(2, "kthreadd", "0-1")
    machine.kthread(15, "rcu (x) y", "0-1")  # as nohz_full placed them
    machine.host.boots(isolated="2-3", nohz_full="2-3")
    assert not apply(machine, **BOOT).changed
    apply(machine)
    assert machine.affinity == {}


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("run/systemd/system", None, "systemd does not run here"),
        (f"{CGROUP}/cgroup.controllers", None, r"version 2\) is not mounted"),
        (f"{CGROUP}/cgroup.controllers", "cpu memory\n", "no cpuset controller"),
        ("proc/sys/kernel/osrelease", "5.15.0-91-generic\n", "kernel 5.15.0-91-generic has no isolated partitions"),
    ],
)
def test_a_host_without_partitions_takes_the_other_way(
    machine: Machine, path: str, text: str | None, said: str
) -> None:
    (machine.host.root / CGROUP / "cpuset.cpus.isolated").unlink()
    where = machine.host.root / path
    if text is not None:
        where.write_text(text)
    elif where.is_dir():
        (where / ".keep").unlink()
        where.rmdir()
    else:
        where.unlink()
    with pytest.raises(HostError, match=said):
        part.PART.check(machine.system, {**BOOT, "isolation": "partition"})
    result = apply(machine, **PARTITION)
    assert result.way.name == "boot" and "no isolated partition is to be had" in result.way.reason
    if "5.15" in (text or ""):
        assert live(machine, "system.slice") == "0-1", "slices need no partition"
    else:
        [line] = result.not_supported
        assert line.startswith("CPUs of systemd's slices: ") and not machine.ran
    assert machine.host.read(MASK).strip() == "3", "workqueues need no cpuset"
    assert apply(machine).changed and machine.host.read(MASK).strip() == "f"


@pytest.mark.parametrize("release", ["6.1.0-18-amd64", "6.12.107+deb13-amd64", "6.8.0-31-generic"])
def test_kernels_by_release(machine: Machine, release: str) -> None:
    (machine.host.root / CGROUP / "cpuset.cpus.isolated").unlink()
    machine.host.write("proc/sys/kernel/osrelease", release + "\n")
    part.PART.check(machine.system, {**BOOT, "isolation": "partition"})


def test_a_backport_is_known_by_its_file(machine: Machine) -> None:
    machine.host.write("proc/sys/kernel/osrelease", "5.14.0-427.el9.x86_64\n")
    part.PART.check(machine.system, {**BOOT, "isolation": "partition"})


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (f"{CGROUP}/system.slice/cpuset.cpus.effective", "0,1-2\n", "CPUs of system.slice: wanted 'within 0-1', found"),
        (MASK, "00000000,00000007\n", "CPUs of unbound workqueues: wanted 'within 0-1', found '0-2'"),
        (
            f"{CGROUP}/tickwire.slice/cpuset.cpus.partition",
            "isolated invalid (Parent unable to distribute cpu downstream)\n",
            "partition of tickwire.slice: wanted 'isolated', found 'isolated invalid (Parent unable to",
        ),
        (
            f"{CGROUP}/tickwire.slice/cpuset.cpus.effective",
            "0-3\n",
            "CPUs of tickwire.slice: wanted '2-3', found '0-3'",
        ),
        (f"{CGROUP}/cpuset.cpus.isolated", "2\n", "cpuset.cpus.isolated: wanted '2-3', found '2'"),
        (
            "etc/systemd/system/system.slice.d/50-tickwire-isolation.conf",
            "[Slice]\nAllowedCPUs=0-3\n",
            "/etc/systemd/system/system.slice.d/50-tickwire-isolation.conf: wanted 'as written by cpu_isolation'",
        ),
    ],
)
def test_each_thing_that_drifts_is_named(machine: Machine, path: str, text: str, message: str) -> None:
    apply(machine, **PARTITION)
    machine.host.write(path, text)
    [single] = drift(machine, **PARTITION)
    assert single.startswith(message)


def test_sets_are_compared_and_not_texts(machine: Machine) -> None:
    apply(machine, **PARTITION)
    for name in ("system.slice/cpuset.cpus.effective", "user.slice/cpuset.cpus.effective"):
        machine.host.write(f"{CGROUP}/{name}", "0,1\n")
    machine.host.write(MASK, "00000000,00000003\n")
    machine.host.write(f"{CGROUP}/cpuset.cpus.isolated", "2,3\n")
    assert drift(machine, **PARTITION) == [] and not apply(machine, **PARTITION).changed


def test_the_report_says_way_and_reason(machine: Machine) -> None:
    apply(machine, **PARTITION)
    machine.kthread(900, "psimon", "0-3")
    shown = part.PART.running(machine.system, PARTITION)["isolation"]
    assert shown["way"] == "partition" and shown["partition"] == "isolated" and shown["partition_cpus"] == "2-3"
    assert shown["slices"]["system.slice"] == "0-1" and shown["workqueue_cpus"] == "0-1"
    assert shown["kernel_threads"] == [{"pid": 900, "name": "psimon", "cpus": "0-3"}]
    assert part.PART.running(machine.system, {})["isolation"]["way"] == ""


def test_an_isolated_cpu_may_be_offline(machine: Machine) -> None:
    machine.host.write("sys/devices/system/cpu/online", "0-2\n")
    apply(machine, **PARTITION)
    assert live(machine, "tickwire.slice") == "2" and drift(machine, **PARTITION) == []
    assert not apply(machine, **PARTITION).changed


def test_a_tool_for_isolated_cpus_is_run_in_the_slice(machine: Machine) -> None:
    assert slices.in_slice(machine.system, ["cyclictest", "-a", "2"]) == ["cyclictest", "-a", "2"]
    apply(machine, **BOOT)
    assert slices.in_slice(machine.system, ["cyclictest"])[-4:] == [
        "--scope",
        "--slice=tickwire.slice",
        "--",
        "cyclictest",
    ]
