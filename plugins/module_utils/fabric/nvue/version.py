# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version that a switch says it runs."""

from __future__ import annotations

import re

from ..model import Fabric
from .plan import NvueError
from .tree import Tree, at

IN_HEADER = re.compile(r"5\.\d+(?:\.\d+)*")
DIGITS = re.compile(r"\d+")


def told(applied: Tree, fabric: Fabric, device: str) -> str | None:
    """The version in the header of the configuration; None without one. NvueError when the intent says another."""
    found = IN_HEADER.search(str(at(applied, ("header", "version")) or ""))
    intent = fabric.devices.get(device)
    said = intent.version if intent else None
    if found and said and DIGITS.findall(said)[:2] != DIGITS.findall(found.group())[:2]:
        raise NvueError(
            f"{device} runs Cumulus Linux {found.group()} and fabric.devices.{device}.version says {said}; "
            "correct the intent"
        )
    return found.group() if found else None
