# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Boot parameters by name: those that take jitter away, and those that also take something that a host needs.

Meaning of each: Documentation/admin-guide/kernel-parameters.txt of the kernel. What fits depends on the host and is
found by what is there (clock source, vendor, module parameters), never by a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..cmdline import family, parse_cmdline
from ..errors import HostError
from ..files import read_text

LATENCY = ("cstates", "rcu", "tick", "tsc", "watchdogs")
DANGEROUS = {
    "audit_off": ("audit=0", "nothing is audited any more, and what asks for audit records finds none"),
    "idle_poll": (
        "idle=poll",
        "every idle CPU spins: full power and heat, and less turbo and SMT throughput for the others",
    ),
    "mce_ignore_ce": (
        "mce=ignore_ce",
        "corrected memory errors are no longer counted, so a failing module is seen later",
    ),
    "mce_off": ("mce=off", "machine checks are not reported any more, so broken memory corrupts data silently"),
    "mitigations_off": ("mitigations=off", "any process can read any memory of the host by CPU flaws"),
    "nosmt": ("nosmt", "half of the logical CPUs go away, so CPU lists that name them are refused afterwards"),
}
_CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"
_PATIENCE = "sys/module/rcutree/parameters/nohz_full_patience_delay"
_VENDOR = re.compile(r"^vendor_id\s*:\s*(\S+)", re.MULTILINE)


def tuning_tokens(root: Path, latency: Iterable[str], dangerous: Iterable[str], own: Iterable[str]) -> list[str]:
    """Tokens of the named groups that fit this host, without those whose key is among the user's own.

    HostError for a name that is none of LATENCY or DANGEROUS.
    """
    found: list[str] = []
    for name in sorted(set(latency)):
        found += _latency(root, _known("roce_host_kernel_cmdline_latency", name, LATENCY))
    for name in sorted(set(dangerous)):
        found.append(DANGEROUS[_known("roce_host_kernel_cmdline_dangerous", name, tuple(DANGEROUS))][0])
    taken = {family(token) for text in own for token in parse_cmdline(str(text))}
    return [text for text in found if not {family(token) for token in parse_cmdline(text)} & taken]


def warnings(dangerous: Iterable[str]) -> list[str]:
    """What each dangerous group takes from the host."""
    return [f"{name} ({DANGEROUS[name][0]}): {DANGEROUS[name][1]}" for name in sorted(set(dangerous))]


def _known(item: str, name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise HostError(item, name, f"it is none of {', '.join(names)}", "give one of these")
    return name


def _latency(root: Path, name: str) -> list[str]:
    if name == "tick":
        return ["skew_tick=1"]
    if name == "watchdogs":
        return ["nosoftlockup", "nmi_watchdog=0"]
    if name == "tsc":
        # On another clock source the kernel found the TSC unfit, and the parameter would keep it from finding out.
        return ["tsc=reliable"] if (read_text(root / _CLOCK) or "").strip() == "tsc" else []
    if name == "rcu":
        patience = ["rcutree.nohz_full_patience_delay=1000"] if (root / _PATIENCE).exists() else []
        return ["rcupdate.rcu_normal_after_boot=1", *patience]
    vendor = _VENDOR.search(read_text(root / "proc/cpuinfo") or "")
    intel = ["intel_idle.max_cstate=0"] if vendor is not None and vendor.group(1) == "GenuineIntel" else []
    return ["processor.max_cstate=1", *intel]
