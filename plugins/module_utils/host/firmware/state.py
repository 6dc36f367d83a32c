# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One card as it is: settings, firmware, image, and what would load what waits. Only questions are asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ..errors import HostError
from ..system import System
from .cards import Card, Image, image_file
from .kept import Kept, not_taken
from .query import Configuration, Firmware, parse_version
from .settings import NOT_APPLIED, PENDING, TO_SET, Setting, compare, elements
from .tools import Tools

#: Cards that a reboot of the host does not restart.
OWN_POWER = "BlueField"

NOTHING = ""
FIRMWARE_RESET = "firmware reset"
REBOOT = "reboot"
POWER_CYCLE = "power cycle"


@dataclass
class CardState:
    """What one card has and what it lacks."""

    card: Card
    configuration: Configuration
    settings: list[Setting] = field(default_factory=list)
    firmware: Firmware | None = None
    image: Firmware | None = None

    @property
    def needs_power_cycle(self) -> bool:
        return self.configuration.device_type.startswith(OWN_POWER)

    def named(self, state: str) -> list[Setting]:
        return [item for item in self.settings if item.state == state]

    @property
    def to_burn(self) -> bool:
        """Whether the flash is older than it shall be. A newer one is left: nothing is put back to older firmware."""
        if self.firmware is None or self.image is None:
            return False
        floor = self.card.minimum_version or self.image.version
        return _version(self.card, self.firmware.version) < _version(self.card, floor)

    @property
    def to_load(self) -> bool:
        """Whether something is written that the running firmware has not loaded."""
        burned = self.firmware is not None and self.firmware.running != self.firmware.version
        return burned or bool(self.named(PENDING))

    @property
    def result(self) -> str:
        """One word for the report."""
        if self.named(NOT_APPLIED):
            return "PartiallyApplied"
        if self.named(TO_SET) or self.to_burn:
            return "NotApplied"
        return "Pending" if self.to_load else "Applied"

    def loaded_by(self, tools: Tools) -> str:
        """What loads that which is written and not running."""
        if tools.can_reset(self.card.function):
            return FIRMWARE_RESET
        return POWER_CYCLE if self.needs_power_cycle else REBOOT


def read_state(tools: Tools, card: Card) -> CardState:
    """Ask the card; HostError when it does not answer, or its image is not what it is said to be."""
    configuration = Configuration()
    if card.settings:
        configuration = tools.configuration(card.function, elements(card))
    state = CardState(card, configuration, compare(card, card.settings, configuration))
    if card.image is not None or card.minimum_version:
        state.firmware = tools.firmware(card.function)
        if not card.settings:
            state.configuration = tools.configuration(card.function)
    if card.image is not None:
        state.image = _read_image(tools, card, card.image, state.firmware)
    if state.firmware is not None and card.minimum_version and state.image is None:
        if _version(card, state.firmware.version) < _version(card, card.minimum_version):
            raise HostError(
                f"{card} version",
                state.firmware.version,
                f"it is below the wanted minimum {card.minimum_version}",
                "give an image of that version or later",
            )
    return state


def _read_image(tools: Tools, card: Card, wanted: Image, firmware: Firmware | None) -> Firmware:
    path = image_file(tools.system, wanted)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() != wanted.sha256:
        raise HostError(
            "firmware image", wanted.path, f"its SHA-256 is {digest.hexdigest()}, not the wanted one", "copy it anew"
        )
    image = tools.image(str(path))
    if firmware is not None and image.psid != firmware.psid:
        raise HostError(
            "firmware image",
            wanted.path,
            f"it is for PSID {image.psid}, and {card.slot} has {firmware.psid}",
            "get the image for that card",
        )
    if card.minimum_version and _version(card, image.version) < _version(card, card.minimum_version):
        raise HostError(
            "firmware image",
            wanted.path,
            f"its version {image.version} is below the wanted minimum {card.minimum_version}",
            "give a later image",
        )
    return image


def _version(card: Card, text: str) -> tuple[int, ...]:
    try:
        return parse_version(text)
    except ValueError as error:
        raise HostError(f"{card} version", text, "it is not of the form 16.35.2000", "correct it") from error


def check_taken(system: System, state: CardState, kept: Kept | None) -> None:
    """HostError for settings and an image that a reboot did not bring."""
    failed = not_taken(system, kept, state.settings, state.needs_power_cycle)
    if failed:
        texts = ", ".join(f"{item.name} is {item.current} and not {item.wanted}" for item in failed)
        raise HostError(
            str(state.card),
            texts,
            "failed to apply after reboot: it was set before this boot and the card runs without it",
            "the card may refuse the combination, or need a power cycle; see mstconfig -e query",
        )
