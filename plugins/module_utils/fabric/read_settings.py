# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From plain data to :class:`Settings`: the fabric's, and with overrides laid over them those of a device or port.

An override is a mapping of the same shape: what it names takes the place of what was there, null takes a key away, and
the whole is checked again, with the path of the override in every message.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from . import reading
from .reading import IntentError
from .settings import DEFAULT_PMAX, Buffers, Ecn, Lane, Lldp, Mtu, Ptp, Settings, StormControl, Watchdog

ROOT = "fabric"
SETTINGS = ("trust", "mtu", "lanes", "watchdog", "storm_control", "lldp", "ptp", "buffers")
ACTIONS = ("drop", "forward", "alert")
PTP_ROLES = ("none", "boundary", "transparent")
PTP_TRANSPORTS = ("ipv4", "l2")
BUFFER_MODELS = ("dynamic", "traditional")
CNP_LANE = "cnp"
KB_MAX = 100_000  # 100 MB, the order of the largest switch buffers
BUFFER_KB_MAX = 1_000_000
MTU_RANGE = (1280, 9216)


def overlaid(base: object, over: object) -> object:
    """``over`` laid over ``base``: mappings key by key, null removes, anything else replaces."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    found = {key: value for key, value in base.items() if over.get(key, value) is not None}
    for key, value in over.items():
        if value is not None:
            found[key] = overlaid(base.get(key), value)
    return found


def read_settings(found: Mapping[str, object], path: str, roce_version: int) -> Settings:
    """The settings of a mapping that may have each of ``SETTINGS`` and has ``lanes``."""
    trust = reading.choice(found.get("trust", "dscp"), f"{path}.trust", ("dscp", "pcp"))
    if roce_version == 1 and trust == "dscp":
        raise IntentError(f"{path}.trust", "dscp needs roce_version 2; version 1 has no IP header, trust pcp with it")
    return Settings(
        trust=trust,
        mtu=_mtu(found.get("mtu", {}), f"{path}.mtu"),
        lanes=_lanes(found["lanes"], f"{path}.lanes"),
        watchdog=_watchdog(found.get("watchdog", {}), f"{path}.watchdog"),
        storm_control=_storm_control(found.get("storm_control", {}), f"{path}.storm_control"),
        lldp=_lldp(found.get("lldp", {}), f"{path}.lldp"),
        ptp=_ptp(found.get("ptp", {}), f"{path}.ptp"),
        buffers=_buffers(found.get("buffers", {}), f"{path}.buffers"),
    )


def _mtu(value: object, path: str) -> Mtu:
    found = reading.section(value, path, (), ("host", "switch"))
    host = reading.integer(found.get("host", Mtu.host), f"{path}.host", *MTU_RANGE)
    switch = reading.integer(found.get("switch", max(Mtu.switch, host)), f"{path}.switch", *MTU_RANGE)
    if switch < host:
        raise IntentError(path, f"switch {switch} is below host {host}; the switch would drop the hosts' packets")
    return Mtu(host, switch)


def _watchdog(value: object, path: str) -> Watchdog:
    found = reading.section(value, path, (), ("detect_ms", "restore_ms", "action", "poll_ms"))
    # the ranges SONiC's PFC_WD table allows, the narrowest of the switch systems
    watchdog = Watchdog(
        detect_ms=reading.integer(found.get("detect_ms", Watchdog.detect_ms), f"{path}.detect_ms", 100, 5000),
        restore_ms=reading.integer(found.get("restore_ms", Watchdog.restore_ms), f"{path}.restore_ms", 100, 60_000),
        action=reading.choice(found.get("action", Watchdog.action), f"{path}.action", ACTIONS),
        poll_ms=reading.integer(found.get("poll_ms", Watchdog.poll_ms), f"{path}.poll_ms", 100, 1000),
    )
    for key in ("detect_ms", "restore_ms"):
        if getattr(watchdog, key) < watchdog.poll_ms:
            said = f"{getattr(watchdog, key)} is below poll_ms {watchdog.poll_ms}; nothing is seen between two looks"
            raise IntentError(f"{path}.{key}", said)
    return watchdog


def _storm_control(value: object, path: str) -> StormControl:
    keys = ("broadcast_percent", "unknown_unicast_percent")
    found = reading.section(value, path, (), keys)
    return StormControl(
        *(reading.number(found[key], f"{path}.{key}", 0, 100) if key in found else None for key in keys)
    )


def _lldp(value: object, path: str) -> Lldp:
    found = reading.section(value, path, (), ("enabled", "dcbx"))
    enabled = reading.boolean(found.get("enabled", True), f"{path}.enabled")
    dcbx = reading.boolean(found.get("dcbx", enabled), f"{path}.dcbx")
    if dcbx and not enabled:
        raise IntentError(f"{path}.dcbx", "true with enabled: false; DCBX travels in LLDP")
    return Lldp(enabled, dcbx)


def _ptp(value: object, path: str) -> Ptp:
    found = reading.section(value, path, (), ("role", "domain", "transport", "source", "enabled"))
    source = None
    if "source" in found:
        source = reading.text(found["source"], f"{path}.source")
        try:
            ipaddress.IPv4Address(source)
        except ValueError:
            raise IntentError(f"{path}.source", f"{reading.shown(source)} has to be an IPv4 address") from None
    return Ptp(
        role=reading.choice(found.get("role", Ptp.role), f"{path}.role", PTP_ROLES),
        domain=reading.integer(found.get("domain", Ptp.domain), f"{path}.domain", 0, 127),
        transport=reading.choice(found.get("transport", Ptp.transport), f"{path}.transport", PTP_TRANSPORTS),
        source=source,
        enabled=reading.boolean(found.get("enabled", True), f"{path}.enabled"),
    )


def _buffers(value: object, path: str) -> Buffers:
    ranges = {
        "total_kb": (100, BUFFER_KB_MAX),
        "alpha_exponent": (-7, 3),
        "lossless_percent": (1, 99),
        "shared_headroom_ratio": (0, 8),
        "small_packet_percent": (0, 100),
        "lossless_mtu": (64, 9216),
        "gearbox_ns": (0, 10_000),
        "serdes_lanes": (1, 8),
    }
    found = reading.section(value, path, (), ("model", "explicit_headroom", *ranges))
    given = {key: reading.integer(found[key], f"{path}.{key}", *ranges[key]) for key in ranges if key in found}
    return Buffers(
        model=reading.choice(found.get("model", Buffers.model), f"{path}.model", BUFFER_MODELS),
        explicit_headroom=reading.boolean(found.get("explicit_headroom", False), f"{path}.explicit_headroom"),
        **given,
    )


def _lanes(value: object, path: str) -> tuple[Lane, ...]:
    lanes = tuple(_lane(key, lane, f"{path}.{key}") for key, lane in reading.mapping(value, path).items())
    if not lanes:
        raise IntentError(path, "is empty; at least the default lane is needed")
    dscp_owner: dict[int, Lane] = {}
    for lane in lanes:
        for index, dscp in enumerate(lane.dscp):
            other = dscp_owner.setdefault(dscp, lane)
            if other is not lane:
                raise IntentError(f"{path}.{lane.name}.dscp[{index}]", f"{dscp} belongs to {path}.{other.name} already")
    for key in ("priority", "traffic_class"):
        owner: dict[int, Lane] = {}
        for lane in lanes:
            number = getattr(lane, key)
            other = owner.setdefault(number, lane)
            if other is not lane:
                raise IntentError(f"{path}.{lane.name}.{key}", f"{number} belongs to {path}.{other.name} already")
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
    optional = ("lossless", "strict", "share", "default", "ecn", "traffic_class")
    found = reading.section(value, path, ("dscp", "priority"), optional)
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
        traffic_class=reading.integer(found.get("traffic_class", priority), f"{path}.traffic_class", 0, 7),
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
