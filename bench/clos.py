"""The intent of a Clos fabric of three tiers, of any size."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """``pods`` of ``leaves``, each with ``hosts``, and of ``spines``; for each spine of a pod a plane of ``tops``.

    ``cables`` join a spine with each switch of its plane.
    """

    pods: int
    leaves: int
    spines: int
    tops: int
    hosts: int
    cables: int

    @property
    def arguments(self) -> list[str]:
        return [str(number) for number in astuple(self)]

    @property
    def text(self) -> str:
        switches = self.pods * (self.leaves + self.spines) + self.spines * self.tops
        return f"{switches:,} switches, {self.pods * self.leaves * self.hosts:,} hosts"


FULL = Size(pods=16, leaves=50, spines=10, tops=4, hosts=40, cables=4)
SMALL = Size(pods=3, leaves=6, spines=3, tops=2, hosts=4, cables=1)  # every path written down takes seconds


def intent(size: Size) -> dict[str, Any]:
    """The plain intent: 100 Gb/s to the hosts, 400 Gb/s between switches, one lossless lane."""
    ports: dict[str, int] = {}
    links: list[dict[str, Any]] = []
    devices: dict[str, dict[str, str]] = {}

    def end(device: str, is_host: bool = False) -> str:
        ports[device] = ports.get(device, -1) + 1
        return f"{device}:ens{ports[device]}" if is_host else f"{device}:Ethernet{8 * ports[device]}"

    for plane in range(size.spines):
        for top in range(size.tops):
            devices[f"top{plane}-{top}"] = {"os": "sonic", "tier": "super_spine", "group": f"plane{plane}"}
    for pod in range(size.pods):
        for spine in range(size.spines):
            name = f"spine{pod}-{spine}"
            devices[name] = {"os": "sonic", "tier": "spine", "group": f"pod{pod}"}
            for top in range(size.tops):
                for _cable in range(size.cables):
                    far = end(f"top{spine}-{top}")
                    links.append({"a": end(name), "b": far, "speed_gbps": 400, "cable_m": 100})
        for leaf in range(size.leaves):
            name = f"leaf{pod}-{leaf}"
            devices[name] = {"os": "sonic", "tier": "leaf"}
            for spine in range(size.spines):
                far = end(f"spine{pod}-{spine}")
                links.append({"a": end(name), "b": far, "speed_gbps": 400, "cable_m": 30})
            for host in range(size.hosts):
                far = end(f"host{pod}-{leaf}-{host}", is_host=True)
                links.append({"a": end(name), "b": far, "speed_gbps": 100, "cable_m": 3})
    return {
        "name": "clos",
        "lanes": {
            "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 60},
            "cnp": {"dscp": [48], "priority": 6, "strict": True},
            "bulk": {"dscp": [0], "priority": 0, "share": 40, "default": True},
        },
        "vlans": {"trading": 110},
        "devices": {name: {**device, "asic": "spectrum4"} for name, device in devices.items()},
        "links": links,
    }
