# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the running kernel and systemd made of the isolated CPUs."""

from __future__ import annotations

from typing import Any

from .. import kthreads, slices
from ..cpulist import format_cpu_list
from ..cpus import online_cpus, present_cpus, read_cpu_set
from ..files import read_text
from ..isolation import isolated_cpus
from ..isolation_way import PARTITION, cannot_restrict, choose
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    if isolated_cpus(system, wanted):
        choose(system, wanted)


def drift(system: System, wanted: Wanted, rebooting: bool) -> list[Drift]:
    """All are compared as sets, the live ones within the CPUs that are online."""
    isolated = isolated_cpus(system, wanted)
    if not isolated:
        return []
    partition = choose(system, wanted).name == PARTITION
    found: list[Drift] = []
    for name in ("nohz_full",) if partition else ("isolated", "nohz_full"):
        cpus = read_cpu_set(system.root, name)
        if cpus != isolated:
            item = f"/sys/devices/system/cpu/{name}"
            found.append(Drift(item, format_cpu_list(isolated), format_cpu_list(cpus), rebooting))
    if partition:
        found += _partition_drift(system, isolated & online_cpus(system))
    housekeeping = present_cpus(system) - isolated
    within = f"within {format_cpu_list(housekeeping)}"
    if not cannot_restrict(system):
        for name, text in slices.wanted_units(isolated, housekeeping, partition).items():
            if read_text(system.path(name)) != text:
                found.append(Drift(f"/{name}", "as written by cpu_isolation", "changed or not there"))
        for unit in slices.live_units(system):
            effective = slices.effective_cpus(system, unit)
            if effective is None or effective & isolated:
                shown = format_cpu_list(online_cpus(system) if effective is None else effective)
                found.append(Drift(f"CPUs of {unit}", within, shown))
    workqueues = kthreads.workqueue_cpus(system)
    if workqueues is not None and workqueues & isolated:
        found.append(Drift("CPUs of unbound workqueues", within, format_cpu_list(workqueues)))
    return found


def _partition_drift(system: System, isolated: frozenset[int]) -> list[Drift]:
    found: list[Drift] = []
    state = slices.partition_state(system)
    if state != "isolated":
        found.append(Drift(f"partition of {slices.SLICE}", "isolated", state))
    effective = slices.effective_cpus(system, slices.SLICE) or frozenset()
    if effective != isolated:
        found.append(Drift(f"CPUs of {slices.SLICE}", format_cpu_list(isolated), format_cpu_list(effective)))
    # Other partitions may isolate more.
    total = slices.isolated_by_partitions(system)
    if total is not None and not isolated <= total:
        found.append(Drift("cpuset.cpus.isolated", format_cpu_list(isolated), format_cpu_list(total)))
    return found


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    isolated = isolated_cpus(system, wanted)
    way = choose(system, wanted) if isolated else None
    workqueues = kthreads.workqueue_cpus(system)
    return {
        "isolation": {
            "way": way.name if way else "",
            "reason": way.reason if way else "",
            "partition": slices.partition_state(system),
            "partition_cpus": format_cpu_list(slices.isolated_by_partitions(system) or frozenset()),
            "slices": {
                unit: format_cpu_list(cpus)
                for unit, cpus in ((unit, slices.effective_cpus(system, unit)) for unit in slices.live_units(system))
                if cpus is not None
            },
            "workqueue_cpus": "" if workqueues is None else format_cpu_list(workqueues),
            "kernel_threads": [
                {"pid": thread.pid, "name": thread.name, "cpus": format_cpu_list(thread.cpus)}
                for thread in (kthreads.straying(kthreads.movable(system), isolated) if isolated else ())
            ],
        }
    }


PART = Part("isolation", check, drift, running)
