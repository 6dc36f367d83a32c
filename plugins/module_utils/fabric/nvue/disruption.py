# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change disturbs on a Cumulus Linux switch, said before it is made.

From the user guide: starting or stopping PTP restarts ``switchd``, which resets every port; the buffer is carved anew
when the pools, the RoCE mode, PFC or the queue map change, and packets are lost meanwhile.
"""

from __future__ import annotations

from .tree import Change, Path, Tree, at, leaves, same

RESTART = "{what} restarts switchd: every port goes down and comes up again"
CARVE = "{what} carves the packet buffer anew: packets on all ports are lost for a moment"


def disruptions(change: Change, applied: Tree) -> list[str]:
    """A sentence for each thing that will be disturbed; empty when the change is a quiet one."""
    paths = [*change.unset, *(path for path, value in leaves(change.set))]
    found: list[str] = []
    for key in ("enable", "state"):
        here: Path = ("service", "ptp", "1", key)
        wanted = at(change.set, here)
        if wanted is not None:
            now = at(applied, here)
            on = wanted in ("on", "enabled")
            if on or (now is not None and not same(now, wanted)):
                found.append(RESTART.format(what="PTP " + ("on" if on else "off")))
    if any(path[:2] == ("qos", "roce") for path in paths):
        mode = at(applied, ("qos", "roce", "mode")) or "lossless"
        found.append(CARVE.format(what=f"leaving the RoCE mode ({mode})"))
    if any(path[:2] == ("qos", "traffic-pool") for path in paths):
        found.append(CARVE.format(what="a new division of the traffic pools"))
    if any(path[:2] == ("qos", "egress-queue-mapping") for path in paths):
        found.append(CARVE.format(what="a new map from priority to traffic class"))
    ports = sorted({path[1] for path in paths if path[0] == "interface" and path[2:4] == ("qos", "pfc")})
    if ports:
        found.append(f"PFC of {', '.join(ports)} changes: their headroom is carved anew and packets there are lost")
    return found
