# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timer on the host that ends a boot on trial which nobody confirms."""

from __future__ import annotations

from ..errors import HostError
from ..files import remove, write_atomic
from ..system import System
from .menu import TRIAL_KEY

SYSTEMCTL = "usr/bin/systemctl"
TIMER = "etc/systemd/system/tickwire-boot-trial.timer"
SERVICE = "etc/systemd/system/tickwire-boot-trial.service"
_MARKER = "# Written by tickwire.fabric.kernel_cmdline; it goes away when the boot on trial is confirmed or given up.\n"


def timer_text(name: str, timeout_s: int) -> str:
    """Starts in every boot of this trial, even one that ends in emergency mode, and in no other boot."""
    return (
        f"{_MARKER}[Unit]\n"
        "Description=Limit of a boot with a new kernel command line that nobody confirmed\n"
        f"ConditionKernelCommandLine={TRIAL_KEY}={name}\n"
        "DefaultDependencies=no\n"
        "IgnoreOnIsolate=yes\n\n"
        f"[Timer]\nOnBootSec={timeout_s}s\nAccuracySec=1s\n\n"
        "[Install]\nWantedBy=sysinit.target emergency.target rescue.target\n"
    )


def service_text(name: str) -> str:
    """Reboots without asking units to stop: what hangs must not hold it up."""
    return (
        f"{_MARKER}[Unit]\n"
        "Description=Reboot into the previous kernel command line, since nobody confirmed the new one\n"
        f"ConditionKernelCommandLine={TRIAL_KEY}={name}\n"
        "DefaultDependencies=no\n"
        "IgnoreOnIsolate=yes\n\n"
        "[Service]\nType=oneshot\nExecStart=/usr/bin/systemctl reboot --force\n"
    )


def write_units(system: System, name: str, timeout_s: int) -> None:
    """Write and enable the timer; HostError when systemd refuses it."""
    write_atomic(system.path(SERVICE), service_text(name))
    write_atomic(system.path(TIMER), timer_text(name, timeout_s))
    rc, out, err = system.run(["/" + SYSTEMCTL, "enable", _unit(TIMER)])
    if rc != 0:
        raise HostError(_unit(TIMER), f"exit {rc}", f"systemd did not take it: {(err or out).strip()}", "look at it")


def remove_units(system: System) -> None:
    """Stop the timer and take both away; a host where they are not is left alone."""
    if not any(system.path(name).exists() for name in (TIMER, SERVICE)):
        return
    system.run(["/" + SYSTEMCTL, "disable", "--now", _unit(TIMER)])
    remove(system.path(TIMER))
    remove(system.path(SERVICE))
    system.run(["/" + SYSTEMCTL, "daemon-reload"])


def _unit(path: str) -> str:
    return path.rsplit("/", 1)[-1]
