"""Which CPUs are isolated: lists and housekeeping cores on many topologies."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import isolated_cpus, wanted_tokens
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.cgroup_tree import topology
from tests.unit.host.host_tree import Host

#: Two sockets of four cores, with the siblings numbered as most firmware does.
SMT = [[(0, 8), (1, 9), (2, 10), (3, 11)], [(4, 12), (5, 13), (6, 14), (7, 15)]]
PLAIN = [[(0,), (1,), (2,), (3,)], [(4,), (5,), (6,), (7,)]]


def isolated(host: Host, **wanted: object) -> str:
    return format_cpu_list(isolated_cpus(System(host.root, host.run_nothing), wanted))


@pytest.mark.parametrize(
    ("nodes", "offline", "count", "cpus"),
    [
        (PLAIN, [], 1, "1-3,5-7"),
        (PLAIN, [], 2, "2-3,6-7"),
        (PLAIN, [4], 1, "1-3,6-7"),
        (SMT, [], 1, "1-3,5-7,9-11,13-15"),
        (SMT, [], 3, "3,7,11,15"),
        (SMT, range(8, 16), 1, "1-3,5-7"),  # SMT switched off at run time
        ([*PLAIN, []], [], 1, "1-3,5-7"),  # memory without CPUs
        ([[], *PLAIN], [], 2, "2-3,6-7"),
        ([[(0,)], [(1,), (2,), (3,)]], [], 1, "2-3"),  # a node that is all housekeeping
        ([[(4,), (5,)], [(0,), (1,), (2,)]], [], 1, "1-2,5"),  # CPU 0 is not on node 0
        ([[(3, 0), (1, 2)]], [], 1, "1-2"),
    ],
)
def test_all_but_some_cores_of_each_node(host: Host, nodes: list, offline: list[int], count: int, cpus: str) -> None:
    topology(host, nodes, offline)
    assert isolated(host, housekeeping_per_node=count) == cpus


def test_an_isolated_cpu_that_goes_off_stays_isolated(host: Host) -> None:
    topology(host, PLAIN)
    host.boots(isolated="2-3,6-7", nohz_full="2-3,6-7")
    assert isolated(host, housekeeping_per_node=2) == "2-3,6-7"
    topology(host, PLAIN, [4, 7])
    assert isolated(host, housekeeping_per_node=1) == "1-3,6-7", "4 never was"


def test_a_kernel_without_numa_or_topology_is_one_node_of_single_cores(host: Host) -> None:
    host.cpus(4)
    assert isolated(host, housekeeping_per_node=1) == "1-3"


@pytest.mark.parametrize(
    ("nodes", "wanted", "reason"),
    [
        (PLAIN, {"housekeeping_per_node": 4}, "no CPU is left to isolate, this host has 0-7 online"),
        (PLAIN, {"housekeeping_per_node": -1}, "below zero"),
        (PLAIN, {"housekeeping_per_node": 1, "isolated_cpus": "2"}, "Give one of the two"),
        (SMT, {"isolated_cpus": "2-3"}, "CPU 2 shares its core with CPU 10, .*Isolate 10 as well, leave 2 out"),
        (SMT, {"isolated_cpus": "8"}, "CPU 8 shares its core with CPU 0,"),
    ],
)
def test_what_is_refused(host: Host, nodes: list, wanted: dict[str, object], reason: str) -> None:
    topology(host, nodes)
    with pytest.raises(HostError, match=reason):
        isolated(host, **wanted)


def test_siblings_apart_are_allowed_when_that_is_said(host: Host) -> None:
    topology(host, SMT)
    assert isolated(host, isolated_cpus="2-3", split_siblings=True) == "2-3"
    assert isolated(host, isolated_cpus="2-3,10-11") == "2-3,10-11"
    assert isolated(host, isolated_cpus="1-15:1/2") == "1,3,5,7,9,11,13,15", "these are whole cores"


def test_an_offline_cpu_may_be_listed_and_is_nobodys_sibling(host: Host) -> None:
    """The list stays right when SMT is switched off by the same run."""
    topology(host, SMT, offline=range(8, 16))
    assert isolated(host, isolated_cpus="2-3,10-11") == "2-3,10-11"
    assert isolated(host, isolated_cpus="2-3") == "2-3"


def test_the_older_name_of_the_siblings_is_read(host: Host) -> None:
    host.cpus(4)
    host.write("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3\n")
    with pytest.raises(HostError, match="CPU 2 shares its core with CPU 3"):
        isolated(host, isolated_cpus="2")


def test_nothing_wanted_is_nothing(host: Host) -> None:
    assert isolated(host) == isolated(host, isolated_cpus="", housekeeping_per_node=0) == ""


@settings(max_examples=25)
@given(
    nodes=st.integers(1, 4), cores=st.integers(1, 5), threads=st.integers(1, 3), count=st.integers(1, 3), data=st.data()
)
def test_housekeeping_cores_are_whole_and_there_on_every_node(
    nodes: int, cores: int, threads: int, count: int, data: st.DataObject
) -> None:
    total = nodes * cores
    layout = [
        [[node * cores + core + thread * total for thread in range(threads)] for core in range(cores)]
        for node in range(nodes)
    ]
    everything = set(range(total * threads))
    offline = data.draw(st.sets(st.sampled_from(sorted(everything)), max_size=3)) - {0}
    with tempfile.TemporaryDirectory() as directory:
        host = Host(Path(directory))
        topology(host, layout, offline)
        system = System(host.root, host.run_nothing)
        try:
            taken = isolated_cpus(system, {"housekeeping_per_node": count})
        except HostError as error:
            assert count >= cores or len(everything - offline) <= nodes * count * threads, str(error)
            return
        again = isolated_cpus(system, {"isolated_cpus": format_cpu_list(taken)})
    online = everything - offline
    assert taken and taken < online and 0 not in taken
    assert again == taken, "what is derived is accepted as a list"
    for node in layout:
        whole = [set(core) & online for core in node if set(core) & online]
        assert all(core <= taken or not core & taken for core in whole), "no core is split"
        assert sum(not core & taken for core in whole) == min(count, len(whole)) or 0 in set().union(*whole)


@pytest.mark.parametrize("way", ["boot", "auto"])
def test_the_way_boot_takes_the_scheduler_off_by_parameter(host: Host, way: str) -> None:
    tokens = wanted_tokens(System(host.root, host.run_nothing), {"isolated_cpus": "1", "isolation": way})
    assert [str(token) for token in tokens] == [
        "isolcpus=managed_irq,domain,1",
        "nohz_full=1",
        "rcu_nocbs=1",
        "irqaffinity=0",
    ]
