# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host against what is wanted of it: the one comparison for preflight, verify, the drift timer and reports."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from . import maintenance
from .cmdline import format_cmdline
from .part import Drift, Part, Wanted
from .parts import agent, boot, dcb, firmware, hugepages, irq, isolation, memory, nic, noise, roce
from .system import System

#: In the order in which they are checked and reported.
PARTS: tuple[Part, ...] = (
    boot.PART,
    isolation.PART,
    irq.PART,
    hugepages.PART,
    memory.PART,
    noise.PART,
    firmware.PART,
    nic.PART,
    dcb.PART,
    roce.PART,
    agent.PART,
)


def check(system: System, wanted: Wanted) -> None:
    """HostError when this host cannot be as wanted; nothing is written."""
    for part in PARTS:
        part.check(system, wanted)


def find_drift(system: System, wanted: Wanted) -> list[Drift]:
    """Everything that is not as wanted."""
    rebooting = boot.rebooting(system, wanted)
    return [drift for part in PARTS for drift in part.drift(system, wanted, rebooting)]


def report(system: System, wanted: Wanted) -> dict[str, Any]:
    """Running state, wanted boot parameters, drift, whether a reboot is due and may be now; HostError as check()."""
    check(system, wanted)
    judgement = maintenance.judge(system, wanted, datetime.now(timezone.utc))
    running: dict[str, Any] = {}
    for part in PARTS:
        running.update(part.running(system, wanted))
    return {
        "running": running,
        "wanted_tokens": [format_cmdline([token]) for token in boot.tokens(system, wanted)],
        "drift": [
            {
                "item": drift.item,
                "wanted": drift.wanted,
                "found": drift.found,
                "pending_reboot": drift.pending_reboot,
                "message": str(drift),
            }
            for drift in find_drift(system, wanted)
        ],
        "reboot_required": boot.rebooting(system, wanted),
        "may_disturb": judgement.allowed,
        "may_disturb_reason": judgement.reason,
        "trading": list(judgement.trading),
        "kept": [part.name for part in PARTS if part.keeps is None or part.keeps(system)],
    }
