# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this host may be rebooted at this very moment: one file, with the rules in it, that asks and then reboots.

A reading of minutes ago says nothing about now: hosts of a batch wait for their turn, and a boot on trial ends long
after the role asked. So the last question is asked on the host, and nothing comes between its answer and the reboot.
The file needs the host's Python and its standard library only, since a reboot comes before the agent is installed.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from .agent import bundle
from .agent.programs import run
from .errors import HostError
from .maintenance import judge, window_open
from .part import Wanted
from .programs import find_program
from .system import System

#: The one of the role's own reboot; it goes away with that. Not in /run/tickwire, which is the engine's user's.
ROLE_GUARD = "run/tickwire-reboot-guard.pyz"
#: The one of a boot on trial. /etc is there in emergency mode as well, where /var and /usr/local may not be mounted.
TRIAL_GUARD = "etc/tickwire/boot-trial-guard.pyz"
REBOOT, TRIAL = "reboot", "trial"
#: What the role finds in the answer when the host was not rebooted because something trades.
REFUSED = "not rebooted now: "
_PYTHON = "/usr/bin/python3"
_RULES = "rules.json"
_NAMES = ("maintenance_window", "workload_protection", "workload_units")
_NEXT = {
    REBOOT: "Run role roce_host again when nothing trades, or set roce_host_maintenance_window",
    TRIAL: "The boot on trial goes on unconfirmed: run role roce_host to keep it. Else the host is asked again after "
    "the same time, and every later boot is as before",
}


def archive(rules: Wanted) -> bytes:
    """The file with these rules, the same bytes for the same rules; HostError when a window is written wrongly."""
    window_open(rules.get("maintenance_window"), datetime.now(timezone.utc))
    kept = {name: rules[name] for name in _NAMES if name in rules}
    return bundle.build({**bundle.collect(__name__), _RULES: json.dumps(kept, sort_keys=True) + "\n"})


def command_line(path: str, command: str) -> str:
    """How that file is called, REBOOT or TRIAL."""
    return f"{_PYTHON} -I /{path} {command}"


def main(
    argv: Sequence[str],
    system: System | None = None,
    path: str | None = None,
    execute: Callable[[str, list[str]], object] = os.execv,
) -> int:
    """Exit status: 0 the host may be rebooted, and with REBOOT is; 1 it may not; 2 nobody can tell, so it may not."""
    if list(argv) not in ([REBOOT], [TRIAL]):
        sys.stderr.write(f"tickwire: '{' '.join(argv)}' is neither '{REBOOT}' nor '{TRIAL}'\n")
        return 2
    here = system or System(Path("/"), run)
    try:
        with zipfile.ZipFile(path or sys.argv[0]) as opened:
            rules = json.loads(opened.read(_RULES))
        # A boot on trial may be what keeps the engine from starting: one that only tries to does not keep it for ever.
        judged = judge(here, rules, datetime.now(timezone.utc), attempts=argv[0] == REBOOT)
        shutdown = find_program(here, "shutdown") if argv[0] == REBOOT else None
        if argv[0] == REBOOT and shutdown is None:
            raise HostError("program", "shutdown", "this host has none", "install systemd's")
    except (HostError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        return _refuse(argv[0], f"it cannot be told whether it may be ({' '.join(str(error).split())})", 2)
    if not judged.allowed:
        return _refuse(argv[0], judged.reason, 1)
    if shutdown is not None:
        execute(shutdown, [shutdown, "-r", "now", "Reboot by tickwire.fabric.roce_host"])
    return 0


def _refuse(command: str, reason: str, status: int) -> int:
    sys.stderr.write(f"tickwire: {REFUSED}{reason}. {_NEXT[command]}.\n")
    return status
