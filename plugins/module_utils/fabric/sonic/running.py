# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on a switch: its configuration, and what the other databases say that became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .commands import Hashes, Switch
from .tables import Tables

ECN_CAPABILITY = "QUEUE_COUNTER_CAPABILITIES|WRED_ECN_QUEUE_ECN_MARKED_PKT_COUNTER"
APPL_PATTERNS = (
    "PORT_TABLE:Ethernet*",
    "BUFFER_PG_TABLE:*",
    "BUFFER_PROFILE_TABLE:*",
    "PFC_WD_TABLE_INSTORM:*",
    "LLDP_ENTRY_TABLE:*",
)
STATE_PATTERNS = ("BUFFER_MAX_PARAM_TABLE|*",)
COUNTERS_PATTERNS = ("COUNTERS_*_MAP", "COUNTERS:*", "PERSISTENT_WATERMARKS:*")


@dataclass(frozen=True)
class State:
    """CONFIG_DB as tables; hashes of APPL_DB, STATE_DB and COUNTERS_DB by key."""

    config: Tables
    appl: Hashes = field(default_factory=dict)
    state: Hashes = field(default_factory=dict)
    counters: Hashes = field(default_factory=dict)


def read_state(switch: Switch, config: Tables) -> State:
    """The state of a switch with that running configuration."""
    return State(
        config=config,
        appl=switch.hashes("APPL_DB", *APPL_PATTERNS),
        state=switch.hashes("STATE_DB", *STATE_PATTERNS),
        counters=switch.hashes("COUNTERS_DB", *COUNTERS_PATTERNS),
    )
