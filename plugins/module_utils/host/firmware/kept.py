# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was set on which boot, so that a later boot tells a setting that waits from one that the card does not take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import HostError
from ..files import remove, write_atomic
from ..system import System
from .settings import PENDING, Setting

FILE = "var/lib/tickwire/nic-firmware.json"
MODE = 0o600
BOOT_ID = "proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Kept:
    """The boot on which settings and image of a card were written, and what was written."""

    boot_id: str
    settings: Mapping[str, str]
    version: str = ""


def boot_id(system: System) -> str:
    return system.read(BOOT_ID) or ""


def read_kept(system: System) -> dict[str, Kept]:
    """By card; HostError when the file is damaged."""
    text = system.read(FILE)
    if not text:
        return {}
    try:
        return {slot: Kept(**entry) for slot, entry in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise HostError("file", "/" + FILE, f"it is damaged ({error})", "remove it") from error


def write_kept(system: System, kept: Mapping[str, Kept]) -> None:
    """Replace the file where it differs; without cards there is none."""
    if dict(kept) == read_kept(system):
        return
    if not kept:
        remove(system.path(FILE))
        return
    document = {
        slot: {"boot_id": entry.boot_id, "settings": dict(entry.settings), "version": entry.version}
        for slot, entry in kept.items()
    }
    write_atomic(system.path(FILE), json.dumps(document, indent=1, sort_keys=True) + "\n", MODE)


def not_taken(system: System, kept: Kept | None, settings: Iterable[Setting], needs_power_cycle: bool) -> list[Setting]:
    """Settings that still wait although the host was rebooted since they were set.

    A card with its own processors (BlueField) goes on running through a reboot of the host, so there it proves nothing.
    """
    if kept is None or needs_power_cycle or kept.boot_id == boot_id(system):
        return []
    return [item for item in settings if item.state == PENDING and kept.settings.get(item.name) == item.wanted]
