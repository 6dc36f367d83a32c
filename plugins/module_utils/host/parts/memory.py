# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Transparent hugepages, swap, NUMA balancing and limits."""

from __future__ import annotations

from typing import Any

from .. import memory
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    memory.check_memory(system, wanted.get("memory"), wanted.get("limits"))


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    return memory.find_drift(system, wanted.get("memory"), wanted.get("limits"))


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    return {"memory": memory.running(system, wanted.get("limits"))}


PART = Part("memory", check, drift, running)
