# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order in which a rollout takes the switches.

From the core outwards: the highest tier first, the leaves last. Traffic is put into a lane at the edge of the fabric,
so the edge comes when every switch behind it serves the lane; and a core switch has others beside it where a leaf often
has none, so a mistake shows first where a path is left. Within a tier the switches of one redundancy group follow each
other, one at a time: each of them carries the others' traffic meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable

from .model import Device, Fabric
from .reading import IntentError


def rollout_order(fabric: Fabric, names: Iterable[str]) -> list[str]:
    """The switches of ``names`` in the order of a rollout; its reverse is the order of a rollback.

    Groups and the switches in them keep the order of the intent's links; a group is as high as its highest member.
    Raises IntentError for a name that is no switch of the intent.
    """
    wanted = list(names)
    for name in wanted:
        if name not in fabric.devices:
            said = f"no link names this switch of the inventory; switches there: {_names(fabric.switches)}"
            raise IntentError(f"fabric.devices.{name}", said)
        if not fabric.devices[name].is_switch:
            raise IntentError(f"fabric.devices.{name}", "is a switch of the inventory and has no os; name its os")
    groups: dict[str, list[Device]] = {}
    for device in fabric.switches:
        groups.setdefault(device.group, []).append(device)
    ordered = sorted(groups.values(), key=lambda members: -max(device.tier for device in members))
    return [device.name for members in ordered for device in members if device.name in wanted]


def _names(devices: Iterable[Device]) -> str:
    return ", ".join(device.name for device in devices) or "none"
