# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The document of what is wanted of this host, /etc/tickwire/host.json, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..cpulist import format_cpu_list
from ..cpus import present_cpus
from ..errors import HostError
from ..isolation import isolated_cpus
from ..part import Wanted
from ..system import System

FILE = "etc/tickwire/host.json"
#: What says how the host is treated or is only looked at, not how it shall be: of these alone nothing is wanted.
POLICY = (
    "bounce_allowed",
    "dcb_required",
    "drift_timer",
    "irqbalance",
    "isolation",
    "maintenance_window",
    "mtu",
    "split_siblings",
    "whole_processes",
    "workload_protection",
    "workload_units",
)


def as_text(wanted: Wanted) -> str:
    """The document, the same text for the same wants."""
    return json.dumps(wanted, indent=1, sort_keys=True) + "\n"


def read_document(system: System) -> dict[str, Any] | None:
    """What is wanted of this host by its own document; None without one, HostError when it is damaged."""
    text = system.read(FILE)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise HostError(
            f"/{FILE}", str(error), "this is no JSON", "run role roce_host, which writes it anew"
        ) from error
    if not isinstance(found, dict):
        raise HostError(
            f"/{FILE}", type(found).__name__, "this is no object", "run role roce_host, which writes it anew"
        )
    return found


def intact_document(system: System) -> dict[str, Any] | None:
    """The document, None without one and for a damaged one: what is wanted is known then, and it is written anew."""
    try:
        return read_document(system)
    except HostError:
        return None


def anything(wanted: Wanted) -> bool:
    """Whether anything at all is wanted of the host."""
    return any(value not in (None, "", "0", [], {}, False) for name, value in wanted.items() if name not in POLICY)


def housekeeping(system: System, wanted: Wanted) -> str:
    """The CPUs on which the agent runs, as a list; empty where no CPU is isolated."""
    cpus = isolated_cpus(system, wanted)
    return format_cpu_list(present_cpus(system) - cpus) if cpus else ""


def named_interfaces(wanted: Wanted) -> list[str]:
    """The interfaces that are wanted by name."""
    names = {str(nic["name"]) for nic in wanted.get("nics") or () if isinstance(nic, Mapping) and nic.get("name")}
    for key in ("dcb", "roce"):
        found = wanted.get(key)
        names.update(str(name) for name in (found if isinstance(found, Mapping) else ()))
    return sorted(names)


def watched_interfaces(system: System, wanted: Wanted) -> list[str]:
    """The interfaces that have a unit: those that are wanted by name, and with isolated CPUs every NIC.

    Drivers set the affinity of their interrupts anew when an interface comes up, whatever it is for. A virtual
    function is left out: a host has dozens, and its driver asks for no affinity of its own that outlives the default.
    """
    names = set(named_interfaces(wanted))
    if isolated_cpus(system, wanted):
        for directory in system.path("sys/class/net").glob("*"):
            if (directory / "device").exists() and not (directory / "device/physfn").exists():
                names.add(directory.name)
    return sorted(names)
