# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of the configuration will disrupt, told before it is made."""

from __future__ import annotations

import re

from .plan import differences
from .tables import Tables

# what `config apply-patch` says when the tables may not be changed on this platform while it runs
ILLEGAL = re.compile(r"is illegal|illegal on field", re.IGNORECASE)
# an image from before the generic configuration updater
UNKNOWN = re.compile(r"No such command")


def needs_restart(running: Tables, wanted: Tables) -> str:
    """Why a patch of the running switch is not enough, from the change alone; empty when it may be."""
    for (table, name, field), before, after in differences(running, wanted):
        if (table, name, field) == ("DEVICE_METADATA", "localhost", "buffer_model"):
            return f"buffer_model {before or 'traditional'} -> {after} counts from the start of the buffer manager"
    return ""


def refused_by_platform(said: str) -> bool:
    """Whether the switch refused the patch only because these tables need a reload."""
    return bool(ILLEGAL.search(said) or UNKNOWN.search(said))


def disruptions(reason: str) -> list[str]:
    """A sentence for each thing that the change disrupts. ``reason``: why it needs a reload; empty when it does not."""
    if not reason:
        return []
    return [f"config reload: every port goes down while SONiC's services start again, because {reason}"]
