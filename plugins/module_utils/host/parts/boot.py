# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Boot parameters of the running kernel."""

from __future__ import annotations

from typing import Any

from .. import grub
from ..cmdline import Token, differences
from ..cpulist import format_cpu_list
from ..cpus import read_cpu_set
from ..isolation import isolated_cpus, wanted_tokens
from ..part import Drift, Part, Wanted
from ..system import System


def tokens(system: System, wanted: Wanted) -> list[Token]:
    """All boot parameters that are wanted on this host; HostError when they cannot be."""
    return wanted_tokens(system, wanted)


def rebooting(system: System, wanted: Wanted) -> bool:
    """Whether a reboot is due."""
    return grub.reboot_required(system.root, tokens(system, wanted))


def check(system: System, wanted: Wanted) -> None:
    if tokens(system, wanted):
        grub.check_supported(system.root)


def drift(system: System, wanted: Wanted, rebooting: bool) -> list[Drift]:
    """Boot parameters, and what the kernel made of those that isolate."""
    found = [
        Drift(f"kernel command line {item.key}", item.wanted, item.found, rebooting)
        for item in differences(grub.read_running(system.root), tokens(system, wanted))
    ]
    isolated = isolated_cpus(system, wanted)
    for name in ("isolated", "nohz_full") if isolated else ():
        cpus = read_cpu_set(system.root, name)
        if cpus != isolated:
            item = f"/sys/devices/system/cpu/{name}"
            found.append(Drift(item, format_cpu_list(isolated), format_cpu_list(cpus), rebooting))
    return found


def running(system: System, dummy: Wanted) -> dict[str, Any]:
    return {
        "kernel": system.read("proc/sys/kernel/osrelease") or "",
        "cmdline": system.read("proc/cmdline") or "",
        "present_cpus": format_cpu_list(read_cpu_set(system.root, "present")),
        "isolated_cpus": format_cpu_list(read_cpu_set(system.root, "isolated")),
        "nohz_full_cpus": format_cpu_list(read_cpu_set(system.root, "nohz_full")),
    }


PART = Part("boot", check, drift, running)
