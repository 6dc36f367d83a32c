# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of interrupts until the next boot: which cannot be moved, and where the moved ones were before.

It is kept below /run, since the kernel numbers interrupts anew and gives them their own affinity at every boot.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .files import remove, write_atomic
from .irq import Irq
from .system import System

#: The agent's units make it for themselves, as they may write nowhere else below /run. Not the engine's user's.
DIRECTORY = "run/tickwire-host"
FILE = f"{DIRECTORY}/irq.json"


@dataclass
class IrqState:
    """unmovable: by number, who uses the interrupt; before: by path, who used it and the CPUs; plan: Plan.key."""

    unmovable: dict[str, str] = field(default_factory=dict)
    before: dict[str, tuple[str, str]] = field(default_factory=dict)
    plan: str = ""

    def cannot_move(self, irq: Irq) -> bool:
        """Whether an attempt to move this interrupt failed; a number that was given to another user is another one."""
        return not irq.writable or self.unmovable.get(str(irq.number)) == irq.actions


def read_state(system: System) -> IrqState | None:
    """What is kept; None where nothing was ever tried since the boot, or what is there makes no sense."""
    try:
        kept = json.loads(system.read(FILE) or "null")
        if not isinstance(kept, dict):
            return None
        before = {str(path): (str(user), str(cpus)) for path, (user, cpus) in kept["before"].items()}
        return IrqState(dict(kept["unmovable"]), before, str(kept["plan"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(system: System, state: IrqState) -> None:
    """Keep it where it says something new; nothing is kept without a plan."""
    if not state.plan:
        remove(system.path(FILE))
    elif read_state(system) != state:
        kept = {"unmovable": state.unmovable, "before": state.before, "plan": state.plan}
        write_atomic(system.path(FILE), json.dumps(kept, indent=1, sort_keys=True) + "\n")
