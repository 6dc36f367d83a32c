# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the intent's lane gives a component's configuration: ToS, priority, RoCE version and path MTU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.intended import path_mtu

#: The two low bits of the ToS byte say "ECN capable" (RFC 3168), which sockets decide themselves.
_DSCP_BITS = 0xFC


def in_lane(config: Mapping[str, Any], component: str, lane: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return ``config`` with the keys that ``lane`` gives and it lacks, and which of its own keys say otherwise.

    ``lane`` is what ``host_lanes`` has of the interface; an empty one gives nothing. Of a ToS byte the DSCP counts:
    whether packets may be marked is the configuration's affair.
    """
    filled, differ = dict(config), []
    for section, keys in _wanted(config, component, lane).items():
        given = config.get(section) or {}
        filled[section] = {**given, **{key: want for key, want in keys.items() if key not in given}}
        for key, want in keys.items():
            mask = _DSCP_BITS if key == "tos" else -1
            value = given.get(key, want)
            if not isinstance(value, int) or value & mask != want & mask:
                differ.append("%s.%s is %r, the intent's lane has %d" % (section, key, value, want))
    return filled, differ


def _wanted(config: Mapping[str, Any], component: str, lane: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """By section and key; sides that are not over RDMA have no RoCE."""
    roce = lane.get("roce") or {}
    device = {}
    if "version" in roce:
        device["roce_version"] = roce["version"]
    if path_mtu(lane.get("mtu") or 0):
        device["mtu"] = path_mtu(lane["mtu"])
    tos = {"tos": roce["tos"]} if "tos" in roce else {}
    plain = {key: value & _DSCP_BITS for key, value in tos.items()}
    wanted: dict[str, dict[str, int]] = {}
    if component == "engine":
        feed, orders = ((config.get(side) or {}).get("transport") or "auto" for side in ("feed", "orders"))
        rdma_orders = orders == "verbs" or (orders == "auto" and feed == "verbs")
        wanted["orders"] = tos if rdma_orders else plain
        wanted["verbs"] = device if rdma_orders or feed == "verbs" else {}
    else:
        wanted["feed"] = plain
        datagrams = {**tos, **({"priority": roce["priority"]} if "priority" in roce else {})}
        wanted["rdma"] = {**device, **datagrams} if (config.get("rdma") or {}).get("interface") else {}
    return {section: keys for section, keys in wanted.items() if keys}
