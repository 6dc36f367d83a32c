# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hugepages per NUMA node: wanted, read, written until they read back, and kept over a reboot.

They are kept by tmpfiles.d and not by boot parameters or sysctl: it writes the same per-node file as the running system
takes, early in every boot, on every kernel and distribution, and changing the number then needs no reboot.
vm.nr_hugepages has no nodes, and hugepages=NODE:COUNT on the command line needs Linux 5.16 (Ubuntu 22.04 has 5.15).
Only pages of 1 GB that the running kernel could not give get boot parameters as well (hugepages_boot.py): memory in one
piece is there at boot.

A pool that is no longer wanted goes back to the pages of before its first change (before.py). Pages that came from boot
parameters of ours were not there before; what somebody else's command line or sysctl gives at boot stays his.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable

from .before import read_before, write_before
from .boot.reservations import booted_sizes_kb
from .errors import HostError
from .files import Write, read_text
from .system import System
from .undo import Undo, replace_file

#: Size names of the interface, in kB as sysfs names them.
SIZES_KB: dict[str, int] = {"2M": 2048, "1G": 1048576}
DROP_IN = "etc/tmpfiles.d/tickwire-hugepages.conf"
MODE = 0o644
MARKER = "# Written by tickwire.fabric.hugepages; changes made here are overwritten."
NODES = "sys/devices/system/node"
OWNER = "hugepages"
#: Share of a node's memory that may become hugepages: the kernel and everything else live in the rest.
LARGEST_SHARE = 0.9

_LINE = re.compile(r"w!? /sys/devices/system/node/node(\d+)/hugepages/hugepages-(\d+)kB/nr_hugepages - - - - (\d+)\Z")

#: (node, size name) of one pool.
Pool = tuple[int, str]


@dataclass
class HugepagesResult:
    """Pages per pool as found and as they are afterwards (in check mode: would be), and the text that keeps them."""

    changed: bool = False
    before: dict[Pool, int] = field(default_factory=dict)
    after: dict[Pool, int] = field(default_factory=dict)
    kept_before: str = ""
    kept_after: str = ""
    at_boot: dict[Pool, int] = field(default_factory=dict)  # wanted pages that only a boot can give
    warnings: list[str] = field(default_factory=list)


def describe(pool: Pool) -> str:
    """A pool in words, for messages and reports."""
    return f"hugepages {pool[1]} on node {pool[0]}"


def parse_pages(pages: Sequence[Mapping[str, Any]] | None) -> dict[Pool, int]:
    """Wanted pages per pool of the user's list of {size, count, node}.

    HostError for an unknown size, a number below zero and a pool that is there twice.
    """
    wanted: dict[Pool, int] = {}
    for item in pages or []:
        pool = (int(item.get("node") or 0), str(item["size"]))
        count = int(item["count"])
        if pool[1] not in SIZES_KB:
            raise HostError("hugepages size", pool[1], f"it is none of {', '.join(SIZES_KB)}", "give one of these")
        if count < 0 or pool[0] < 0:
            raise HostError(describe(pool), count, "a number of pages or a node below zero means nothing", "correct it")
        if pool in wanted:
            raise HostError(
                describe(pool), count, f"it is there twice, the other says {wanted[pool]}", "keep one of them"
            )
        wanted[pool] = count
    return wanted


def pool_path(root: Path, pool: Pool) -> Path:
    """The pool's nr_hugepages file."""
    return root / NODES / f"node{pool[0]}" / "hugepages" / f"hugepages-{SIZES_KB[pool[1]]}kB" / "nr_hugepages"


def read_pools(root: Path) -> dict[Pool, int]:
    """Pages of every pool of the host in the sizes known here."""
    pools: dict[Pool, int] = {}
    for directory in sorted((root / NODES).glob("node[0-9]*")):
        for size in SIZES_KB:
            pool = (int(directory.name[4:]), size)
            text = read_text(pool_path(root, pool))
            if text is not None:
                pools[pool] = int(text)
    return pools


def check_pools(root: Path, wanted: Mapping[Pool, int]) -> None:
    """HostError where a node or a size is not on this host, or a node has not the memory."""
    pools = read_pools(root)
    asked_kb: dict[int, int] = {}
    for pool, count in wanted.items():
        if pool not in pools:
            nodes = sorted({node for node, dummy in pools})
            if pool[0] not in nodes:
                rule = f"there is no such node, this host has {', '.join(map(str, nodes)) or 'none with hugepages'}"
            else:
                sizes = ", ".join(size for node, size in pools if node == pool[0])
                rule = f"the kernel has no pages of {pool[1]} there, it has {sizes}"
            raise HostError(describe(pool), count, rule, "correct the list of hugepages")
        asked_kb[pool[0]] = asked_kb.get(pool[0], 0) + count * SIZES_KB[pool[1]]
    for node, asked in asked_kb.items():
        total = _node_memory_kb(root, node)
        if total is not None and asked > total * LARGEST_SHARE:
            raise HostError(
                f"hugepages on node {node}",
                f"{asked // 1024} MB",
                f"the node has {total // 1024} MB, and at most {LARGEST_SHARE:.0%} of it may become hugepages",
                "ask for fewer",
            )


def _node_memory_kb(root: Path, node: int) -> int | None:
    text = read_text(root / NODES / f"node{node}" / "meminfo") or ""
    match = re.search(r"MemTotal:\s+(\d+) kB", text)
    return int(match.group(1)) if match else None


def render_drop_in(wanted: Mapping[Pool, int]) -> str:
    """Text of the tmpfiles.d drop-in; ``w!`` writes at boot only, so no package trigger resets the running host."""
    lines = [f"w! /{pool_path(Path(), pool)} - - - - {count}" for pool, count in sorted(wanted.items())]
    return "\n".join([MARKER, *lines]) + "\n" if lines else ""


def parse_drop_in(text: str) -> dict[Pool, int]:
    """Pools of a drop-in that render_drop_in() wrote."""
    names = {kb: name for name, kb in SIZES_KB.items()}
    matches = [_LINE.match(line) for line in text.splitlines()]
    return {
        (int(match.group(1)), names[int(match.group(2))]): int(match.group(3))
        for match in matches
        if match is not None and int(match.group(2)) in names
    }


def apply_hugepages(
    system: System,
    wanted: Mapping[Pool, int],
    check: bool,
    timeout_s: float,
    sleep: Callable[[float], None],
    boot_reservation: bool = False,
    undo: Undo | None = None,
) -> HugepagesResult:
    """Give every wanted pool its pages now and at every boot; nothing is written when ``check``.

    A pool which was ours and is no longer wanted goes back to what it was before; others stay as they are. HostError
    when the kernel does not give all wanted pages within ``timeout_s``: all pools have their former numbers then.
    With ``boot_reservation`` pages of 1 GB that cannot be had now are no error: boot_tokens() asks for them at boot.
    """
    check_pools(system.root, wanted)
    found = read_pools(system.root)
    kept = read_before(system, OWNER)
    result = HugepagesResult(kept_before=read_text(system.path(DROP_IN)) or "", kept_after=render_drop_in(wanted))
    ours = {pool for pool in found if pool in parse_drop_in(result.kept_before) or describe(pool) in kept}
    target = {pool: int(kept.get(describe(pool), 0)) for pool in ours - {*wanted}}
    target.update(wanted)
    result.before = {pool: found[pool] for pool in sorted(target)}
    result.after = dict(sorted(target.items()))
    result.changed = result.kept_before != result.kept_after or result.before != result.after
    if check:
        return result
    remembered = {**kept, **_first_seen(system, {pool: found[pool] for pool in wanted if pool not in ours})}
    with Undo() as own:
        back = undo or own
        back.add(lambda: write_before(system, OWNER, kept))
        write_before(system, OWNER, remembered)
        _resize_all(system, result, wanted, boot_reservation, timeout_s, sleep, back)
        replace_file(system, DROP_IN, result.kept_after, MODE, back)
        names = {describe(pool) for pool in wanted}
        write_before(system, OWNER, {name: count for name, count in remembered.items() if name in names})
    result.changed = result.kept_before != result.kept_after or result.before != result.after
    return result


def _first_seen(system: System, found: Mapping[Pool, int]) -> dict[str, str]:
    """What to keep of pools before the first change of them."""
    sizes_kb = booted_sizes_kb(system) if found else set()
    return {
        describe(pool): "0" if SIZES_KB[pool[1]] in sizes_kb else str(count) for pool, count in sorted(found.items())
    }


def _resize_all(
    system: System,
    result: HugepagesResult,
    wanted: Mapping[Pool, int],
    boot_reservation: bool,
    timeout_s: float,
    sleep: Callable[[float], None],
    undo: Undo,
) -> None:
    target = dict(result.after)
    # Fewer first: a pool that shrinks frees the memory that another one grows into.
    for pool in sorted(target, key=lambda pool: target[pool] - result.before[pool]):
        before, count = result.before[pool], target[pool]
        if before == count:
            continue
        grows_back = count > before and pool not in wanted
        at_boot = boot_reservation and pool[1] == "1G" and count > before
        path = pool_path(system.root, pool)
        undo.add(partial(system.write, path, f"{before}\n"))
        # Waiting frees pages, but joins none to pieces of 1 GB.
        got = _resize(path, before, count, 0 if at_boot or grows_back else timeout_s, sleep, system.write)
        if got == count:
            continue
        if grows_back:
            result.after[pool] = got
            result.warnings.append(
                f"{describe(pool)}: there were {count} before, and the kernel gave {got} of them back. Next: where "
                "a sysctl or the command line of this host asks for them, reboot it"
            )
            continue
        system.write(path, f"{before}\n")
        if not at_boot:
            raise HostError(
                describe(pool),
                count,
                f"the kernel gave {got} within {timeout_s:g} s and was set back to {before}",
                _hint(pool, count, got),
            )
        result.after[pool] = before
        result.at_boot[pool] = count


def _hint(pool: Pool, count: int, got: int) -> str:
    if pool[1] == "1G":
        return "memory in one piece is there at boot: put 'hugepagesz=1G' and 'hugepages=N' on the kernel command line"
    return (
        "pages in use are not given back: stop what uses them"
        if got > count
        else "free memory on the node or reboot the host"
    )


def _resize(path: Path, before: int, count: int, timeout_s: float, sleep: Callable[[float], None], write: Write) -> int:
    """Write the number until it reads back: the kernel gives what it finds free, and says nothing when it is less."""
    got = before
    for attempt in range(max(1, int(timeout_s) + 1)):
        if attempt:
            sleep(1.0)
        write(path, f"{count}\n")
        got = int(path.read_text())
        if got == count:
            break
    return got


def summary(pools: Mapping[Pool, int], kept: str) -> str:
    """Pools as running and as kept, one per line, for a diff."""
    lines = [f"running: {describe(pool)}: {count}" for pool, count in pools.items()]
    lines += [f"at boot: {describe(pool)}: {count}" for pool, count in sorted(parse_drop_in(kept).items())]
    return "".join(f"{line}\n" for line in lines)
