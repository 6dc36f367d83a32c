# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a session needs of a switch, whichever way it is reached, and what the states of a revision mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .plan import NvueError
from .tree import Change

APPLIED, STARTUP = "applied", "startup"
# names that stand for a revision
NAMES = (APPLIED, STARTUP, "pending", "operational", "empty")
DONE = ("applied", "applied_and_saved", "auto_save", "auto_saving", "save", "saving", "saved")
PENDING = "pending"
# refused before anything was changed on the switch
REFUSED = ("invalid", "verify_error", "ays_fail", "ays_no", "ready_error")
# stopped on the way
BROKEN = ("apply_error", "apply_fail", "ignore_fail", "ignore_fail_no", "confirm_fail", "confirm_no")
AT_REST = (*DONE, *REFUSED, *BROKEN, PENDING, "detached", "inactive")


class ConnectionLost(NvueError):
    """The switch did not answer; what was asked may or may not have reached it."""


@dataclass(frozen=True)
class Progress:
    """State of a revision, and what NVUE says of it."""

    state: str
    said: str = ""


class Switch(Protocol):
    """NVUE on one switch. Every method may raise NvueError; ConnectionLost where the answer did not come."""

    def config(self, revision: str) -> dict[str, Any]:
        """What is set in a revision, without defaults."""

    def revisions(self) -> dict[str, str]:
        """Revision -> state."""

    def stage(self, change: Change) -> str:
        """A new pending revision with the change in it."""

    def start(self, revision: str) -> None:
        """Begin to apply."""

    def progress(self, revision: str) -> Progress:
        """Where applying has got to."""

    def save(self) -> None:
        """Make what is applied the configuration of the next boot."""

    def discard(self, revision: str) -> None:
        """Let go of a pending revision."""

    def show(self, *path: str) -> Any:
        """Operational state; an empty mapping where the switch has none."""


def issues(answer: Mapping[str, Any]) -> str:
    """The complaints in a revision's ``transition``, in one line."""
    transition = answer.get("transition") or {}
    found = [str(one.get("message", one)) for one in (transition.get("issue") or {}).values() if isinstance(one, dict)]
    return "; ".join(found) or str(transition.get("progress") or "")
