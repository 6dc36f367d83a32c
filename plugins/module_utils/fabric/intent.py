# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the ``fabric`` variable to a :class:`Fabric`, or a refusal that names the path and the reason.

Checks here are those that need nothing but the intent's own text; what needs arithmetic over the topology
(headroom, deadlock, ECN before PFC) is the plan's.
"""

from __future__ import annotations

import re

from . import reading
from .model import DEFAULT_PMAX, Ecn, Endpoint, Fabric, Lane, Link, Mtu, Vlan, Watchdog
from .reading import IntentError

__all__ = ["Fabric", "IntentError", "parse_intent"]

ROOT = "fabric"
SPEEDS_GBPS = (1, 10, 25, 40, 50, 100, 200, 400, 800, 1600)
ACTIONS = ("drop", "forward", "alert")
DEFAULT_VLAN = "trading"
CNP_LANE = "cnp"
KB_MAX = 100_000  # 100 MB, the order of the largest switch buffers
CABLE_M_MAX = 10_000
MTU_RANGE = (1280, 9216)
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._-]*")


def parse_intent(intent: object) -> Fabric:
    """The typed fabric of the plain mapping under ``fabric``. Raises IntentError at the first thing that is wrong."""
    found = reading.section(
        intent, ROOT, ("name", "lanes", "vlans", "links"), ("roce_version", "trust", "mtu", "watchdog")
    )
    roce_version = reading.choice(found.get("roce_version", 2), f"{ROOT}.roce_version", (1, 2))
    trust = reading.choice(found.get("trust", "dscp"), f"{ROOT}.trust", ("dscp", "pcp"))
    if roce_version == 1 and trust == "dscp":
        raise IntentError(f"{ROOT}.trust", "dscp needs roce_version 2; version 1 has no IP header, trust pcp with it")
    vlans = _vlans(found["vlans"])
    return Fabric(
        name=reading.name(found["name"], f"{ROOT}.name"),
        roce_version=roce_version,
        trust=trust,
        mtu=_mtu(found.get("mtu", {})),
        lanes=_lanes(found["lanes"]),
        vlans=vlans,
        watchdog=_watchdog(found.get("watchdog", {})),
        links=_links(found["links"], vlans),
    )


def _mtu(value: object) -> Mtu:
    path = f"{ROOT}.mtu"
    found = reading.section(value, path, (), ("host", "switch"))
    host = reading.integer(found.get("host", Mtu.host), f"{path}.host", *MTU_RANGE)
    switch = reading.integer(found.get("switch", max(Mtu.switch, host)), f"{path}.switch", *MTU_RANGE)
    if switch < host:
        raise IntentError(path, f"switch {switch} is below host {host}; the switch would drop the hosts' packets")
    return Mtu(host, switch)


def _watchdog(value: object) -> Watchdog:
    path = f"{ROOT}.watchdog"
    found = reading.section(value, path, (), ("detect_ms", "restore_ms", "action"))
    return Watchdog(
        # the ranges SONiC's PFC_WD table allows, the narrowest of the switch systems
        detect_ms=reading.integer(found.get("detect_ms", Watchdog.detect_ms), f"{path}.detect_ms", 100, 5000),
        restore_ms=reading.integer(found.get("restore_ms", Watchdog.restore_ms), f"{path}.restore_ms", 100, 60_000),
        action=reading.choice(found.get("action", Watchdog.action), f"{path}.action", ACTIONS),
    )


def _vlans(value: object) -> tuple[Vlan, ...]:
    path = f"{ROOT}.vlans"
    vlans: list[Vlan] = []
    for key, vid in reading.mapping(value, path).items():
        here = f"{path}.{key}"
        vlan = Vlan(reading.name(key, here), reading.integer(vid, here, 1, 4094))
        for other in vlans:
            if other.vid == vlan.vid:
                raise IntentError(here, f"{vlan.vid} is already the VLAN of {path}.{other.name}")
        vlans.append(vlan)
    if not vlans:
        raise IntentError(path, "is empty; at least the trading VLAN is needed")
    return tuple(vlans)


def _lanes(value: object) -> tuple[Lane, ...]:
    path = f"{ROOT}.lanes"
    lanes = tuple(_lane(key, lane, f"{path}.{key}") for key, lane in reading.mapping(value, path).items())
    if not lanes:
        raise IntentError(path, "is empty; at least the default lane is needed")
    dscp_owner: dict[int, Lane] = {}
    priority_owner: dict[int, Lane] = {}
    for lane in lanes:
        for index, dscp in enumerate(lane.dscp):
            other = dscp_owner.setdefault(dscp, lane)
            if other is not lane:
                raise IntentError(f"{path}.{lane.name}.dscp[{index}]", f"{dscp} belongs to {path}.{other.name} already")
        other = priority_owner.setdefault(lane.priority, lane)
        if other is not lane:
            raise IntentError(f"{path}.{lane.name}.priority", f"{lane.priority} belongs to {path}.{other.name} already")
    defaults = [lane.name for lane in lanes if lane.default]
    if len(defaults) != 1:
        said = f"{', '.join(defaults)} all have it" if defaults else "no lane has it"
        raise IntentError(path, f"exactly one lane has to be default: true, {said}")
    shares = [(lane.name, lane.share) for lane in lanes if lane.share is not None]
    total = sum(share for name, share in shares)
    if shares and total != 100:
        said = " + ".join(f"{name} {share}" for name, share in shares)
        raise IntentError(path, f"the shares of the lanes that are not strict add up to {total} ({said}), not to 100")
    return lanes


def _lane(key: str, value: object, path: str) -> Lane:
    name = reading.name(key, path)
    found = reading.section(value, path, ("dscp", "priority"), ("lossless", "strict", "share", "default", "ecn"))
    dscp: list[int] = []
    for index, item in enumerate(reading.sequence(found["dscp"], f"{path}.dscp")):
        number = reading.integer(item, f"{path}.dscp[{index}]", 0, 63)
        if number in dscp:
            raise IntentError(f"{path}.dscp[{index}]", f"{number} is twice in this lane")
        dscp.append(number)
    priority = reading.integer(found["priority"], f"{path}.priority", 0, 7)
    lossless = reading.boolean(found.get("lossless", False), f"{path}.lossless")
    strict = reading.boolean(found.get("strict", False), f"{path}.strict")
    if lossless and name == CNP_LANE:
        raise IntentError(f"{path}.lossless", "congestion notifications must not wait for a pause; make it false")
    if lossless and strict:
        raise IntentError(path, "lossless and strict exclude each other: a strict lane would starve and then pause all")
    share = None
    if strict and "share" in found:
        raise IntentError(f"{path}.share", "a strict lane is served first and has no share; remove it")
    if not strict:
        if "share" not in found:
            raise IntentError(f"{path}.share", "is missing; a lane that is not strict needs its percent")
        share = reading.integer(found["share"], f"{path}.share", 1, 100)
    ecn = None
    if "ecn" in found:
        ecn = _ecn(found["ecn"], f"{path}.ecn")
    elif lossless:
        ecn = Ecn()  # a lossless lane without marking has only the pause left
    return Lane(
        name=name,
        dscp=tuple(dscp),
        priority=priority,
        lossless=lossless,
        strict=strict,
        share=share,
        default=reading.boolean(found.get("default", False), f"{path}.default"),
        ecn=ecn,
    )


def _ecn(value: object, path: str) -> Ecn:
    found = reading.section(value, path, (), ("kmin_kb", "kmax_kb", "pmax"))
    pmax = reading.integer(found.get("pmax", DEFAULT_PMAX), f"{path}.pmax", 1, 100)
    if "kmin_kb" not in found and "kmax_kb" not in found:
        return Ecn(pmax=pmax)
    for key in ("kmin_kb", "kmax_kb"):
        if key not in found:
            raise IntentError(f"{path}.{key}", "is missing; give both thresholds, or neither to scale with the speed")
    kmin_kb = reading.integer(found["kmin_kb"], f"{path}.kmin_kb", 1, KB_MAX)
    kmax_kb = reading.integer(found["kmax_kb"], f"{path}.kmax_kb", 1, KB_MAX)
    if kmin_kb > kmax_kb:
        raise IntentError(path, f"kmin_kb {kmin_kb} is above kmax_kb {kmax_kb}")
    if kmin_kb == kmax_kb:
        raise IntentError(path, f"kmin_kb and kmax_kb are both {kmin_kb}; marking needs room between them")
    return Ecn(kmin_kb, kmax_kb, pmax)


def _links(value: object, vlans: tuple[Vlan, ...]) -> tuple[Link, ...]:
    path = f"{ROOT}.links"
    links: list[Link] = []
    used: dict[Endpoint, str] = {}
    names = [vlan.name for vlan in vlans]
    for index, item in enumerate(reading.sequence(value, path)):
        here = f"{path}[{index}]"
        found = reading.section(item, here, ("a", "b", "speed_gbps", "cable_m"), ("vlan",))
        ends = {key: _endpoint(found[key], f"{here}.{key}") for key in ("a", "b")}
        if ends["a"].device == ends["b"].device:
            raise IntentError(here, f"both ends are on {ends['a'].device}; a link joins two devices")
        for key, end in ends.items():
            if end in used:
                raise IntentError(f"{here}.{key}", f"{end} is already the end of {used[end]}")
            used[end] = f"{here}.{key}"
        vlan = reading.text(found.get("vlan", DEFAULT_VLAN), f"{here}.vlan")
        if vlan not in names:
            said = "" if "vlan" in found else ", the default,"
            raise IntentError(f"{here}.vlan", f"{reading.shown(vlan)}{said} is not in {ROOT}.vlans: {', '.join(names)}")
        links.append(
            Link(
                a=ends["a"],
                b=ends["b"],
                speed_gbps=reading.choice(found["speed_gbps"], f"{here}.speed_gbps", SPEEDS_GBPS),
                cable_m=_cable_m(found["cable_m"], f"{here}.cable_m"),
                vlan=vlan,
            )
        )
    return tuple(links)


def _endpoint(value: object, path: str) -> Endpoint:
    device, colon, port = reading.text(value, path).partition(":")
    if not colon or not DEVICE.fullmatch(device) or not PORT.fullmatch(port):
        raise IntentError(path, f'{reading.shown(value)} has to be "device:port", such as "leaf1:Ethernet1/1"')
    return Endpoint(device, port)


def _cable_m(value: object, path: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= CABLE_M_MAX:
        raise IntentError(path, f"{reading.shown(value)} has to be a length in metres above 0, up to {CABLE_M_MAX}")
    return value
