# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state before a change, kept on the switch until the next change, so that there is a way back after a bad one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import boot
from .dcb import Dcb
from .state import Bridge, DscpFilter, Egress, Ets, Ingress, Port, PortVlan, Red, Shaper, Switch, SwitchError

PATH = "var/lib/tickwire/switch/before.json"
VERSION = 1


@dataclass(frozen=True)
class Snapshot:
    """What ran, and the boot files: path below the root -> content, None where there was no file."""

    switch: Switch
    files: Mapping[str, str | None]
    enabled: bool


def take(switch: Switch, names: list[str], root: Path) -> Snapshot:
    """The snapshot of what was read and of those boot files."""
    files = {
        name: (root / name).read_text(encoding="utf-8", errors="replace") if (root / name).is_file() else None
        for name in names
    }
    return Snapshot(switch, files, boot.enabled(root))


def keep(snapshot: Snapshot, root: Path) -> None:
    """Write it to the switch, in the place of an older one."""
    found = {"version": VERSION, **dataclasses.asdict(snapshot)}
    boot.write({PATH: json.dumps(found, indent=1) + "\n"}, root)


def kept(root: Path) -> Snapshot | None:
    """The snapshot on the switch. SwitchError when it can not be read."""
    path = root / PATH
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != VERSION:
            raise ValueError(f"version {found['version']}, {VERSION} is known")
        return Snapshot(_switch(found["switch"]), found["files"], found["enabled"])
    except (KeyError, TypeError, ValueError) as error:
        raise SwitchError(
            f"/{PATH} is no state of a switch ({error}); remove it and configure the switch anew"
        ) from error


def forget(root: Path) -> None:
    """There is no way back any more."""
    path = root / PATH
    if path.is_file():
        path.unlink()


def _switch(found: dict[str, Any]) -> Switch:
    bridge = found["bridge"]
    return Switch(
        bridge=Bridge(**bridge) if bridge else None,
        ports=tuple(_port(port) for port in found["ports"]),
        unmanaged=tuple(found["unmanaged"]),
    )


def _port(found: dict[str, Any]) -> Port:
    egress, ingress, dcb = (found.pop(name) for name in ("egress", "ingress", "dcb"))
    vlans = tuple(PortVlan(**vlan) for vlan in found.pop("vlans"))
    ets = egress["ets"]
    return Port(
        **found,
        vlans=vlans,
        egress=Egress(
            ets=Ets(ets["bands"], ets["strict"], tuple(ets["quanta"]), tuple(ets["priomap"])) if ets else None,
            reds=tuple((band, Red(**red)) for band, red in egress["reds"]),
            filters=tuple(DscpFilter(**match) for match in egress["filters"]),
            foreign=tuple(egress["foreign"]),
            shaper=Shaper(**egress["shaper"]) if egress["shaper"] else None,
            root_handle=egress["root_handle"],
        ),
        ingress=Ingress(
            broadcast_bps=ingress["broadcast_bps"],
            pcp=tuple(ingress["pcp"]),
            foreign=tuple(ingress["foreign"]),
            frame=ingress["frame"],
        ),
        dcb=_dcb(dcb) if dcb else None,
    )


def _dcb(found: dict[str, Any]) -> Dcb:
    return Dcb(
        pfc=tuple(found["pfc"]),
        prio_tc=tuple(found["prio_tc"]),
        tsa=tuple(found["tsa"]),
        bw=tuple(found["bw"]),
        dscp=tuple((dscp, priority) for dscp, priority in found["dscp"]),
        willing=found["willing"],
    )
