# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of network cards through ethtool."""

from __future__ import annotations

from typing import Any

from ..before import read_before
from ..nic.apply import OWNER, plan_nics, reapply
from ..nic.card import Card
from ..nic.mtu import find_owner
from ..nic.plan import CardPlan
from ..nic.wanted import Nic, parse_nics
from ..part import Drift, Part, Wanted
from ..system import System


def check(system: System, wanted: Wanted) -> None:
    _plans(system, wanted)


def _plans(system: System, wanted: Wanted) -> list[tuple[Card, Nic, CardPlan]]:
    """Plans of the cards that are wanted; without any nothing is run."""
    nics = parse_nics(wanted.get("nics"))
    return plan_nics(system, nics) if nics else []


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    """What differs, and interfaces below the MTU of the intent (``mtu``), which drop what the others send."""
    short = []
    for name, least in sorted((wanted.get("mtu") or {}).items()):
        found = system.read(f"sys/class/net/{name}/mtu")
        if found and int(found) < int(least):
            short.append(Drift(f"mtu of {name} against the intent", f"{least} or more", found))
    return short + [
        Drift(f"{change.setting} of {change.interface}", change.after, change.before)
        for dummy_card, dummy_nic, plan in _plans(system, wanted)
        for change in plan.changes
    ]


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    found = []
    for card, nic, plan in _plans(system, wanted):
        owner = find_owner(system, nic.name)
        found.append(
            {
                "name": nic.name,
                "driver": card.driver,
                "link": card.link(),
                "settings": plan.values,
                "not_supported": [{"setting": lack.setting, "reason": lack.reason} for lack in plan.lacks],
                "mtu_set_by": f"{owner.program} ({owner.file})" if owner else "",
            }
        )
    return {"nics": found}


def keeps(system: System) -> bool:
    return bool(read_before(system, OWNER))


PART = Part("nic", check, drift, running, reapply, keeps)
