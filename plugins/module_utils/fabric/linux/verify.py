# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the running switch says against the intent, as findings, and what of the intent a Linux switch has not."""

from __future__ import annotations

from ..findings import ADVICE, ERROR, WARNING, Finding
from ..limits import RULE, system_limits
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
    without_dcb = {one.name for one in running.ports if one.dcb is None}
    found = [
        Finding(
            ADVICE,
            RULE,
            f"{device}:{port.name}",
            f"its driver has no DCB, so {', '.join(lane.name for lane in port.lossless)} has no pause there, "
            "only marks and a deep queue",
            device=device,
            port=port.name,
        )
        for port in fabric.ports_of(device)
        if port.lossless and port.name in without_dcb
    ]
    return found + system_limits(fabric, device)
