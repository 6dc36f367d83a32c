# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that make the next boot's switch: batches of the three tools and the unit that runs them.

``tickwire-switch.service`` can be restarted at any time: it makes the queues anew whatever is there.
systemd-networkd would take the ports out of a bridge it does not know, so they are declared unmanaged to it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ...host.files import write_atomic
from .dcb import Dcb, dcb_lines
from .plan import build_lines, ingress_lines, plan
from .state import BROADCAST_PREF, PCP_PREF, Bridge, Ingress, Port, Switch

UNIT = "tickwire-switch.service"
UNIT_FILE = f"etc/systemd/system/{UNIT}"
# what "systemctl enable" makes of the unit's WantedBy
ENABLED = f"etc/systemd/system/multi-user.target.wants/{UNIT}"
ENABLED_TARGET = f"../{UNIT}"
NETWORK_FILE = "etc/systemd/network/00-tickwire-switch.network"
BATCHES = "etc/tickwire/switch"
NOTHING = Dcb((-1,), (), (), ())  # of which every line is different
HEADER = "# Made by tickwire.fabric.linux_switch from the fabric intent; changes here are overwritten.\n"


def boot_files(desired: Switch, paths: Mapping[str, str]) -> dict[str, str]:
    """Path below the root -> content. ``paths``: where ip, bridge and tc are."""
    bridge = desired.bridge
    if not bridge:
        raise AssertionError("bridge is missing")
    # a bridge and ports of which nothing is set yet; the unit itself adds the bridge
    blank = Switch(
        bridge=Bridge(bridge.name, 0, False, **dict.fromkeys(Bridge.OPTIONS, -1)),
        ports=tuple(Port(port.name, 0, False, "") for port in desired.ports),
    )
    steps = plan(desired, blank)
    queues = [
        line
        for port in desired.ports
        for line in build_lines(port.name, port.egress, "") + ingress_lines(port.name, port.ingress, Ingress())
    ]
    batches = {
        "ip": steps.ip,
        "bridge": steps.bridge,
        "reset": [line for port in desired.ports for line in _reset_lines(port.name)],
        "tc": queues,
    }
    dcb = [
        line
        for port in desired.ports
        if port.dcb and "dcb" in paths
        for line in dcb_lines(port.name, port.dcb, NOTHING)
    ]
    if dcb:
        batches["dcb"] = dcb
    files = {f"{BATCHES}/{name}.batch": HEADER + "".join(f"{line}\n" for line in batches[name]) for name in batches}
    files[NETWORK_FILE] = _network_file(desired)
    files[UNIT_FILE] = _unit(desired, paths, bool(dcb))
    return files


def _reset_lines(name: str) -> list[str]:
    """What may be there of an earlier start; filters of others on the ingress hook stay."""
    filters = [f"filter del dev {name} ingress pref {pref}" for pref in (BROADCAST_PREF, PCP_PREF)]
    return [f"qdisc del dev {name} root", *filters]


def _network_file(desired: Switch) -> str:
    if not desired.bridge:
        raise AssertionError("desired.bridge is missing")
    names = " ".join([port.name for port in desired.ports] + [desired.bridge.name])
    return f"{HEADER}[Match]\nName={names}\n\n[Link]\nUnmanaged=yes\n"


def _unit(desired: Switch, paths: Mapping[str, str], with_dcb: bool) -> str:
    if not desired.bridge:
        raise AssertionError("desired.bridge is missing")
    devices = " ".join(f"sys-subsystem-net-devices-{escape(port.name)}.device" for port in desired.ports)
    dcb = f"ExecStart={paths['dcb']} -batch /{BATCHES}/dcb.batch\n" if with_dcb else ""
    return f"""{HEADER}[Unit]
Description=Tickwire Linux switch: bridge, VLANs and queues of the fabric intent
Wants={devices}
After={devices}

[Service]
Type=oneshot
RemainAfterExit=yes
# the bridge may be there already, and a port may have no queues to remove: both are fine
ExecStartPre=-{paths["ip"]} link add name {desired.bridge.name} type bridge
ExecStartPre=-{paths["tc"]} -force -batch /{BATCHES}/reset.batch
ExecStart={paths["ip"]} -batch /{BATCHES}/ip.batch
ExecStart={paths["bridge"]} -batch /{BATCHES}/bridge.batch
ExecStart={paths["tc"]} -batch /{BATCHES}/tc.batch
{dcb}
[Install]
WantedBy=multi-user.target
"""


def escape(name: str) -> str:
    """A network interface's name within a unit's name (systemd.unit(5), string escaping)."""
    keep = "".join(letter if letter.isalnum() or letter in "_." else f"\\x{ord(letter):02x}" for letter in name)
    return f"\\x2e{keep[1:]}" if keep.startswith(".") else keep


def differing(files: Mapping[str, str], root: Path) -> dict[str, tuple[str, str]]:
    """Path -> (content now, wanted) of the files that are not as wanted; "" now where there is none."""
    found = {}
    for name, wanted in files.items():
        path = root / name
        now = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if now != wanted:
            found[name] = (now, wanted)
    return found


def enabled(root: Path) -> bool:
    """Whether the unit runs at the next boot."""
    link = root / ENABLED
    return link.is_symlink() and os.path.basename(os.readlink(str(link))) == UNIT


def enable(root: Path) -> None:
    """Have the unit run at the next boot."""
    link = root / ENABLED
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or link.exists():
        link.unlink()
    os.symlink(ENABLED_TARGET, str(link))


def write(files: Mapping[str, str], root: Path) -> None:
    """Write each file beside itself and rename it into place, mode 0644."""
    for name, content in files.items():
        write_atomic(root / name, content)
