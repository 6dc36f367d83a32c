# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interrupts and packet steering (RPS, XPS) on the CPUs that are wanted, compared as sets of CPUs.

Some interrupts cannot be moved: the timer, and those whose affinity the kernel manages (one per queue and CPU). The
kernel refuses the write with EIO, from Linux 6.11 on with EPERM and by a read-only file. They are reported and are no
failure.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from .cpulist import format_cpu_list, format_cpu_mask, parse_cpu_list, parse_cpu_mask
from .errors import HostError
from .irq import INTERFACES, Irq, interfaces, is_up, nic_irqs, read_irqs
from .irq_plan import Plan, make_plan
from .irq_state import IrqState, read_state, write_state
from .part import Drift, Wanted
from .system import System

DEFAULT_AFFINITY = "proc/irq/default_smp_affinity"
RPS_DEFAULT = "proc/sys/net/core/rps_default_mask"
_UNMOVABLE = (errno.EIO, errno.EPERM)

#: Path, who uses it and its CPUs now, to the CPUs by which it is judged.
Base = Callable[[str, str, frozenset[int]], frozenset[int]]


@dataclass(frozen=True)
class CpuFile:
    """One file of the kernel that holds a set of CPUs, and the set that is wanted in it."""

    label: str
    path: str
    cpus: frozenset[int]
    wanted: frozenset[int]
    irq: Irq | None = None
    nic: str = ""

    @property
    def right(self) -> bool:
        return self.cpus == self.wanted


@dataclass
class IrqResult:
    """What was done, or in check mode would be."""

    moved: list[CpuFile] = field(default_factory=list)
    unmovable: list[Irq] = field(default_factory=list)
    default: frozenset[int] = frozenset()

    @property
    def changed(self) -> bool:
        return bool(self.moved)


def read_default_affinity(system: System) -> frozenset[int]:
    """CPUs on which an interrupt may fire that is requested from now on."""
    text = system.read(DEFAULT_AFFINITY)
    return parse_cpu_mask(text) if text else frozenset()


def cpu_files(system: System, plan: Plan, state: IrqState, interface: str = "") -> list[CpuFile]:
    """Every file that the plan says something of, of one interface only when that is named.

    After another plan a file is judged by what it held before this collection changed it, so that it gets back what
    only the earlier plan took from it.
    """
    before = state.before if state.plan not in ("", plan.key) else {}
    names = [interface] if interface else interfaces(system)
    owner = {number: name for name in names for number in nic_irqs(system, name)}
    files: list[CpuFile] = []

    def base(path: str, user: str, cpus: frozenset[int]) -> frozenset[int]:
        kept = before.get(path)
        return parse_cpu_list(kept[1]) if kept is not None and kept[0] == user else cpus

    if not interface:
        for label, path, empty in (
            ("default interrupt affinity", DEFAULT_AFFINITY, False),
            ("default RPS mask", RPS_DEFAULT, True),
        ):
            text = system.read(path)
            if text:
                cpus = parse_cpu_mask(text)
                files.append(CpuFile(label, path, cpus, plan.keep_off(base(path, "", cpus), empty)))
    for irq in read_irqs(system, set(owner) if interface else None):
        nic = owner.get(irq.number, "")
        # One that nobody uses cannot fire, and takes the default affinity when somebody requests it.
        if irq.used:
            wanted = plan.of_irq(irq, nic, base(irq.path, irq.actions, irq.allowed))
            files.append(CpuFile(str(irq), irq.path, irq.allowed, wanted, irq, nic))
    for name in names:
        files += _steering(system, plan, name, base)
    return files


def _steering(system: System, plan: Plan, name: str, base: Base) -> list[CpuFile]:
    files = []
    own = plan.nics.get(name)
    for kind in ("rps", "xps"):
        direction = "rx" if kind == "rps" else "tx"
        for place in sorted(system.path(f"{INTERFACES}/{name}/queues").glob(f"{direction}-*")):
            path = f"{INTERFACES}/{name}/queues/{place.name}/{kind}_cpus"
            text = _read_steering(system, path)
            if not text:
                continue
            cpus = parse_cpu_mask(text)
            queue = int(place.name.partition("-")[2])
            steered = own.queues.get(queue, frozenset()) if own is not None else frozenset()
            kept = base(path, "", cpus)
            wanted = (kept & steered) | plan.keep_off(kept - steered, empty=True)
            files.append(CpuFile(f"{kind.upper()} of {name} {place.name}", path, cpus, wanted, nic=name))
    return files


def _read_steering(system: System, path: str) -> str | None:
    """Text of the file, None where the kernel has no steering for that queue.

    With one queue there is no XPS: the file is there and reading it says ENOENT. It says EINVAL for a queue of no
    traffic class, of which mlx5 has many with several classes (netdev_txq_to_tc() in net-sysfs.c of the kernel).
    """
    try:
        return system.read(path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None


def apply_irq_affinity(system: System, wanted: Wanted, check: bool, interface: str = "") -> IrqResult:
    """Bring every set of CPUs to what is wanted; nothing is written when ``check``.

    HostError when the kernel refuses a set for another reason than that the interrupt cannot be moved, or when it
    does not read back; what was changed until then is put back.
    """
    plan = make_plan(system, wanted)
    known = read_state(system)
    result = IrqResult(default=read_default_affinity(system))
    if not plan and known is None:
        return result
    state = known or IrqState()
    files = cpu_files(system, plan, state, interface)
    unmovable = dict(state.unmovable)
    modes_tell = _modes_tell(files)
    for entry in files:
        if entry.right:
            continue
        # In check mode nothing can be tried, so an interrupt counts as movable by what is known.
        if entry.irq is not None and (not entry.irq.writable or (check and _stays(entry, known, modes_tell))):
            result.unmovable.append(entry.irq)
            continue
        try:
            moved = check or _write(system, entry)
        except FileNotFoundError:
            continue
        except HostError:
            _put_back(system, result.moved)
            raise
        if moved:
            result.moved.append(entry)
            if entry.path == DEFAULT_AFFINITY:
                result.default = entry.wanted
        elif entry.irq is not None:
            result.unmovable.append(entry.irq)
            unmovable[str(entry.irq.number)] = entry.irq.actions
    if not check:
        before = {
            entry.path: (entry.irq.actions if entry.irq else "", format_cpu_list(entry.cpus)) for entry in result.moved
        }
        # One interface alone was looked at: another plan than the kept one is still to be applied to the others.
        key = (state.plan if interface and known is not None else plan.key) if plan else ""
        write_state(system, IrqState(unmovable, {**before, **state.before}, key))
    return result


def _write(system: System, entry: CpuFile) -> bool:
    """Write the set and read it back; False when the kernel says that this interrupt cannot be moved.

    FileNotFoundError when the interrupt or the interface has gone meanwhile.
    """
    path = system.path(entry.path)
    is_list = entry.irq is not None
    try:
        system.write(path, format_cpu_list(entry.wanted) if is_list else format_cpu_mask(entry.wanted))
    except FileNotFoundError:
        raise
    except OSError as error:
        if is_list and error.errno in _UNMOVABLE:
            return False
        raise HostError(
            entry.label,
            format_cpu_list(entry.wanted),
            f"the kernel refuses these CPUs: {error.strerror}",
            "free interrupt vectors on the housekeeping CPUs, or keep more CPUs for housekeeping",
        ) from error
    text = system.read(entry.path) or ""
    found = parse_cpu_list(text) if is_list else parse_cpu_mask(text or "0")
    # The kernel may take CPUs out that are offline.
    if found - entry.wanted or (entry.wanted and not found):
        raise HostError(
            entry.label,
            format_cpu_list(entry.wanted),
            f"these CPUs were written, and CPUs '{format_cpu_list(found)}' read back",
            "look for irqbalance or another program that moves interrupts",
        )
    return True


def _put_back(system: System, moved: list[CpuFile]) -> None:
    for entry in moved:
        try:
            text = format_cpu_list(entry.cpus) if entry.irq else format_cpu_mask(entry.cpus)
            system.write(system.path(entry.path), text)
        except OSError:
            continue


def reapply(system: System, wanted: Wanted, interface: str = "") -> list[str]:
    """Set again what the kernel or the driver reset, of one interface or of all; what was changed, in words.

    The kernel resets the affinity whenever a driver requests the interrupt: when the interface comes up, and when its
    rings or channels change.
    """
    result = apply_irq_affinity(system, wanted, False, interface)
    return [
        f"{entry.label}: CPUs '{format_cpu_list(entry.cpus)}' to '{format_cpu_list(entry.wanted)}'"
        for entry in result.moved
    ]


def strayed(system: System, plan: Plan) -> list[CpuFile]:
    """Everything that is not where it is wanted, without the interrupts that nobody can move."""
    if not plan:
        return []
    known = read_state(system)
    # What the running host shows is compared, and not what was before another plan.
    files = cpu_files(system, plan, IrqState())
    modes_tell = _modes_tell(files)
    return [entry for entry in files if not entry.right and not _stays(entry, known, modes_tell)]


def _modes_tell(files: list[CpuFile]) -> bool:
    """Whether this kernel says by the modes of files what cannot be moved: the timer at least is read-only then."""
    return any(entry.irq is not None and not entry.irq.writable for entry in files)


def _stays(entry: CpuFile, known: IrqState | None, modes_tell: bool) -> bool:
    """Whether this is an interrupt that cannot be moved, by all that is known without an attempt.

    Before Linux 6.11 no mode tells; where nobody tried yet, an interrupt counts only where it really fires.
    """
    irq = entry.irq
    if irq is None:
        return False
    if (known or IrqState()).cannot_move(irq):
        return True
    return known is None and not modes_tell and bool(irq.effective) and irq.effective <= entry.wanted


def drift(system: System, wanted: Wanted) -> list[Drift]:
    """What is not as wanted, a queue that has no interrupt to steer included."""
    plan = make_plan(system, wanted)
    found = [
        Drift(entry.label, format_cpu_list(entry.wanted), format_cpu_list(entry.cpus))
        for entry in strayed(system, plan)
    ]
    irqs = {irq.number: irq for irq in read_irqs(system)} if plan.nics else {}
    for name, own in plan.nics.items():
        mine = [irqs[number] for number in nic_irqs(system, name) if number in irqs]
        queues = {irq.queue for irq in mine if irq.used}
        for queue, cpus in own.queues.items():
            if queue not in queues and is_up(system, name):
                wanted_cpus = f"an interrupt on CPUs {format_cpu_list(cpus)}"
                found.append(Drift(f"queue {queue} of {name}", wanted_cpus, "no interrupt with that queue in its name"))
    return found
