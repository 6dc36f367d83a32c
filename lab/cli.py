"""Command line of the lab: `python3 -m lab up|down|status|image|preflight`, from the root of the checkout."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from lab import image, preflight
from lab.errors import LabError
from lab.progress import Progress
from lab.supervisor import Supervisor, UpResult
from lab.topology import LAB

ROOT = image.LAB_DIR.parent / ".lab"


def up_json(result: UpResult) -> dict[str, Any]:
    """The object `up --json` prints."""
    return {
        "changed": result.changed,
        "accel": result.state.accel,
        "vms": {name: {"pid": vm.pid, "port": vm.port} for name, vm in sorted(result.state.vms.items())},
        "stages": {name: round(seconds, 1) for name, seconds in result.stages.items()},
    }


def status_table(rows: list[tuple[str, int | None, int | None, str]]) -> str:
    """The rows of `status` as text with a header."""
    cells = [("VM", "PID", "PORT", "SSH")]
    cells += [(name, str(pid or "-"), str(port or "-"), ssh) for name, pid, port, ssh in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def main(argv: list[str]) -> int:
    """Run one command; 0 when it succeeded, 1 with a message and the next step when not."""
    parser = argparse.ArgumentParser(prog="python3 -m lab", description="The fabric in a box.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("up", "build the image when its inputs changed, boot what does not run"),
        ("down", "stop every VM and remove all files, sockets and processes of this lab"),
        ("status", "show the VMs; exit status 3 when one does not answer"),
        ("image", "only build the disk image"),
        ("preflight", "check programs, root, disk space and memory; change nothing"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--json", action="store_true", help="one JSON object on stdout, progress on stderr")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{preflight.ADMIN_PATH}"
    progress = Progress(sys.stderr if options.json else sys.stdout)
    try:
        status, result = _run(options.command, progress, options.json)
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        status, result = 1, {"changed": False, "failed": True, "msg": str(error)}
    except OSError as error:
        print(f"lab: error: {error}\n  next: run `python3 -m lab preflight`", file=sys.stderr)
        status, result = 1, {"changed": False, "failed": True, "msg": str(error)}
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        status, result = 130, {"changed": False, "failed": True, "msg": "interrupted"}
    if options.json:
        print(json.dumps(result))
    return status


def _run(command: str, progress: Progress, as_json: bool) -> tuple[int, dict[str, Any]]:
    supervisor = Supervisor(ROOT, progress)
    if command == "up":
        found = up_json(supervisor.up())
        stages = found["stages"]
        times = f"image {stages['image_s']} s, boot {stages['boot_s']} s"
        progress.say(f"lab is up: {times}; next: ssh -F .lab/ssh_config trade1")
        return 0, found
    if command == "down":
        changed = supervisor.down()
        progress.say("lab is down" if changed else "no lab here: nothing to stop")
        return 0, {"changed": changed}
    if command == "image":
        path, built = image.ensure_image(progress)
        progress.say(f"lab image {'built' if built else 'is in the cache'}: {path}")
        return 0, {"changed": built, "image": str(path)}
    if command == "preflight":
        _preflight(progress)
        return 0, {"changed": False}
    rows = supervisor.status()
    if not as_json:
        print(status_table(rows))
    vms = {name: {"pid": pid, "port": port, "ssh": ssh} for name, pid, port, ssh in rows}
    return (0 if all(row[3] == "answers" for row in rows) else 3), {"changed": False, "vms": vms}


def _preflight(progress: Progress) -> None:
    preflight.check_run(LAB, ROOT)
    progress.say("programs, memory and disk space to run the lab: ok")
    path: Path = image.image_path()
    if path.exists():
        progress.say(f"lab image: in the cache ({path})")
        return
    preflight.check_build(path.parent)
    preflight.root_prefix(os.geteuid(), sys.stdin.isatty())
    progress.say("lab image: not built yet; programs, root and disk space to build it: ok")


def _terminate(signum: int, frame: FrameType | None) -> None:
    # As Ctrl-C does, so that every clean-up runs.
    raise KeyboardInterrupt
