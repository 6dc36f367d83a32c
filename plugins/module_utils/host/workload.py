# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who trades on this host now.

The engine of role t2t_runtime trades while it has a session at the exchange or orders there. It publishes both in its
block, a file with a fixed layout (runtime/core/block.h), which is read here without the runtime: that may be broken,
or be replaced at this moment. An engine that runs and whose block cannot be read counts as trading.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import Any

from .part import Wanted
from .system import System

ENGINE = "tickwire-engine.service"
BLOCK = "run/tickwire/t2t.block"
_VERSIONS = (3, 4, 5)  # the same up to what is read here
_LIVE = 2
# magic, version, pid; then up to `state`; then up to the counters, of which open_orders is the 27th of 28.
_BLOCK = struct.Struct("<8sII 4Q 32s 64s I 9I 3Q 26Q 2Q")


def _engine_says(system: System, pid: int) -> str:
    """Why the engine with that process id trades, in words; empty when it has neither session nor orders."""
    try:
        with system.path(BLOCK).open("rb") as stream:
            data = stream.read(_BLOCK.size)
    except OSError as error:
        return f"its state cannot be read: {os.strerror(error.errno or 0)}"
    if len(data) < _BLOCK.size:
        return "its state cannot be read: the block is too short"
    values = _BLOCK.unpack(data)
    magic, version, owner, state = values[0], values[1], values[2], values[9]
    if magic != b"TICKWIRE" or version not in _VERSIONS:
        return f"its state cannot be read: this is no block of version {_VERSIONS[0]} to {_VERSIONS[-1]}"
    if owner != pid:
        return f"its state cannot be read: the block is of process {owner}, not {pid}"
    orders = values[-2] + values[-1]
    if orders:
        return f"it has {orders} open orders"
    return "it has a session at the exchange" if state == _LIVE else ""


def _show(system: System, units: list[str]) -> dict[str, Mapping[str, str]]:
    """ActiveState and MainPID of units that are there; no unit where systemd does not run the host."""
    if not system.path("run/systemd/system").is_dir():
        return {}
    rc, out, err = system.run(["systemctl", "show", "--property=Id,ActiveState,MainPID", "--", *units])
    if rc != 0:
        raise OSError(f"systemctl show ended with {rc}: {(err.strip() or out.strip()).splitlines()[-1:]}")
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in out.split("\n\n")]
    # An alias answers with the unit's own Id, so what was asked for is told apart by its place.
    return dict(zip(units, blocks))


def units_of(wanted: Wanted) -> list[str]:
    """The units that may trade: the engine's and those of ``workload_units``."""
    more: Any = wanted.get("workload_units") or []
    return [ENGINE, *(unit for unit in more if unit != ENGINE)]


def find_trading(system: System, wanted: Wanted, attempts: bool = True) -> list[str]:
    """One sentence for each unit that trades now. OSError when systemd does not answer.

    The units of ``workload_units`` trade while they are active; so does, with ``attempts``, one that is about to start
    again.
    """
    more: Any = wanted.get("workload_units") or []
    found = []
    for unit, properties in _show(system, units_of(wanted)).items():
        if properties.get("ActiveState") not in ("active", "activating", "reloading", "deactivating"):
            continue
        pid = int(properties.get("MainPID") or 0)
        if not attempts and not pid and properties["ActiveState"] == "activating":
            continue
        if unit != ENGINE or unit in more:
            found.append(f"{unit} is {properties['ActiveState']}")
        elif not pid:
            found.append(f"{unit} is {properties['ActiveState']} without a process")
        else:
            why = _engine_says(system, pid)
            if why:
                found.append(f"{unit} is {properties['ActiveState']} and {why}")
    return found
