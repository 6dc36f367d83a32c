# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who else sets an interface's MTU: systemd-networkd or NetworkManager, by their own files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..system import System

_SIZE = {"": 1, "K": 1024, "M": 1024 * 1024}


@dataclass(frozen=True)
class Owner:
    """A program that gives the interface this MTU whenever it brings it up, and the file that says so."""

    program: str
    file: str
    mtu: int


def find_owner(system: System, interface: str) -> Owner | None:
    """None when nobody sets it, so that it is ours to set."""
    index = system.read(f"sys/class/net/{interface}/ifindex")
    if index is None:
        return None
    return _networkd(system, index) or _network_manager(system, index)


def _networkd(system: System, index: str) -> Owner | None:
    """/run/systemd/netif/links has the files of each link that networkd manages; the last one that says it counts."""
    state = dict(
        line.split("=", 1)
        for line in (system.read(f"run/systemd/netif/links/{index}") or "").splitlines()
        if "=" in line
    )
    found = None
    files = [state.get("NETWORK_FILE", ""), *re.findall(r'[^:"\s]+', state.get("NETWORK_FILE_DROPINS", ""))]
    for name in filter(None, files):
        value = _ini(system.read(name) or "").get(("link", "mtubytes"), "")
        match = re.match(r"(\d+)([KM]?)\Z", value)
        if match:
            found = Owner("systemd-networkd", name, int(match.group(1)) * _SIZE[match.group(2)])
    return found


def _network_manager(system: System, index: str) -> Owner | None:
    device = _ini(system.read(f"run/NetworkManager/devices/{index}") or "")
    uuid = device.get(("device", "connection-uuid"))
    if not uuid:
        return None
    for directory in ("etc", "run", "usr/lib"):
        for path in sorted(system.path(f"{directory}/NetworkManager/system-connections").glob("*")):
            name = "/" + str(path.relative_to(system.root))
            profile = _ini(system.read(name) or "")
            mtu = profile.get(("ethernet", "mtu")) or profile.get(("802-3-ethernet", "mtu")) or "0"
            if profile.get(("connection", "uuid")) == uuid and mtu.isdigit() and int(mtu):
                return Owner("NetworkManager", name, int(mtu))
    return None


def _ini(text: str) -> dict[tuple[str, str], str]:
    """Values by (section, key) in small letters; the last one counts. configparser refuses what these two accept."""
    section, found = "", {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].lower()
        elif line and line[0] not in "#;" and "=" in line:
            key, dummy, value = line.partition("=")
            found[(section, key.strip().lower())] = value.strip()
    return found
