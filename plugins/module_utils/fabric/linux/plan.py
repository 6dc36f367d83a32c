# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that take a running switch to the desired one: only those for what differs, none when nothing does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .dcb import dcb_lines
from .desired import rebuilt
from .state import (
    BROADCAST_PREF,
    PCP_PREF,
    PCP_PRIORITY,
    ROOT_HANDLE,
    SHAPER_HANDLE,
    DscpFilter,
    Egress,
    Ingress,
    Port,
    Red,
    Shaper,
    Switch,
    band_handle,
)

POLICE_S = 0.01  # broadcast that may come at once


@dataclass(frozen=True)
class Plan:
    """Batch lines per tool, in the order ip, bridge, tc, dcb; those for queues apart for each port."""

    ip: tuple[str, ...]
    bridge: tuple[str, ...]
    queues: tuple[tuple[str, tuple[str, ...]], ...]
    dcb: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ip or self.bridge or self.queues or self.dcb)

    def commands(self) -> list[str]:
        """All of it as one would type it."""
        lines = [f"ip {line}" for line in self.ip] + [f"bridge {line}" for line in self.bridge]
        lines += [f"tc {line}" for port, queue in self.queues for line in queue]
        return lines + [f"dcb {line}" for line in self.dcb]


def plan(desired: Switch, running: Switch) -> Plan:
    """What has to be run. ``running`` has the same ports as ``desired``, which has no bridge when it is to go."""
    queues = [
        (
            port.name,
            queue_lines(port, running.port(port.name).egress)
            + ingress_lines(port.name, port.ingress, running.port(port.name).ingress),
        )
        for port in desired.ports
    ]
    return Plan(
        ip=tuple(_ip_lines(desired, running)),
        bridge=tuple(line for port in desired.ports for line in _vlan_lines(port, running.port(port.name))),
        queues=tuple((name, tuple(lines)) for name, lines in queues if lines),
        dcb=tuple(
            line for port in desired.ports for line in dcb_lines(port.name, port.dcb, running.port(port.name).dcb)
        ),
    )


def _ip_lines(desired: Switch, running: Switch) -> list[str]:
    bridge, now = desired.bridge, running.bridge
    lines = []
    if bridge and now is None:
        lines.append(f"link add name {bridge.name} type bridge {_words(bridge.options())}")
    elif bridge and now:
        found = now.options()
        different = {key: value for key, value in bridge.options().items() if found[key] != value}
        if different:
            lines.append(f"link set dev {bridge.name} type bridge {_words(different)}")
    for port in desired.ports:
        here = running.port(port.name)
        words = []
        if here.mtu != port.mtu:
            words.append(f"mtu {port.mtu}")
        if here.master != port.master:
            words.append(f"master {port.master}" if port.master else "nomaster")
        if here.up != port.up:
            words.append("up" if port.up else "down")
        if words:
            lines.append(f"link set dev {port.name} {' '.join(words)}")
    if bridge is None:
        return lines + ([f"link del dev {now.name}"] if now else [])
    # after the ports: until its MTU is set by hand a bridge follows the smallest of them
    words = []
    if now is None or now.mtu != bridge.mtu:
        words.append(f"mtu {bridge.mtu}")
    if now is None or now.up != bridge.up:
        words.append("up" if bridge.up else "down")
    if words:
        lines.append(f"link set dev {bridge.name} {' '.join(words)}")
    return lines


def _words(options: dict[str, int]) -> str:
    return " ".join(f"{key} {value}" for key, value in options.items())


def _vlan_lines(port: Port, running: Port) -> list[str]:
    # a port that comes from elsewhere brings no VLAN of this bridge
    found = running.vlans if running.master == port.master else ()
    wanted = {vlan.vid for vlan in port.vlans}
    lines = [f"vlan del dev {port.name} vid {vlan.vid}" for vlan in found if vlan.vid not in wanted]
    return lines + [
        f"vlan add dev {port.name} vid {vlan.vid}" + " pvid" * vlan.pvid + " untagged" * vlan.untagged
        for vlan in port.vlans
        if vlan not in found
    ]


def queue_lines(port: Port, running: Egress) -> list[str]:
    """tc lines from the running queues to those of ``port``.

    Where the shape is ours, numbers are changed in place and packets stay in their queues. Otherwise the root is made
    anew, which loses what waits in it.
    """
    wanted, name = port.egress, port.name
    if wanted == running:
        return []
    if not wanted.ets:
        return [f"qdisc del dev {name} root"]
    kept = dict(running.reds)
    if (
        running.ets is None
        or running.foreign
        or (running.ets.bands, running.ets.strict) != (wanted.ets.bands, wanted.ets.strict)
        or not kept.keys() <= dict(wanted.reds).keys()
        or bool(running.shaper) != bool(wanted.shaper)
    ):
        return build_lines(name, wanted, running.root_handle)
    lines = []
    if wanted.shaper and wanted.shaper != running.shaper:
        lines.append(_shaper_line(name, wanted.shaper))
    if wanted.ets != running.ets:
        lines.append(_ets_line(name, wanted))
    lines += [_red_line(name, band, red) for band, red in wanted.reds if kept.get(band) != red]
    if wanted.filters != running.filters:
        if running.filters:
            lines.append(f"filter del dev {name} parent {ROOT_HANDLE}")
        lines += [_filter_line(name, match) for match in wanted.filters]
    return lines


def build_lines(name: str, egress: Egress, root_handle: str) -> list[str]:
    """tc lines that make the queues from nothing, or over a root qdisc with that handle."""
    # a root with our handle and another kind can not be replaced, only removed
    lines = [f"qdisc del dev {name} root"] if root_handle in (ROOT_HANDLE, SHAPER_HANDLE) else []
    if egress.shaper:
        lines.append(_shaper_line(name, egress.shaper))
    lines.append(_ets_line(name, egress))
    lines += [_red_line(name, band, red) for band, red in egress.reds]
    return lines + [_filter_line(name, match) for match in egress.filters]


def restorable(former: Switch, model: Switch) -> Switch:
    """A state that was read, with what tc has to be told to make it again and does not tell.

    Queues of others come back as the kernel's default.
    """
    ports = []
    for port in former.ports:
        wanted = next((one for one in model.ports if one.name == port.name), port)
        speed_gbps = next((red.bandwidth_gbps for band, red in wanted.egress.reds), 10)
        reds = tuple((band, rebuilt(red, speed_gbps)) for band, red in port.egress.reds)
        egress = Egress() if port.egress.foreign else dataclasses.replace(port.egress, reds=reds)
        ingress = dataclasses.replace(port.ingress, frame=wanted.ingress.frame)
        ports.append(dataclasses.replace(port, egress=egress, ingress=ingress))
    return dataclasses.replace(former, ports=tuple(ports))


def restore_lines(name: str, former: Egress, model: Egress) -> list[str] | None:
    """tc lines that put the former queues back; None when they had parts that are not ours.

    tc does not tell the bandwidth of a red: it is taken from ``model``, the desired queues, where that has one.
    """
    if former.foreign:
        return None
    if former.ets is None:
        return []
    speed_gbps = next((red.bandwidth_gbps for band, red in model.reds), 10)
    reds = tuple((band, rebuilt(red, speed_gbps)) for band, red in former.reds)
    return build_lines(name, Egress(former.ets, reds, former.filters, shaper=former.shaper), "")


def ingress_lines(name: str, wanted: Ingress, running: Ingress) -> list[str]:
    """tc lines for what comes in; filters of others on the same hook stay."""
    lines = []
    if wanted and not running and not running.foreign:
        lines.append(f"qdisc replace dev {name} clsact")
    if wanted.broadcast_bps != running.broadcast_bps:
        if running.broadcast_bps is not None:
            lines.append(f"filter del dev {name} ingress pref {BROADCAST_PREF}")
        if wanted.broadcast_bps is not None:
            burst = max(int(wanted.broadcast_bps / 8 * POLICE_S), 2 * wanted.frame)
            # the cookie tells the rate when it is read back: tc leaves it out of its JSON
            lines.append(
                f"filter replace dev {name} ingress protocol all pref {BROADCAST_PREF} handle 1 flower"
                f" dst_mac ff:ff:ff:ff:ff:ff action police rate {wanted.broadcast_bps}bit burst {burst}b"
                f" mtu {wanted.frame}b conform-exceed drop/continue cookie {wanted.broadcast_bps:016x}"
            )
    if wanted.pcp != running.pcp:
        if running.pcp:
            lines.append(f"filter del dev {name} ingress pref {PCP_PREF}")
        lines += [
            f"filter replace dev {name} ingress protocol 802.1q pref {PCP_PREF} handle {pcp + 1} flower vlan_prio {pcp}"
            f" action skbedit priority {PCP_PRIORITY + pcp:x}"
            for pcp in wanted.pcp
        ]
    if running and not wanted and not running.foreign:
        return [f"qdisc del dev {name} clsact"]
    return lines


def _shaper_line(name: str, shaper: Shaper) -> str:
    # limit is of the queue that the next qdisc takes the place of
    return (
        f"qdisc replace dev {name} root handle {SHAPER_HANDLE} tbf rate {shaper.rate_bps}bit"
        f" burst {shaper.burst_bytes}b limit {shaper.burst_bytes}b"
    )


def _ets_line(name: str, egress: Egress) -> str:
    ets = egress.ets
    if not ets:
        raise AssertionError("egress.ets is missing")
    quanta = " quanta " + " ".join(str(quantum) for quantum in ets.quanta) if ets.quanta else ""
    place = f"parent {SHAPER_HANDLE}1" if egress.shaper else "root"
    return (
        f"qdisc replace dev {name} {place} handle {ROOT_HANDLE} ets bands {ets.bands} strict {ets.strict}{quanta}"
        f" priomap {' '.join(map(str, ets.priomap))}"
    )


def _red_line(name: str, band: int, red: Red) -> str:
    flags = " ecn" * red.ecn + " nodrop" * red.nodrop
    return (
        f"qdisc replace dev {name} parent {ROOT_HANDLE}{band} handle {band_handle(band)} red limit {red.limit}"
        f" min {red.minimum} max {red.maximum} avpkt {red.avpkt} burst {red.burst}"
        f" probability {red.probability:g} bandwidth {red.bandwidth_gbps}gbit{flags}"
    )


def _filter_line(name: str, match: DscpFilter) -> str:
    # a handle of our own makes the line repeatable; 0 would mean "choose one"
    protocol, family = (match.family, "") if not match.tagged else ("802.1q", f" vlan_ethtype {match.family}")
    return (
        f"filter replace dev {name} parent {ROOT_HANDLE} protocol {protocol} pref {match.pref}"
        f" handle {match.dscp + 1} flower{family} ip_tos {match.dscp << 2:#04x}/0xfc classid {ROOT_HANDLE}{match.band}"
    )
