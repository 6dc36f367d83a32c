# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interrupts and the CPUs they may fire on, compared as sets.

Some interrupts cannot be moved: the timer, and those whose affinity the kernel manages (one per queue and CPU). The
kernel refuses the write with EIO, from Linux 6.11 on with EPERM and by a read-only file. They are reported and are no
failure.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import (
    format_cpu_list,
    format_cpu_mask,
    parse_cpu_list,
    parse_cpu_mask,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import Write, read_text, write_text

IRQ_DIRECTORY = "proc/irq"
DEFAULT_AFFINITY = "proc/irq/default_smp_affinity"
_UNMOVABLE = (errno.EIO, errno.EPERM)


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


@dataclass
class IrqResult:
    """What was done, or in check mode would be. Affinities are sets of CPU numbers."""

    changed: bool = False
    moved: list[Irq] = field(default_factory=list)
    after: dict[int, frozenset[int]] = field(default_factory=dict)
    unmovable: list[Irq] = field(default_factory=list)
    default_before: frozenset[int] = frozenset()
    default_after: frozenset[int] = frozenset()


def read_irqs(root: Path) -> list[Irq]:
    """All interrupts of the host, by number; those that vanish while being read are left out."""
    irqs: list[Irq] = []
    directories = [entry for entry in (root / IRQ_DIRECTORY).glob("*") if entry.name.isdigit()]
    for directory in sorted(directories, key=lambda entry: int(entry.name)):
        path = directory / "smp_affinity_list"
        allowed = read_text(path)
        if allowed is None:
            continue
        try:
            writable = bool(path.stat().st_mode & stat.S_IWUSR)
        except FileNotFoundError:
            continue
        actions = read_text(root / "sys/kernel/irq" / directory.name / "actions")
        effective = read_text(directory / "effective_affinity_list") or ""
        users = (actions or "").strip()
        # Only an empty file says that nobody uses it; a kernel without the file says nothing.
        used = bool(users) or actions is None
        irqs.append(Irq(int(directory.name), parse_cpu_list(allowed), parse_cpu_list(effective), users, writable, used))
    return irqs


def on_isolated(irqs: Sequence[Irq], isolated: frozenset[int], unmovable: Collection[int] | None = None) -> list[Irq]:
    """Movable interrupts that may fire on an isolated CPU.

    One that nobody uses cannot fire, and takes the default affinity when somebody requests it.
    ``unmovable`` are numbers known from an attempt to move them. Without it the mode of the files tells, on a kernel
    that sets it (the timer at least is read-only then); on an older one an interrupt counts only where it really
    fires.
    """
    modes_tell = any(not irq.writable for irq in irqs)
    result: list[Irq] = []
    for irq in irqs:
        if not irq.used or not irq.allowed & isolated or not irq.writable or irq.number in (unmovable or ()):
            continue
        if unmovable is None and not modes_tell and irq.effective and not irq.effective & isolated:
            continue
        result.append(irq)
    return result


def read_default_affinity(root: Path) -> frozenset[int]:
    """CPUs on which an interrupt may fire that is requested from now on."""
    text = read_text(root / DEFAULT_AFFINITY)
    return parse_cpu_mask(text) if text else frozenset()


def apply_irq_affinity(
    root: Path, isolated: frozenset[int], present: frozenset[int], check: bool, write: Write = write_text
) -> IrqResult:
    """Take the isolated CPUs out of every interrupt's affinity and of the default for new ones.

    Nothing is written when ``check``.
    An interrupt that was on isolated CPUs only goes to all housekeeping CPUs. HostError when the kernel refuses a
    move for another reason than that the interrupt cannot be moved, or when the new affinity does not read back.
    """
    result = IrqResult(default_before=read_default_affinity(root))
    result.default_after = result.default_before
    if not isolated:
        return result
    housekeeping = present - isolated
    if result.default_before & isolated:
        result.default_after = (result.default_before & housekeeping) or housekeeping
        result.changed = True
        if not check:
            write(root / DEFAULT_AFFINITY, format_cpu_mask(result.default_after))
            if read_default_affinity(root) != result.default_after:
                raise HostError(
                    "default interrupt affinity",
                    format_cpu_list(read_default_affinity(root)),
                    f"CPUs {format_cpu_list(result.default_after)} were written and did not read back",
                    f"look at /{DEFAULT_AFFINITY}",
                )
    irqs = read_irqs(root)
    result.unmovable = [irq for irq in irqs if irq.used and irq.allowed & isolated and not irq.writable]
    # In check mode nothing can be tried, so an interrupt counts as movable by what can be read.
    candidates = on_isolated(irqs, isolated, None if check else ())
    for irq in candidates:
        target = (irq.allowed & housekeeping) or housekeeping
        try:
            moved = check or _move(root, irq, target, write)
        except FileNotFoundError:
            continue
        if not moved:
            result.unmovable.append(irq)
            continue
        result.moved.append(irq)
        result.after[irq.number] = target
    result.changed = result.changed or bool(result.moved)
    return result


def _move(root: Path, irq: Irq, target: frozenset[int], write: Write) -> bool:
    """Write the affinity and read it back; False when the kernel says that this interrupt cannot be moved.

    FileNotFoundError when the interrupt has gone meanwhile.
    """
    path = root / IRQ_DIRECTORY / str(irq.number) / "smp_affinity_list"
    try:
        write(path, format_cpu_list(target))
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _UNMOVABLE:
            return False
        raise HostError(
            str(irq),
            format_cpu_list(target),
            f"the kernel refuses to move it there: {error.strerror}",
            "free interrupt vectors on the housekeeping CPUs, or keep more CPUs for housekeeping",
        ) from error
    found = parse_cpu_list(read_text(path) or "")
    if found & target != found or not found:
        raise HostError(
            str(irq),
            format_cpu_list(target),
            f"this affinity was written, and CPUs {format_cpu_list(found)} read back",
            "look for irqbalance or another program that moves interrupts",
        )
    return True


def summary(default: frozenset[int], irqs: Mapping[Irq, frozenset[int]]) -> str:
    """The default affinity and that of each interrupt, one per line, for a diff."""
    lines = [f"default for new interrupts: CPUs {format_cpu_list(default)}"]
    lines += [f"{irq}: CPUs {format_cpu_list(cpus)}" for irq, cpus in irqs.items()]
    return "".join(f"{line}\n" for line in lines)
