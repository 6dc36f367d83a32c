# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which card a name means: one card has one firmware, whatever number of functions and ports it shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import HostError
from ..system import System

#: PCI vendor of the cards that mstflint knows.
VENDOR = "0x15b3"
PCI = "sys/bus/pci/devices"

_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\Z")


@dataclass(frozen=True)
class Image:
    """A firmware image on the host and its SHA-256 in hexadecimal."""

    path: str
    sha256: str


@dataclass
class Card:
    """One card and what is wanted of it. ``slot`` is domain:bus:device, ``function`` the PCI address for the tools."""

    slot: str
    function: str
    names: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    image: Image | None = None
    minimum_version: str = ""

    def __str__(self) -> str:
        return f"NIC firmware {self.slot}"


def find_function(system: System, name: str) -> str:
    """PCI address of what the user names: an address, an interface or an RDMA device; HostError when it is none."""
    match = _ADDRESS.match(name.lower())
    if match is not None:
        address = f"{match.group(1) or '0000'}:{match.group(2)}:{match.group(3)}.{match.group(4)}"
        if not system.path(f"{PCI}/{address}").exists():
            raise HostError("NIC firmware device", name, "this host has no such PCI device", "see lspci -D")
    else:
        links = [system.path(f"sys/class/{kind}/{name}/device") for kind in ("net", "infiniband")]
        found = [link.resolve().name for link in links if "/" not in name and link.exists()]
        if not found:
            raise HostError(
                "NIC firmware device",
                name,
                "it is no PCI address, and no interface or RDMA device of this host",
                "see lspci -D, ip link and rdma link",
            )
        address = found[0]
        if _ADDRESS.match(address) is None:
            raise HostError("NIC firmware device", name, f"it belongs to no PCI function but to {address}", "")
    _check_function(system, name, address)
    return address


def _check_function(system: System, name: str, address: str) -> None:
    vendor = system.read(f"{PCI}/{address}/vendor") or "none"
    if vendor != VENDOR:
        raise HostError(
            "NIC firmware device",
            name,
            f"no mstflint device: {address} is of PCI vendor {vendor}, and mstflint knows {VENDOR} only",
            "take it off the list; firmware of other vendors is not handled here",
        )
    if system.path(f"{PCI}/{address}/physfn").exists():
        raise HostError(
            "NIC firmware device", name, f"{address} is a virtual function, which has no settings", "name its port"
        )


def find_cards(system: System, devices: Sequence[Mapping[str, Any]] | None) -> list[Card]:
    """The cards of the user's list of {device, settings, image, minimum_version}, each once, in order.

    Two functions of a dual-port card share one firmware, so what is wanted of both is put together; HostError when
    they want different things.
    """
    cards: dict[str, Card] = {}
    for item in devices or []:
        name = str(item["device"])
        function = find_function(system, name)
        slot = function.rsplit(".", 1)[0]
        card = cards.setdefault(slot, Card(slot, function))
        card.function = min(card.function, function)
        card.names.append(name)
        for key, value in (item.get("settings") or {}).items():
            _add(card, name, card.settings, str(key).upper(), setting_text(value))
        image = item.get("image")
        if image:
            wanted = Image(str(image["path"]), str(image["sha256"]).lower())
            if card.image not in (None, wanted):
                raise HostError(str(card), wanted.path, f"{' and '.join(card.names)} are one card", "give one image")
            card.image = wanted
        minimum = str(item.get("minimum_version") or "")
        if minimum:
            if card.minimum_version not in ("", minimum):
                raise HostError(
                    str(card), minimum, f"{' and '.join(card.names)} are one card", "give one minimum version"
                )
            card.minimum_version = minimum
    return list(cards.values())


def _add(card: Card, name: str, settings: dict[str, str], key: str, text: str) -> None:
    if settings.setdefault(key, text) != text:
        others = ", ".join(other for other in card.names if other != name)
        raise HostError(
            f"{card} {key}",
            text,
            f"{name} and {others} are one card, and the other wants {settings[key]}",
            "choose one",
        )


def setting_text(value: Any) -> str:
    """A setting's value as mstconfig takes it; YAML's ``true`` and ``off`` are numbers to it."""
    text = str(value).strip()
    return {"true": "1", "false": "0"}.get(text.lower(), text)


def image_file(system: System, image: Image) -> Path:
    """The image on the host; HostError when it is not there."""
    path = system.path(image.path)
    if not path.is_file():
        raise HostError("firmware image", image.path, "there is no such file on the host", "copy it there first")
    return path
