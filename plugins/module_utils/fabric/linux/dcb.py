# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pauses, scheduling and the DSCP map of a port whose driver has DCB, with ``dcb`` of iproute2; other ports have none.

The driver's egress scheduling is set to the same shares as ``ets`` of tc, so that both say one thing where packets do
not pass tc. Buffer sizes stay the driver's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...dcb import PRIORITIES, DcbError, NotSupported, dscp_of, dscp_words, ets_words, pfc_of, pfc_words, show
from .state import SwitchError

if TYPE_CHECKING:
    from ..model import DevicePort
    from .tools import Iproute


@dataclass(frozen=True)
class Dcb:
    """``pfc``: priorities that pause; ``prio_tc``: traffic class by priority; ``tsa`` and ``bw`` by traffic class.

    ``dscp``: (DSCP, priority), for those of the intent; empty where the PCP is trusted. ``willing``: takes the peer's.
    """

    pfc: tuple[int, ...]
    prio_tc: tuple[int, ...]
    tsa: tuple[str, ...]
    bw: tuple[int, ...]
    dscp: tuple[tuple[int, int], ...] = ()
    willing: bool = False

    def aspects(self) -> dict[str, str]:
        """What can differ, in words."""
        found = {
            "pfc": _numbers(self.pfc),
            "traffic classes": _numbers(self.prio_tc),
            "scheduling": " ".join(f"{tsa}:{bw}" for tsa, bw in zip(self.tsa, self.bw)),
            "willing": "on" if self.willing else "off",
        }
        found.update({f"dscp {dscp} priority": str(priority) for dscp, priority in self.dscp})
        return {f"dcb {key}": value for key, value in found.items()}


def desired_dcb(port: DevicePort) -> Dcb:
    """What the driver of a port has to be told, should it have DCB."""
    settings = port.settings
    by_class = {lane.traffic_class: lane for lane in settings.lanes}
    by_priority = {lane.priority: lane for lane in settings.lanes}
    classes = [by_class.get(number) for number in PRIORITIES]
    # the map is the port's: DSCPs of a lane that it does not carry are nobody's here
    dscp = sorted(
        (dscp, (lane if lane in port.lanes else settings.default_lane).priority)
        for lane in settings.lanes
        for dscp in lane.dscp
    )
    return Dcb(
        pfc=tuple(sorted(lane.priority for lane in port.lossless)),
        prio_tc=tuple(by_priority.get(prio, settings.default_lane).traffic_class for prio in PRIORITIES),
        tsa=tuple("strict" if lane is None or lane.strict else "ets" for lane in classes),
        bw=tuple((lane.share or 0) if lane else 0 for lane in classes),
        dscp=tuple(dscp) if settings.trust == "dscp" else (),
    )


def running_dcb(tools: Iproute, port: str, wanted: Dcb) -> Dcb | None:
    """What the driver has, as far as ``wanted`` has it; None without DCB. SwitchError when it can not be read."""
    pfc = _show(tools, "pfc", port)
    ets = _show(tools, "ets", port) if pfc is not None else None
    if pfc is None or ets is None:
        return None
    entries = dscp_of(_show(tools, "app", port) or {})
    return Dcb(
        pfc=tuple(pfc_of(pfc)),
        prio_tc=tuple(ets["prio_tc"]),
        tsa=tuple(ets["tc_tsa"]),
        bw=tuple(ets["tc_bw"]),
        dscp=tuple((dscp, entries[dscp][-1]) for dscp, priority in wanted.dscp if dscp in entries),
        willing=bool(ets["willing"]),
    )


def _show(tools: Iproute, what: str, port: str) -> dict[str, Any] | None:
    if "dcb" not in tools.paths:
        return None
    try:
        return show(lambda argv: tools.run(argv, ""), tools.paths["dcb"], what, port)
    except NotSupported:
        return None
    except DcbError as error:
        raise SwitchError(str(error)) from error


def dcb_lines(port: str, wanted: Dcb | None, running: Dcb | None) -> list[str]:
    """Lines for ``dcb -batch`` from ``running`` to ``wanted``; none where the driver has no DCB."""
    if wanted is None or running is None:
        return []
    lines = []
    if wanted.pfc != running.pfc:
        lines.append(pfc_words(port, wanted.pfc))
    scheduling = (wanted.prio_tc, wanted.tsa, wanted.bw, wanted.willing)
    if scheduling != (running.prio_tc, running.tsa, running.bw, running.willing):
        lines.append(ets_words(port, wanted.willing, wanted.prio_tc, wanted.tsa, wanted.bw))
    different = sorted(set(wanted.dscp) - set(running.dscp))
    if different:
        lines.append(dscp_words("replace", port, different))
    gone = sorted({dscp for dscp, priority in running.dscp} - {dscp for dscp, priority in wanted.dscp})
    if gone:
        had = dict(running.dscp)
        lines.append(dscp_words("del", port, [(dscp, had[dscp]) for dscp in gone]))
    return [" ".join(line) for line in lines]


def _numbers(values: Sequence[int]) -> str:
    return " ".join(map(str, values)) or "none"
