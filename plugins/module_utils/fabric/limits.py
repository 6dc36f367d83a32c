# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the intent says of a switch and its system has nothing for: told in the plan and after reading, not refused.

What only the switch itself can tell, such as a driver without DCB, is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .findings import ADVICE, Finding
from .model import Fabric
from .settings import Settings, Watchdog

RULE = "system-limit"

Limit = tuple[str, str]  # key of the device in the intent, and what is said of it


def system_limits(fabric: Fabric, device: str) -> list[Finding]:
    """Advice for one switch: what of its settings does nothing there."""
    switch = fabric.devices[device]
    limits = LIMITS.get(switch.os or "")
    if not limits:
        return []
    carried = any(port.lossless for port in fabric.ports_of(device))
    return [
        Finding(ADVICE, RULE, f"fabric.devices.{device}.{key}", said, device)
        for key, said in limits(switch.settings, carried)
    ]


def _linux(settings: Settings, lossless: bool) -> Iterator[Limit]:
    if lossless:
        yield "watchdog", "Linux has no PFC watchdog: a peer that pauses for ever stops the lane"
    if settings.storm_control.unknown_unicast_percent is not None:
        said = "tc does not know on reception which unicast will be flooded: it has no limit"
        yield "storm_control.unknown_unicast_percent", said
    if settings.lldp.enabled:
        dcbx = " and DCBX" if settings.lldp.dcbx else ""
        yield "lldp", f"LLDP{dcbx} needs a daemon, which this does not install: the neighbours are not told"
    if settings.ptp.role == "boundary":
        yield "ptp.role", "a boundary clock is what the role ptp makes of it, with linuxptp"


def _sonic(settings: Settings, lossless: bool) -> Iterator[Limit]:
    if lossless and settings.lldp.dcbx:
        said = "community SONiC has no DCBX: the hosts get PFC and ETS from their own configuration only"
        yield "lldp.dcbx", said


def _cumulus(settings: Settings, lossless: bool) -> Iterator[Limit]:
    if lossless and settings.watchdog.restore_ms != Watchdog.restore_ms:
        said = f"restore_ms {settings.watchdog.restore_ms}: Cumulus Linux restores after one poll without a pause"
        yield "watchdog.restore_ms", said
    if settings.ptp.source is not None:
        yield "ptp.source", "Cumulus Linux sends PTP from the port's own address: source does nothing"


LIMITS: dict[str, Callable[[Settings, bool], Iterator[Limit]]] = {
    "cumulus": _cumulus,
    "linux": _linux,
    "sonic": _sonic,
}
