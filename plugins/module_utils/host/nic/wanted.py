# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of each network card: flat settings by name (``rings.rx``), and the feeds that go to one queue."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cpulist import parse_cpu_list
from ..errors import HostError

#: A number that stands for the most the driver offers.
MAX = "max"
#: Settings of the user's dictionaries by group; groups that are not here take any name.
KEYS: dict[str, tuple[str, ...]] = {
    "rings": ("rx", "tx"),
    "channels": ("rx", "tx", "combined"),
    "pause": ("autoneg", "rx", "tx"),
    "coalesce": (
        "adaptive_rx",
        "adaptive_tx",
        "rx_usecs",
        "rx_frames",
        "rx_usecs_irq",
        "rx_frames_irq",
        "tx_usecs",
        "tx_frames",
        "tx_usecs_irq",
        "tx_frames_irq",
        "cqe_mode_rx",
        "cqe_mode_tx",
    ),
}
#: Groups of on and off.
SWITCHES = ("pause", "offloads", "private_flags")
#: ethtool's short names of features, which it takes and does not print.
FEATURES = {
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
    "lro": "large-receive-offload",
    "rxvlan": "rx-vlan-offload",
    "txvlan": "tx-vlan-offload",
    "ntuple": "ntuple-filters",
    "rxhash": "receive-hashing",
}
READ_REQUEST_BYTES = (128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Feed:
    """A multicast or unicast stream that a card puts on one queue: given by number, or by the CPU of its interrupt."""

    protocol: str
    dst_ip: str
    dst_port: int
    queue: int | None = None
    cpu: int | None = None

    @property
    def flow_type(self) -> str:
        """ethtool's name of the kind of packet."""
        return f"{self.protocol}{ipaddress.ip_address(self.dst_ip).version}"

    def __str__(self) -> str:
        return f"{self.flow_type} {self.dst_ip} port {self.dst_port}"


@dataclass(frozen=True)
class Nic:
    """All that is wanted of one interface. ``settings``: value by flat name, numbers and on/off as text.

    ``queue_cpus``: where module irq_affinity puts the interrupts of queues, which it may do only after this.
    """

    name: str
    settings: Mapping[str, str]
    feeds: tuple[Feed, ...] = ()
    rss_avoids_feeds: bool = True
    required: bool = False
    queue_cpus: Mapping[int, frozenset[int]] = field(default_factory=dict)


def group_of(setting: str) -> str:
    """``rings.rx`` belongs to ``rings``."""
    return setting.partition(".")[0]


def parse_nics(nics: Iterable[Mapping[str, Any]] | None) -> list[Nic]:
    """The user's list; HostError for a name that is there twice or a value that means nothing."""
    found: dict[str, Nic] = {}
    for item in nics or []:
        nic = _parse_nic(item)
        if nic.name in found:
            raise HostError("network card", nic.name, "it is there twice", "keep one of them")
        found[nic.name] = nic
    return list(found.values())


def _parse_nic(item: Mapping[str, Any]) -> Nic:
    name = str(item["name"])
    if not name or "/" in name or name.startswith("-") or len(name) > 15:
        raise HostError("network card", name, "an interface has a name of 1 to 15 characters without /", "correct it")
    settings: dict[str, str] = {}
    for group in ("private_flags", "channels", "rings", "pause", "offloads", "coalesce"):
        for key, value in (item.get(group) or {}).items():
            if value is not None:
                setting = _setting(name, group, str(key))
                settings[setting] = _value(name, setting, value)
    for key, allowed in (("mtu", range(68, 65536)), ("pcie_read_request", READ_REQUEST_BYTES)):
        if item.get(key) is not None:
            if int(item[key]) not in allowed:
                said = "68 to 65535 bytes" if key == "mtu" else f"one of {', '.join(map(str, allowed))} bytes"
                raise HostError(f"{key} of {name}", item[key], f"it is {said}", "correct it")
            settings[key] = str(int(item[key]))
    feeds = tuple(_parse_feed(name, feed) for feed in item.get("ntuple") or [])
    if len({(feed.flow_type, feed.dst_ip, feed.dst_port) for feed in feeds}) < len(feeds):
        raise HostError(f"ntuple of {name}", "; ".join(map(str, feeds)), "a stream is there twice", "keep one of them")
    if feeds:
        ntuple = f"offloads.{FEATURES['ntuple']}"
        if settings.setdefault(ntuple, "on") != "on":
            raise HostError(f"{ntuple} of {name}", "off", "streams are steered by it", "leave it out")
    return Nic(
        name,
        settings,
        feeds,
        bool(item.get("rss_avoids_ntuple", True)),
        bool(item.get("required", False)),
        _queue_cpus(name, item.get("queue_cpus") or []),
    )


def _queue_cpus(name: str, queues: Iterable[Mapping[str, Any]]) -> dict[int, frozenset[int]]:
    """CPUs of the interrupts of queues, as module irq_affinity sets them afterwards."""
    try:
        return {int(item["queue"]): parse_cpu_list(str(item["cpus"])) for item in queues}
    except (KeyError, ValueError) as error:
        raise HostError(f"queue_cpus of {name}", str(error), "a queue has a number and CPUs", "correct it") from error


def _setting(name: str, group: str, key: str) -> str:
    if group in KEYS and key not in KEYS[group]:
        raise HostError(f"{group} of {name}", key, f"it is none of {', '.join(KEYS[group])}", "correct the name")
    if group == "offloads":
        key = FEATURES.get(key, key)
    return f"{group}.{key.replace('_', '-') if group in KEYS else key}"


def _value(name: str, setting: str, value: Any) -> str:
    key = setting.partition(".")[2]
    switch = group_of(setting) in SWITCHES or key.startswith(("adaptive-", "cqe-mode-"))
    text = str(value).strip().lower()
    if switch:
        words = {
            "true": "on",
            "yes": "on",
            "on": "on",
            "1": "on",
            "false": "off",
            "no": "off",
            "off": "off",
            "0": "off",
        }
        if text not in words:
            raise HostError(f"{setting} of {name}", value, "it is on or off", "correct it")
        return words[text]
    if text == MAX and group_of(setting) in ("rings", "channels"):
        return MAX
    if not text.isascii() or not text.isdigit():
        raise HostError(f"{setting} of {name}", value, "it is a number from 0 up", "correct it")
    return str(int(text))


def _parse_feed(name: str, feed: Mapping[str, Any]) -> Feed:
    item = f"ntuple of {name}"
    try:
        address = str(ipaddress.ip_address(str(feed["dst_ip"])))
    except ValueError as error:
        raise HostError(item, feed["dst_ip"], "it is no IP address", "correct it") from error
    port = int(feed["dst_port"])
    if not 0 < port < 65536:
        raise HostError(item, port, "a port is 1 to 65535", "correct it")
    protocol = str(feed.get("protocol") or "udp")
    if protocol not in ("udp", "tcp"):
        raise HostError(item, protocol, "a protocol is udp or tcp", "correct it")
    queue, cpu = feed.get("queue"), feed.get("cpu")
    if (queue is None) == (cpu is None) or min(value for value in (queue, cpu) if value is not None) < 0:
        raise HostError(
            item, f"{address} port {port}", "it takes either a queue or a CPU from 0 up", "give one of them"
        )
    return Feed(protocol, address, port, queue, cpu)
