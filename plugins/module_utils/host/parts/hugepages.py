# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hugepages per NUMA node and size."""

from __future__ import annotations

from typing import Any

from .. import hugepages
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    hugepages.check_pools(system.root, hugepages.parse_pages(wanted.get("hugepages")))


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    found = hugepages.read_pools(system.root)
    return [
        Drift(hugepages.describe(pool), str(count), str(found.get(pool, 0)))
        for pool, count in hugepages.parse_pages(wanted.get("hugepages")).items()
        if found.get(pool, 0) != count
    ]


def running(system: System, dummy: Wanted) -> dict[str, Any]:
    pools = hugepages.read_pools(system.root)
    return {"hugepages": [{"node": pool[0], "size": pool[1], "count": count} for pool, count in pools.items()]}


PART = Part("hugepages", check, drift, running)
