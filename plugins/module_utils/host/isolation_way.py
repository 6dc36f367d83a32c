# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the CPUs are isolated from the scheduler: by boot parameter, or by an isolated cpuset partition.

A partition holds whole processes: none of their threads may run elsewhere. The engine has one thread on an isolated CPU
and the others on housekeeping CPUs, so a partition is chosen only when the user says that this does not matter, see
docs/decisions/0013-isolated-by-boot-parameter.md.
Source: Documentation/admin-guide/cgroup-v2.rst, "cpuset.cpus.partition", and cpu-isolation.rst of the kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import HostError
from .part import Wanted
from .system import System

AUTO, PARTITION, BOOT = "auto", "partition", "boot"
CGROUP = "sys/fs/cgroup"
#: First release with isolated partitions; distributions with an older number may have them too, see cannot_partition().
_FIRST_RELEASE = (6, 1)


@dataclass(frozen=True)
class Way:
    """The choice (``partition`` or ``boot``) and why."""

    name: str
    reason: str


def choose(system: System, wanted: Wanted) -> Way:
    """The way for this host; HostError when a partition is asked for and cannot be."""
    asked = str(wanted.get("isolation") or AUTO)
    if asked == BOOT:
        return Way(BOOT, "it is asked for")
    if asked not in (AUTO, PARTITION):
        raise HostError("isolation", asked, "it is none of auto, partition, boot", "give one of these")
    obstacle = cannot_partition(system)
    if asked == PARTITION:
        if obstacle:
            raise HostError("isolation", asked, obstacle, "take 'boot' or 'auto'")
        return Way(PARTITION, "it is asked for")
    if obstacle:
        return Way(BOOT, f"no isolated partition is to be had: {obstacle}")
    if not wanted.get("whole_processes"):
        return Way(BOOT, "a partition holds whole processes, and whole_processes is not set")
    return Way(PARTITION, "this kernel has isolated partitions, and whole_processes is set")


def cannot_partition(system: System) -> str:
    """Why this host can have no isolated partition; empty when it can."""
    obstacle = cannot_restrict(system)
    if obstacle:
        return obstacle
    # The file is as young as Linux 6.7, and distributions took it back into older kernels with the partitions.
    if system.path(f"{CGROUP}/cpuset.cpus.isolated").exists():
        return ""
    release = system.read("proc/sys/kernel/osrelease") or ""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match and (int(match.group(1)), int(match.group(2))) >= _FIRST_RELEASE:
        return ""
    return f"kernel {release or 'unknown'} has no isolated partitions, Linux 6.1 was the first that did"


def cannot_restrict(system: System) -> str:
    """Why the slices of this host cannot be kept to some CPUs; empty when they can."""
    if not system.path("run/systemd/system").is_dir():
        return "systemd does not run here"
    controllers = system.read(f"{CGROUP}/cgroup.controllers")
    if controllers is None:
        return "the unified cgroup hierarchy (version 2) is not mounted at /sys/fs/cgroup"
    if "cpuset" not in controllers.split():
        return "the kernel has no cpuset controller in the unified cgroup hierarchy"
    return ""
