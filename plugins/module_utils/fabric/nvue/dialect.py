# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How one version of Cumulus Linux writes what every version has.

Read in the object models of 5.9 to 5.18: up to 5.14 most switches are ``enable: on|off`` and LLDP is a service, from
5.15 on they are ``state: enabled|disabled`` and LLDP belongs to the system. ``interface.X.lldp.state`` came with 5.11,
``qos.pfc.X.small-packet-probability`` with 5.17, and with 5.11 storm control became narrower.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..reading import IntentError, shown

# of a switch whose version neither the intent nor the switch tells: the last form, which 5.15 and all later ones read
DEFAULT_VERSION = "5.15"
OLDEST = 9
VERSION = re.compile(r"(?:Cumulus Linux )?5\.(\d+)(?:\.\d+)*")


@dataclass(frozen=True)
class Dialect:
    """Cumulus Linux 5.``minor``."""

    minor: int

    @property
    def switch_key(self) -> str:
        """Name of the leaf that turns PTP on."""
        return "state" if self.minor >= 15 else "enable"

    def switch(self, on: bool) -> str:
        """Value of a leaf that turns something on or off."""
        if self.minor >= 15:
            return "enabled" if on else "disabled"
        return "on" if on else "off"

    @property
    def lldp(self) -> str:
        """The branch in which ``lldp`` is."""
        return "system" if self.minor >= 15 else "service"

    @property
    def lldp_per_port(self) -> bool:
        return self.minor >= 11

    @property
    def small_packets(self) -> bool:
        return self.minor >= 17

    @property
    def storm_pps_max(self) -> int:
        """Highest limit of storm control in packets per second."""
        return 16_771_376 if self.minor >= 11 else 4_294_967_295


def dialect(version: str, path: str) -> Dialect:
    """The dialect of a version such as ``5.15`` or ``5.9.2``; IntentError at ``path`` for one that is not known."""
    found = VERSION.fullmatch(version)
    if not found or int(found.group(1)) < OLDEST:
        raise IntentError(
            path, f"{shown(version)} is no version of Cumulus Linux from 5.{OLDEST} on; upgrade the switch"
        )
    return Dialect(int(found.group(1)))
