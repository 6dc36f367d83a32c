# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on this machine, read from the JSON of iproute2 (6.1 of Debian 12, 6.15 of Debian 13)."""

from __future__ import annotations

import re
from typing import Any

from .dcb import running_dcb
from .desired import KIB
from .state import (
    BROADCAST_PREF,
    PCP_PREF,
    PCP_PRIORITY,
    PREF,
    ROOT_HANDLE,
    SHAPER_HANDLE,
    TAGGED_PREF,
    Bridge,
    DscpFilter,
    Egress,
    Ets,
    Ingress,
    Port,
    PortVlan,
    Red,
    Shaper,
    Switch,
    SwitchError,
    band_handle,
)
from .tools import Iproute

# ethertype as flower prints it -> protocol as tc takes it
FLOWER_FAMILY = {"ipv4": "ip", "ipv6": "ipv6"}
DSCP_MASK = 0xFC
INGRESS = "ffff:"
BROADCAST = "ff:ff:ff:ff:ff:ff"
BURST = re.compile(r"([0-9.]+)(b|Kb|Mb)(/|$)")
UNITS = {"b": 1, "Kb": 1024, "Mb": 1024**2}


def running_switch(tools: Iproute, desired: Switch) -> Switch:
    """The state of the bridge and the ports that ``desired`` names.

    SwitchError when a port does not exist, can not carry the MTU, or the bridge's name is something else.
    """
    links = {link["ifname"]: link for link in tools.read("ip", "-d", "link", "show")}
    _check(desired, links)
    if not desired.bridge:  # desired_switch always has one
        raise AssertionError("desired.bridge is missing")
    bridge = desired.bridge.name
    vlans = {item["ifname"]: item.get("vlans", []) for item in tools.read("bridge", "vlan", "show")}
    qdiscs = tools.read("tc", "-d", "qdisc", "show")
    names = [port.name for port in desired.ports]
    dcbs = {port.name: running_dcb(tools, port.name, port.dcb) if port.dcb else None for port in desired.ports}
    return Switch(
        bridge=_bridge(links[bridge]) if bridge in links else None,
        ports=tuple(
            Port(
                name=name,
                mtu=links[name]["mtu"],
                up="UP" in links[name]["flags"],
                master=links[name].get("master", ""),
                vlans=port_vlans(vlans.get(name, [])),
                egress=_egress(tools, name, [item for item in qdiscs if item.get("dev") == name]),
                ingress=_ingress(tools, name, [item for item in qdiscs if item.get("dev") == name]),
                dcb=dcbs[name],
            )
            for name in names
        ),
        unmanaged=tuple(name for name, link in links.items() if link.get("master") == bridge and name not in names),
    )


def _check(desired: Switch, links: dict[str, dict[str, Any]]) -> None:
    for port in desired.ports:
        if port.name not in links:
            there = ", ".join(name for name in links if name != "lo")
            raise SwitchError(
                f"port {port.name} of fabric.links is not on this machine, which has {there}; "
                "correct the intent or the name of the interface"
            )
        most = links[port.name].get("max_mtu", 0)
        if most and port.mtu > most:
            raise SwitchError(
                f"port {port.name} can not carry fabric.mtu.switch {port.mtu}: its driver allows {most}; "
                "lower the intent's MTU or use another NIC"
            )
    if not desired.bridge:
        raise AssertionError("desired.bridge is missing")
    there_now = links.get(desired.bridge.name)
    if there_now and there_now.get("linkinfo", {}).get("info_kind") != "bridge":
        raise SwitchError(f"{desired.bridge.name} exists and is no bridge; choose another name for the bridge")


def _bridge(link: dict[str, Any]) -> Bridge:
    data = link["linkinfo"]["info_data"]
    return Bridge(
        name=link["ifname"],
        mtu=link["mtu"],
        up="UP" in link["flags"],
        **{name: int(data.get(name, 0)) for name in Bridge.OPTIONS},
    )


def port_vlans(entries: list[dict[str, Any]]) -> tuple[PortVlan, ...]:
    """VLANs of a port from ``bridge -j vlan show``; a range (``vlanEnd``) counts as each of its VLANs."""
    found = []
    for entry in entries:
        flags = entry.get("flags", [])
        for vid in range(entry["vlan"], entry.get("vlanEnd", entry["vlan"]) + 1):
            found.append(PortVlan(vid, "PVID" in flags, "Egress Untagged" in flags))
    return tuple(sorted(found))


def _egress(tools: Iproute, port: str, qdiscs: list[dict[str, Any]]) -> Egress:
    root = next((item for item in qdiscs if item.get("root")), None)
    if root is None or root["handle"] == "0:":
        return Egress()  # noop of a port that is down, or net.core.default_qdisc (mq included)
    shaper = _shaper(root)
    if shaper:
        inner = [item for item in qdiscs if item.get("parent") == f"{SHAPER_HANDLE}1"]
        others = [item for item in qdiscs if item is not root and item not in inner]
        # what hangs under the shaper is the tree which elsewhere is the root
        qdiscs = [{**item, "root": True} for item in inner] + others
        root = next(iter(qdiscs), root)
    if root["kind"] != "ets" or root["handle"] != ROOT_HANDLE:
        what = f"root qdisc {root['kind']} {root['handle']}"
        return Egress(foreign=(what,), shaper=shaper, root_handle=SHAPER_HANDLE if shaper else root["handle"])
    ets, reds, foreign = ets_tree(qdiscs)
    filters, strangers = dscp_filters(tools.read("tc", "filter", "show", "dev", port, "parent", ROOT_HANDLE))
    handle = SHAPER_HANDLE if shaper else ROOT_HANDLE
    return Egress(ets, reds, filters, foreign + strangers, shaper, root_handle=handle)


def _shaper(root: dict[str, Any]) -> Shaper | None:
    """The rate and burst of our tbf, from ``{"rate": bytes a second, "burst": "10Kb/1"}``."""
    if root["kind"] != "tbf" or root["handle"] != SHAPER_HANDLE:
        return None
    match = BURST.match(str(root["options"].get("burst", "")))
    if not match:
        return None
    burst = round(float(match[1]) * UNITS[match[2]] / KIB) * KIB
    return Shaper(int(root["options"]["rate"]) * 8, burst)


def _ingress(tools: Iproute, port: str, qdiscs: list[dict[str, Any]]) -> Ingress:
    if not any(item["kind"] == "clsact" for item in qdiscs):
        return Ingress()
    return ingress_filters(tools.read("tc", "filter", "show", "dev", port, "ingress"))


def ingress_filters(entries: list[dict[str, Any]]) -> Ingress:
    """What comes in, from ``tc -j filter show dev D ingress``; anything but our own two kinds of filters is foreign."""
    broadcast_bps: int | None = None
    pcp, others = [], []
    for entry in entries:
        if "options" not in entry:
            continue
        options = entry["options"]
        keys, actions = options.get("keys", {}), options.get("actions", [])
        action = actions[0] if len(actions) == 1 else {}
        if entry["pref"] == BROADCAST_PREF and keys == {"dst_mac": BROADCAST} and action.get("kind") == "police":
            broadcast_bps = int(str(action.get("cookie") or "0"), 16)
        elif (
            entry["pref"] == PCP_PREF
            and list(keys) == ["vlan_prio"]
            and action.get("kind") == "skbedit"
            and action.get("priority") == f":{PCP_PRIORITY + keys['vlan_prio']:x}"
        ):
            pcp.append(keys["vlan_prio"])
        else:
            others.append(f"ingress filter {entry.get('protocol')} pref {entry['pref']} {entry.get('kind')}")
    return Ingress(broadcast_bps, tuple(sorted(pcp)), tuple(others))


def ets_tree(
    qdiscs: list[dict[str, Any]],
) -> tuple[Ets, tuple[tuple[int, Red], ...], tuple[str, ...]]:
    """The ets root, the red of each band, and what else hangs there, from ``tc -j -d qdisc show`` of one port."""
    reds: dict[int, Red] = {}
    foreign = []
    ets = None
    for item in qdiscs:
        options = item.get("options", {})
        if item.get("root"):
            ets = Ets(
                bands=options["bands"],
                strict=options.get("strict", 0),
                quanta=tuple(options.get("quanta", [])),
                priomap=tuple(options["priomap"]),
            )
            continue
        if item["handle"] == INGRESS:
            continue
        # class ids and handles are hexadecimal
        major, colon, minor = item.get("parent", "").partition(":")
        band = int(minor, 16) if colon and major + colon == ROOT_HANDLE else 0
        if band and item["kind"] == "red" and item["handle"] == band_handle(band) and not options.get("harddrop"):
            reds[band] = _red(options)
        else:
            foreign.append(f"qdisc {item['kind']} {item['handle']} under {item.get('parent')}")
    if ets is None:
        raise AssertionError("ets is missing")
    return ets, tuple(sorted(reds.items())), tuple(foreign)


def _red(options: dict[str, Any]) -> Red:
    return Red(
        limit=options["limit"],
        minimum=options["min"],
        maximum=options["max"],
        # tc shows six digits of a fraction of 2**32
        probability=round(float(options.get("probability", 0)), 4),
        ewma=options["ewma"],
        ecn=bool(options.get("ecn")),
        nodrop=bool(options.get("nodrop")),
    )


def dscp_filters(entries: list[dict[str, Any]]) -> tuple[tuple[DscpFilter, ...], tuple[str, ...]]:
    """Our filters and the others, from ``tc -j filter show dev D parent 1:``."""
    ours, others = [], []
    for entry in entries:
        if "options" not in entry:
            continue  # the line that stands for a whole preference
        match = _dscp_filter(entry, entry["options"])
        if match:
            ours.append(match)
        else:
            handle = entry["options"].get("handle", "")
            others.append(
                f"filter {entry.get('protocol')} pref {entry.get('pref')} {entry.get('kind')} {handle}".strip()
            )
    return tuple(sorted(ours)), tuple(others)


def _dscp_filter(entry: dict[str, Any], options: dict[str, Any]) -> DscpFilter | None:
    keys = dict(options.get("keys", {}))
    tagged = "vlan_ethtype" in keys
    keys.pop("vlan_ethtype", None)
    family = FLOWER_FAMILY.get(keys.pop("eth_type", ""), "")
    tos, mask = keys.pop("ip_tos", None), keys.pop("ip_tos_mask", "ff")
    major, colon, minor = options.get("classid", "").partition(":")
    if (
        entry.get("kind") != "flower"
        or not family
        or entry.get("pref") != (TAGGED_PREF if tagged else PREF)[family]
        or entry.get("chain", 0) != 0
        or keys
        or options.get("actions")
        or not isinstance(tos, int)
        or int(str(mask), 16) != DSCP_MASK
        or major + colon != ROOT_HANDLE
    ):
        return None
    return DscpFilter(family, tos >> 2, int(minor, 16), tagged)
