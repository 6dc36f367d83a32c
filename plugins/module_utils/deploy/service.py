# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a runtime service on this host does right now, and how that differs from what is wanted.

Everything is read from the running system: systemd's properties, the state that the service publishes, and the CPU set
of each of its threads in ``/proc``.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Set
from pathlib import Path
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.deploy import releases
from ansible_collections.tickwire.fabric.plugins.module_utils.deploy.releases import Run
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_list, parse_cpu_list

#: User that the services run as.
USER = "tickwire"
#: States that a healthy component publishes.
HEALTHY = {"engine": ("live",), "exchange": ("idle", "replaying")}
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "NRestarts",
    "NeedDaemonReload",
    "UnitFileState",
)
_RELEASE = re.compile(r"/releases/([^/]+)/bin/")


def online_cpus(root: Path) -> frozenset[int]:
    """Numbers of the CPUs that are online."""
    return parse_cpu_list((root / "sys/devices/system/cpu/online").read_text(encoding="ascii"))


def unit_properties(run: Run, unit: str) -> dict[str, str]:
    """Chosen properties of a systemd unit; a unit that does not exist has LoadState not-found."""
    rc, out, _err = run(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", unit])
    if rc != 0:
        return {}
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def threads(root: Path, pid: int) -> list[dict[str, Any]]:
    """Id, name and allowed CPUs (list text) of every thread of a process, by id; empty when the process is gone."""
    found: list[dict[str, Any]] = []
    try:
        tasks = sorted((root / "proc" / str(pid) / "task").iterdir(), key=lambda task: int(task.name))
    except (FileNotFoundError, ProcessLookupError):
        return found
    for task in tasks:
        try:
            text = (task / "status").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):  # the thread ended meanwhile
            continue
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        cpus = parse_cpu_list(fields.get("Cpus_allowed_list", ""))
        found.append(
            {"tid": int(task.name), "name": fields.get("Name", "").strip(), "cpus_allowed": format_cpu_list(cpus)}
        )
    return found


def running_release(root: Path, pid: int) -> str:
    """Name of the release whose interpreter the process runs; ``current`` may have moved on since it started."""
    try:
        command = (root / "proc" / str(pid) / "cmdline").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    match = _RELEASE.search(command.split("\0")[0])
    return match.group(1) if match else ""


def published(run: Run, base: Path, block: str) -> dict[str, Any]:
    """What the component publishes in its block, read by the installed command; {"error": why} when it cannot be."""
    try:
        rc, out, err = run([str(base / "current" / "bin" / "tickwire"), "status", block, "--json"])
    except OSError as error:
        return {"error": f"the runtime's command cannot run: {error.strerror}"}
    if rc != 0:
        lines = (err.strip() or out.strip()).splitlines()
        return {"error": lines[-1] if lines else f"tickwire status ended with {rc}"}
    try:
        status = json.loads(out)
    except ValueError:
        return {"error": "tickwire status --json printed no JSON"}
    return status if isinstance(status, dict) else {"error": "tickwire status --json printed no object"}


def _has_user(root: Path, name: str) -> bool:
    try:
        lines = (root / "etc/passwd").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return False
    return any(line.split(":", 1)[0] == name for line in lines)


def _is_private_to_root(path: Path) -> bool:
    """Whether this is a directory which everybody may enter and nobody but root may write."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and stat.S_IMODE(found.st_mode) == 0o755


def _same_content(left: Path, right: Path) -> bool:
    try:
        return left.read_bytes() == right.read_bytes()
    except OSError:
        return False


def read(run: Run, root: Path, base: Path, component: str, block: str) -> dict[str, Any]:
    """One reading of the component ``engine`` or ``exchange``; nothing in it fails when nothing is installed yet.

    base and block are paths of the host as the service sees them; root is put before those that are read as files.
    """
    unit = f"tickwire-{component}.service"
    properties = unit_properties(run, unit)
    pid = int(properties.get("MainPID") or 0)
    base_here = root / str(base).lstrip("/")
    current = releases.current_release(base_here)
    return {
        "component": component,
        "online_cpus": sorted(online_cpus(root)),
        "release": {
            "current": current,
            "complete": releases.complete_releases(base_here),
            "running": running_release(root, pid) if pid else "",
        },
        "user": _has_user(root, USER),
        "config_dir": _is_private_to_root(root / "etc/tickwire"),
        "config_in_force": bool(pid)
        and _same_content(root / f"etc/tickwire/{component}.toml", root / f"run/tickwire/{component}.toml"),
        "unit": {
            "name": unit,
            "load": properties.get("LoadState", ""),
            "active": properties.get("ActiveState", ""),
            "sub": properties.get("SubState", ""),
            "result": properties.get("Result", ""),
            "enabled": properties.get("UnitFileState", ""),
            "needs_reload": properties.get("NeedDaemonReload", "") == "yes",
            "restarts": int(properties.get("NRestarts") or 0),
            "pid": pid,
        },
        "status": published(run, base, block) if current and pid else {"error": "the service does not run"},
        "threads": threads(root, pid) if pid else [],
    }


def drift(state: dict[str, Any], release: str, cpu: int, housekeeping: Set[int]) -> list[str]:
    """What differs from a healthy service of that release (empty: any), one sentence each; empty when nothing does.

    cpu: the CPU on which exactly one thread has to be pinned alone, -1: none. Every other thread has to stay within the
    housekeeping CPUs; an empty set does not bind them.
    """
    unit, status, found = state["unit"], state["status"], []
    if unit["active"] != "active":
        found.append(f"{unit['name']} is {unit['active'] or 'unknown'} ({unit['sub'] or 'no state'}), not active")
    if unit["enabled"] != "enabled":
        found.append(f"{unit['name']} is {unit['enabled'] or 'not installed'}: it would not start at boot")
    for kind in ("current", "running"):
        if release and state["release"][kind] != release:
            found.append(f"the {kind} release is {state['release'][kind] or 'none'}, not {release}")
    if not state["config_in_force"]:
        found.append("the service does not run on the configuration that is on disk")
    if "error" in status:
        found.append(f"its state cannot be read: {status['error']}")
    elif status.get("state") not in HEALTHY[state["component"]]:
        found.append(f"its state is '{status.get('state')}', not {' or '.join(HEALTHY[state['component']])}")
    elif status.get("pid") != unit["pid"]:
        found.append(
            f"its state was written by process {status.get('pid')}, while the service is process {unit['pid']}"
        )
    return found + _cpu_drift(state["threads"], cpu, housekeeping)


def _cpu_drift(listed: list[dict[str, Any]], cpu: int, housekeeping: Set[int]) -> list[str]:
    found: list[str] = []
    pinned = 0
    for thread in listed:
        cpus = parse_cpu_list(thread["cpus_allowed"])
        if cpu >= 0 and cpus == {cpu}:
            pinned += 1
        elif housekeeping and not cpus <= housekeeping:
            found.append(
                f"thread {thread['tid']} ({thread['name']}) may run on CPUs {thread['cpus_allowed']}, "
                f"which is outside the housekeeping CPUs {format_cpu_list(housekeeping)}"
            )
    if cpu >= 0 and pinned != 1:
        found.append(f"{pinned} threads are pinned to CPU {cpu} alone, not 1")
    return found


def log_tail(run: Run, unit: str, lines: int = 15) -> list[str]:
    """Last lines of the unit's journal, for the reader of a failure."""
    try:
        rc, out, _err = run(["journalctl", "--unit", unit, "--lines", str(lines), "--no-pager", "--output", "cat"])
    except OSError:
        return []
    return out.splitlines() if rc == 0 else []
