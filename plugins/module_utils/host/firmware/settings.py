# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every wanted setting against default, current and next boot: what is to be set, what waits, what is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import HostError
from .cards import Card
from .query import Configuration, Parameter, Value

AS_WANTED = "as wanted"
TO_SET = "to set"
#: The next boot gets it, the running firmware has not loaded it yet: setting it again would change nothing.
PENDING = "pending"
#: This card does not show it, or does not let it be set.
NOT_APPLIED = "not applied"

HIDING = "ADVANCED_PCI_SETTINGS"

_ELEMENT = re.compile(r"(?P<array>\w+)\[\d+\]\Z")
_PORT = re.compile(r"(?P<name>\w+)_P(?P<port>\d+)\Z")


@dataclass(frozen=True)
class Setting:
    """One setting of one card and where it stands; ``reason`` says why it is not applied."""

    name: str
    wanted: str
    state: str
    default: str = ""
    current: str = ""
    next: str = ""
    reason: str = ""


def elements(card: Card) -> list[str]:
    """Wanted elements of arrays, which a query names one by one."""
    return sorted(name for name in card.settings if _ELEMENT.match(name))


def compare(card: Card, wanted: Mapping[str, str], found: Configuration) -> list[Setting]:
    """Where each wanted setting stands, by name. A name without _P1 means every port that the card has."""
    settings = []
    for name, text in sorted(wanted.items()):
        ports = [key for key in found.parameters if _is_port_of(key, name)]
        for key in sorted(ports) if name not in found.parameters and ports else [name]:
            settings.append(_compare(card, key, text, found))
    return settings


def _is_port_of(key: str, name: str) -> bool:
    match = _PORT.match(key)
    return match is not None and match.group("name") == name


def _compare(card: Card, name: str, wanted: str, found: Configuration) -> Setting:
    parameter = found.parameters.get(name)
    if parameter is None:
        return Setting(name, wanted, NOT_APPLIED, reason=why_absent(name, found))
    if parameter.next is None:
        return Setting(name, wanted, NOT_APPLIED, reason="the tool does not tell its value")
    if parameter.next.is_array:
        raise HostError(
            f"{card} {name}", wanted, f"it is an array, {parameter.next.text}", f"name its elements, as {name}[0]"
        )
    if not parameter.next.is_as(wanted):
        if parameter.read_only:
            return _setting(parameter, wanted, NOT_APPLIED, "it is read-only")
        return _setting(parameter, wanted, TO_SET)
    if parameter.current is not None and not parameter.current.is_as(wanted):
        return _setting(parameter, wanted, PENDING)
    return _setting(parameter, wanted, AS_WANTED)


def _setting(parameter: Parameter, wanted: str, state: str, reason: str = "") -> Setting:
    return Setting(
        parameter.name,
        wanted,
        state,
        default=_text(parameter.default),
        current=_text(parameter.current),
        next=_text(parameter.next),
        reason=reason,
    )


def _text(value: Value | None) -> str:
    return "" if value is None else value.text


def why_absent(name: str, found: Configuration) -> str:
    """Why a card does not show a parameter, as far as can be told."""
    match = _PORT.match(name)
    if match is not None:
        others = sum(1 for key in found.parameters if _is_port_of(key, match.group("name")))
        if others:
            return f"the card has {others} port{'s' if others > 1 else ''}"
    hiding = found.parameters.get(HIDING)
    if hiding is not None and (hiding.current or hiding.next) is not None:
        running = hiding.current or hiding.next
        if running is not None and running.number == 0:
            return f"it is hidden while {HIDING} is off, or this firmware does not know it"
    return "this firmware does not know it"
