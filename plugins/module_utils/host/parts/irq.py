# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interrupts and packet steering on the wanted CPUs, and irqbalance told."""

from __future__ import annotations

from typing import Any

from .. import irq_affinity, irqbalance
from ..cpulist import format_cpu_list
from ..irq_plan import make_plan
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    irqbalance.check(system, wanted)


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    return irq_affinity.drift(system, wanted) + irqbalance.drift(system, wanted)


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    plan = make_plan(system, wanted)
    return {
        "default_irq_affinity": format_cpu_list(irq_affinity.read_default_affinity(system)),
        "irqs_on_isolated_cpus": [
            {"irq": entry.irq.number, "actions": entry.irq.actions, "cpus": format_cpu_list(entry.cpus)}
            for entry in irq_affinity.strayed(system, plan)
            if entry.irq is not None and entry.cpus & plan.isolated
        ],
        "irqbalance": irqbalance.running(system),
    }


def reapply(system: System, wanted: Wanted, dummy: str) -> list[str]:
    # Not the interface's alone: at boot nothing else brings back the defaults and the interrupts of other devices
    # where no boot parameter keeps them off the isolated CPUs.
    return irq_affinity.reapply(system, wanted)


PART = Part("irq", check, drift, running, reapply)
