# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which CPUs interrupts and packet work are to stay on, from what is wanted of the host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cpulist import format_cpu_list, parse_cpu_list
from .cpus import present_cpus
from .errors import HostError
from .irq import Irq, interfaces
from .isolation import isolated_cpus
from .part import Wanted
from .system import System


@dataclass(frozen=True)
class NicCpus:
    """CPUs of one NIC: of all its interrupts (None: housekeeping), and of the queues that have their own."""

    irqs: frozenset[int] | None
    queues: Mapping[int, frozenset[int]]


@dataclass(frozen=True)
class Plan:
    """The CPUs without interrupts, all CPUs, and what is said of single NICs."""

    isolated: frozenset[int]
    present: frozenset[int]
    nics: Mapping[str, NicCpus] = field(default_factory=dict)

    @property
    def housekeeping(self) -> frozenset[int]:
        return self.present - self.isolated

    def __bool__(self) -> bool:
        return bool(self.isolated or self.nics)

    @property
    def key(self) -> str:
        """The plan as text: another one is another plan."""
        nics = {
            name: [
                None if cpus.irqs is None else format_cpu_list(cpus.irqs),
                {queue: format_cpu_list(own) for queue, own in cpus.queues.items()},
            ]
            for name, cpus in self.nics.items()
        }
        return json.dumps([format_cpu_list(self.isolated), nics], sort_keys=True)

    def keep_off(self, cpus: frozenset[int], empty: bool = False) -> frozenset[int]:
        """``cpus`` without the isolated ones; where none is left all housekeeping ones, or none if ``empty``."""
        if not cpus & self.isolated:
            return cpus
        return (cpus & self.housekeeping) or (frozenset() if empty else self.housekeeping)

    def of_irq(self, irq: Irq, nic: str, cpus: frozenset[int]) -> frozenset[int]:
        """CPUs on which an interrupt may fire that is the NIC's (or nobody's, "") and is on ``cpus`` now."""
        own = self.nics.get(nic)
        if own is not None:
            if irq.queue is not None and irq.queue in own.queues:
                return own.queues[irq.queue]
            if own.irqs is not None:
                return own.irqs
        return self.keep_off(cpus)


def make_plan(system: System, wanted: Wanted) -> Plan:
    """What ``isolated_cpus`` and ``nics`` (name, irq_cpus, queue_cpus) ask for; HostError where that cannot be."""
    present = present_cpus(system)
    plan = Plan(isolated_cpus(system, wanted), present)
    nics = {}
    for item in wanted.get("nics") or []:
        name = str(item.get("name") or "")
        queues = item.get("queue_cpus") or []
        text = str(item.get("irq_cpus") or "")
        if not text and not queues:
            continue
        if name not in interfaces(system):
            raise HostError(
                "nics name",
                name,
                f"there is no such interface, this host has {', '.join(interfaces(system)) or 'none'}",
                "correct the list of NICs",
            )
        irqs = _cpus(f"irq_cpus of {name}", text, present) if text else None
        if irqs is not None and irqs & plan.isolated:
            raise HostError(
                f"irq_cpus of {name}",
                text,
                f"CPU {format_cpu_list(irqs & plan.isolated)} is isolated, and all queues of the NIC would disturb it",
                "name the one queue that is meant in queue_cpus",
            )
        nics[name] = NicCpus(irqs, _queues(name, queues, present))
    return Plan(plan.isolated, present, nics)


def _queues(name: str, items: Sequence[Mapping[str, Any]], present: frozenset[int]) -> dict[int, frozenset[int]]:
    queues: dict[int, frozenset[int]] = {}
    for item in items:
        queue = int(item["queue"])
        if queue in queues or queue < 0:
            raise HostError(f"queue_cpus of {name}", queue, "a queue is 0 or more and named once", "correct the list")
        queues[queue] = _cpus(f"queue_cpus of {name} queue {queue}", str(item["cpus"]), present)
    return queues


def _cpus(what: str, text: str, present: frozenset[int]) -> frozenset[int]:
    try:
        cpus = parse_cpu_list(text)
    except ValueError as error:
        raise HostError(what, text, str(error), "give a list such as 0-1") from error
    if not cpus or cpus - present:
        raise HostError(
            what, text, f"these are no CPUs of this host, which has {format_cpu_list(present)}", "correct it"
        )
    return cpus
