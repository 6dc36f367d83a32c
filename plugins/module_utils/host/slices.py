# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which CPUs systemd's top-level slices may use: the files that say so at boot, and the live cgroups.

The packaged slices and init.scope are kept to the housekeeping CPUs. A partition is the slice tickwire.slice, whose
cgroup a unit of ours turns into one: a systemd below 261 does not know partitions, and a later one only logs a warning
when the kernel refuses. The unit writes with systemd-tmpfiles, so no shell is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape

from .cpulist import format_cpu_list, parse_cpu_list
from .isolation_way import CGROUP
from .system import System

#: Top-level units that systemd itself makes, with the section of their settings.
SECTIONS = {"init.scope": "Scope", "machine.slice": "Slice", "system.slice": "Slice", "user.slice": "Slice"}
#: The slice for what runs on the isolated CPUs.
SLICE = "tickwire.slice"
SERVICE = "tickwire-partition.service"
UNITS = "etc/systemd/system"
WANTS = f"{UNITS}/basic.target.wants/{SERVICE}"
VALUES = "etc/tickwire/partition.conf"
WORKQUEUE_FILE = "etc/tmpfiles.d/tickwire-isolation.conf"
MARKER = "# Written by tickwire.fabric.cpu_isolation; changes made here are overwritten."

_SERVICE = f"""{MARKER}
[Unit]
Description=Isolated CPU partition of {SLICE}
DefaultDependencies=no
Requires={SLICE}
After={SLICE} local-fs.target
Before=basic.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=systemd-tmpfiles --create /{VALUES}

[Install]
WantedBy=basic.target
"""


def drop_in(unit: str) -> str:
    """Path of our drop-in of a unit."""
    return f"{UNITS}/{unit}.d/50-tickwire-isolation.conf"


def unit_files() -> list[str]:
    """All unit files that may be ours."""
    return [*(drop_in(unit) for unit in SECTIONS), f"{UNITS}/{SLICE}", f"{UNITS}/{SERVICE}", VALUES]


def wanted_units(isolated: frozenset[int], housekeeping: frozenset[int], partition: bool) -> dict[str, str]:
    """Text of each unit file that is wanted, by path."""
    if not isolated:
        return {}
    cpus = format_cpu_list(housekeeping)
    files = {drop_in(unit): f"{MARKER}\n[{section}]\nAllowedCPUs={cpus}\n" for unit, section in SECTIONS.items()}
    if partition:
        cpus = format_cpu_list(isolated)
        values = {"cpuset.cpus": cpus, "cpuset.cpus.partition": "isolated"}
        files[f"{UNITS}/{SLICE}"] = (
            f"{MARKER}\n[Unit]\nDescription=What runs on the isolated CPUs\n\n[Slice]\nAllowedCPUs={cpus}\n"
        )
        files[f"{UNITS}/{SERVICE}"] = _SERVICE
        files[VALUES] = f"{MARKER}\n" + "".join(
            f"w /{CGROUP}/{SLICE}/{name} - - - - {value}\n" for name, value in values.items()
        )
    return files


def live_units(system: System) -> list[str]:
    """The packaged top-level units that have a cgroup now."""
    return [unit for unit in SECTIONS if system.path(f"{CGROUP}/{unit}").is_dir()]


def effective_cpus(system: System, unit: str) -> frozenset[int] | None:
    """CPUs on which the processes of the unit run now; None where nothing restricts it or it has no cgroup."""
    text = system.read(f"{CGROUP}/{unit}/cpuset.cpus.effective")
    return None if text is None else parse_cpu_list(text)


def losers(system: System, names: Sequence[str], cpus: frozenset[int]) -> list[str]:
    """Those of the units that run in a packaged top-level unit which may still use one of these CPUs, in words."""
    tops = [top for top in live_units(system) if (effective_cpus(system, top) or cpus) & cpus]
    units = [name if "." in name else f"{name}.service" for name in names]
    return [
        f"{unit} in {top}"
        for top in tops
        for unit in units
        if any(system.path(f"{CGROUP}/{top}").glob(f"**/{escape(unit)}"))
    ]


def write_cpus(system: System, unit: str, cpus: frozenset[int]) -> None:
    """Set the live CPUs of a unit. Nothing where it has no cpuset.

    systemd leaves the old value in the cgroup when AllowedCPUs= goes away, and leaves a slice without processes alone.
    To give all CPUs back all are written: the kernel refuses an empty set where processes are (ENOSPC).
    """
    path = system.path(f"{CGROUP}/{unit}/cpuset.cpus")
    if path.exists() and parse_cpu_list(path.read_text(encoding="ascii")) != cpus:
        system.write(path, format_cpu_list(cpus) + "\n")


def partition_state(system: System) -> str:
    """What the kernel says of the slice: ``isolated``, ``isolated invalid (reason)``, ``member``; empty: nothing."""
    return system.read(f"{CGROUP}/{SLICE}/cpuset.cpus.partition") or ""


def write_partition(system: System, kind: str) -> None:
    """Make the slice an ``isolated`` partition or a ``member``; nothing where it has no cpuset."""
    path = system.path(f"{CGROUP}/{SLICE}/cpuset.cpus.partition")
    if path.exists() and partition_state(system) != kind:
        system.write(path, kind + "\n")


def isolated_by_partitions(system: System) -> frozenset[int] | None:
    """CPUs in isolated partitions; None on a kernel that does not say."""
    text = system.read(f"{CGROUP}/cpuset.cpus.isolated")
    return None if text is None else parse_cpu_list(text)


def in_slice(system: System, argv: Sequence[str]) -> list[str]:
    """How to run a program that has to use isolated CPUs: in our slice, where sessions are kept off those CPUs."""
    if not system.path(drop_in("user.slice")).exists():
        return list(argv)
    return ["systemd-run", "--quiet", "--scope", f"--slice={SLICE}", "--", *argv]
