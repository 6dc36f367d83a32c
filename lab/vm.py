"""A VM's process: start it, see whether it lives and answers, stop it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError


class PortTaken(LabError):
    """QEMU could not listen on the ssh port: it was taken between the check and the start."""


def start(name: str, argv: list[str], pidfile: Path) -> int:
    """Start QEMU in the background; returns its pid. LabError with QEMU's own words when it refuses."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or f"status {done.returncode}"
        if "Could not set up host forwarding rule" in said:
            raise PortTaken(f"the ssh port of {name} is in use: {said}", "run it again, or set TICKWIRE_LAB_PORT_BASE")
        raise LabError(f"QEMU did not start {name}: {said}", "run `python3 -m lab preflight`")
    return int(pidfile.read_text())


def is_ours(pid: int, pidfile: Path) -> bool:
    """Whether process `pid` is the QEMU that was started with this pidfile (pids are used again)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if words == [b""]:
            # Memory is given back before the process is gone, and with it the command line; only a zombie without
            # other threads is done: they have the files, and so the lock on the pidfile.
            name, state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[::2]
            threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
            return "(qemu-" in name and (state.split()[0] not in "ZX" or threads > 1)
    except OSError:
        return False
    return str(pidfile).encode() in words


def strays(root: Path) -> list[int]:
    """QEMU processes whose pidfile lies in `root`, recorded or not."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"-pidfile" in words and "qemu" in os.path.basename(words[0].decode(errors="replace")):
            pidfile = Path(words[words.index(b"-pidfile") + 1].decode(errors="replace"))
            if pidfile.parent == root:
                found.append(int(entry.name))
    return sorted(found)


def answers(port: int, timeout_s: float = 2.0) -> bool:
    """Whether an ssh server greets on 127.0.0.1:port. QEMU accepts at once, so only the greeting counts."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            return connection.recv(8).startswith(b"SSH-")
    except OSError:
        return False


def is_booted(ssh_config: Path, name: str) -> tuple[bool, str]:
    """Whether root can log in with the lab's key and the boot is over; and what was said when not."""
    argv = ["ssh", "-F", str(ssh_config), "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ControlPath=none"]
    argv += [name, "systemctl", "is-system-running"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        return False, "no answer to a login within 15 s"
    # `degraded` is booted too: what failed shows in whatever needs it, and `systemctl --failed` names it.
    return done.stdout.strip() in ("running", "degraded"), (done.stderr or done.stdout).strip()


def qmp_quit(path: Path, timeout_s: float = 3.0) -> bool:
    """Ask QEMU to end at once (its disk is thrown away, so the guest need not be asked); whether it was heard."""
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(timeout_s)
            control.connect(str(path))
            stream = control.makefile("rw", encoding="utf-8")
            stream.readline()
            for command in ("qmp_capabilities", "quit"):
                stream.write(json.dumps({"execute": command}) + "\n")
                stream.flush()
                stream.readline()
        return True
    except OSError:
        return False


def wait_gone(alive: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until `alive()` is false; returns whether it became so in time."""
    deadline = time.monotonic() + timeout_s
    while alive():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def stop(pid: int, pidfile: Path, qmp: Path) -> None:
    """End the process: QMP quit, then SIGTERM, then SIGKILL. LabError when it survives all three."""

    def alive() -> bool:
        return is_ours(pid, pidfile)

    if not alive():
        return
    if qmp_quit(qmp) and wait_gone(alive, 5.0):
        return
    for signum, timeout_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return
        except PermissionError:
            raise LabError(
                f"QEMU process {pid} belongs to another user", "run this as the user who started the lab"
            ) from None
        if wait_gone(alive, timeout_s):
            return
    raise LabError(f"QEMU process {pid} does not end", f"look at it with `ps -fp {pid}`")
