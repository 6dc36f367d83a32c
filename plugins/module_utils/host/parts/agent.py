# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent that keeps the other parts: its document, its units, and the rules of when a host may be disturbed."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ..agent import document, timer, units
from ..agent.systemd import Systemd
from ..maintenance import window_open
from ..part import Drift, Part, Wanted
from ..system import System

#: Given to a check beside what is wanted, and so not in the document.
NOT_KEPT = ("unmovable_irqs",)


def differing(left: Wanted, right: Wanted) -> list[str]:
    """Keys in which two documents differ."""
    names = {*left, *right} - {*NOT_KEPT}
    return sorted(name for name in names if left.get(name) != right.get(name))


def check(dummy: System, wanted: Wanted) -> None:
    window_open(wanted.get("maintenance_window"), datetime.now(timezone.utc))
    timer.parse(wanted.get("drift_timer"))


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    """Only role roce_host, which always says how the timer shall be, keeps an agent on the host."""
    if "drift_timer" not in wanted or not document.anything(wanted):
        return []
    keys = differing(document.intact_document(system) or {}, wanted)
    found = [Drift(f"/{document.FILE}", "the same", f"other {', '.join(keys)}")] if keys else []
    systemd = Systemd(system)
    names = {units.instance(name): units.device(name) for name in document.watched_interfaces(system, wanted)}
    if timer.parse(wanted.get("drift_timer")).enabled:
        names[units.TIMER] = ""
    active = systemd.active([*names, *filter(None, names.values())])
    for unit, device in sorted(names.items()):
        if not systemd.enabled(unit):
            found.append(Drift(unit, "enabled", "disabled"))
        elif systemd.runs and unit not in active and (not device or device in active):
            found.append(Drift(unit, "active", "inactive"))
    return found


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    return {"watched_interfaces": document.watched_interfaces(system, wanted)}


PART = Part("agent", check, drift, running)
