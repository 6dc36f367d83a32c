# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why an interface cannot have a DCB setting, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import HostError
from ..system import System
from .rivals import firmware_agents, global_pause
from .running import Running


def refusal(system: System, name: str, what: str, target: Mapping[str, Any], said: str) -> HostError:
    """Why a driver refuses, where that is known. dcb of 6.1 says nothing then: it shows when it is read back."""
    item, value = f"dcb {what} of {name}", json.dumps(next(iter(target.values())) if len(target) == 1 else dict(target))
    pause = global_pause(system, name) if target.get("pfc") else []
    if pause:
        rule = f"global pause is on ({', '.join(pause)}), which excludes pauses by priority ({said})"
        return HostError(item, value, rule, "turn it off with pause in roce_host_nics")
    firmware = firmware_agents(system, name)
    if firmware:
        return HostError(
            item,
            value,
            f"the NIC's firmware has DCB (private flag {', '.join(firmware)}): {said}",
            "set stop_firmware_agents",
        )
    step = "look at the driver's messages in dmesg, and for another program that sets DCB (lldpad)"
    return HostError(item, value, said, step)


def check_capacity(name: str, fields: Mapping[str, Mapping[str, Any]], running: Running) -> None:
    """HostError where the driver tells that it has not so many pausing priorities or traffic classes."""
    pausing = fields.get("pfc", {}).get("pfc", [])
    most = running.capacity.get("pfc_cap")
    if most is not None and len(pausing) > most:
        raise HostError(f"dcb pfc of {name}", pausing, f"its driver pauses {most} priorities at most")
    classes = fields.get("ets", {}).get("prio_tc", [])
    most = running.capacity.get("ets_cap")
    if most is not None and max(classes, default=0) >= most:
        raise HostError(
            f"dcb ets of {name}",
            classes,
            f"its driver has {most} traffic classes, 0 to {most - 1}",
            "give the lanes of the intent a traffic_class within",
        )
