# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel threads that may run on isolated CPUs, and the CPUs of the unbound workqueues.

With ``nohz_full=`` the kernel places them itself: off those CPUs, but for kswapd and kcompactd, which get all CPUs of
their NUMA node and work when memory is short. Before the reboot, and without that parameter, they are moved one by one. A thread that is bound to isolated CPUs only, or that the kernel lets nobody move,
has its work there and stays. The mask of each single workqueue is cut down by the kernel to the common one
(workqueue.c, wqattrs_actualize_cpumask), which therefore is the only one that is set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .cpulist import format_cpu_list, parse_cpu_list, parse_cpu_mask
from .files import read_text
from .system import System

WORKQUEUE_MASK = "sys/devices/virtual/workqueue/cpumask"
#: Flags of /proc/PID/stat (include/linux/sched.h of the kernel).
_KTHREAD = 0x00200000
_NO_SETAFFINITY = 0x04000000
_CPUS = re.compile(r"^Cpus_allowed_list:\s*(\S+)$", re.MULTILINE)

#: Sets the CPUs of a thread: os.sched_setaffinity.
SetAffinity = Callable[[int, Iterable[int]], None]


@dataclass(frozen=True)
class Kthread:
    """A kernel thread and the CPUs on which it may run."""

    pid: int
    name: str
    cpus: frozenset[int]

    def __str__(self) -> str:
        return f"kernel thread {self.pid} ({self.name})"


def movable(system: System) -> list[Kthread]:
    """Kernel threads that may be moved, by number."""
    found: list[Kthread] = []
    for directory in system.path("proc").glob("[0-9]*"):
        try:
            pid, name, flags = _parse_stat(read_text(directory / "stat") or "")
            status = read_text(directory / "status") or ""
        except (ValueError, ProcessLookupError):
            continue
        match = _CPUS.search(status)
        if match and flags & _KTHREAD and not flags & _NO_SETAFFINITY:
            found.append(Kthread(pid, name, parse_cpu_list(match.group(1))))
    return sorted(found, key=lambda thread: thread.pid)


def straying(threads: Iterable[Kthread], isolated: frozenset[int]) -> list[Kthread]:
    """Those that may run on isolated CPUs and on others."""
    return [thread for thread in threads if thread.cpus & isolated and thread.cpus - isolated]


def _parse_stat(text: str) -> tuple[int, str, int]:
    """Number, name and flags of /proc/PID/stat; the name may hold blanks and brackets. ValueError for anything else."""
    start, end = text.find("("), text.rfind(")")
    fields = text[end + 1 :].split()
    if start < 0 or len(fields) < 7:
        raise ValueError("no line of /proc/PID/stat")
    return int(text[:start]), text[start + 1 : end], int(fields[6])


def move(thread: Kthread, cpus: frozenset[int], set_affinity: SetAffinity) -> str:
    """Keep the thread to these CPUs; what the kernel says where it refuses. A thread that has ended is no matter."""
    try:
        set_affinity(thread.pid, cpus)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return f"{thread} stays on CPUs {format_cpu_list(thread.cpus)}: {error.strerror}"
    return ""


def workqueue_cpus(system: System) -> frozenset[int] | None:
    """CPUs of the unbound workqueues; None on a kernel that does not say."""
    text = system.read(WORKQUEUE_MASK)
    return None if not text else parse_cpu_mask(text)
