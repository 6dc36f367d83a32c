# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The CPUs of a host: which are there, which are online, which share a core, and on which NUMA node they are.

Source: Documentation/ABI/stable/sysfs-devices-system-cpu and Documentation/admin-guide/cputopology.rst of the kernel.
An offline CPU is in ``present`` and has neither siblings nor a node: the kernel takes its topology away.
"""

from __future__ import annotations

from pathlib import Path

from .cpulist import parse_cpu_list
from .files import read_text
from .system import System

CPU_DIRECTORY = "sys/devices/system/cpu"
NODE_DIRECTORY = "sys/devices/system/node"
#: The same list under its name of Linux 5.3 and later, and under the one before.
_SIBLINGS = ("core_cpus_list", "thread_siblings_list")


def read_cpu_set(root: Path, name: str) -> frozenset[int]:
    """CPUs of a file of /sys/devices/system/cpu (``present``, ``isolated``, ``nohz_full``); none without the file."""
    return parse_cpu_list(read_text(root / CPU_DIRECTORY / name) or "")


def present_cpus(system: System) -> frozenset[int]:
    """CPUs that the host has, online or not."""
    return read_cpu_set(system.root, "present")


def online_cpus(system: System) -> frozenset[int]:
    """CPUs that run; all that are present on a kernel that cannot take one offline and has no such file."""
    return read_cpu_set(system.root, "online") or present_cpus(system)


def siblings(system: System, cpu: int) -> frozenset[int]:
    """Online CPUs of the same core, that CPU among them."""
    for name in _SIBLINGS:
        text = system.read(f"{CPU_DIRECTORY}/cpu{cpu}/topology/{name}")
        if text:
            return parse_cpu_list(text) | {cpu}
    return frozenset({cpu})


def nodes(system: System) -> dict[int, frozenset[int]]:
    """Online CPUs of each NUMA node that has any, by node; one node 0 with all of them on a kernel without NUMA."""
    found: dict[int, frozenset[int]] = {}
    for directory in (system.root / NODE_DIRECTORY).glob("node*"):
        if directory.name[4:].isdigit():
            cpus = parse_cpu_list(read_text(directory / "cpulist") or "")
            if cpus:
                found[int(directory.name[4:])] = cpus
    return dict(sorted(found.items())) or {0: online_cpus(system)}


def cores(system: System, cpus: frozenset[int]) -> list[frozenset[int]]:
    """The cores of these CPUs, each as the set of its online CPUs, ordered by their lowest CPU."""
    return sorted({siblings(system, cpu) for cpu in cpus}, key=min)
