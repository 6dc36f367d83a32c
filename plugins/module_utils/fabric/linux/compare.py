# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Linux switch as words and as plain data, and two of them compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from .state import Port, Switch


def aspects(switch: Switch) -> dict[str, dict[str, str]]:
    """What can differ, in words: name of the bridge or port -> aspect -> its value."""
    found: dict[str, dict[str, str]] = {}
    if switch.bridge:
        bridge = switch.bridge
        found[bridge.name] = {
            "exists": "yes",
            "mtu": str(bridge.mtu),
            "up": _yes(bridge.up),
            **{key: str(value) for key, value in bridge.options().items()},
        }
    for port in switch.ports:
        found[port.name] = dict(_port_aspects(port))
    return found


def _port_aspects(port: Port) -> Iterator[tuple[str, str]]:
    yield "mtu", str(port.mtu)
    yield "up", _yes(port.up)
    yield "bridge", port.master or "none"
    yield "vlans", ", ".join(str(vlan) for vlan in port.vlans) or "none"
    egress = port.egress
    if egress.default:
        yield "queues", "the kernel's default"
    elif egress.ets:
        yield "queues", str(egress.ets)
    else:
        yield "queues", "not ours"
    if egress.shaper:
        yield "rate", str(egress.shaper)
    for band, red in egress.reds:
        yield f"band {band}", str(red)
    for match in egress.filters:
        yield f"dscp {match.dscp} {match.family}{' tagged' * match.tagged}", f"band {match.band}"
    if port.ingress.broadcast_bps is not None:
        yield "broadcast", f"at most {port.ingress.broadcast_bps} bit/s"
    if port.ingress.pcp:
        yield "trusted pcp", " ".join(map(str, port.ingress.pcp))
    if port.dcb:
        yield from port.dcb.aspects().items()
    for number, what in enumerate(egress.foreign):
        yield f"not ours {number + 1}", what


def differences(desired: Switch, running: Switch) -> list[tuple[str, str, str, str]]:
    """Bridge or port, aspect, its value and the wanted one, of every aspect in which running differs from desired."""
    wanted, found = aspects(desired), aspects(running)
    out = []
    for name, aspect in wanted.items():
        here = found.get(name, {})
        for key in list(aspect) + [key for key in here if key not in aspect]:
            is_value, want = here.get(key, "missing"), aspect.get(key, "nothing")
            if is_value != want:
                out.append((name, key, is_value, want))
    return out


def drift(desired: Switch, running: Switch) -> list[str]:
    """The differences, a sentence each; empty when all is as wanted."""
    return [f"{name} {key}: {value}, wanted {want}" for name, key, value, want in differences(desired, running)]


def without_dcb(desired: Switch, running: Switch) -> Switch:
    """What can be wanted of these ports: no DCB where the running driver has none."""
    ports = [port if running.port(port.name).dcb else dataclasses.replace(port, dcb=None) for port in desired.ports]
    return dataclasses.replace(desired, ports=tuple(ports))


def text(switch: Switch) -> str:
    """The state as lines, for a diff."""
    lines = []
    for name, aspect in aspects(switch).items():
        lines += [f"{name} {key}: {value}" for key, value in aspect.items()]
    return "".join(line + "\n" for line in lines)


def plain(switch: Switch) -> dict[str, object]:
    """The state as plain data for the module's result."""
    return {
        "bridge": dataclasses.asdict(switch.bridge) if switch.bridge else None,
        "ports": {port.name: _plain_port(port) for port in switch.ports},
        "unmanaged": list(switch.unmanaged),
    }


def _plain_port(port: Port) -> dict[str, object]:
    egress = port.egress
    reds = {
        str(band): {key: getattr(red, key) for key in ("limit", "minimum", "maximum", "probability", "ecn", "nodrop")}
        for band, red in egress.reds
    }
    return {
        "mtu": port.mtu,
        "up": port.up,
        "bridge": port.master or None,
        "vlans": [dataclasses.asdict(vlan) for vlan in port.vlans],
        "ets": dataclasses.asdict(egress.ets) if egress.ets else None,
        "red": reds,
        "dscp": {match.family + " " + str(match.dscp): match.band for match in egress.filters if not match.tagged},
        "dscp_tagged": {match.family + " " + str(match.dscp): match.band for match in egress.filters if match.tagged},
        "rate_bps": egress.shaper.rate_bps if egress.shaper else None,
        "broadcast_bps": port.ingress.broadcast_bps,
        "pcp": list(port.ingress.pcp),
        "foreign": list(egress.foreign),
        "dcb": dataclasses.asdict(port.dcb) if port.dcb else None,
        "foreign_ingress": list(port.ingress.foreign),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
