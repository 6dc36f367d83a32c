# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Boot parameters of the running kernel."""

from __future__ import annotations

from typing import Any

from ..boot import loader, record, trial, tuning
from ..boot.menu import read_running
from ..cmdline import Token, differences
from ..cpulist import format_cpu_list
from ..cpus import read_cpu_set
from ..isolation import wanted_tokens
from ..part import Drift, Part, Wanted
from ..system import System


def tokens(system: System, wanted: Wanted) -> list[Token]:
    """All boot parameters that are wanted on this host; HostError when they cannot be."""
    own = list(wanted.get("kernel_cmdline_extra") or [])
    named = tuning.tuning_tokens(
        system.root,
        wanted.get("kernel_cmdline_latency") or [],
        wanted.get("kernel_cmdline_dangerous") or [],
        own,
    )
    return wanted_tokens(system, {**wanted, "kernel_cmdline_extra": [*own, *named]})


def rebooting(system: System, wanted: Wanted) -> bool:
    """Whether a reboot is due."""
    return loader.reboot_required(system.root, tokens(system, wanted))


def check(system: System, wanted: Wanted) -> None:
    found = tokens(system, wanted)
    if found:
        loader.check_supported(system.root, found)
    record.refuse_failed(system, found)


def check_trial(system: System, wanted: Wanted, timeout_s: int) -> None:
    """HostError where a reboot into what is wanted is needed and cannot be one on trial with that limit."""
    trial.check_able(system, tokens(system, wanted), timeout_s)


def drift(system: System, wanted: Wanted, rebooting: bool) -> list[Drift]:
    """Boot parameters, and a boot that nobody has confirmed."""
    found = [
        Drift(f"kernel command line {item.key}", item.wanted, item.found, rebooting)
        for item in differences(read_running(system.root), tokens(system, wanted))
    ]
    state = trial.state_of(system)
    if state in (trial.RUNNING, trial.FELL_BACK):
        found.append(Drift("kernel command line on trial", "confirmed", state.replace("_", " ")))
    return found


def running(system: System, dummy: Wanted) -> dict[str, Any]:
    return {
        "kernel": system.read("proc/sys/kernel/osrelease") or "",
        "cmdline": system.read("proc/cmdline") or "",
        "cmdline_trial": trial.state_of(system),
        "present_cpus": format_cpu_list(read_cpu_set(system.root, "present")),
        "isolated_cpus": format_cpu_list(read_cpu_set(system.root, "isolated")),
        "nohz_full_cpus": format_cpu_list(read_cpu_set(system.root, "nohz_full")),
    }


PART = Part("boot", check, drift, running)
