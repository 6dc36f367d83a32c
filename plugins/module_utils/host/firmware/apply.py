# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets what is wanted of the cards' firmware, burns images where that is allowed, and loads both where that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .. import maintenance
from ..before import forget, read_before, remember
from ..errors import HostError
from ..part import Wanted
from ..system import System
from .cards import Card, find_cards
from .kept import Kept, boot_id, read_kept, write_kept
from .query import Configuration, Value
from .settings import AS_WANTED, NOT_APPLIED, TO_SET, Setting
from .state import FIRMWARE_RESET, NOTHING, REBOOT, CardState, check_taken, read_state
from .tools import Tools

#: Under this name the values of before are kept, as "SLOT NAME".
OWNER = "nic_firmware"


@dataclass
class FirmwareResult:
    """What the module returns."""

    changed: bool = False
    cards: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def reboot_required(self) -> bool:
        """Whether a reboot of the host loads something that waits."""
        return any(card["loaded_by"] in (REBOOT, FIRMWARE_RESET) and not card["power_cycle"] for card in self.cards)


def apply_firmware(
    system: System,
    devices: Sequence[Mapping[str, Any]] | None,
    bounce_allowed: bool,
    policy: Wanted,
    check: bool,
) -> FirmwareResult:
    """Bring every card to what is wanted of it; with ``check`` only questions are asked.

    ``policy`` says when the host may be disturbed, see maintenance.judge().

    Settings that are no longer wanted go back to what they were. HostError when a card refuses; what was set of it
    before the refusal is then set back.
    """
    cards = find_cards(system, devices)
    named = {card.slot for card in cards}
    remembered = read_before(system, OWNER)
    _add_forgotten(system, cards, remembered)
    result = FirmwareResult()
    tools = Tools(system)
    if cards:
        tools.check()
    kept = read_kept(system)
    for card in cards:
        _apply_card(tools, card, kept, bounce_allowed, policy, check, result)
    # Whether a boot loads what was set back is nobody's question any more where nothing is wanted of the card.
    gone = kept.keys() - named
    if gone and not check:
        write_kept(system, {slot: entry for slot, entry in kept.items() if slot not in gone})
    return result


def _add_forgotten(system: System, cards: list[Card], remembered: Mapping[str, str]) -> None:
    """Add what this module set and nobody wants any more, at the value it had before."""
    by_slot = {card.slot: card for card in cards}
    for key, value in remembered.items():
        slot, name = key.split(" ", 1)
        functions = sorted(path.name for path in system.path("sys/bus/pci/devices").glob(f"{slot}.[0-7]"))
        if slot not in by_slot and functions:
            by_slot[slot] = Card(slot, functions[0], [slot])
            cards.append(by_slot[slot])
        if slot in by_slot and not any(_covers(wanted, name) for wanted in by_slot[slot].settings):
            by_slot[slot].settings[name] = value


def _covers(wanted: str, name: str) -> bool:
    return name == wanted or (name.startswith(f"{wanted}_P") and name[len(wanted) + 2 :].isdigit())


def _apply_card(
    tools: Tools,
    card: Card,
    kept: dict[str, Kept],
    bounce_allowed: bool,
    policy: Wanted,
    check: bool,
    result: FirmwareResult,
) -> None:
    system = tools.system
    state = read_state(tools, card)
    check_taken(system, state, kept.get(card.slot))
    result.before += _lines(state)
    burn = state.to_burn and bounce_allowed
    busy = _busy(system, policy) if bounce_allowed and (burn or state.to_load) else ""
    burn = burn and not busy
    result.after += _lines(state, done=True, burned=burn)
    writing = bool(state.named(TO_SET)) or burn
    result.changed = result.changed or writing
    if not check:
        if state.named(TO_SET):
            _set(tools, card, state)
        if burn and card.image is not None:
            tools.burn(card.function, str(system.path(card.image.path)))
        if writing:
            kept[card.slot] = _written(system, kept.get(card.slot), state, burn)
            write_kept(system, kept)
            state = _read_back(tools, card, burn)
        _forget(system, card, state)
    loaded_by = state.loaded_by(tools) if writing or state.to_load else NOTHING
    if loaded_by == FIRMWARE_RESET and bounce_allowed:
        busy = busy or _busy(system, policy)
        if busy:
            result.warnings.append(f"{card}: not reset: {busy}")
        else:
            result.changed = True
            if not check:
                state = _reset(tools, card)
                loaded_by = NOTHING
    if not check and not state.to_load and kept.pop(card.slot, None) is not None:
        write_kept(system, kept)
    result.warnings += _warnings(state, loaded_by, bounce_allowed, busy)
    result.cards.append(_plain(state, loaded_by))


def _written(system: System, kept: Kept | None, state: CardState, burned: bool) -> Kept:
    now = boot_id(system)
    settings = {item.name: item.wanted for item in state.named(TO_SET)}
    earlier = dict(kept.settings) if kept is not None and kept.boot_id == now else {}
    version = state.image.version if burned and state.image is not None else ""
    return Kept(now, {**earlier, **settings}, version)


def _set(tools: Tools, card: Card, state: CardState) -> None:
    """Remember what is there, then set everything in one call; put it back when the card refuses a part."""
    wanted = {item.name: item.wanted for item in state.named(TO_SET)}
    was = _next(state.configuration, wanted)
    remembered = read_before(tools.system, OWNER)
    new = {f"{card.slot} {name}": value.as_set() for name, value in was.items()}
    remember(tools.system, OWNER, new)
    try:
        tools.set(card.function, wanted)
    except HostError:
        now = _next(tools.configuration(card.function, _elements(wanted)), wanted)
        back = {name: value.as_set() for name, value in was.items() if now.get(name) != value}
        if back:
            tools.set(card.function, back)
        forget(tools.system, OWNER, new.keys() - remembered.keys())
        raise


def _elements(names: Mapping[str, str]) -> list[str]:
    return sorted(name for name in names if name.endswith("]"))


def _next(found: Configuration, names: Mapping[str, str]) -> dict[str, Value]:
    values = {name: found.parameters[name].next for name in names if name in found.parameters}
    return {name: value for name, value in values.items() if value is not None}


def _read_back(tools: Tools, card: Card, burned: bool) -> CardState:
    state = read_state(tools, card)
    left = state.named(TO_SET)
    if left:
        texts = ", ".join(f"{item.name} reads {item.next}" for item in left)
        raise HostError(str(card), texts, "mstconfig set it and it does not read back", "see mstconfig -e query")
    if burned and state.to_burn:
        raise HostError(str(card), state.firmware, "mstflint burned the image and the flash has another version", "")
    return state


def _reset(tools: Tools, card: Card) -> CardState:
    tools.reset(card.function)
    state = read_state(tools, card)
    if state.to_load:
        names = ", ".join(f"{item.name} is {item.current}" for item in state.settings if item.state != AS_WANTED)
        raise HostError(
            str(card),
            names or "version",
            "failed to apply after a firmware reset",
            "power cycle the host and look again",
        )
    return state


def _forget(system: System, card: Card, state: CardState) -> None:
    """A setting that is back at what it was before is no longer ours."""
    remembered = read_before(system, OWNER)
    back = {item.name for item in state.settings if item.state != TO_SET}
    done = {
        key
        for key, value in remembered.items()
        if key.split(" ", 1)[0] == card.slot
        and key.split(" ", 1)[1] in back
        and card.settings.get(key.split(" ", 1)[1]) == value
    }
    forget(system, OWNER, done)


def _busy(system: System, policy: Wanted) -> str:
    """Why the host may not be disturbed now, or nothing. Asked for each card, since a burn takes minutes."""
    judgement = maintenance.judge(system, policy, datetime.now(timezone.utc))
    return "" if judgement.allowed else judgement.reason


def _lines(state: CardState, done: bool = False, burned: bool = False) -> list[str]:
    """Settings of the next boot and versions, one per line, for a diff; ``done``: as they will be."""
    lines = [
        f"{state.card.slot} {item.name}={item.wanted if done and item.state == TO_SET else item.next}"
        for item in state.settings
        if item.state != NOT_APPLIED
    ]
    if state.firmware is not None:
        version = state.firmware.version
        if burned and state.image is not None:
            version = state.image.version
        lines.append(f"{state.card.slot} firmware {version}")
    return lines


def _warnings(state: CardState, loaded_by: str, bounce_allowed: bool, busy: str) -> list[str]:
    warnings = [
        f"{state.card}: PartiallyApplied, {item.name} is not applied: {item.reason}"
        for item in state.named(NOT_APPLIED)
    ]
    if state.to_burn and not bounce_allowed:
        warnings.append(f"{state.card}: the image is not burned without leave (bounce_allowed)")
    elif state.to_burn and busy:
        warnings.append(f"{state.card}: the image is not burned: {busy}")
    if loaded_by:
        warnings.append(f"{state.card}: waits for a {loaded_by}")
    return warnings


def _plain(state: CardState, loaded_by: str) -> dict[str, Any]:
    firmware, image = state.firmware, state.image
    return {
        "device": state.card.function,
        "names": state.card.names,
        "device_type": state.configuration.device_type,
        "result": state.result,
        "loaded_by": loaded_by,
        "power_cycle": state.needs_power_cycle,
        "version": firmware.version if firmware else "",
        "running_version": firmware.running if firmware else "",
        "image_version": image.version if image else "",
        "settings": [plain_setting(item) for item in state.settings],
    }


def plain_setting(item: Setting) -> dict[str, str]:
    """A setting as plain data."""
    return {
        "name": item.name,
        "wanted": item.wanted,
        "state": item.state,
        "default": item.default,
        "current": item.current,
        "next": item.next,
        "reason": item.reason,
    }
