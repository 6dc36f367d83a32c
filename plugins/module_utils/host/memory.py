# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory that stays where it is: transparent hugepages, swap, NUMA balancing, reclaim, and what a user may lock.

Sources: Documentation/admin-guide/mm/transhuge.rst, admin-guide/sysctl/{vm,kernel}.rst of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import limits, memory_swap
from .part import Drift
from .system import System
from .undo import Undo
from .values import Outcome, Owner, Value, apply_values, check_boot, files_of, flag, read_value
from .values import find_drift as find_value_drift

OWNER = Owner("memory")
MODULE = "host_memory"
_THP = "sys/kernel/mm/transparent_hugepage"

#: File by key of the variable.
PATHS: dict[str, str] = {
    "thp": f"{_THP}/enabled",
    "thp_defrag": f"{_THP}/defrag",
    "khugepaged_defrag": f"{_THP}/khugepaged/defrag",
    "numa_balancing": "proc/sys/kernel/numa_balancing",
    "zone_reclaim_mode": "proc/sys/vm/zone_reclaim_mode",
    "compaction_proactiveness": "proc/sys/vm/compaction_proactiveness",
    "swappiness": "proc/sys/vm/swappiness",
}

#: Keys that are true or false, which the kernel writes as 1 and 0.
FLAGS = frozenset({"khugepaged_defrag", "numa_balancing"})


def values(memory: Mapping[str, Any] | None) -> list[Value]:
    """The wanted values; a key that is missing or empty is none of ours."""
    given = memory or {}
    found = []
    for key, path in PATHS.items():
        if given.get(key) not in (None, ""):
            text = str(int(bool(flag(key, given[key])))) if key in FLAGS else str(given[key])
            found.append(Value(key, path, text))
    return found


def check_memory(system: System, memory: Mapping[str, Any] | None, limit: Mapping[str, Any] | None) -> None:
    """HostError when this host cannot be so; nothing is written."""
    wanted = values(memory)
    check_boot(system, wanted, files_of(system, OWNER, wanted, MODULE))
    limits.check_limits(system, limits.parse_limits(limit))
    if no_swap(memory):
        memory_swap.check_off(system)


def no_swap(memory: Mapping[str, Any] | None) -> bool:
    """Whether swap is to be off: only an explicit false says so."""
    return flag("swap", (memory or {}).get("swap")) is False


def apply_memory(
    system: System, memory: Mapping[str, Any] | None, limit: Mapping[str, Any] | None, check: bool
) -> Outcome:
    """Set it now and at every boot; what went away from the variables is again what it was before.

    HostError: nothing is changed.
    """
    outcome = Outcome()
    with Undo() as undo:
        apply_values(system, OWNER, values(memory), MODULE, check, undo, outcome)
        limits.apply_limits(system, limits.parse_limits(limit), check, undo, outcome)
        memory_swap.apply_swap(system, no_swap(memory), check, undo, outcome)
    outcome.unsupported = {item: why for item, why in outcome.unsupported.items() if item not in memory_swap.UNITS}
    return outcome


def find_drift(system: System, memory: Mapping[str, Any] | None, limit: Mapping[str, Any] | None) -> list[Drift]:
    """All that is not as wanted."""
    found = find_value_drift(system, OWNER, values(memory), MODULE)
    found += limits.find_drift(system, limits.parse_limits(limit))
    return found + (memory_swap.find_drift(system) if no_swap(memory) else [])


def running(system: System, limit: Mapping[str, Any] | None) -> dict[str, Any]:
    """Running values by key, what is swapped to, and processes with lower limits than wanted."""
    found: dict[str, Any] = {key: read_value(system, path) for key, path in PATHS.items()}
    found["swaps"] = [swap.path for swap in memory_swap.read_swaps(system)]
    found["processes_with_lower_limits"] = limits.lower_processes(system, limits.parse_limits(limit))
    return found
