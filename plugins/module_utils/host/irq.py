# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interrupts of the host and of its NICs, as the kernel shows them.

Which interrupts are a NIC's is read from ``device/msi_irqs`` and not from their names: those of mlx5 do not contain
the interface, and eth1 is a part of eth10.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Set
from dataclasses import dataclass

from .cpulist import parse_cpu_list
from .system import System

DIRECTORY = "proc/irq"
INTERFACES = "sys/class/net"

#: A queue's number in the name that the driver gave the interrupt: ``eth0-TxRx-3``, ``virtio2-input.0``,
#: ``mlx5_comp7@pci:0000:3b:00.0``.
_QUEUE = re.compile(r"(?:rx|tx|input|output|comp|fp|queue|q)[-._]?(\d+)(?![0-9:])", re.IGNORECASE)
#: The driver sfc names a channel for both directions by the interface and the number alone: ``enp1s0f0np0-3``.
_PLAIN_QUEUE = re.compile(r"\A[\w.]+-(\d+)\Z")


@dataclass(frozen=True)
class Irq:
    """One interrupt. Sets of CPUs: where it may fire (``allowed``), where it does (``effective``, empty if unknown)."""

    number: int
    allowed: frozenset[int]
    effective: frozenset[int]
    actions: str
    writable: bool
    used: bool = True

    def __str__(self) -> str:
        return f"IRQ {self.number}" + (f" ({self.actions})" if self.actions else "")

    @property
    def path(self) -> str:
        """The file that holds ``allowed``."""
        return f"{DIRECTORY}/{self.number}/smp_affinity_list"

    @property
    def queue(self) -> int | None:
        """The queue of a NIC that it serves, where its name tells."""
        found = _QUEUE.findall(self.actions) or _PLAIN_QUEUE.findall(self.actions)
        return int(found[-1]) if found else None


def read_irqs(system: System, numbers: Set[int] | None = None) -> list[Irq]:
    """All interrupts of the host or those of ``numbers``; those that vanish while being read are left out."""
    irqs: list[Irq] = []
    if numbers is None:
        numbers = {int(entry.name) for entry in system.path(DIRECTORY).glob("*") if entry.name.isdigit()}
    for number in sorted(numbers):
        allowed = system.read(f"{DIRECTORY}/{number}/smp_affinity_list")
        if allowed is None:
            continue
        try:
            mode = system.path(f"{DIRECTORY}/{number}/smp_affinity_list").stat().st_mode
        except FileNotFoundError:
            continue
        actions = system.read(f"sys/kernel/irq/{number}/actions")
        effective = system.read(f"{DIRECTORY}/{number}/effective_affinity_list") or ""
        # Only an empty file says that nobody uses it; a kernel without the file says nothing.
        used = actions != ""
        writable = bool(mode & stat.S_IWUSR)
        irqs.append(Irq(number, parse_cpu_list(allowed), parse_cpu_list(effective), actions or "", writable, used))
    return irqs


def interfaces(system: System) -> list[str]:
    """Names of the host's network interfaces."""
    return sorted(entry.name for entry in system.path(INTERFACES).glob("*") if (entry / "queues").is_dir())


def is_up(system: System, interface: str) -> bool:
    """Whether the interface is set up (IFF_UP), carrier or not."""
    return bool(int(system.read(f"{INTERFACES}/{interface}/flags") or "0", 16) & 1)


def nic_irqs(system: System, interface: str) -> frozenset[int]:
    """Numbers of the interrupts of an interface's device; none where it has no device.

    A virtio device has none of its own: they are those of the PCI device above it.
    """
    device = system.path(f"{INTERFACES}/{interface}/device")
    if not device.exists():
        return frozenset()
    device = device.resolve()
    for place in (device, device.parent):
        vectors = [entry.name for entry in (place / "msi_irqs").glob("*")]
        if vectors:
            return frozenset(int(name) for name in vectors)
    single = device / "irq"
    number = int(single.read_text(encoding="ascii")) if single.exists() else 0
    return frozenset({number}) if number > 0 else frozenset()
