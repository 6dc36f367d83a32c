# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Cumulus Linux switch was read to have, compared with the intent field by field.

The applied configuration has to be the wanted one within what is ours, and what the hardware tells of each port has to
agree where it tells it. Marking thresholds come back rounded up to 64 cells: 150000 bytes are 159744 on Spectrum-4 and
156672 on a chip with cells of 144 bytes (user guide, "RDMA over Converged Ethernet").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..asic import asic_of
from ..findings import ERROR, WARNING, Finding
from ..model import DevicePort, Fabric
from .desired import BRIDGE, PREFIX, desired
from .plan import plan
from .tree import Path, Tree, at, leaves
from .values import quantity

MARKS_CELLS = 64
# what is read of each port
OPERATIONAL: tuple[Path, ...] = (("link",), ("qos", "pfc"), ("qos", "congestion-control"), ("qos", "pfc-watchdog"))
ON = ("enable", "enabled", "yes", "on")
AGAIN = "run the role again, and look who else configures the switch ('nv config history')"


@dataclass(frozen=True)
class State:
    """The applied configuration, and per port what :data:`OPERATIONAL` answered. ``version``: what the switch says."""

    applied: Tree
    ports: Mapping[str, Mapping[Path, Any]] = field(default_factory=dict)
    version: str | None = None


def drift(fabric: Fabric, device: str, state: State, bridge: str = BRIDGE) -> list[Finding]:
    """Errors where what is ours differs, warnings where what is not ours contradicts the intent."""
    wanted = desired(fabric, device, state.version, bridge)
    return [
        *_configured(device, wanted, state.applied, bridge),
        *(
            finding
            for port in fabric.ports_of(device)
            for finding in _running(fabric, device, port, state.ports.get(port.name, {}))
        ),
        *_unmanaged(fabric, device, wanted, state.applied, bridge),
    ]


def _configured(device: str, wanted: Tree, applied: Tree, bridge: str) -> Iterator[Finding]:
    change = plan(wanted, applied, bridge)
    for path, value in leaves(change.set):
        now = at(applied, path)
        is_now = "missing" if now is None else f"{now}"
        wish = "" if value == {} else f", wanted {value}"
        yield _finding(device, path, f"is {is_now}{wish}; {AGAIN}")
    for path in change.unset:
        yield _finding(device, path, f"is there and has to go; {AGAIN}")


def _finding(device: str, path: Path, message: str, severity: str = ERROR) -> Finding:
    port = path[1] if path[0] == "interface" else ""
    where = f"{device}:{port} " + " ".join(path[2:]) if port else f"{device} " + " ".join(path)
    rule = "drift" if severity == ERROR else "drift-unmanaged"
    return Finding(severity, rule, where, message, device=device, port=port)


def _running(fabric: Fabric, device: str, port: DevicePort, found: Mapping[Path, Any]) -> Iterator[Finding]:
    here: Path = ("interface", port.name)
    mtu = at(found.get(("link",), {}), ("mtu",))
    if mtu is not None and str(mtu) != str(port.mtu):
        yield _finding(device, (*here, "link", "mtu"), f"runs with {mtu}, wanted {port.mtu}; {AGAIN}")
    if port.lossless:
        yield from _running_pfc(device, port, found)
    marks = at(found.get(("qos", "congestion-control"), {}), ("traffic-class",)) or {}
    unit = MARKS_CELLS * asic_of(fabric.devices[device]).cell_bytes
    for lane in port.lanes:
        there = marks.get(str(lane.traffic_class)) if isinstance(marks, Mapping) else None
        if lane.ecn is None or not isinstance(there, Mapping):
            continue
        path = (*here, "qos", "congestion-control", "traffic-class", str(lane.traffic_class))
        ecn = lane.ecn.at_speed(port.speed_gbps)
        for key, wish in (("min-threshold", ecn.kmin_bytes), ("max-threshold", ecn.kmax_bytes)):
            got = quantity(there.get(key))
            if got and not wish - got.slack <= got.value < wish + unit + got.slack:
                said = f"runs with {there[key]}, wanted {wish} bytes, rounded up by less than {unit}; {AGAIN}"
                yield _finding(device, (*path, key), said)
        if "ecn" in there and there["ecn"] not in ON:
            yield _finding(device, (*path, "ecn"), f"is {there['ecn']}; {AGAIN}")


def _running_pfc(device: str, port: DevicePort, found: Mapping[Path, Any]) -> Iterator[Finding]:
    here: Path = ("interface", port.name, "qos")
    pfc = found.get(("qos", "pfc"), {})
    there = at(pfc, ("switch-priority",))
    if there is not None:
        got = {str(one) for one in there} if isinstance(there, (Mapping, list)) else set(str(there).split(","))
        wish = {str(lane.priority) for lane in port.lossless}
        if got != wish:
            said = f"runs with {', '.join(sorted(got)) or 'none'}, wanted {', '.join(sorted(wish))}; {AGAIN}"
            yield _finding(device, (*here, "pfc", "switch-priority"), said)
    for key in ("rx", "tx"):
        if at(pfc, (key,)) not in (None, *ON):
            yield _finding(device, (*here, "pfc", key), f"is {pfc[key]}, wanted enable; {AGAIN}")
    state = at(found.get(("qos", "pfc-watchdog"), {}), ("state",))
    if state not in (None, *ON):
        yield _finding(device, (*here, "pfc-watchdog", "state"), f"is {state}, wanted enable; {AGAIN}")


def _unmanaged(fabric: Fabric, device: str, wanted: Tree, applied: Tree, bridge: str) -> Iterator[Finding]:
    """What nobody asked us to change and yet is against the intent."""
    vids = {str(vlan.vid): vlan.name for port in fabric.ports_of(device) for vlan in port.vlans}
    for port, content in (at(applied, ("interface",)) or {}).items():
        here: Path = ("interface", port)
        if port in wanted["interface"]:
            remark = at(content, ("qos", "remark", "profile"))
            if remark is not None:
                said = (
                    f"profile {remark} rewrites the markings by which the next switch tells lanes apart; take it away"
                )
                yield _finding(device, (*here, "qos", "remark"), said, WARNING)
            continue
        profile = at(content, ("qos", "pfc", "profile"))
        if profile is not None and not str(profile).startswith(PREFIX):
            said = f"profile {profile}: pauses on a port that no link of the intent names; add the link or take it away"
            yield _finding(device, (*here, "qos", "pfc"), said, WARNING)
        member = at(content, ("bridge", "domain", bridge)) or {}
        there = {str(member.get("access")), str(member.get("untagged")), *(member.get("vlan") or {})}
        for vid in sorted(there & set(vids)):
            said = f"is in VLAN {vid} ({vids[vid]}) and no link of the intent names it; add the link or take it out"
            yield _finding(device, (*here, "bridge"), said, WARNING)
    if at(applied, ("qos", "pfc", "default-global", "switch-priority")):
        said = "every port without a profile pauses; no link of the intent asks for it"
        yield _finding(device, ("qos", "pfc", "default-global"), said, WARNING)
    ptp = at(applied, ("service", "ptp", "1")) or {}
    if fabric.devices[device].settings.ptp.role == "none" and {ptp.get("enable"), ptp.get("state")} & set(ON):
        said = "PTP is on and fabric.ptp.role is none; say boundary, or turn it off (which restarts switchd)"
        yield _finding(device, ("service", "ptp", "1"), said, WARNING)
