# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every part of a host gives: a check before anything is changed, the running state, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .system import System

#: All that is wanted of a host: the variables of role roce_host without their prefix. What is missing is left alone.
Wanted = Mapping[str, Any]


@dataclass(frozen=True)
class Drift:
    """One thing that is not as wanted; ``pending_reboot`` where a reboot that is due anyway sets it right."""

    item: str
    wanted: str
    found: str
    pending_reboot: bool = False

    def __str__(self) -> str:
        return f"{self.item}: wanted '{self.wanted}', found '{self.found}'"


@dataclass(frozen=True)
class Part:
    """One subject of the host. None of the first three writes anything.

    check: HostError when this host cannot be as wanted; drift: everything that is not as wanted, where the bool says
    that the boot parameters are written and wait for a reboot; running: what the report says, as plain data.
    reapply: for what does not survive a boot or a link event of an interface: sets it again and returns in words what
    it changed, nothing when all was right. The agent calls it, with ``bounce_allowed`` in Wanted as the judgement of
    this moment: True when the role allows that a link goes down for it and nothing trades, or a window is open.
    keeps: whether former values are kept on this host, so that the module has work even where nothing is wanted any
    more. A part without it always has.
    """

    name: str
    check: Callable[[System, Wanted], None]
    drift: Callable[[System, Wanted, bool], list[Drift]]
    running: Callable[[System, Wanted], dict[str, Any]]
    reapply: Callable[[System, Wanted, str], list[str]] | None = None
    keeps: Callable[[System], bool] | None = None
