# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An intent with a Cumulus Linux switch that has every kind of port."""

from __future__ import annotations

import copy
from typing import Any

INTENT: dict[str, Any] = {
    "name": "ldn1",
    "lanes": {
        "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
        "cnp": {"dscp": [48], "priority": 6, "strict": True},
        "bulk": {"dscp": [0, 8], "priority": 0, "share": 40, "default": True},
    },
    "vlans": {"trading": 110, "storage": {"id": 120, "lanes": ["bulk"]}},
    "storm_control": {"broadcast_percent": 1, "unknown_unicast_percent": 0.5},
    "devices": {
        "leaf1": {"os": "cumulus", "asic": "spectrum4", "version": "5.15"},
        "spine1": {"os": "cumulus", "tier": "spine", "version": "5.15"},
    },
    "links": [
        {"a": "leaf1:swp1", "b": "trade1:ens4", "speed_gbps": 100, "cable_m": 5},
        {"a": "leaf1:swp2", "b": "trade2:ens4", "speed_gbps": 100, "cable_m": 5},
        {"a": "leaf1:swp3", "b": "store1:ens4", "speed_gbps": 25, "cable_m": 0.5, "vlan": "storage"},
        {
            "a": "leaf1:swp31s0",
            "b": "spine1:swp1",
            "speed_gbps": 400,
            "cable_m": 40,
            "vlan": "trading",
            "vlans": ["storage"],
        },
        {"a": "leaf1:swp32", "b": "spine1:swp2", "speed_gbps": 400, "cable_m": 40, "vlans": ["trading", "storage"]},
    ],
}


def intent(**over: Any) -> dict[str, Any]:
    """INTENT with values at paths such as ``devices__leaf1__version``; None takes the key away."""
    found = copy.deepcopy(INTENT)
    for path, value in over.items():
        *way, last = path.split("__")
        here: Any = found
        for key in way:
            here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
        if value is None:
            del here[last]
        else:
            here[last] = value
    return found
