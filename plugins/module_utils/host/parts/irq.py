# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interrupts on the housekeeping CPUs only."""

from __future__ import annotations

from typing import Any

from .. import irq
from ..cpulist import format_cpu_list
from ..cpus import present_cpus
from ..isolation import isolated_cpus
from ..part import Drift, Part, Wanted
from ..system import System


def _strayed(system: System, wanted: Wanted) -> list[irq.Irq]:
    return irq.on_isolated(irq.read_irqs(system.root), isolated_cpus(system, wanted), wanted.get("unmovable_irqs"))


def check(system: System, wanted: Wanted) -> None:
    isolated_cpus(system, wanted)


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    isolated = isolated_cpus(system, wanted)
    within = f"within {format_cpu_list(present_cpus(system) - isolated)}"
    default = irq.read_default_affinity(system.root)
    found = []
    if default & isolated:
        found.append(Drift("default interrupt affinity", within, format_cpu_list(default)))
    return found + [Drift(str(entry), within, format_cpu_list(entry.allowed)) for entry in _strayed(system, wanted)]


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    return {
        "default_irq_affinity": format_cpu_list(irq.read_default_affinity(system.root)),
        "irqs_on_isolated_cpus": [
            {"irq": entry.number, "actions": entry.actions, "cpus": format_cpu_list(entry.allowed)}
            for entry in _strayed(system, wanted)
        ],
    }


PART = Part("irq", check, drift, running)
