# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Firmware of network cards: settings of the next boot and of this one, and versions."""

from __future__ import annotations

from typing import Any

from ..before import read_before
from ..firmware.apply import OWNER, plain_setting
from ..firmware.cards import find_cards
from ..firmware.kept import not_taken, read_kept
from ..firmware.settings import NOT_APPLIED, PENDING, TO_SET
from ..firmware.state import CardState, read_state
from ..firmware.tools import Tools
from ..part import Drift, Part, Wanted
from ..system import System


def _states(system: System, wanted: Wanted) -> list[CardState]:
    tools = Tools(system)
    return [read_state(tools, card) for card in find_cards(system, wanted.get("firmware"))]


def check(system: System, wanted: Wanted) -> None:
    if find_cards(system, wanted.get("firmware")):
        Tools(system).check()


def drift(system: System, wanted: Wanted, dummy: bool) -> list[Drift]:
    """What is not set, and what is set and not loaded; that which a reboot did not bring is not pending."""
    states = _states(system, wanted)
    kept = read_kept(system) if states else {}
    found = []
    for state in states:
        failed = not_taken(system, kept.get(state.card.slot), state.settings, state.needs_power_cycle)
        for item in state.settings:
            name = f"{state.card} {item.name}"
            if item.state == TO_SET:
                found.append(Drift(f"{name} at the next boot", item.wanted, item.next))
            elif item.state == PENDING:
                found.append(Drift(name, item.wanted, item.current, item not in failed))
        if state.firmware is not None:
            version = f"{state.card} version"
            if state.to_burn and state.image is not None:
                found.append(Drift(version, state.image.version, state.firmware.version))
            elif state.firmware.running != state.firmware.version:
                found.append(Drift(f"{version} running", state.firmware.version, state.firmware.running, True))
    return found


def running(system: System, wanted: Wanted) -> dict[str, Any]:
    """Versions, and by name what a card does not apply: that is told and is no drift."""
    return {
        "nic_firmware": [
            {
                "device": state.card.function,
                "device_type": state.configuration.device_type,
                "result": state.result,
                "running_version": state.firmware.running if state.firmware else "",
                "not_applied": [plain_setting(item) for item in state.named(NOT_APPLIED)],
            }
            for state in _states(system, wanted)
        ]
    }


def keeps(system: System) -> bool:
    return bool(read_before(system, OWNER) or read_kept(system))


PART = Part("firmware", check, drift, running, keeps=keeps)
