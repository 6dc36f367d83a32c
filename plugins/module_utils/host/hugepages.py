# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hugepages per NUMA node: wanted, read, written until they read back, and kept over a reboot.

They are kept by tmpfiles.d and not by boot parameters or sysctl: it writes the same per-node file as the running system
takes, early in every boot, on every kernel and distribution, and changing the number then needs no reboot.
vm.nr_hugepages has no nodes, and hugepages=NODE:COUNT on the command line needs Linux 5.16 (Ubuntu 22.04 has 5.15).
Only pages of 1 GB that the running kernel could not give get boot parameters as well: memory in one piece is there at
boot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable

from .cmdline import Token, parse_cmdline
from .errors import HostError
from .files import Write, read_text, write_text
from .part import Wanted
from .system import System
from .undo import Undo, replace_file

#: Size names of the interface, in kB as sysfs names them.
SIZES_KB: dict[str, int] = {"2M": 2048, "1G": 1048576}
DROP_IN = "etc/tmpfiles.d/tickwire-hugepages.conf"
MODE = 0o644
MARKER = "# Written by tickwire.fabric.hugepages; changes made here are overwritten."
NODES = "sys/devices/system/node"
#: First kernel that takes hugepages=NODE:COUNT.
PER_NODE_SINCE = (5, 16)
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
    root: Path,
    wanted: Mapping[Pool, int],
    check: bool,
    timeout_s: float,
    sleep: Callable[[float], None],
    write: Write = write_text,
    boot_reservation: bool = False,
    undo: Undo | None = None,
) -> HugepagesResult:
    """Give every wanted pool its pages now and at every boot; nothing is written when ``check``.

    A pool which our drop-in names and which is no longer wanted goes to 0; pools that never were ours stay as they are.
    HostError when the kernel does not give all pages within ``timeout_s``: all pools have their former numbers then.
    With ``boot_reservation`` pages of 1 GB that cannot be had now are no error: boot_tokens() asks for them at boot.
    """
    check_pools(root, wanted)
    found = read_pools(root)
    drop_in = root / DROP_IN
    result = HugepagesResult(kept_before=read_text(drop_in) or "", kept_after=render_drop_in(wanted))
    target = {pool: 0 for pool in parse_drop_in(result.kept_before) if pool in found}
    target.update(wanted)
    result.before = {pool: found[pool] for pool in sorted(target)}
    result.after = dict(sorted(target.items()))
    if not check:
        with Undo() as own:
            _resize_all(root, result, boot_reservation, timeout_s, sleep, write, undo or own)
            replace_file(System(root, _no_program), DROP_IN, result.kept_after, MODE, undo or own)
    result.changed = result.kept_before != result.kept_after or result.before != result.after
    return result


def _no_program(argv: list[str]) -> tuple[int, str, str]:
    raise HostError("program", " ".join(argv), "hugepages need none")


def _resize_all(
    root: Path,
    result: HugepagesResult,
    boot_reservation: bool,
    timeout_s: float,
    sleep: Callable[[float], None],
    write: Write,
    undo: Undo,
) -> None:
    target = result.after
    # Fewer first: a pool that shrinks frees the memory that another one grows into.
    for pool in sorted(target, key=lambda pool: target[pool] - result.before[pool]):
        before, count = result.before[pool], target[pool]
        if before == count:
            continue
        at_boot = boot_reservation and pool[1] == "1G" and count > before
        path = pool_path(root, pool)
        undo.add(partial(write, path, f"{before}\n"))
        # Waiting frees pages, but joins none to pieces of 1 GB.
        got = _resize(path, before, count, 0 if at_boot else timeout_s, sleep, write)
        if got == count:
            continue
        write(path, f"{before}\n")
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


def boot_tokens(system: System, wanted: Wanted) -> list[Token]:
    """Boot parameters that reserve the wanted pages of 1 GB which the running kernel could not give.

    HostError where the host has no such node or size. They stay wanted as long as the running kernel was booted with
    them: the pages are there because of them. Whoever names ``hugepagesz=1G`` in kernel_cmdline_extra reserves them
    himself. They come last on the command line, since ``hugepages=`` without a size before it means the default size.
    """
    pools = parse_pages(wanted.get("hugepages"))
    large = {node: count for (node, size), count in sorted(pools.items()) if size == "1G" and count}
    own = parse_cmdline(" ".join(wanted.get("kernel_cmdline_extra") or []))
    if not large or _names_large(own):
        return []
    found = read_pools(system.root)
    if any((node, "1G") not in found for node in large):
        check_pools(system.root, pools)
    missing = any(found.get((node, "1G"), 0) < count for node, count in large.items())
    if not missing and not _names_large(parse_cmdline(system.read("proc/cmdline") or "")):
        return []
    return [Token("hugepagesz", "1G"), Token("hugepages", _per_node(system, large))]


def _names_large(tokens: Sequence[Token]) -> bool:
    return any(token.name == "hugepagesz" and token.value == "1G" for token in tokens)


def _per_node(system: System, large: Mapping[int, int]) -> str:
    """``0:4,1:8`` from Linux 5.16 on.

    An older kernel spreads one number evenly: then every node gets as many as the neediest, and the drop-in gives the
    surplus of the others back early in the boot.
    """
    nodes = [int(path.name[4:]) for path in (system.root / NODES).glob("node[0-9]*")]
    if nodes == [0]:
        return str(large[0])
    release = re.match(r"(\d+)\.(\d+)", system.read("proc/sys/kernel/osrelease") or "")
    if release and (int(release.group(1)), int(release.group(2))) >= PER_NODE_SINCE:
        return ",".join(f"{node}:{count}" for node, count in large.items())
    return str(max(large.values()) * len(nodes))


def summary(pools: Mapping[Pool, int], kept: str) -> str:
    """Pools as running and as kept, one per line, for a diff."""
    lines = [f"running: {describe(pool)}: {count}" for pool, count in pools.items()]
    lines += [f"at boot: {describe(pool)}: {count}" for pool, count in sorted(parse_drop_in(kept).items())]
    return "".join(f"{line}\n" for line in lines)
