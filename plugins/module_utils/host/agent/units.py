# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The units of the agent, as text."""

from __future__ import annotations

import string

from ..irq_state import DIRECTORY as RUNTIME
from ..workload import ENGINE

DIRECTORY = "etc/systemd/system"
NIC = "tickwire-nic@.service"
DRIFT = "tickwire-host-drift.service"
TIMER = "tickwire-host-drift.timer"
#: Ends a hold of the units of the NICs. It has no file of ours: systemd-run makes it below /run.
HOLD = "tickwire-nic-hold.timer"
BINARY = "usr/local/lib/tickwire/tickwire-host.pyz"

_PLAIN = frozenset(string.ascii_letters + string.digits + ":_.")

# PCI configuration space is read in full with CAP_SYS_ADMIN only, where the maximum read request size is.
_HARDENED = """\
Nice=10
{affinity}NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
ProtectSystem=strict
ReadWritePaths=-/var/lib/tickwire{writes}
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
{read_only}PrivateDevices=yes
PrivateTmp=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET
IPAddressDeny=any
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""

_NIC = """\
# Written by tickwire.fabric.host_agent; changes are lost.
[Unit]
Description=Tickwire settings of NIC %I
BindsTo=sys-subsystem-net-devices-%i.device
After=sys-subsystem-net-devices-%i.device systemd-sysctl.service systemd-tmpfiles-setup.service irqbalance.service
{rdma}# The engine starts when its NIC is as wanted.
Before={engine}
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={python} -I /{binary} watch %I
Restart=on-failure
RestartSec=5
TimeoutStartSec=180
RuntimeDirectory={runtime}
RuntimeDirectoryPreserve=yes
{hardened}
[Install]
WantedBy=sys-subsystem-net-devices-%i.device
"""

_DRIFT = """\
# Written by tickwire.fabric.host_agent; changes are lost.
[Unit]
Description=Tickwire drift of this host

[Service]
Type=oneshot
ExecStart={python} -I /{binary} drift{textfile}
# 1: there is drift. That is told by the log and the metrics; the service itself did not fail.
SuccessExitStatus=1
TimeoutStartSec=300
{hardened}"""

_TIMER = """\
# Written by tickwire.fabric.host_agent; changes are lost.
[Unit]
Description=Tickwire drift of this host, again and again

[Timer]
OnActiveSec=1min
OnUnitActiveSec={interval}
RandomizedDelaySec=10s
AccuracySec=5s

[Install]
WantedBy=timers.target
"""


def escape(name: str) -> str:
    """A name as part of a unit's, as systemd-escape writes it."""
    escaped = []
    for place, byte in enumerate(name.encode("utf-8")):
        character = chr(byte)
        if character == "/":
            escaped.append("-")
        elif character in _PLAIN and not (character == "." and place == 0):
            escaped.append(character)
        else:
            escaped.append(f"\\x{byte:02x}")
    return "".join(escaped)


def instance(interface: str) -> str:
    """The unit of that NIC."""
    return NIC.replace("@", f"@{escape(interface)}")


def device(interface: str) -> str:
    """The unit that is active while the NIC is there."""
    return device_of(instance(interface))


def device_of(unit: str) -> str:
    """The same, of the unit of a NIC."""
    head, tail = NIC.split("@")
    return f"sys-subsystem-net-devices-{unit[len(head) + 1 : -len(tail)]}.device"


def _hardened(housekeeping: str, capabilities: str, writes: str, read_only: str) -> str:
    affinity = f"CPUAffinity={housekeeping}\n" if housekeeping else ""
    return _HARDENED.format(affinity=affinity, capabilities=capabilities, writes=writes, read_only=read_only)


def nic_unit(python: str, housekeeping: str, rdma: bool) -> str:
    """The template of the units of the NICs; ``rdma``: settings of rdma_cm are kept, which the unit may not load."""
    load = "Wants=modprobe@rdma_cm.service\nAfter=modprobe@rdma_cm.service\n" if rdma else ""
    # The engine's block, which says whether it trades, is not root's.
    hardened = _hardened(housekeeping, "CAP_NET_ADMIN CAP_SYS_ADMIN CAP_DAC_READ_SEARCH", "", "")
    runtime = RUNTIME.rpartition("/")[2]
    return _NIC.format(python=python, binary=BINARY, hardened=hardened, rdma=load, engine=ENGINE, runtime=runtime)


def drift_unit(python: str, housekeeping: str, textfile: str, firmware: bool) -> str:
    """The service that looks for drift; ``textfile`` is the file of the metrics, or empty.

    ``firmware``: that of cards is looked at. mstflint asks them by writes to their configuration space in /sys, which
    it opens for both at once (mtcr_ul_com.c, mtcr_pciconf_open).
    """
    writes = f" -{textfile.rpartition('/')[0]}" if textfile else ""
    # Reading is all it does, as root that may read what others may not.
    read_only = "ProtectControlGroups=yes\n" if firmware else "ProtectKernelTunables=yes\nProtectControlGroups=yes\n"
    hardened = _hardened(housekeeping, "CAP_NET_ADMIN CAP_SYS_ADMIN CAP_DAC_READ_SEARCH", writes, read_only)
    option = f" --textfile {textfile}" if textfile else ""
    return _DRIFT.format(python=python, binary=BINARY, hardened=hardened, textfile=option)


def timer_unit(interval: str) -> str:
    """The timer of that service."""
    return _TIMER.format(interval=interval)
