# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Both ends of every link mean the same: maps, pauses, sizes, clocks; and the whole fabric has one lossless set.

What a device says of itself alone (shares of 100, no lossless lane strict, no DSCP in two lanes) the parser has
checked. Every rule looks once at each link or device, and settings that many share are compared once.
"""

from __future__ import annotations

from collections.abc import Iterator

from .findings import ADVICE, ERROR, WARNING, Finding
from .model import Device, Fabric, Link
from .settings import Lane, Settings

CNP_DSCP = 48  # what NICs mark congestion notifications with unless told otherwise
CABLE_M_ADVISED = 300  # the longest cable of the tables that vendors publish for lossless lanes
# systems whose configuration is written in two ways, and from which version on the second is in force
NEEDS_VERSION = {"cumulus": "5.15 renamed keys of NVUE"}

Said = tuple[str, str, str]  # severity, rule, message with {a} and {b} for the ends


def consistency_findings(fabric: Fabric) -> Iterator[Finding]:
    """All rules over the links, then those over devices, then those over paths."""
    yield from _links(fabric)
    yield from _devices(fabric)
    yield from _paths(fabric)


def _links(fabric: Fabric) -> Iterator[Finding]:
    known: dict[tuple[int, int, tuple[str, ...]], tuple[Said, ...]] = {}
    for index, link in enumerate(fabric.links):
        one, other = (fabric.devices[end.device] for end in link.ends)
        a, b = one.at(link.a.port), other.at(link.b.port)
        key = (id(a), id(b), link.lanes)
        if key not in known:
            known[key] = () if a is b else tuple(_ends(a, b, link.lanes))
        for severity, rule, said in (*known[key], *_mtu(one, other, link), *_ptp(one, other, link), *_cable(a, link)):
            message = said.replace("{a}", str(link.a)).replace("{b}", str(link.b))
            yield Finding(severity, rule, f"fabric.links[{index}]", message, link=index)


def _ends(a: Settings, b: Settings, names: tuple[str, ...]) -> Iterator[Said]:
    """What the settings of both ends say of the lanes ``names`` that the link carries."""
    if a.trust != b.trust:
        yield ERROR, "trust", f"{{a}} trusts {a.trust} and {{b}} {b.trust}; packets change lane on the way; set one"
    for name in names:
        mine, theirs = a.lane(name), b.lane(name)
        if set(mine.dscp) != set(theirs.dscp):
            said = (
                f"lane {name} has DSCP {_list(mine)} at {{a}} and {_list(theirs)} at {{b}}; packets change lane on it"
            )
            yield ERROR, "dscp-map", said
        if mine.priority != theirs.priority:
            said = (
                f"lane {name} has priority {mine.priority} at {{a}} and {theirs.priority} at {{b}}; "
                "a pause would stop another lane; set one"
            )
            yield ERROR, "priority-map", said
        if mine.lossless != theirs.lossless:
            ends = ("{a}", "{b}") if mine.lossless else ("{b}", "{a}")
            said = f"lane {name} is lossless at {ends[0]} and not at {ends[1]}, which ignores its pauses; set one"
            yield ERROR, "lossless-ends", said
        elif a.priority_group(mine) != b.priority_group(theirs) and mine.priority == theirs.priority:
            said = (
                f"lane {name} is in priority group {a.priority_group(mine)} at {{a}} and "
                f"{b.priority_group(theirs)} at {{b}}; their counters can not be compared"
            )
            yield WARNING, "priority-group-map", said
        if mine.traffic_class != theirs.traffic_class:
            said = (
                f"lane {name} is in traffic class and queue {mine.traffic_class} at {{a}} and {theirs.traffic_class} "
                "at {b}; their counters can not be compared; set one"
            )
            yield WARNING, "queue-map", said


def _list(lane: Lane) -> str:
    return ", ".join(str(dscp) for dscp in sorted(lane.dscp))


def _mtu(one: Device, other: Device, link: Link) -> Iterator[Said]:
    a, b = one.mtu_at(link.a.port), other.mtu_at(link.b.port)
    if a == b:
        return
    if one.is_switch != other.is_switch:
        switch, host = (a, b) if one.is_switch else (b, a)
        if switch < host:
            at = ("{a}", "{b}") if one.is_switch else ("{b}", "{a}")
            said = f"MTU {switch} of {at[0]} is below {host} of the host's {at[1]}; the switch would drop its packets"
            yield ERROR, "mtu", said
    else:
        yield ERROR, "mtu", f"MTU {a} at {{a}} and {b} at {{b}}; the smaller drops what the larger sends; set one"


def _ptp(one: Device, other: Device, link: Link) -> Iterator[Said]:
    a, b = one.at(link.a.port).ptp, other.at(link.b.port).ptp
    if a is b and one.is_switch == other.is_switch:
        return
    speaks = [ptp.enabled and (ptp.role != "none" or not device.is_switch) for device, ptp in ((one, a), (other, b))]
    if not (one.is_switch and a.role != "none") and not (other.is_switch and b.role != "none"):
        return
    if speaks[0] and speaks[1]:
        if a.domain != b.domain:
            said = f"PTP domain {a.domain} at {{a}} and {b.domain} at {{b}}; neither hears the other; set one"
            yield ERROR, "ptp-domain", said
        if a.transport != b.transport:
            said = f"PTP over {a.transport} at {{a}} and {b.transport} at {{b}}; neither hears the other; set one"
            yield ERROR, "ptp-transport", said
    elif one.is_switch and other.is_switch and speaks[0] != speaks[1]:
        ends = ("{a}", "{b}") if speaks[0] else ("{b}", "{a}")
        said = (
            f"PTP is spoken at {ends[0]} and not at {ends[1]}; time ends there; give {ends[1]} a role, or disable both"
        )
        yield WARNING, "ptp-one-end", said


def _cable(settings: Settings, link: Link) -> Iterator[Said]:
    if link.cable_m > CABLE_M_ADVISED and any(lane.lossless and lane.name in link.lanes for lane in settings.lanes):
        said = (
            f"a cable of {link.cable_m:g} m with lossless lanes is beyond {CABLE_M_ADVISED} m, the longest of the "
            "vendors' tables; check the length, or carry only lossy lanes on it"
        )
        yield WARNING, "cable-length", said


def _devices(fabric: Fabric) -> Iterator[Finding]:
    """One lossless set, whose pauses a watchdog ends; the version where the configuration depends on it."""
    wanted = fabric.settings.lossless
    for where, settings, base, name, port in _settings(fabric):
        if base and (settings.lanes, settings.watchdog.action) == (base.lanes, base.watchdog.action):
            continue  # told where it is said
        names = [lane.name for lane in settings.lossless]
        if names != [lane.name for lane in wanted]:
            said = (
                f"lossless here: {', '.join(names) or 'none'}; in the fabric: "
                f"{', '.join(lane.name for lane in wanted) or 'none'}; a lane is lossless everywhere or nowhere"
            )
            yield Finding(ERROR, "lossless-set", f"{where}.lanes", said, name, port)
        if names and settings.watchdog.action == "alert":
            said = "action alert only reports a storm of pauses, which then stops the fabric; set drop or forward"
            yield Finding(WARNING, "watchdog-action", f"{where}.watchdog", said, name, port)
        if names:
            notes = settings.lane_of_dscp(CNP_DSCP)
            if notes.lossless:
                said = (
                    f"DSCP {CNP_DSCP}, which NICs give congestion notifications, is in the lossless lane {notes.name}; "
                    "they must not wait for a pause; give them a lossy lane"
                )
                yield Finding(ERROR, "cnp-lossless", f"{where}.lanes.{notes.name}", said, name, port)
            elif notes.default and CNP_DSCP not in notes.dscp:
                said = (
                    f"no lane has DSCP {CNP_DSCP}, which NICs give congestion notifications; they wait behind "
                    f"{notes.name}, the default; give them a strict lane"
                )
                yield Finding(ADVICE, "cnp-lane", f"{where}.lanes", said, name, port)
    for device in fabric.switches:
        if device.os in NEEDS_VERSION and device.version is None:
            said = f"{device.os} without a version: {NEEDS_VERSION[device.os]}; give the version that the switch runs"
            yield Finding(WARNING, "version", f"fabric.devices.{device.name}.version", said, device.name)


def _settings(fabric: Fabric) -> Iterator[tuple[str, Settings, Settings | None, str, str]]:
    """Every settings with where they are, those that they are laid over, and of which device and port they are."""
    yield "fabric", fabric.settings, None, "", ""
    for device in fabric.devices.values():
        yield f"fabric.devices.{device.name}", device.settings, fabric.settings, device.name, ""
        for port, settings in device.port_settings.items():
            yield f"fabric.devices.{device.name}.ports.{port}", settings, device.settings, device.name, port


def _paths(fabric: Fabric) -> Iterator[Finding]:
    """A lane has to be on every link that its packets take."""
    if not fabric.paths:
        return
    carried: dict[tuple[str, str], set[str]] = {}
    for link in fabric.links:
        for one, other in (link.ends, link.ends[::-1]):
            carried.setdefault((one.device, other.device), set()).update(link.lanes)
    for index, path in enumerate(fabric.paths):
        for number, hop in enumerate(zip(path.hops, path.hops[1:])):
            if path.lane not in carried[hop]:
                said = (
                    f"no link from {hop[0]} to {hop[1]} carries lane {path.lane} of path {path.name}; its packets lose "
                    "lane and headroom there; add the lane to a VLAN of the link"
                )
                yield Finding(ERROR, "lane-on-path", f"fabric.paths[{index}].hops[{number + 1}]", said, hop[1])
