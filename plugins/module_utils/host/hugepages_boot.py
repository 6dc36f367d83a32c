# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Boot parameters for hugepages of 1 GB that the running kernel cannot give."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .cmdline import Token, parse_cmdline
from .hugepages import NODES, check_pools, parse_pages, read_pools
from .part import Wanted
from .system import System

#: First kernel that takes hugepages=NODE:COUNT.
PER_NODE_SINCE = (5, 16)


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
