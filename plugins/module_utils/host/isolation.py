# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which CPUs are isolated, and the boot parameters that isolate them.

Sources: Documentation/admin-guide/cpu-isolation.rst and kernel-parameters.txt of the kernel.
"""

from __future__ import annotations

from .cmdline import Token, parse_wanted
from .cpulist import format_cpu_list, parse_cpu_list
from .cpus import cores, nodes, online_cpus, present_cpus, read_cpu_set, siblings
from .errors import HostError
from .hugepages_boot import boot_tokens
from .isolation_way import BOOT, PARTITION, choose
from .part import Wanted
from .system import System

__all__ = ["isolated_cpus", "isolation_tokens", "read_cpu_set", "wanted_tokens"]

#: Parameters that are derived from the isolated CPUs and are nobody else's.
ISOLATION_KEYS = ("isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity")


def isolated_cpus(system: System, wanted: Wanted) -> frozenset[int]:
    """The CPUs that are wanted isolated, none where neither of the two keys asks for any; HostError as _check().

    ``isolated_cpus``: a kernel CPU list. ``housekeeping_per_node``: n, all online CPUs but the first n cores of each
    NUMA node, each with all its siblings, and the core of CPU 0; and those that went off since they are isolated.
    ``split_siblings``: allow one CPU of a core to be isolated and another not.
    """
    text = str(wanted.get("isolated_cpus") or "").strip()
    count = int(wanted.get("housekeeping_per_node") or 0)
    if not count:
        return _check(system, text, bool(wanted.get("split_siblings")))
    if text:
        raise HostError(
            "isolated_cpus",
            text,
            f"housekeeping_per_node {count} says which CPUs are isolated as well",
            "give one of the two",
        )
    return _all_but(system, count)


def _all_but(system: System, count: int) -> frozenset[int]:
    if count < 0:
        raise HostError("housekeeping_per_node", count, "a number of cores below zero means nothing", "give 1 or more")
    housekeeping = siblings(system, 0)
    for cpus in nodes(system).values():
        housekeeping = housekeeping.union(*cores(system, cpus)[:count])
    online = online_cpus(system)
    if online <= housekeeping:
        raise HostError(
            "housekeeping_per_node",
            count,
            f"no CPU is left to isolate, this host has {format_cpu_list(online)} online",
            "ask for fewer housekeeping cores, or leave it out on this host",
        )
    # One that is off stays what the running kernel made of it: a CPU that fails is no reason for another command line.
    off = present_cpus(system) - online
    return (online | (off & read_cpu_set(system.root, "nohz_full"))) - housekeeping


def _check(system: System, text: str, split_siblings: bool) -> frozenset[int]:
    """The set of the list, where the host can do without these CPUs; HostError says why it cannot."""
    present = present_cpus(system)
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
    for cpu in () if split_siblings else sorted(isolated):
        left = siblings(system, cpu) - isolated
        if left:
            raise HostError(
                "isolated_cpus",
                text,
                f"CPU {cpu} shares its core with CPU {format_cpu_list(left)}, which would disturb it",
                f"isolate {format_cpu_list(left)} as well, leave {cpu} out, or set split_siblings",
            )
    return isolated


def isolation_tokens(isolated: frozenset[int], present: frozenset[int], way: str = BOOT) -> list[Token]:
    """Boot parameters that keep tasks, managed and new interrupts, the tick and RCU callbacks off the isolated CPUs.

    A partition keeps the tasks off itself, and needs no reboot; ``domain`` is for the way ``boot`` only.
    """
    if not isolated:
        return []
    cpus = format_cpu_list(isolated)
    return [
        Token("isolcpus", f"managed_irq,{cpus}" if way == PARTITION else f"managed_irq,domain,{cpus}"),
        Token("nohz_full", cpus),
        Token("rcu_nocbs", cpus),
        Token("irqaffinity", format_cpu_list(present - isolated)),
    ]


def wanted_tokens(system: System, wanted: Wanted) -> list[Token]:
    """All boot parameters that are wanted on this host: those of the isolated CPUs, then the user's, in their order."""
    isolated = isolated_cpus(system, wanted)
    derived = isolation_tokens(isolated, present_cpus(system), choose(system, wanted).name if isolated else BOOT)
    extra = wanted.get("kernel_cmdline_extra") or []
    try:
        own = parse_wanted(extra)
    except ValueError as error:
        raise HostError("kernel command line", " ".join(extra), str(error), "correct the token") from error
    taken = {token.name for token in derived}
    for token in own:
        if token.name in taken:
            raise HostError(
                "kernel command line token",
                str(token),
                f"{token.key} is derived from isolated_cpus '{format_cpu_list(isolated)}' and would be there twice",
                "take one of the two away",
            )
    return derived + own + boot_tokens(system, wanted)
