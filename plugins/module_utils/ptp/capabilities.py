# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What PTP needs from a host: timestamping of the interface, and no other program that steers the same clock."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Sequence
from typing import Any, Callable

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

SIOCETHTOOL = 0x8946
ETHTOOL_GET_TS_INFO = 0x41
_TS_INFO = struct.Struct("=IIiI3II3I")  # struct ethtool_ts_info: command, so_timestamping, phc, tx types, rx filters
_TX_HARDWARE, _TX_SOFTWARE, _RX_HARDWARE, _RX_SOFTWARE, _SOFTWARE, _RAW_HARDWARE = 1, 2, 4, 8, 16, 64

# Programs that set the system clock. With software stamps ptp4l sets it too, and two servos on one clock never settle.
CLOCK_SERVICES = ("chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd", "systemd-timesyncd")


def decode_timestamping(raw: bytes) -> dict[str, Any]:
    """Return {hardware, software, phc_index} of a struct ethtool_ts_info; phc_index is None without a PTP hardware
    clock."""
    flags, phc = _TS_INFO.unpack(raw)[1:3]
    hardware = _TX_HARDWARE | _RX_HARDWARE | _RAW_HARDWARE
    software = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE
    return {
        "hardware": flags & hardware == hardware and phc >= 0,
        "software": flags & software == software,
        "phc_index": phc if phc >= 0 else None,
    }


def timestamping(interface: str) -> dict[str, Any]:
    """Ask the kernel what ``ethtool -T interface`` shows; raises OSError when the interface does not exist."""
    buffer = array.array("B", _TS_INFO.pack(ETHTOOL_GET_TS_INFO, 0, -1, *([0] * 8)))
    request = struct.pack("16sP16x", interface.encode(), buffer.buffer_info()[0])  # struct ifreq with ifr_data
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)
    return decode_timestamping(buffer.tobytes())


def version(run: Run) -> str:
    """Return the version of the installed linuxptp, "" when ptp4l or pmc is not there."""
    found = set()
    for program in ("ptp4l", "pmc"):
        try:
            rc, out, err = run([program, "-v"])
        except OSError:
            return ""
        found.add(out.strip() if rc == 0 else "")
    return found.pop() if len(found) == 1 else ""


def competitors(run: Run) -> list[str]:
    """Return the active services of CLOCK_SERVICES; an empty list too where systemd is not there to ask."""
    try:
        rc, out, err = run(["systemctl", "is-active"] + [name + ".service" for name in CLOCK_SERVICES])
    except OSError:
        return []
    states = out.split()
    if len(states) != len(CLOCK_SERVICES):
        return []
    return [name for name, state in zip(CLOCK_SERVICES, states) if state == "active"]
