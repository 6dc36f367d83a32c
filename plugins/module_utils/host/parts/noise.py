# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Power and noise: idle states, frequencies, SMT, watchdogs and timers."""

from __future__ import annotations

from typing import Any

from .. import noise
from ..isolation import isolated_cpus
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    noise.check_noise(system, wanted.get("noise"), isolated_cpus(system, wanted))


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    return noise.find_drift(system, wanted.get("noise"), isolated_cpus(system, wanted))


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    return {"noise": noise.running(system, wanted.get("noise"), isolated_cpus(system, wanted))}


PART = Part("noise", check, drift, running)
