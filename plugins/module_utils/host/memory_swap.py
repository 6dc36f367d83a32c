# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No swap: neither now nor after a boot.

Every swap unit, whether fstab, a partition table or zram-generator made it, is started by swap.target and by nothing
else. So masking this one keeps them all off, and /etc/fstab stays the user's. Services that call swapon themselves are
masked by name. The target is not stopped: its swap is turned off piece by piece, so that each piece can be put back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from .before import read_before, write_before
from .errors import HostError
from .masks import apply_masks, is_masked, is_there, run
from .part import Drift
from .system import System
from .undo import Undo
from .values import Outcome, shared_kernel

UNITS = ("swap.target", "zramswap.service", "zram-config.service", "dphys-swapfile.service")
OWNER = "memory swap"
MASKS = "memory swap units"
#: Share of the memory that is free now and may be filled with what comes back from swap.
LARGEST_SHARE = 0.9


@dataclass(frozen=True)
class Swap:
    """One line of /proc/swaps."""

    path: str
    used_kb: int
    priority: int


def read_swaps(system: System) -> list[Swap]:
    """What is swapped to now; the kernel writes a blank in a path as \\040."""
    lines = (system.read("proc/swaps") or "").splitlines()[1:]
    fields = [line.split() for line in lines if line.strip()]
    return [Swap(_plain(one[0]), int(one[3]), int(one[4])) for one in fields]


def _plain(name: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), name)


def check_off(system: System) -> None:
    """HostError when what is in swap would not fit into memory."""
    used = sum(swap.used_kb for swap in read_swaps(system))
    match = re.search(r"^MemAvailable:\s+(\d+) kB", system.read("proc/meminfo") or "", re.MULTILINE)
    free = int(match.group(1)) if match else 0
    if used > free * LARGEST_SHARE:
        raise HostError(
            "swap",
            "off",
            f"{used // 1024} MB are in swap, and at most {LARGEST_SHARE:.0%} of the {free // 1024} MB free may be used",
            "stop what needs the memory",
        )


def units(system: System) -> list[str]:
    """The units to mask on this host."""
    return [unit for unit in UNITS if unit == UNITS[0] or is_there(system, unit) or is_masked(system, unit)]


def apply_swap(system: System, off: bool, check: bool, undo: Undo, outcome: Outcome) -> None:
    """No swap when ``off``; otherwise what this module had turned off is on again."""
    if off and shared_kernel(system):
        outcome.unsupported["swap"] = shared_kernel(system)
        return
    if off:
        check_off(system)
    apply_masks(system, MASKS, units(system) if off else [], False, check, undo, outcome)
    before = read_before(system, OWNER)
    kept = dict(before) if off else {}
    for swap in read_swaps(system) if off else []:
        outcome.note(f"swap {swap.path}", "on", "off")
        if not check:
            kept[swap.path] = str(swap.priority)
            undo.add(lambda: write_before(system, OWNER, before))
            write_before(system, OWNER, kept)
            undo.add(partial(_on, system, swap.path, swap.priority))
            run(system, "swapoff", swap.path)
    running = {swap.path for swap in read_swaps(system)}
    for path in [path for path in before if not off and path not in running and system.path(path).exists()]:
        outcome.note(f"swap {path}", "off", "on")
        if not check:
            undo.add(partial(run, system, "swapoff", path))
            _on(system, path, int(before[path]))
    if check:
        return
    write_before(system, OWNER, kept)
    if off and running:
        raise HostError("swap", "off", f"{', '.join(sorted(running))} is on again", "stop what turns it on")


def _on(system: System, path: str, priority: int) -> None:
    """The kernel numbers those below zero itself."""
    if path not in {swap.path for swap in read_swaps(system)}:
        run(system, "swapon", *(["-p", str(priority)] if priority >= 0 else []), path)


def find_drift(system: System) -> list[Drift]:
    """Swap that is on, and units that would turn it on at boot."""
    if shared_kernel(system):
        return []
    found = [Drift(f"swap {swap.path}", "off", "on") for swap in read_swaps(system)]
    return found + [Drift(unit, "masked", "not masked") for unit in units(system) if not is_masked(system, unit)]
