# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hugepages per NUMA node and size, and the mounts of hugetlbfs."""

from __future__ import annotations

from typing import Any

from .. import hugepages, hugetlbfs
from ..hugepages_boot import boot_tokens
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    hugepages.check_pools(system.root, hugepages.parse_pages(wanted.get("hugepages")))
    hugetlbfs.check_mounts(system, hugetlbfs.parse_mounts(system, wanted.get("hugetlbfs")))


def drift(system: System, wanted: Wanted, rebooting: bool) -> list[Drift]:
    pools = hugepages.parse_pages(wanted.get("hugepages"))
    found = hugepages.read_pools(system.root)
    at_boot = rebooting and bool(boot_tokens(system, wanted))
    drifts = [
        Drift(hugepages.describe(pool), str(count), str(found.get(pool, 0)), at_boot and pool[1] == "1G")
        for pool, count in pools.items()
        if found.get(pool, 0) != count
    ]
    kept = hugepages.parse_drop_in(system.read(hugepages.DROP_IN) or "")
    if pools and kept != pools:
        texts = [", ".join(f"{hugepages.describe(pool)}: {one[pool]}" for pool in sorted(one)) for one in (pools, kept)]
        drifts.append(Drift(f"/{hugepages.DROP_IN}", texts[0], texts[1] or "nothing"))
    return drifts + hugetlbfs.find_drift(system, hugetlbfs.parse_mounts(system, wanted.get("hugetlbfs")))


def running(system: System, dummy: Wanted) -> dict[str, Any]:
    pools = hugepages.read_pools(system.root)
    mounts = hugetlbfs.read_mounts(system)
    return {
        "hugepages": [{"node": pool[0], "size": pool[1], "count": count} for pool, count in pools.items()],
        "hugetlbfs": {path: sorted(found[1]) for path, found in mounts.items() if found[0] == "hugetlbfs"},
    }


PART = Part("hugepages", check, drift, running)
