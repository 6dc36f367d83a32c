# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Intents for the tests of the plan."""

from __future__ import annotations

from typing import Any

LANES: dict[str, Any] = {
    "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 50},
    "cnp": {"dscp": [48], "priority": 6, "strict": True},
    "bulk": {"dscp": [0], "priority": 0, "share": 50, "default": True},
}


def star(hosts: int = 2, speed_gbps: int = 100, cable_m: float = 5, **leaf: Any) -> dict[str, Any]:
    """Hosts h0, h1, ... on one SONiC leaf with Spectrum-3."""
    return {
        "name": "star",
        "mtu": {"host": 9000, "switch": 9214},
        "lanes": LANES,
        "lldp": {"dcbx": False},
        "vlans": {"trading": 110},
        "devices": {"leaf1": {"os": "sonic", "asic": "spectrum3", **leaf}},
        "links": [
            {"a": f"leaf1:Ethernet{port}", "b": f"h{port}:e0", "speed_gbps": speed_gbps, "cable_m": cable_m}
            for port in range(hosts)
        ],
    }


def racks(**more: Any) -> dict[str, Any]:
    """Two SONiC leaves with a host each, h1 and h2, below two spines; 25 Gb/s to the hosts, 100 between switches."""
    return {
        "name": "racks",
        "mtu": {"host": 9000, "switch": 9214},
        "lanes": LANES,
        "lldp": {"dcbx": False},
        "vlans": {"trading": 110},
        "devices": {
            "leaf1": {"os": "sonic", "asic": "spectrum3"},
            "leaf2": {"os": "sonic", "asic": "spectrum3"},
            "spine1": {"os": "sonic", "tier": "spine", "asic": "spectrum3"},
            "spine2": {"os": "sonic", "tier": "spine", "asic": "spectrum3"},
        },
        "links": [
            {"a": "leaf1:Ethernet0", "b": "h1:e0", "speed_gbps": 25, "cable_m": 2},
            {"a": "h2:e0", "b": "leaf2:Ethernet0", "speed_gbps": 25, "cable_m": 2},
            {"a": "leaf1:Ethernet4", "b": "spine1:Ethernet0", "speed_gbps": 100, "cable_m": 20},
            {"a": "leaf1:Ethernet8", "b": "spine2:Ethernet0", "speed_gbps": 100, "cable_m": 20},
            {"a": "spine1:Ethernet4", "b": "leaf2:Ethernet4", "speed_gbps": 100, "cable_m": 20},
            {"a": "spine2:Ethernet4", "b": "leaf2:Ethernet8", "speed_gbps": 100, "cable_m": 20},
        ],
        **more,
    }
