# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the system of each switch can have what the intent says of it, told before a device is contacted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .eos.context import context as eos
from .findings import ERROR, Finding
from .limits import system_limits
from .linux.desired import desired_switch as linux
from .model import Fabric
from .nvue.desired import desired as nvue
from .nxos.context import context as nxos
from .reading import IntentError
from .sonic.desired import desired as sonic

RULE = "system"
# makes the whole configuration of a switch; IntentError when its system cannot have it
RENDER: dict[str, Callable[[Fabric, str], object]] = {
    "cumulus": nvue,
    "eos": eos,
    "linux": linux,
    "nxos": nxos,
    "sonic": sonic,
}


def system_findings(fabric: Fabric) -> Iterator[Finding]:
    """An error for each switch whose system cannot have the intent, or advice on what of it does nothing there."""
    for device in fabric.switches:
        try:
            RENDER[device.os or ""](fabric, device.name)
            yield from system_limits(fabric, device.name)
        except IntentError as error:
            said = f"{error.reason} ({device.os} of {device.name})"
            yield Finding(ERROR, RULE, error.path, said, device.name)
