# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The running state of a host against what is wanted: the one comparison for preflight, verify and reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.host import grub, hugepages, irq
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import Token, differences
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import read_text
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import (
    check_isolated,
    read_cpu_set,
    wanted_tokens,
)


@dataclass(frozen=True)
class Wanted:
    """What the host shall be, checked against what it has."""

    isolated: frozenset[int] = frozenset()
    tokens: Sequence[Token] = ()
    pages: dict[hugepages.Pool, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """What the host is now."""

    tokens: list[Token]
    present: frozenset[int]
    isolated: frozenset[int]
    nohz_full: frozenset[int]
    pages: dict[hugepages.Pool, int]
    irqs: list[irq.Irq]
    default_affinity: frozenset[int]


@dataclass(frozen=True)
class Drift:
    """One thing that is not as wanted; ``pending_reboot`` where a reboot that is due anyway sets it right."""

    item: str
    wanted: str
    found: str
    pending_reboot: bool = False

    def __str__(self) -> str:
        return f"{self.item}: wanted '{self.wanted}', found '{self.found}'"


def read_running(root: Path) -> Running:
    """Read everything from /proc and /sys; nothing is run and nothing is written."""
    return Running(
        tokens=grub.read_running(root),
        present=read_cpu_set(root, "present"),
        isolated=read_cpu_set(root, "isolated"),
        nohz_full=read_cpu_set(root, "nohz_full"),
        pages=hugepages.read_pools(root),
        irqs=irq.read_irqs(root),
        default_affinity=irq.read_default_affinity(root),
    )


def check_wanted(
    root: Path, isolated_cpus: str, pages: Sequence[Mapping[str, Any]] | None, extra: Sequence[str] | None
) -> Wanted:
    """What is wanted, where this host can be that; HostError otherwise."""
    tokens = wanted_tokens(root, isolated_cpus, extra)
    if tokens:
        grub.check_supported(root)
    pools = hugepages.parse_pages(pages)
    hugepages.check_pools(root, pools)
    return Wanted(check_isolated(isolated_cpus, read_cpu_set(root, "present")), tokens, pools)


def find_drift(
    wanted: Wanted, running: Running, rebooting: bool, unmovable: Collection[int] | None = None
) -> list[Drift]:
    """Everything that is not as wanted. ``rebooting``: the command line is written and waits for a reboot."""
    drift = [
        Drift(f"kernel command line {item.key}", item.wanted, item.found, rebooting)
        for item in differences(running.tokens, wanted.tokens)
    ]
    if wanted.isolated:
        cpus = format_cpu_list(wanted.isolated)
        for name, found in (("isolated", running.isolated), ("nohz_full", running.nohz_full)):
            if found != wanted.isolated:
                drift.append(Drift(f"/sys/devices/system/cpu/{name}", cpus, format_cpu_list(found), rebooting))
        housekeeping = format_cpu_list(running.present - wanted.isolated)
        if running.default_affinity & wanted.isolated:
            drift.append(
                Drift("default interrupt affinity", f"within {housekeeping}", format_cpu_list(running.default_affinity))
            )
        for entry in irq.on_isolated(running.irqs, wanted.isolated, unmovable):
            drift.append(Drift(str(entry), f"within {housekeeping}", format_cpu_list(entry.allowed)))
    for pool, count in wanted.pages.items():
        found_pages = running.pages.get(pool, 0)
        if found_pages != count:
            drift.append(Drift(hugepages.describe(pool), str(count), str(found_pages)))
    return drift


def report(
    root: Path,
    isolated_cpus: str,
    pages: Sequence[Mapping[str, Any]] | None,
    extra: Sequence[str] | None,
    unmovable: Collection[int] | None = None,
) -> dict[str, Any]:
    """Running state, wanted tokens, drift and whether a reboot is due, as plain data; HostError as check_wanted()."""
    wanted = check_wanted(root, isolated_cpus, pages, extra)
    running = read_running(root)
    rebooting = grub.reboot_required(root, wanted.tokens)
    return {
        "running": {
            "kernel": (read_text(root / "proc/sys/kernel/osrelease") or "").strip(),
            "cmdline": (read_text(root / "proc/cmdline") or "").strip(),
            "present_cpus": format_cpu_list(running.present),
            "isolated_cpus": format_cpu_list(running.isolated),
            "nohz_full_cpus": format_cpu_list(running.nohz_full),
            "hugepages": [{"node": pool[0], "size": pool[1], "count": n} for pool, n in running.pages.items()],
            "default_irq_affinity": format_cpu_list(running.default_affinity),
            "irqs_on_isolated_cpus": [
                {"irq": entry.number, "actions": entry.actions, "cpus": format_cpu_list(entry.allowed)}
                for entry in irq.on_isolated(running.irqs, wanted.isolated, unmovable)
            ],
        },
        "wanted_tokens": [str(token) for token in wanted.tokens],
        "drift": [
            {
                "item": item.item,
                "wanted": item.wanted,
                "found": item.found,
                "pending_reboot": item.pending_reboot,
                "message": str(item),
            }
            for item in find_drift(wanted, running, rebooting, unmovable)
        ],
        "reboot_required": rebooting,
    }
