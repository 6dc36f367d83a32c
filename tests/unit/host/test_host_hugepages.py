"""Hugepages per NUMA node: running, at boot, and what happens when the kernel gives fewer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import hugepages, hugepages_boot
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import record
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import hugepages as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

WANTED = {(0, "2M"): 64}
KEPT = "w! /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages - - - - 64\n"


class Kernel:
    """A kernel that has ``free`` pages at first and one more whenever somebody waits."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.slept = 0.0

    def write(self, path: Path, text: str) -> None:
        path.write_text(f"{min(int(text), self.free)}\n")

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.free += 1


def no_sleep(seconds: float) -> None:
    raise AssertionError("there is nothing to wait for")


def no_write(path: Path, text: str) -> None:
    raise AssertionError(f"{path} was written where nothing may be")


def apply(host: Host, wanted: dict[hugepages.Pool, int], check: bool = False) -> hugepages.HugepagesResult:
    return hugepages.apply_hugepages(System(host.root, host.run_nothing), wanted, check, 5, no_sleep)


def test_pages_are_set_now_and_at_boot_once(host: Host) -> None:
    result = apply(host, WANTED)
    assert result.changed
    assert (result.before, result.after) == ({(0, "2M"): 0}, {(0, "2M"): 64})
    assert hugepages.read_pools(host.root) == {(0, "2M"): 64, (0, "1G"): 0}
    assert host.read(hugepages.DROP_IN).endswith("\n" + KEPT)
    assert (host.root / hugepages.DROP_IN).stat().st_mode & 0o7777 == 0o644
    before = host.tree()
    again = hugepages.apply_hugepages(System(host.root, host.run_nothing, no_write), WANTED, False, 5, no_sleep)
    assert not again.changed
    assert host.tree() == before


def test_check_mode_writes_nothing(host: Host) -> None:
    before = host.tree()
    result = hugepages.apply_hugepages(System(host.root, host.run_nothing, no_write), WANTED, True, 5, no_sleep)
    assert result.changed
    assert host.tree() == before
    assert hugepages.summary(result.after, result.kept_after).splitlines() == [
        "running: hugepages 2M on node 0: 64",
        "at boot: hugepages 2M on node 0: 64",
    ]


def test_the_kernel_is_asked_until_all_pages_are_there(host: Host) -> None:
    kernel = Kernel(free=61)
    hugepages.apply_hugepages(System(host.root, host.run_nothing, kernel.write), WANTED, False, 5, kernel.sleep)
    assert hugepages.read_pools(host.root)[(0, "2M")] == 64
    assert kernel.slept == 3


def test_what_the_kernel_does_not_give_is_said_and_given_back(host: Host) -> None:
    kernel = Kernel(free=40)
    with pytest.raises(HostError, match=r"hugepages 2M on node 0 '64': the kernel gave 45 within 5 s") as caught:
        hugepages.apply_hugepages(System(host.root, host.run_nothing, kernel.write), WANTED, False, 5, kernel.sleep)
    assert "Free memory on the node or reboot" in str(caught.value)
    assert hugepages.read_pools(host.root)[(0, "2M")] == 0
    assert not (host.root / hugepages.DROP_IN).exists()


def test_large_pages_have_another_next_step(host: Host) -> None:
    host.write("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:        64000000 kB\n")
    kernel = Kernel(free=1)
    with pytest.raises(HostError, match="the kernel gave 2 within 1 s.*on the kernel command line"):
        hugepages.apply_hugepages(
            System(host.root, host.run_nothing, kernel.write), {(0, "1G"): 8}, False, 1, kernel.sleep
        )


BEFORE = "var/lib/tickwire/host-before.json"


def test_pages_of_before_come_back_when_ours_are_taken_away(host: Host) -> None:
    host.pool(0, "2M", 7)
    host.pool(1, "2M", 64)
    both = {(0, "2M"): 64, (1, "2M"): 64}
    apply(host, both)
    apply(host, {(0, "2M"): 96, (1, "2M"): 64})
    host.pool(0, "2M", 96)  # a boot: the drop-in has set it
    apply(host, both)
    foretold = apply(host, {}, check=True)
    assert foretold.changed and foretold.after == {(0, "2M"): 7, (1, "2M"): 64}
    assert apply(host, {}).after == foretold.after
    assert hugepages.read_pools(host.root) == {(0, "2M"): 7, (0, "1G"): 0, (1, "2M"): 64}
    assert not (host.root / BEFORE).exists() and not apply(host, {}).changed


def test_a_pool_that_fails_is_not_remembered_as_ours(host: Host) -> None:
    host.pool(0, "2M", 7)
    kernel = Kernel(free=40)
    with pytest.raises(HostError, match="was set back to 7"):
        hugepages.apply_hugepages(System(host.root, host.run_nothing, kernel.write), WANTED, False, 1, kernel.sleep)
    assert not (host.root / BEFORE).exists()


def test_what_an_interrupted_run_has_set_goes_back(host: Host) -> None:
    host.pool(0, "2M", 7)
    apply(host, WANTED)
    (host.root / hugepages.DROP_IN).unlink()  # it had come as far as the pages
    apply(host, {})
    assert hugepages.read_pools(host.root)[(0, "2M")] == 7


def test_pages_of_before_that_the_kernel_has_not_any_more_are_told(host: Host) -> None:
    host.pool(0, "2M", 64)
    apply(host, {(0, "2M"): 8})
    kernel = Kernel(free=40)
    system = System(host.root, host.run_nothing, kernel.write)
    result = hugepages.apply_hugepages(system, {}, False, 60, no_sleep)
    assert result.after == {(0, "2M"): 40} and not (host.root / hugepages.DROP_IN).exists()
    [warning] = result.warnings
    assert warning.startswith("hugepages 2M on node 0: there were 64 before, and the kernel gave 40 of them back")
    assert not apply(host, {}).changed


@pytest.mark.parametrize(
    ("running", "ours", "before"),
    [
        ("hugepagesz=1G hugepages=4", {"tokens": ["hugepagesz=1G", "hugepages=4"]}, 0),
        # taken away for the next boot, or a boot on trial fell back to them
        ("default_hugepagesz=2M hugepagesz=1024m hugepages=4", {"former": ["hugepagesz=1G", "hugepages=4"]}, 0),
        ("default_hugepagesz=1G hugepages=4", {"tokens": ["default_hugepagesz=1G", "hugepages=4"]}, 0),
        ("hugepagesz=1G hugepages=4", {"tokens": ["hugepagesz=2M", "hugepages=4", "quiet"]}, 4),
        ("hugepages=4 hugepagesz=1G hugepages=0:4", {"tokens": ["hugepages=4"]}, 4),
        ("hugepagesz=1G hugepages=4", {"tokens": ["skew_tick=1"]}, 4),
        ("hugepagesz=1G hugepages=4", {}, 4),
        ("quiet", {"tokens": ["hugepagesz=1G", "hugepages=4"]}, 4),
    ],
)
def test_pages_of_our_own_boot_parameters_were_not_there_before(
    host: Host, running: str, ours: dict[str, list[str]], before: int
) -> None:
    host.write("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:        64000000 kB\n")
    host.boots(running)
    host.pool(0, "1G", 4)
    host.write(record.RECORD, json.dumps(ours))
    apply(host, {(0, "1G"): 4, (0, "2M"): 8})
    assert apply(host, {}).after == {(0, "1G"): before, (0, "2M"): 0}


def test_pages_that_were_ours_are_given_back_and_others_stay(host: Host) -> None:
    host.pool(1, "2M", 7)
    apply(host, WANTED)
    result = apply(host, {})
    assert result.changed and result.after == {(0, "2M"): 0}
    assert hugepages.read_pools(host.root)[(0, "2M")] == 0
    assert hugepages.read_pools(host.root)[(1, "2M")] == 7
    assert not (host.root / hugepages.DROP_IN).exists()
    assert not apply(host, {}).changed


def test_the_drop_in_reads_back_as_written() -> None:
    wanted = {(0, "2M"): 512, (1, "2M"): 512, (1, "1G"): 4}
    assert hugepages.parse_drop_in(hugepages.render_drop_in(wanted)) == wanted


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({(3, "2M"): 1}, "hugepages 2M on node 3 '1': there is no such node, this host has 0"),
        ({(0, "2M"): 700}, "hugepages on node 0 '1400 MB': the node has 1464 MB, and at most 90%"),
        ({(0, "2M"): 400, (0, "1G"): 1}, "hugepages on node 0 '1824 MB'"),
    ],
)
def test_what_the_node_has_not_is_refused_before_anything_is_written(
    host: Host, wanted: dict[hugepages.Pool, int], reason: str
) -> None:
    before = host.tree()
    with pytest.raises(HostError, match=reason):
        apply(host, wanted)
    assert host.tree() == before


def test_a_size_the_kernel_has_not_is_refused(host: Host) -> None:
    hugepages.pool_path(host.root, (0, "1G")).unlink()
    with pytest.raises(HostError, match="the kernel has no pages of 1G there, it has 2M"):
        apply(host, {(0, "1G"): 1})


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ([{"size": "4M", "count": 1}], "hugepages size '4M': it is none of 2M, 1G"),
        ([{"size": "2M", "count": -1}], "hugepages 2M on node 0 '-1'"),
        ([{"size": "2M", "count": 1}, {"size": "2M", "count": 2, "node": 0}], "it is there twice, the other says 1"),
    ],
)
def test_lists_that_are_refused(pages: list[dict[str, object]], reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        hugepages.parse_pages(pages)


LARGE = [{"size": "1G", "count": 4, "node": 0}]


def tokens(host: Host, pages: list[dict[str, object]], extra: list[str] | None = None) -> list[str]:
    system = System(host.root, host.run_nothing)
    wanted = {"hugepages": pages, "kernel_cmdline_extra": extra or []}
    return [str(token) for token in hugepages_boot.boot_tokens(system, wanted)]


def test_pages_of_1_gb_that_cannot_be_had_now_are_reserved_at_boot(host: Host) -> None:
    host.write("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:        64000000 kB\n")
    kernel = Kernel(free=1)
    result = hugepages.apply_hugepages(
        System(host.root, host.run_nothing, kernel.write),
        hugepages.parse_pages(LARGE),
        False,
        60,
        no_sleep,
        boot_reservation=True,
    )
    assert result.at_boot == {(0, "1G"): 4} and result.after == {(0, "1G"): 0}
    assert hugepages.read_pools(host.root)[(0, "1G")] == 0
    assert tokens(host, LARGE) == ["hugepagesz=1G", "hugepages=4"]
    host.boots("hugepagesz=1G hugepages=4")
    host.pool(0, "1G", 4)
    assert tokens(host, LARGE) == ["hugepagesz=1G", "hugepages=4"], "the pages are there because of them"
    assert tokens(host, []) == []


def test_pages_of_1_gb_that_the_running_kernel_gives_need_no_boot_parameter(host: Host) -> None:
    host.pool(0, "1G", 4)
    assert tokens(host, LARGE) == []
    assert tokens(host, [{"size": "2M", "count": 9}]) == []


def test_no_boot_parameters_for_a_node_that_is_not_there(host: Host) -> None:
    with pytest.raises(HostError, match="hugepages 1G on node 1 '4': there is no such node, this host has 0"):
        tokens(host, [{"size": "1G", "count": 4, "node": 1}])


def test_boot_parameters_of_the_user_stand(host: Host) -> None:
    assert tokens(host, LARGE, ["hugepagesz=1G", "hugepages=8"]) == []
    assert tokens(host, LARGE, ["hugepagesz=2M", "hugepages=8"]) == ["hugepagesz=1G", "hugepages=4"]


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("5.15.0-124-generic", "hugepages=8"),
        ("5.16.0", "hugepages=0:4,1:2"),
        ("6.12.48+deb13-amd64", "hugepages=0:4,1:2"),
    ],
)
def test_more_nodes_than_one(host: Host, release: str, expected: str) -> None:
    host.pool(1, "1G", 0)
    host.write("proc/sys/kernel/osrelease", release + "\n")
    assert tokens(host, [*LARGE, {"size": "1G", "count": 2, "node": 1}]) == ["hugepagesz=1G", expected]


def test_what_waits_for_the_reboot_is_pending(host: Host) -> None:
    host.write(hugepages.DROP_IN, hugepages.render_drop_in(hugepages.parse_pages(LARGE)))
    system = System(host.root, host.run_nothing)
    [due] = part.PART.drift(system, {"hugepages": LARGE}, True)
    assert due.pending_reboot and str(due) == "hugepages 1G on node 0: wanted '4', found '0'"
    [lost] = part.PART.drift(system, {"hugepages": LARGE}, False)
    assert not lost.pending_reboot


def test_a_pool_that_fails_takes_the_others_back(host: Host) -> None:
    host.pool(1, "2M", 0)

    def write(path: Path, text: str) -> None:
        path.write_text("3\n" if "node1" in str(path) and text != "0\n" else text)

    with pytest.raises(HostError, match="hugepages 2M on node 1 '8': the kernel gave 3"):
        hugepages.apply_hugepages(
            System(host.root, host.run_nothing, write), {(0, "2M"): 8, (1, "2M"): 8}, False, 0, no_sleep
        )
    assert set(hugepages.read_pools(host.root).values()) == {0}
