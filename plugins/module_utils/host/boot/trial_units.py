# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timer on the host that ends a boot on trial which nobody confirms, unless something trades by then."""

from __future__ import annotations

from ..errors import HostError
from ..files import remove, write_atomic
from ..guard import TRIAL, TRIAL_GUARD, command_line
from ..system import System
from .menu import TRIAL_KEY

SYSTEMCTL = "usr/bin/systemctl"
TIMER = "etc/systemd/system/tickwire-boot-trial.timer"
SERVICE = "etc/systemd/system/tickwire-boot-trial.service"
_MARKER = "# Written by tickwire.fabric.kernel_cmdline; it goes away when the boot on trial is confirmed or given up.\n"


def timer_text(name: str, timeout_s: int) -> str:
    """Starts in every boot of this trial, even one that ends in emergency mode, and in no other boot.

    Where the service did not reboot it comes again: the host may trade no longer, or a maintenance window has begun.
    """
    return (
        f"{_MARKER}[Unit]\n"
        "Description=Limit of a boot with a new kernel command line that nobody confirmed\n"
        f"ConditionKernelCommandLine={TRIAL_KEY}={name}\n"
        "DefaultDependencies=no\n"
        "IgnoreOnIsolate=yes\n\n"
        f"[Timer]\nOnBootSec={timeout_s}s\nOnUnitInactiveSec={timeout_s}s\nAccuracySec=1s\n\n"
        "[Install]\nWantedBy=sysinit.target emergency.target rescue.target\n"
    )


def service_text(name: str) -> str:
    """Reboots without asking units to stop: what hangs must not hold it up. Not while something trades on the host.

    systemd.service(5): with an exit status of 1 to 254 of ExecCondition the rest is skipped, and nothing has failed.
    """
    return (
        f"{_MARKER}[Unit]\n"
        "Description=Reboot into the previous kernel command line, since nobody confirmed the new one\n"
        f"ConditionKernelCommandLine={TRIAL_KEY}={name}\n"
        "DefaultDependencies=no\n"
        "IgnoreOnIsolate=yes\n\n"
        "[Service]\nType=oneshot\nTimeoutStartSec=180\n"
        f"ExecCondition={command_line(TRIAL_GUARD, TRIAL)}\n"
        "ExecStart=/usr/bin/systemctl reboot --force\n"
    )


def outdated(system: System, name: str, timeout_s: int, guard: bytes) -> dict[str, bytes]:
    """Files of the timer that are not so: the limit, and ``guard`` that says whether the host may be rebooted."""
    wanted = {
        TRIAL_GUARD: guard,
        SERVICE: service_text(name).encode(),
        TIMER: timer_text(name, timeout_s).encode(),
    }
    return {path: data for path, data in wanted.items() if _read(system, path) != data}


def write_units(system: System, name: str, timeout_s: int, guard: bytes) -> None:
    """Write and enable the timer; HostError when systemd refuses it."""
    for path, data in outdated(system, name, timeout_s, guard).items():
        write_atomic(system.path(path), data)
    rc, out, err = system.run(["/" + SYSTEMCTL, "enable", _unit(TIMER)])
    if rc != 0:
        raise HostError(_unit(TIMER), f"exit {rc}", f"systemd did not take it: {(err or out).strip()}", "look at it")


def remove_units(system: System) -> None:
    """Stop the timer and take both away; a host where they are not is left alone."""
    if not any(system.path(name).exists() for name in (TIMER, SERVICE, TRIAL_GUARD)):
        return
    system.run(["/" + SYSTEMCTL, "disable", "--now", _unit(TIMER)])
    remove(system.path(TIMER))
    remove(system.path(SERVICE))
    remove(system.path(TRIAL_GUARD))
    system.run(["/" + SYSTEMCTL, "daemon-reload"])


def _read(system: System, name: str) -> bytes | None:
    path = system.path(name)
    return path.read_bytes() if path.is_file() else None


def _unit(path: str) -> str:
    return path.rsplit("/", 1)[-1]
