# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts the unit files of slices.py in place, makes the live cgroups the same, and puts all back when that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from . import slices
from .cpulist import format_cpu_list, parse_cpu_list
from .cpus import online_cpus, present_cpus
from .errors import HostError
from .files import read_text, remove, write_atomic
from .system import System

#: How long systemd may take to make the cgroup files after a reload, in steps of 0.1 s.
_STEPS = 100

Sleep = Callable[[float], None]


def restrict(
    system: System,
    files: Mapping[str, str],
    isolated: frozenset[int],
    housekeeping: frozenset[int],
    sleep: Sleep = time.sleep,
) -> None:
    """Make unit files, slices and partition what slices.wanted_units() says; on failure they are as they were."""
    old = {name: read_text(system.path(name)) for name in slices.unit_files()}
    state = slices.partition_state(system)
    try:
        _set_units(system, files, isolated, housekeeping, slices.VALUES in files, sleep)
        _check_units(system, isolated, housekeeping)
        if slices.VALUES in files:
            check_partition(system, isolated)
    except (HostError, OSError):
        kept = {name: text for name, text in old.items() if text is not None}
        then = _allowed(kept.get(f"{slices.UNITS}/{slices.SLICE}", ""))
        left = _allowed(kept.get(slices.drop_in("system.slice"), ""))
        _set_units(system, kept, then, left, state.startswith("isolated") and bool(then), sleep)
        raise


def _allowed(text: str) -> frozenset[int]:
    """CPUs of the AllowedCPUs= of a unit file that slices.py wrote; none where there is none."""
    for line in text.splitlines():
        key, dummy, value = line.partition("=")
        if key == "AllowedCPUs":
            return parse_cpu_list(value)
    return frozenset()


def _set_units(
    system: System,
    files: Mapping[str, str],
    isolated: frozenset[int],
    housekeeping: frozenset[int],
    partition: bool,
    sleep: Sleep,
) -> None:
    """Unit files, live slices and partition, in the order in which no two of them ever claim the same CPU."""
    had_service = system.path(f"{slices.UNITS}/{slices.SERVICE}").exists()
    changed = [name for name in slices.unit_files() if _differs(system, name, files.get(name))]
    if changed:
        slices.write_partition(system, "member")
    if had_service and not partition:
        _systemctl(system, "disable", "--now", slices.SERVICE)
    for name in changed:
        write_file(system, name, files.get(name))
    if changed:
        _systemctl(system, "daemon-reload")
    for unit in slices.live_units(system):
        if isolated or slices.drop_in(unit) in changed:
            _await_cpuset(system, unit, bool(housekeeping), sleep)
            slices.write_cpus(system, unit, housekeeping if files else present_cpus(system))
    if partition:
        _systemctl(system, "enable", slices.SERVICE)
        _systemctl(system, "restart", slices.SERVICE)
    elif had_service:
        slices.write_cpus(system, slices.SLICE, present_cpus(system))


def _await_cpuset(system: System, unit: str, wanted: bool, sleep: Sleep) -> None:
    """Wait until systemd has given the unit a cpuset, which it does after the reload has returned."""
    steps = _STEPS if wanted else 0
    while steps and slices.effective_cpus(system, unit) is None:
        sleep(0.1)
        steps -= 1


def _check_units(system: System, isolated: frozenset[int], housekeeping: frozenset[int]) -> None:
    """HostError where a slice did not come out as wanted."""
    for unit in slices.live_units(system) if isolated else ():
        found = slices.effective_cpus(system, unit)
        if found is None or found & isolated:
            raise HostError(
                f"AllowedCPUs of {unit}",
                format_cpu_list(housekeeping),
                f"it was set, and its processes may still run on CPUs {format_cpu_list(found or frozenset()) or 'all'}",
                f"look at 'systemctl status {unit}' and at other drop-ins that set AllowedCPUs",
            )


def check_partition(system: System, isolated: frozenset[int]) -> None:
    """HostError with the kernel's reason where the isolated CPUs are not a valid isolated partition."""
    state = slices.partition_state(system)
    found = slices.effective_cpus(system, slices.SLICE)
    wanted = isolated & online_cpus(system)
    if state == "isolated" and found == wanted:
        return
    advice = f"see 'systemctl status {slices.SERVICE}'"
    if "not exclusive" in state or "unable to distribute" in state:
        advice = (
            "another cgroup claims these CPUs: look for them in /sys/fs/cgroup/*/cpuset.cpus and "
            "cpuset.cpus.exclusive, and take them out there, or set isolation to 'boot'"
        )
    elif "not a valid partition root" in state or "not a partition root" in state:
        advice = "the parent is no partition: the slice has to be right below the root of the cgroups"
    raise HostError(
        f"isolated partition {slices.SLICE}",
        format_cpu_list(wanted),
        f"the kernel says '{state or 'no cpuset'}' with CPUs {format_cpu_list(found or frozenset()) or 'none'}",
        advice,
    )


def _differs(system: System, name: str, text: str | None) -> bool:
    return read_text(system.path(name)) != text


def write_file(system: System, name: str, text: str | None) -> None:
    """Write one of our files, or remove it and a unit's directory of drop-ins that it leaves empty.

    /etc/tmpfiles.d ends in .d as well and is the distribution's, empty or not.
    """
    if not _differs(system, name, text):
        return
    path = system.path(name)
    if text is None:
        remove(path)
        if path.parent.name.endswith((".scope.d", ".service.d", ".slice.d")) and not any(path.parent.iterdir()):
            path.parent.rmdir()
    else:
        write_atomic(path, text)


def _systemctl(system: System, *arguments: str) -> None:
    rc, out, err = system.run(["systemctl", *arguments])
    if rc != 0:
        lines = (err.strip() or out.strip()).splitlines()
        raise HostError(
            "systemctl",
            " ".join(arguments),
            f"it ended with {rc}: {lines[-1] if lines else 'it said nothing'}",
            "run it by hand and look at the journal",
        )
