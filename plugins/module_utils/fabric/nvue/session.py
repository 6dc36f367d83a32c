# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run against a switch: look, compare, and change in one revision or only say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..model import Fabric
from .desired import BRIDGE, desired
from .disruption import disruptions
from .plan import NvueError, plan, text, touched
from .revision import Revisions
from .switch import APPLIED, STARTUP, ConnectionLost
from .tree import Change, changed, expanded
from .version import told


@dataclass(frozen=True)
class Options:
    """Name of the bridge, what has leave, and whether the change is kept for the next boot."""

    bridge: str = BRIDGE
    disruptive_allowed: bool = False
    pending_allowed: bool = False
    save: bool = True


class Session:
    """What was found on the switch, against what the intent wants. Making one changes nothing."""

    def __init__(self, revisions: Revisions, fabric: Fabric, device: str, options: Options) -> None:
        self._revisions = revisions
        self._switch = revisions.switch
        self._options = options
        self.applied = expanded(self._switch.config(APPLIED))
        self.wanted = desired(fabric, device, told(self.applied, fabric, device), options.bridge)
        self.change = plan(self.wanted, self.applied, options.bridge)
        self.disruptions = disruptions(self.change, self.applied)
        # what is applied and not saved is gone after a boot
        self.unsaved = options.save and bool(self._left(STARTUP))
        # the revision to go back to, once there is a change to go back from
        self.previous = ""

    def _left(self, revision: str) -> Change:
        return plan(self.wanted, expanded(self._switch.config(revision)), self._options.bridge)

    def check(self) -> dict[str, Any]:
        """The module's result without a change."""
        return self._result()

    def apply(self) -> dict[str, Any]:
        """Make it so in one revision. On failure the revision applied before is applied again; NvueError says so."""
        if self.change:
            self._change()
        if self.unsaved:
            self._switch.save()
        return self._result()

    def _change(self) -> None:
        if self.disruptions and not self._options.disruptive_allowed:
            raise NvueError(
                f"{'; '.join(self.disruptions)}. Nothing was changed: give leave (disruptive_allowed) in a maintenance "
                "window"
            )
        half = Change(set=self.change.set)
        ours = (self.applied, changed(self.applied, half), changed(self.applied, self.change))
        self._revisions.refuse_others(ours, self._options.pending_allowed)
        self.previous = self._revisions.holding(self.applied)
        try:
            revision = self._switch.stage(self.change)
        except ConnectionLost as error:
            raise NvueError(f"{error}; nothing was applied, run it again when the switch answers") from error
        except NvueError as error:
            raise NvueError(f"{error}. The switch refused the change; nothing was applied") from error
        self._revisions.apply(revision, self.previous)
        left = self._left(APPLIED)
        if left:
            said = f"revision {revision} was applied and yet the switch differs: {'; '.join(left.lines())}"
            raise NvueError(f"{said}. {self._revisions.back_to(self.previous)}")

    def _result(self) -> dict[str, Any]:
        after = changed(self.applied, self.change)
        diff = {
            "before_header": APPLIED,
            "after_header": APPLIED,
            "before": text(touched(self.applied, self.change)),
            "after": text(touched(after, self.change)),
        }
        return {
            "changed": bool(self.change) or self.unsaved,
            "commands": self.change.lines() + ["nv config save"] * self.unsaved,
            "disruptions": self.disruptions,
            "previous": self.previous,
            "diff": [diff] if self.change else [],
        }
