# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which RDMA ports an interface has, and where the kernel keeps their settings.

``cma``, the defaults of rdma_cm, is in every kernel: configfs, drivers/infiniband/core/cma_configfs.c. A directory is
made there per device; the values live in the kernel's device and not in the directory (they survive an rmdir), and
without a directory nobody can read them. So it is left where it is, and says that the values are ours. It does no harm
to the device, which can go and come back under the same name, and then starts from the kernel's defaults; it only
keeps the module rdma_cm from being unloaded. Found so on Linux 6.12 with rxe.

The other places are those of drivers: ``traffic_class`` and ``ecn`` of NVIDIA's OFED, ``cc_params`` of the kernel's own
mlx5 (drivers/infiniband/hw/mlx5/cong.c, debugfs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import HostError
from ..system import System

CONFIGFS = "sys/kernel/config/rdma_cm"
CLASS = "sys/class/infiniband"
MODES = {1: "IB/RoCE v1", 2: "RoCE v2"}
KEYS = ("version", "tos", "priority", "cnp", "ecn", "traffic_class")
_LAST_NUMBER = re.compile(r"(\d+)\s*\Z")


@dataclass(frozen=True)
class RdmaPort:
    """A port of an RDMA device, and the network interface below it."""

    device: str
    port: int
    interface: str

    def __str__(self) -> str:
        return f"{self.device}/{self.port}"

    @property
    def cma(self) -> str:
        """Its directory in configfs."""
        return f"{CONFIGFS}/{self.device}/ports/{self.port}"


@dataclass(frozen=True)
class Setting:
    """One value: its name for people, its file, and what is wanted there."""

    name: str
    file: str
    value: str

    def read(self, system: System) -> str | None:
        """The value now; None where there is no such file, or its device has gone (ENODEV)."""
        try:
            text = system.read(self.file)
        except OSError:
            return None
        if text is None:
            return None
        # OFED's traffic_class shows "Global tclass=106"
        match = _LAST_NUMBER.search(text) if self.value.isdigit() else None
        return match.group(1) if match else text

    def is_closed(self, system: System) -> bool:
        """Whether not even root may open it: a locked down kernel keeps debugfs so (fs/debugfs/file.c)."""
        try:
            system.read(self.file)
        except PermissionError:
            return True
        except OSError:
            return False
        return False


def ports_of(system: System, interface: str) -> list[RdmaPort]:
    """RDMA ports on top of an interface, by the name of their device."""
    base = system.path(CLASS)
    found = []
    for entry in sorted(base.iterdir()) if base.is_dir() else []:
        for number in sorted(path.name for path in (entry / "ports").glob("[0-9]*")):
            if _netdev(system, entry.name, number) == interface:
                found.append(RdmaPort(entry.name, int(number), interface))
    return found


def _netdev(system: System, device: str, port: str) -> str:
    """rxe names its interface in ``parent``; others with their GIDs, or have one interface on the same PCI device."""
    try:
        named = system.read(f"{CLASS}/{device}/parent") or system.read(
            f"{CLASS}/{device}/ports/{port}/gid_attrs/ndevs/0"
        )
    except OSError:  # an empty GID has no interface: EINVAL
        named = None
    if named:
        return named
    below = system.path(f"{CLASS}/{device}/device/net")
    names = [entry.name for entry in below.iterdir()] if below.is_dir() else []
    return names[0] if len(names) == 1 else ""


def check_wanted(interfaces: Mapping[str, Any] | None) -> None:
    """HostError names what is wrong in the user's dictionary."""
    for name, given in (interfaces or {}).items():
        item = f"roce.{name}"
        if not isinstance(given, Mapping):
            raise HostError(
                item, given, "it has to be a dictionary", "see the documentation of tickwire.fabric.roce_cm"
            )
        for key in given:
            if key not in KEYS:
                raise HostError(f"{item}.{key}", given[key], f"there is no such key; keys are {', '.join(KEYS)}")
        if given.get("version", 2) not in MODES:
            raise HostError(f"{item}.version", given["version"], "it has to be 1 or 2")
        cnp = given.get("cnp") or {}
        numbers = [("tos", given.get("tos"), 255), ("traffic_class", given.get("traffic_class"), 255)]
        numbers += [("cnp.dscp", cnp.get("dscp"), 63), ("cnp.priority", cnp.get("priority"), 7)]
        numbers += [("ecn", priority, 7) for priority in given.get("ecn") or []]
        for key, value, high in numbers:
            if value is not None and (not isinstance(value, int) or not 0 <= value <= high):
                raise HostError(f"{item}.{key}", value, f"it has to be a whole number from 0 to {high}")


def cma_settings(port: RdmaPort, wanted: Mapping[str, Any]) -> list[Setting]:
    """The defaults of rdma_cm for new connections of a port."""
    found = []
    if wanted.get("version"):
        found.append(Setting("mode", f"{port.cma}/default_roce_mode", MODES[wanted["version"]]))
    if wanted.get("tos") is not None:
        found.append(Setting("tos", f"{port.cma}/default_roce_tos", str(wanted["tos"])))
    return found


def driver_settings(system: System, port: RdmaPort, wanted: Mapping[str, Any]) -> list[list[Setting]]:
    """What drivers may have besides; each inner list is one value in the places where a driver may keep it."""
    found = []
    traffic_class = wanted.get("traffic_class", wanted.get("tos"))
    if traffic_class is not None:
        file = f"{CLASS}/{port.device}/tc/{port.port}/traffic_class"
        found.append([Setting("traffic class", file, str(traffic_class))])
    ecn = f"sys/class/net/{port.interface}/ecn"
    debug = _mlx5_debug(system, port.device)
    cnp = wanted.get("cnp") or {}
    for name, key, ofed, inbox in (
        ("cnp dscp", "dscp", "cnp_dscp", "np_cnp_dscp"),
        ("cnp priority", "priority", "cnp_802p_prio", "np_cnp_prio"),
    ):
        if cnp.get(key) is not None:
            value = str(cnp[key])
            places = [Setting(name, f"{ecn}/roce_np/{ofed}", value)]
            found.append(places + ([Setting(name, f"{debug}/{inbox}", value)] if debug else []))
    for priority in wanted.get("ecn") or []:
        for side, said in (("rp", "reacts to"), ("np", "sends")):
            name = f"ecn {side} of priority {priority} ({said} congestion notifications)"
            found.append([Setting(name, f"{ecn}/roce_{side}/enable/{priority}", "1")])
    return found


def _mlx5_debug(system: System, device: str) -> str:
    """Directory of mlx5's congestion control in debugfs; empty where there is none."""
    pci = system.path(f"{CLASS}/{device}/device")
    directory = f"sys/kernel/debug/mlx5/{pci.resolve().name}/cc_params" if pci.exists() else ""
    return directory if directory and system.path(directory).is_dir() else ""
