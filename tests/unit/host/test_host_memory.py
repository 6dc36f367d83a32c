"""Memory: values, swap and limits; now, at boot, put back, and refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host import limits, memory, memory_swap, values
from ansible_collections.tickwire.fabric.plugins.module_utils.host.before import read_before
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import memory as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host
from tests.unit.host.machine_double import Machine

THP = "sys/kernel/mm/transparent_hugepage"
#: What Linux 6.12.107 of Debian 13 says.
FRESH = {
    f"{THP}/enabled": "[always] madvise never\n",
    f"{THP}/defrag": "always defer defer+madvise [madvise] never\n",
    f"{THP}/khugepaged/defrag": "1\n",
    "proc/sys/kernel/numa_balancing": "0\n",
    "proc/sys/vm/zone_reclaim_mode": "0\n",
    "proc/sys/vm/compaction_proactiveness": "20\n",
    "proc/sys/vm/swappiness": "60\n",
}
WANTED: dict[str, Any] = {
    "thp": "never",
    "thp_defrag": "never",
    "khugepaged_defrag": False,
    "numa_balancing": False,
    "zone_reclaim_mode": 0,
    "compaction_proactiveness": 0,
    "swap": False,
}
LIMITS = {"user": "tickwire", "memlock": "unlimited", "rtprio": 50}


def kernel_write(path: Path, text: str) -> None:
    """A kernel that shows all choices with the chosen one in brackets and refuses any other."""
    old = path.read_text()
    if "[" in old:
        choices = old.replace("[", "").replace("]", "").split()
        if text.strip() not in choices:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        path.write_text(" ".join(f"[{one}]" if one == text.strip() else one for one in choices) + "\n")
    else:
        path.write_text(text.strip() + "\n")


@pytest.fixture
def machine(host: Host) -> Machine:
    for name, text in FRESH.items():
        host.write(name, text)
    machine = Machine(host)
    machine.swap("swapfile", 1024, -2)
    machine.swap("second swap", 0, 5)
    return machine


def system(machine: Machine, write: Any = kernel_write) -> System:
    return System(machine.host.root, machine.run, write)


def untouched(machine: Machine) -> System:
    def no_write(path: Path, text: str) -> None:
        raise AssertionError(f"{path} was written where nothing may be")

    return System(machine.host.root, machine.host.run_nothing, no_write)


def texts(host: Host) -> dict[str, str]:
    """Files without their times: what a person would compare."""
    return {name: text for name, (dummy, text, dummy_time) in host.tree().items() if (host.root / name).is_file()}


def test_everything_is_set_now_and_at_boot_once(machine: Machine) -> None:
    host = machine.host
    outcome = memory.apply_memory(system(machine), WANTED, LIMITS, False)
    assert outcome.changed and outcome.unsupported == {}
    assert host.read(f"{THP}/enabled") == "always madvise [never]\n"
    assert host.read("proc/sys/vm/compaction_proactiveness") == "0\n"
    assert host.read("proc/swaps").splitlines()[1:] == []
    assert os.readlink(host.root / "etc/systemd/system/swap.target") == "/dev/null"
    assert host.read("etc/tmpfiles.d/00-tickwire-memory.conf").splitlines()[1:] == [
        f"w! /{THP}/enabled - - - - never",
        f"w! /{THP}/defrag - - - - never",
        f"w! /{THP}/khugepaged/defrag - - - - 0",
    ]
    assert host.read("etc/sysctl.d/99-tickwire-memory.conf").splitlines()[1:] == [
        "kernel/numa_balancing = 0",
        "vm/zone_reclaim_mode = 0",
        "vm/compaction_proactiveness = 0",
    ]
    assert host.read(limits.FILE).splitlines()[1:] == ["tickwire - memlock unlimited", "tickwire - rtprio 50"]
    before = host.tree()
    again = memory.apply_memory(untouched(machine), WANTED, LIMITS, False)
    assert not again.changed
    assert host.tree() == before
    assert part.PART.drift(untouched(machine), {"memory": WANTED, "limits": LIMITS}, False) == []


def test_check_mode_writes_nothing_and_foretells(machine: Machine) -> None:
    before = machine.host.tree()
    foretold = memory.apply_memory(untouched(machine), WANTED, LIMITS, True)
    assert machine.host.tree() == before
    assert foretold.diff() == memory.apply_memory(system(machine), WANTED, LIMITS, False).diff()


def test_what_goes_away_is_what_it_was_before(machine: Machine) -> None:
    before = texts(machine.host)
    memory.apply_memory(system(machine), WANTED, LIMITS, False)
    changed = memory.apply_memory(system(machine), {**WANTED, "thp": "madvise"}, LIMITS, False)
    assert changed.after == {
        "thp": "madvise",
        "/etc/tmpfiles.d/00-tickwire-memory.conf": changed.after["/etc/tmpfiles.d/00-tickwire-memory.conf"],
    }
    assert read_before(system(machine), "memory")[f"{THP}/enabled"] == "always", "the first value of all is kept"
    assert memory.apply_memory(system(machine), {}, {}, False).changed
    after = texts(machine.host)
    swaps = "proc/swaps"
    assert sorted(line.split()[0] for line in after.pop(swaps).splitlines()) == sorted(
        line.split()[0] for line in before.pop(swaps).splitlines()
    )
    assert after == before
    assert not (machine.host.root / "etc/systemd/system/swap.target").is_symlink()
    assert not memory.apply_memory(untouched(machine), {}, {}, False).changed


@pytest.mark.parametrize("failing", ["swapoff /swapfile", "swapoff /second swap", "systemctl mask swap.target"])
def test_a_failure_puts_everything_back(machine: Machine, failing: str) -> None:
    before = texts(machine.host)
    machine.refuse[failing] = "swapoff failed: Cannot allocate memory"
    with pytest.raises(HostError, match="Cannot allocate memory"):
        memory.apply_memory(system(machine), WANTED, LIMITS, False)
    after = texts(machine.host)
    assert sorted(after.pop("proc/swaps").splitlines())[-1:] == sorted(before.pop("proc/swaps").splitlines())[-1:]
    assert after == before


def test_swap_that_would_not_fit_is_refused_first(machine: Machine) -> None:
    machine.host.write("proc/meminfo", "MemAvailable:    1000 kB\n")
    before = machine.host.tree()
    for act in (memory.apply_memory, lambda *args: memory.check_memory(*args[:3])):
        with pytest.raises(HostError, match="swap 'off': 1 MB are in swap, and at most 90% of the 0 MB free"):
            act(untouched(machine), WANTED, LIMITS, True)
    assert machine.host.tree() == before


def test_zram_of_a_service_is_masked_too(machine: Machine) -> None:
    machine.host.write("usr/lib/systemd/system/zramswap.service", "[Unit]\n")
    memory.apply_memory(system(machine), {"swap": False}, None, False)
    assert "systemctl mask zramswap.service" in machine.ran
    assert memory_swap.find_drift(untouched(machine)) == []
    machine.host.root.joinpath("etc/systemd/system/zramswap.service").unlink()
    assert [str(one) for one in memory_swap.find_drift(untouched(machine))] == [
        "zramswap.service: wanted 'masked', found 'not masked'"
    ]


def test_a_target_that_the_user_masked_stays_masked(machine: Machine) -> None:
    link = machine.host.root / "etc/systemd/system/swap.target"
    link.parent.mkdir(parents=True)
    link.symlink_to("/dev/null")
    memory.apply_memory(system(machine), {"swap": False}, None, False)
    memory.apply_memory(system(machine), {}, None, False)
    assert link.is_symlink()


def test_what_the_kernel_has_not_is_reported_and_no_failure(machine: Machine) -> None:
    host = machine.host
    (host.root / "proc/sys/kernel/numa_balancing").unlink()
    (host.root / "proc/sys/vm/compaction_proactiveness").chmod(0o444)
    (host.root / f"{THP}/defrag").write_text("always [madvise]\n")
    outcome = memory.apply_memory(system(machine), WANTED, None, False)
    assert outcome.unsupported == {
        "numa_balancing": "this kernel has no /proc/sys/kernel/numa_balancing",
        "compaction_proactiveness": "/proc/sys/vm/compaction_proactiveness says 20 and cannot be written here",
        "thp_defrag": f"/{THP}/defrag has no never, only always, madvise",
    }
    assert "numa_balancing" not in host.read("etc/sysctl.d/99-tickwire-memory.conf")
    assert part.PART.drift(untouched(machine), {"memory": WANTED}, False) == []
    assert not memory.apply_memory(untouched(machine), WANTED, None, False).changed


def test_a_write_that_the_kernel_has_no_device_for_is_unsupported(machine: Machine) -> None:
    def write(path: Path, text: str) -> None:
        if path.name == "swappiness":
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        kernel_write(path, text)

    outcome = memory.apply_memory(system(machine, write), {"swappiness": 1, "thp": "never"}, None, False)
    assert outcome.unsupported == {
        "swappiness": "the kernel refuses 1 in /proc/sys/vm/swappiness: Operation not permitted"
    }
    assert "swappiness" not in outcome.after
    assert not (machine.host.root / "etc/sysctl.d/99-tickwire-memory.conf").exists()
    assert read_before(system(machine), "memory") == {f"{THP}/enabled": "always"}


def test_a_value_that_does_not_stay_puts_everything_back(machine: Machine) -> None:
    def write(path: Path, text: str) -> None:
        if path.name != "swappiness":
            kernel_write(path, text)

    before = texts(machine.host)
    with pytest.raises(HostError, match="swappiness '1': /proc/sys/vm/swappiness says 60 after it was written"):
        memory.apply_memory(system(machine, write), {"thp": "never", "swappiness": 1}, LIMITS, False)
    assert texts(machine.host) == before


def test_a_file_that_wins_at_boot_is_named_before_anything_is_written(machine: Machine) -> None:
    machine.host.write("etc/sysctl.d/zz-database.conf", "vm.swappiness = 10\n")
    before = machine.host.tree()
    for act in (memory.apply_memory, lambda *args: memory.check_memory(*args[:3])):
        with pytest.raises(
            HostError, match="/etc/sysctl.d/zz-database.conf sets /proc/sys/vm/swappiness to 10 at boot"
        ):
            act(untouched(machine), {"swappiness": 1}, None, False)
    assert machine.host.tree() == before
    machine.host.write("etc/sysctl.d/zz-database.conf", "vm.swappiness = 1\n")
    assert memory.apply_memory(system(machine), {"swappiness": 1}, None, False).changed


def test_limits_of_a_later_file_are_named(machine: Machine) -> None:
    machine.host.write("etc/security/limits.d/zz.conf", "tickwire  -  memlock  64 # small\nother - memlock 1\n")
    with pytest.raises(HostError, match="/etc/security/limits.d/zz.conf is read after .* and says 64"):
        memory.apply_memory(untouched(machine), None, LIMITS, True)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"memlock": "unlimited"}, "limits user ''"),
        ({"user": "a b", "memlock": "1"}, "it is no name of a user"),
        ({"user": "a", "memlock": "8G"}, "neither 'unlimited' nor a number of kB"),
        ({"user": "a", "rtprio": 100}, "no priority from 0 to 99"),
    ],
)
def test_limits_that_mean_nothing_are_refused(wanted: dict[str, object], reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        limits.parse_limits(wanted)


def test_processes_with_lower_limits_are_listed(machine: Machine) -> None:
    host = machine.host
    host.write("etc/passwd", "root:x:0:0::/:/bin/sh\ntickwire:x:990:990::/:/bin/sh\n")
    head = "Limit                     Soft Limit           Hard Limit           Units\n"
    row = "Max locked memory         {}              {}              bytes\nMax realtime priority     {}  0\n"
    for pid, uid, memlock, rtprio in ((7, 990, "8388608", 0), (8, 990, "unlimited", 50), (9, 0, "0", 0)):
        host.write(f"proc/{pid}/status", f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        host.write(f"proc/{pid}/limits", head + row.format(memlock, memlock, rtprio))
    assert limits.lower_processes(untouched(machine), limits.parse_limits(LIMITS)) == [
        {"pid": 7, "limit": "memlock", "soft": "8388608"},
        {"pid": 7, "limit": "rtprio", "soft": "0"},
    ]
    assert limits.lower_processes(untouched(machine), {"user": "tickwire", "memlock": "8192"}) == []


def test_drift_is_named_field_by_field(machine: Machine) -> None:
    wanted = {"memory": {"thp": "never", "swappiness": 1}, "limits": {"user": "tickwire", "rtprio": 1}}
    memory.apply_memory(system(machine), wanted["memory"], wanted["limits"], False)
    kernel_write(machine.host.root / f"{THP}/enabled", "always")
    machine.host.write("etc/sysctl.d/99-tickwire-memory.conf", "# emptied\n")
    assert [(one.item, one.wanted, one.found) for one in part.PART.drift(untouched(machine), wanted, False)] == [
        ("thp", "never", "always"),
        ("/etc/sysctl.d/99-tickwire-memory.conf", "vm/swappiness = 1", "no such file"),
    ]
    assert part.PART.drift(untouched(machine), {}, False) == [], "what is not wanted is not ours"
    running = part.PART.running(untouched(machine), wanted)["memory"]
    assert running["thp"] == "always" and running["swaps"] == ["/swapfile", "/second swap"]


def test_a_host_that_has_nothing_of_it_has_no_drift(host: Host) -> None:
    bare = System(host.root, host.run_nothing)
    wanted = {"memory": {"thp": "never", "numa_balancing": False}}
    part.PART.check(bare, wanted)
    assert part.PART.drift(bare, wanted, False) == []
    assert part.PART.running(bare, wanted)["memory"]["thp"] is None


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=5), st.sampled_from([" ", "\t", "  ", "\t \n"]))
def test_numbers_are_compared_as_the_kernel_separates_them(numbers: list[int], between: str) -> None:
    text = between.join(map(str, numbers)) + "\n"
    assert values.parse_value(text) == " ".join(map(str, numbers))


@given(
    st.lists(st.from_regex(r"[a-z+_]{1,12}", fullmatch=True), min_size=1, max_size=6, unique=True), st.integers(0, 5)
)
def test_the_chosen_word_is_the_value(words: list[str], place: int) -> None:
    chosen = words[place % len(words)]
    assert values.parse_value(" ".join(f"[{one}]" if one == chosen else one for one in words)) == chosen


@pytest.mark.parametrize("text", ["yes", "True", "on", 1, True])
def test_words_of_an_inventory_are_flags(text: object) -> None:
    assert values.flag("x", text) is True
    with pytest.raises(HostError, match="it is neither true nor false"):
        values.flag("x", "perhaps")


@pytest.mark.parametrize("name", ["run/systemd/container", "run/.containerenv"])
def test_a_container_leaves_the_kernel_of_its_host_alone(machine: Machine, name: str) -> None:
    machine.host.write(name, "podman\n")
    wanted = {"thp": "never", "swap": False, "numa_balancing": False}
    outcome = memory.apply_memory(untouched(machine), wanted, None, False)
    reason = f"this is a container (/{name}), and its kernel belongs to the host"
    assert outcome.unsupported == {"thp": reason, "numa_balancing": reason, "swap": reason} and not outcome.changed
    assert part.PART.drift(untouched(machine), {"memory": wanted}, False) == []
