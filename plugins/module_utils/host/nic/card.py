# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One card: its settings read by group, and a group set by one command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import HostError
from ..system import System
from . import pcie
from .ethtool import NOT_SUPPORTED, Ethtool, NotSupported, reason

#: In the order in which they are set: what closes the queues comes before what they forget then, and the number of
#: queues before their length.
GROUPS = ("private_flags", "mtu", "channels", "rings", "pause", "offloads", "coalesce", "pcie_read_request")
READ_OPTION = {
    "private_flags": "--show-priv-flags",
    "channels": "-l",
    "rings": "-g",
    "pause": "-a",
    "offloads": "-k",
    "coalesce": "-c",
}
SET_OPTION = {
    "private_flags": "--set-priv-flags",
    "channels": "-L",
    "rings": "-G",
    "pause": "-A",
    "offloads": "-K",
    "coalesce": "-C",
}
FIXED = " [fixed]"


@dataclass
class Group:
    """The settings of a group by flat name, the most of each where it has one, and those that stay as they are."""

    values: dict[str, str] = field(default_factory=dict)
    largest: dict[str, str] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()


class Card:
    """An interface of this host."""

    def __init__(self, system: System, ethtool: Ethtool, name: str) -> None:
        self.system = system
        self.ethtool = ethtool
        self.name = name
        self._driver: str | None = None

    def exists(self) -> bool:
        """Whether the host has the interface."""
        return self.system.path(f"sys/class/net/{self.name}").is_dir()

    @property
    def driver(self) -> str:
        """Its driver, or '' where it tells none."""
        link = self.system.path(f"sys/class/net/{self.name}/device/driver")
        if self._driver is None and link.is_symlink():
            self._driver = link.resolve().name
        if self._driver is None:
            try:
                self._driver = self.ethtool.read("-i", self.name).get("driver", "")
            except NotSupported:
                self._driver = ""
        return self._driver

    def link(self) -> str:
        """up, down, unknown and more, as operstate in sysfs says."""
        return self.system.read(f"sys/class/net/{self.name}/operstate") or "down"

    def read(self, group: str) -> Group:
        """A group; NotSupported with the reason."""
        if group == "mtu":
            return Group({"mtu": self.system.read(f"sys/class/net/{self.name}/mtu") or ""})
        if group == "pcie_read_request":
            return Group({"pcie_read_request": str(pcie.read_request(self.system, self.name))})
        found = Group()
        fixed = set()
        for key, value in self.ethtool.read(READ_OPTION[group], self.name).items():
            if key.endswith("-max"):
                found.largest[f"{group}.{key[:-4]}"] = value
                continue
            if value.endswith(FIXED):
                fixed.add(f"{group}.{key}")
            found.values[f"{group}.{key}"] = value[: -len(FIXED)] if value.endswith(FIXED) else value
        found.fixed = frozenset(fixed)
        return found

    def write(self, group: str, values: Mapping[str, str]) -> None:
        """Set these settings of one group; NotSupported and HostError with the driver's words."""
        try:
            if group == "mtu":
                self.run(["ip", "link", "set", "dev", self.name, "mtu", values["mtu"]])
            elif group == "pcie_read_request":
                pcie.write_request(self.system, self.name, int(values["pcie_read_request"]))
            else:
                # Drivers refuse other values while coalescing is adaptive, so it is turned on last, by itself. To turn
                # it off, or to count from the other end, sets times and frames to the driver's own with the mlx5
                # of older kernels (mlx5e_reset_rx_moderation), whatever else the command says: so first, by itself.
                last = [name for name, value in values.items() if ".adaptive-" in name and value == "on"]
                first = [name for name in values if name not in last and re.match(r"coalesce\.(adaptive|cqe)-", name)]
                for names in (first, [name for name in values if name not in first + last], last):
                    words = [word for name in names for word in (name.partition(".")[2], values[name])]
                    if words:
                        self.run(["ethtool", SET_OPTION[group], self.name, *words])
        except PermissionError as error:
            raise NotSupported(f"the kernel does not let it be written: {error.strerror}") from error

    def run(self, argv: list[str]) -> str:
        """A program that changes the card; its output."""
        code, out, err = self.system.run(argv)
        if code:
            why = reason(err, out)
            if NOT_SUPPORTED in why:
                raise NotSupported(why)
            raise HostError(" ".join(argv), f"status {code}", why, "correct the setting or leave it out")
        return out
