# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Isolates CPUs in the running system and at every boot, as far as that needs no boot parameter.

Slices, partition, unbound workqueues and kernel threads. Files and cgroups are put back when a step fails; workqueues
and kernel threads come last and are asked, not forced: what the kernel refuses there is reported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import kthreads, slices
from .before import read_before, write_before
from .cpulist import format_cpu_list, format_cpu_mask, parse_cpu_list
from .cpus import online_cpus, present_cpus, read_cpu_set
from .files import read_text
from .isolation import isolated_cpus
from .isolation_way import BOOT, PARTITION, Way, cannot_restrict, choose
from .kthreads import Kthread, SetAffinity
from .maintenance import may_disturb_now
from .part import Wanted
from .restrict import Sleep, restrict, write_file
from .system import System
from .workload import units_of

OWNER = "isolation"
_WORKQUEUES = "unbound workqueues"
_ISOLATED = "isolated CPUs"
_BOOT = "boot"


@dataclass
class IsolationResult:
    """What was done, or in check mode would be. before and after: state by what it is the state of, for a diff."""

    isolated: frozenset[int]
    housekeeping: frozenset[int]
    way: Way
    changed: bool = False
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    not_supported: list[str] = field(default_factory=list)
    held_back: str = ""


@dataclass
class _Plan:
    """What is wanted, worked out from what is there."""

    isolated: frozenset[int]
    housekeeping: frozenset[int]
    partition: bool
    files: dict[str, str]
    restrict: bool
    threads: dict[Kthread, frozenset[int]]
    workqueues: frozenset[int] | None
    memory: dict[str, str]


def apply(
    system: System,
    wanted: Wanted,
    check: bool,
    set_affinity: SetAffinity = os.sched_setaffinity,
    sleep: Sleep = time.sleep,
) -> IsolationResult:
    """Isolate the wanted CPUs, or give all back that this module took; nothing is written when ``check``.

    The slices stay as they are while the host may not be disturbed and a unit that may trade runs in one of them and
    would lose CPUs: the kernel would move at once what the unit has pinned there.
    HostError when the CPUs cannot be isolated, the kernel refuses the partition or a slice keeps an isolated CPU.
    """
    isolated = isolated_cpus(system, wanted)
    way = choose(system, wanted) if isolated else Way(BOOT, "no CPU is isolated")
    result = IsolationResult(isolated, present_cpus(system) - isolated, way)
    running = slices.losers(system, units_of(wanted), isolated) if isolated else []
    if running and not may_disturb_now(system, True, wanted):
        result.held_back = (
            f"{', '.join(running)} trades and would be moved off CPUs {format_cpu_list(isolated)}. Next: run this "
            f"again when it does not, with its unit in {slices.SLICE} so that it keeps them"
        )
    plan = _plan(system, isolated, result)
    result.before, result.after = _state(system, plan, result)
    result.changed = result.before != result.after
    if check or not result.changed:
        return result
    if plan.restrict:
        restrict(system, plan.files, isolated, plan.housekeeping, sleep)
    if isolated:
        write_before(system, OWNER, plan.memory)
    write_file(system, slices.WORKQUEUE_FILE, plan.files.get(slices.WORKQUEUE_FILE))
    result.not_supported += _move(system, plan, set_affinity)
    if not isolated:
        write_before(system, OWNER, {})
    return result


def _plan(system: System, isolated: frozenset[int], result: IsolationResult) -> _Plan:
    remembered = read_before(system, OWNER)
    obstacle = cannot_restrict(system) or result.held_back
    if obstacle and isolated:
        result.not_supported.append(f"CPUs of systemd's slices: {obstacle}")
    partition = bool(isolated) and result.way.name == PARTITION and not obstacle
    files = {} if obstacle else slices.wanted_units(isolated, result.housekeeping, partition)
    memory = {name: text for name, text in remembered.items() if isolated}
    formerly = parse_cpu_list(remembered.get(_ISOLATED, ""))
    threads = _plan_threads(system, isolated, formerly, remembered, memory)
    found = kthreads.workqueue_cpus(system)
    workqueues = found
    if found is not None:
        files_mask = format_cpu_mask(result.housekeeping)
        if isolated:
            files[slices.WORKQUEUE_FILE] = f"{slices.MARKER}\nw! /{kthreads.WORKQUEUE_MASK} - - - - {files_mask}\n"
            workqueues = (found - isolated) or result.housekeeping
        workqueues = _given_back(_WORKQUEUES, found, isolated, formerly, remembered) or workqueues
        if workqueues != found and isolated:
            memory.setdefault(_WORKQUEUES, format_cpu_list(found))
    if isolated:
        memory[_ISOLATED] = format_cpu_list(isolated)
    return _Plan(isolated, result.housekeeping, partition, files, not obstacle, threads, workqueues, memory)


def _given_back(
    name: str, found: frozenset[int], isolated: frozenset[int], formerly: frozenset[int], remembered: Mapping[str, str]
) -> frozenset[int]:
    """What we left of the CPUs of before and still is so, with those that are isolated no longer; else empty."""
    before = parse_cpu_list(remembered.get(name, ""))
    return before - isolated if before and found == before - formerly else frozenset()


def _plan_threads(
    system: System,
    isolated: frozenset[int],
    formerly: frozenset[int],
    remembered: Mapping[str, str],
    memory: dict[str, str],
) -> dict[Kthread, frozenset[int]]:
    """New CPUs of each kernel thread that has to be moved; ``memory`` gets those of before.

    They are moved once in a boot for the same isolated CPUs. Threads come and go (psimon with every unit), and those
    that are born later are the kernel's to place.
    """
    boot = system.read("proc/sys/kernel/random/boot_id") or "unknown"
    if remembered.get(_BOOT) != boot:
        # Threads of an earlier boot: their numbers are others' now.
        remembered = {name: remembered[name] for name in (_WORKQUEUES, _ISOLATED) if name in remembered}
        for name in set(memory) - set(remembered):
            del memory[name]
    elif formerly == isolated:
        return {}
    if isolated:
        memory[_BOOT] = boot
    threads = {str(thread): thread for thread in kthreads.movable(system)}
    # The kernel has placed them then, and would do so again at the next boot.
    placed = bool(isolated) and isolated <= read_cpu_set(system.root, "nohz_full")
    moves: dict[Kthread, frozenset[int]] = {}
    for name, thread in threads.items():
        target = _given_back(name, thread.cpus, isolated, formerly, remembered)
        if not target and not placed and kthreads.straying([thread], isolated):
            target = thread.cpus - isolated
            memory.setdefault(name, format_cpu_list(thread.cpus))
        if target and target != thread.cpus:
            moves[thread] = target
    return moves


def _state(system: System, plan: _Plan, result: IsolationResult) -> tuple[dict[str, str], dict[str, str]]:
    """State as found and as planned, by what it is the state of."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    online = online_cpus(system)
    for name in [*slices.unit_files(), slices.WORKQUEUE_FILE]:
        before[f"/{name}"] = read_text(system.path(name)) or ""
        after[f"/{name}"] = plan.files.get(name, "" if plan.restrict else before[f"/{name}"])
    ours = system.path(slices.drop_in("system.slice")).exists()
    for unit in slices.live_units(system) if plan.restrict and (plan.isolated or ours) else ():
        found = slices.effective_cpus(system, unit)
        before[f"CPUs of {unit}"] = format_cpu_list(online if found is None else found)
        after[f"CPUs of {unit}"] = format_cpu_list(plan.housekeeping & online)
    if plan.restrict and (plan.partition or system.path(slices.VALUES).exists()):
        cpus = slices.effective_cpus(system, slices.SLICE) or frozenset()
        state = slices.partition_state(system)
        before[f"partition {slices.SLICE}"] = f"{state} {format_cpu_list(cpus)}".strip() if state else ""
        after[f"partition {slices.SLICE}"] = (
            f"isolated {format_cpu_list(plan.isolated & online)}" if plan.partition else ""
        )
    found = kthreads.workqueue_cpus(system)
    if found is not None and plan.workqueues is not None:
        before[_WORKQUEUES] = format_cpu_list(found)
        after[_WORKQUEUES] = format_cpu_list(plan.workqueues)
    for thread, cpus in plan.threads.items():
        before[str(thread)] = format_cpu_list(thread.cpus)
        after[str(thread)] = format_cpu_list(cpus)
    return before, after


def _move(system: System, plan: _Plan, set_affinity: SetAffinity) -> list[str]:
    """Workqueues and kernel threads; what was refused, in words."""
    refused: list[str] = []
    found = kthreads.workqueue_cpus(system)
    if plan.workqueues and found != plan.workqueues:
        try:
            system.write(system.path(kthreads.WORKQUEUE_MASK), format_cpu_mask(plan.workqueues) + "\n")
        except OSError as error:
            refused.append(f"{_WORKQUEUES} stay on CPUs {format_cpu_list(found or frozenset())}: {error.strerror}")
    moved = (kthreads.move(thread, cpus, set_affinity) for thread, cpus in plan.threads.items())
    return refused + [text for text in moved if text]


def summary(state: Mapping[str, str]) -> str:
    """State for a diff, one line for each value and for each line of a file."""
    return "".join(
        f"{name}: {line}\n"
        for name, text in state.items()
        for line in text.splitlines()
        if line and line != slices.MARKER
    )
