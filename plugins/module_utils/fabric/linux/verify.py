# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the running switch says against the intent, as findings, and what of the intent a Linux switch has not."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import ADVICE, ERROR, WARNING, Finding
from ..model import Fabric
from .compare import differences
from .state import Switch


def drift(device: str, wanted: Switch, running: Switch) -> list[Finding]:
    """Every aspect of ours that differs is an error; what is not ours and is in the way of the intent a warning."""
    ports = {port.name for port in wanted.ports}
    found = [
        Finding(
            ERROR,
            "drift",
            f"{device}:{name} {aspect}",
            f"{value}, wanted {want}; run the role again, and look for what else configures it",
            device=device,
            port=name if name in ports else "",
        )
        for name, aspect, value, want in differences(wanted, running)
    ]
    bridge = wanted.bridge.name if wanted.bridge else ""
    found += [
        Finding(
            WARNING,
            "drift-unmanaged",
            f"{device}:{name}",
            f"is in bridge {bridge} and in no link of the intent: it has no lanes; name its link or take it out",
            device=device,
            port=name,
        )
        for name in running.unmanaged
    ]
    found += [
        Finding(
            WARNING,
            "drift-unmanaged",
            f"{device}:{port.name}",
            f"{what} is not of the intent and stays; it may drop or change what comes in",
            device=device,
            port=port.name,
        )
        for port in running.ports
        for what in port.ingress.foreign
    ]
    return found


def limits(fabric: Fabric, device: str, running: Switch) -> list[Finding]:
    """What the intent says and a Linux switch has not, as advice."""
    return [
        Finding(ADVICE, "linux-limit", f"{device}:{port}" if port else device, said, device=device, port=port)
        for port, said in _limits(fabric, device, running)
    ]


def _limits(fabric: Fabric, device: str, running: Switch) -> Iterator[tuple[str, str]]:
    settings = fabric.devices[device].settings
    running_ports = {one.name: one for one in running.ports}
    for port in fabric.ports_of(device):
        here = running_ports[port.name]
        if port.lossless and here.dcb is None:
            names = ", ".join(lane.name for lane in port.lossless)
            yield (
                port.name,
                f"its driver has no DCB, so {names} has no pause there, only marks and a deep queue",
            )
        elif port.lossless:
            yield port.name, "Linux has no PFC watchdog: a peer that pauses for ever stops the lane"
        if port.settings.storm_control.unknown_unicast_percent is not None:
            yield port.name, "tc does not know on reception which unicast will be flooded: it has no limit"
    if settings.lldp.enabled:
        dcbx = " and DCBX" if settings.lldp.dcbx else ""
        yield "", f"LLDP{dcbx} needs a daemon, which this does not install: the neighbours are not told"
    if settings.ptp.role == "boundary":
        yield "", "a boundary clock is what the role ptp makes of it, with linuxptp"
