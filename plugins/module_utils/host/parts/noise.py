# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Power and noise: idle states, frequencies, SMT, watchdogs and timers."""

from __future__ import annotations

from typing import Any

from .. import noise
from ..isolation import check_isolated, read_cpu_set
from ..part import Drift, Part, Wanted
from ..system import System


def _isolated(system: System, wanted: Wanted) -> frozenset[int]:
    return check_isolated(wanted.get("isolated_cpus", ""), read_cpu_set(system.root, "present"))


def check(system: System, wanted: Wanted) -> None:
    noise.check_noise(system, wanted.get("noise"), _isolated(system, wanted))


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    return noise.find_drift(system, wanted.get("noise"), _isolated(system, wanted))


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    return {"noise": noise.running(system, wanted.get("noise"), _isolated(system, wanted))}


PART = Part("noise", check, drift, running)
