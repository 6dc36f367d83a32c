# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Power and noise of a host: idle states, frequencies, SMT, watchdogs, timers, and units that wake the machine up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import noise_values
from .errors import HostError
from .files import read_text
from .masks import UNITS, apply_masks, is_masked, is_there
from .part import Drift
from .system import System
from .undo import Undo, replace_file
from .values import (
    MODE,
    Outcome,
    Owner,
    Value,
    apply_values,
    check_boot,
    files_of,
    flag,
    lines_of,
    read_value,
    why_not,
)
from .values import find_drift as find_value_drift

OWNER = Owner("noise")
#: First of all, since it decides which CPUs there are.
OWNER_SMT = Owner("smt")
MODULE = "host_noise"
MASKS = "noise units"
MARKER = "# Written by tickwire.fabric.host_noise; changes made here are overwritten.\n"
MODULES_LOAD = "etc/modules-load.d/tickwire-noise.conf"
TMPFILES_ORDER = f"{UNITS}/systemd-tmpfiles-setup.service.d/tickwire-noise.conf"
_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*\.(timer|service|path|socket)\Z")
#: The price of a false, by key.
DANGERS = {
    "smt": "smt false takes the second thread of every core away from everything on this host",
    "rt_throttling": "rt_throttling false lets a real-time task that never sleeps starve the kernel's own on its CPU",
    "corrected_errors": "corrected_errors false hides corrected memory errors, the early sign of a bad module",
    "soft_watchdog": "soft_watchdog false leaves a CPU that hangs in the kernel unreported",
}
POLLING = "idle_latency_us 0 makes the isolated CPUs poll when idle: they run hot and may take turbo from the others"
#: Services that set governors and sysctls as well, later in the boot or while the host runs.
RIVALS = ("tuned.service", "power-profiles-daemon.service", "tlp.service", "cpufrequtils.service", "ondemand.service")


def parse_units(noise: Mapping[str, Any]) -> list[str]:
    """Units to mask; HostError for what is no name of one."""
    units = [str(unit) for unit in noise.get("units_off") or []]
    for unit in units:
        if not _UNIT.match(unit):
            raise HostError(
                "noise units_off", unit, "it is no name of a unit", "give a name such as fwupd-refresh.timer"
            )
    return list(dict.fromkeys(units))


def values(system: System, noise: Mapping[str, Any] | None, isolated: frozenset[int]) -> dict[Owner, list[Value]]:
    """All wanted values; HostError when they contradict each other."""
    given = noise or {}
    return {
        OWNER_SMT: noise_values.smt_values(system, given, isolated),
        OWNER: noise_values.values(system, given, isolated),
    }


def warnings(system: System, noise: Mapping[str, Any] | None) -> list[str]:
    """The price of what is wanted, and services that set the same."""
    given = noise or {}
    found = [text for key, text in DANGERS.items() if flag(key, given.get(key)) is False]
    if noise_values.parse_latency(given) == noise_values.NO_LATENCY:
        found.append(POLLING)
    for rival in RIVALS if given.get("governor") or given.get("energy_performance_preference") else ():
        if any(system.path(UNITS).glob(f"*.wants/{rival}")):
            found.append(
                f"{rival} is enabled and sets frequencies as well: name it in units_off, or leave the governor to it"
            )
    return found


def boot_order(system: System, noise: Mapping[str, Any] | None) -> dict[str, str]:
    """Our files that have a late frequency driver loaded before its settings are written at boot; empty: no need."""
    wanted = any((noise or {}).get(key) for key in ("governor", "energy_performance_preference", "min_frequency"))
    driver = noise_values.late_driver(system) if wanted else ""
    return {
        MODULES_LOAD: f"{MARKER}{driver}\n" if driver else "",
        TMPFILES_ORDER: f"{MARKER}[Unit]\nAfter=systemd-modules-load.service\n" if driver else "",
    }


def check_noise(system: System, noise: Mapping[str, Any] | None, isolated: frozenset[int]) -> None:
    """HostError when this host cannot be so; nothing is written."""
    parse_units(noise or {})
    noise_values.parse_latency(noise or {})
    for owner, wanted in values(system, noise, isolated).items():
        check_boot(system, wanted, files_of(system, owner, wanted, MODULE))


def apply_noise(system: System, noise: Mapping[str, Any] | None, isolated: frozenset[int], check: bool) -> Outcome:
    """Set it now and at every boot; what went away from the variables is again what it was before.

    HostError: nothing is changed.
    """
    outcome = Outcome(warnings=warnings(system, noise))
    units = parse_units(noise or {})
    with Undo() as undo:
        for owner in (OWNER_SMT, OWNER):
            apply_values(system, owner, values(system, noise, isolated)[owner], MODULE, check, undo, outcome)
        for name, text in boot_order(system, noise).items():
            before = read_text(system.path(name)) or ""
            if before != text:
                outcome.note(f"/{name}", lines_of(before), lines_of(text))
            if not check:
                replace_file(system, name, text, MODE, undo)
        apply_masks(system, MASKS, units, True, check, undo, outcome)
    return outcome


def find_drift(system: System, noise: Mapping[str, Any] | None, isolated: frozenset[int]) -> list[Drift]:
    """All that is not as wanted; what this host lacks is none."""
    found = []
    for owner, wanted in values(system, noise, isolated).items():
        found += find_value_drift(system, owner, wanted, MODULE)
    for name, text in boot_order(system, noise).items():
        before = read_text(system.path(name)) or ""
        if text and before != text:
            found.append(Drift(f"/{name}", lines_of(text), lines_of(before)))
    units = [unit for unit in parse_units(noise or {}) if is_there(system, unit) and not is_masked(system, unit)]
    return found + [Drift(unit, "masked", "not masked") for unit in units]


def running(system: System, noise: Mapping[str, Any] | None, isolated: frozenset[int]) -> dict[str, Any]:
    """Running values by key, those of the CPUs as sets of different values, and what is wanted and cannot be had."""
    found: dict[str, Any] = {key: read_value(system, path) for key, path in noise_values.SYSCTLS.items()}
    cpu = noise_values.CPUS
    found["ksm_run"] = read_value(system, noise_values.KSM_RUN)
    found["smt"] = read_value(system, noise_values.SMT)
    found["idle_driver"] = read_value(system, f"{cpu}/cpuidle/current_driver")
    idle = [f"{cpu}/cpu{number}/power/pm_qos_resume_latency_us" for number in isolated]
    found["isolated_idle_latency"] = _different(system, idle)
    on = noise_values.online(system)
    found["governors"] = _different(system, [f"{cpu}/cpu{number}/cpufreq/scaling_governor" for number in on])
    wanted = [one for group in values(system, noise, isolated).values() for one in group]
    reasons = {one.item: why_not(system, one) for one in wanted}
    found["unsupported"] = {item: reason for item, reason in reasons.items() if reason}
    return found


def _different(system: System, paths: Sequence[str]) -> list[str]:
    return sorted({text for text in (read_value(system, path) for path in paths) if text is not None})
