# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which CPUs may be isolated, and the boot parameters that isolate them.

Sources: Documentation/admin-guide/cpu-isolation.rst and kernel-parameters.txt of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import Token, parse_wanted
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list, parse_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import read_text

CPU_DIRECTORY = "sys/devices/system/cpu"
#: Parameters that are derived from the isolated CPUs and are nobody else's.
ISOLATION_KEYS = ("isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity")


def read_cpu_set(root: Path, name: str) -> frozenset[int]:
    """CPUs of a file of /sys/devices/system/cpu (``present``, ``isolated``, ``nohz_full``); none without the file."""
    return parse_cpu_list(read_text(root / CPU_DIRECTORY / name) or "")


def check_isolated(text: str, present: frozenset[int]) -> frozenset[int]:
    """The isolated CPUs that ``text`` asks for, where the host can do without them; HostError otherwise."""
    try:
        isolated = parse_cpu_list(text)
    except ValueError as error:
        raise HostError("isolated_cpus", text, str(error), "give a list such as 2-7,10") from error
    strangers = isolated - present
    if strangers:
        raise HostError(
            "isolated_cpus",
            text,
            f"CPU {format_cpu_list(strangers)} does not exist, this host has {format_cpu_list(present)}",
            "name CPUs of this host only",
        )
    if isolated and isolated >= present:
        raise HostError(
            "isolated_cpus",
            text,
            f"these are all CPUs of the host ({format_cpu_list(present)}), and none is left for housekeeping",
            "leave CPU 0 at least",
        )
    if 0 in isolated:
        raise HostError(
            "isolated_cpus",
            text,
            "CPU 0 stays a housekeeping CPU: it boots the machine and takes the timers and interrupts of the others",
            "take CPU 0 out of the list",
        )
    return isolated


def isolation_tokens(isolated: frozenset[int], present: frozenset[int]) -> list[Token]:
    """Boot parameters that keep tasks, managed and new interrupts, the tick and RCU callbacks off the isolated CPUs."""
    if not isolated:
        return []
    cpus = format_cpu_list(isolated)
    return [
        Token("isolcpus", f"managed_irq,domain,{cpus}"),
        Token("nohz_full", cpus),
        Token("rcu_nocbs", cpus),
        Token("irqaffinity", format_cpu_list(present - isolated)),
    ]


def wanted_tokens(root: Path, isolated_cpus: str, extra: Sequence[str] | None) -> list[Token]:
    """All boot parameters that are wanted on this host: those of the isolated CPUs, then the user's, in their order."""
    present = read_cpu_set(root, "present")
    derived = isolation_tokens(check_isolated(isolated_cpus, present), present)
    try:
        own = parse_wanted(extra or [])
    except ValueError as error:
        raise HostError("kernel command line", " ".join(extra or []), str(error), "correct the token") from error
    taken = {token.name for token in derived}
    for token in own:
        if token.name in taken:
            raise HostError(
                "kernel command line token",
                str(token),
                f"{token.key} is derived from isolated_cpus '{isolated_cpus}' and would be there twice",
                "take one of the two away",
            )
    return derived + own
