# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands of the agent: ``apply [INTERFACE]``, ``watch INTERFACE``, ``drift [--json] [--textfile PATH]``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import drift, maintenance
from ..errors import HostError
from ..files import write_atomic
from ..part import Part, Wanted
from ..system import System
from ..values import flag
from . import document, textfile
from .netlink import Listener
from .programs import run
from .watch import watch

Log = Callable[[str], None]


def reapply(system: System, interface: str, log: Log, parts: Sequence[Part] = drift.PARTS) -> tuple[int, int]:
    """Apply again what does not survive a boot or a link event: how many settings changed, and how many parts failed.

    A part that fails does not keep the others from theirs. HostError without a document or with a damaged one.
    """
    wanted = dict(_document(system))
    wanted["bounce_allowed"] = _may_bounce(system, wanted, log)
    changed = failed = 0
    for part in parts:
        if part.reapply is None:
            continue
        try:
            for line in part.reapply(system, wanted, interface):
                log(line)
                changed += 1
        except (HostError, OSError, ValueError) as error:
            log(f"{interface}: {part.name} could not be applied again: {_one_line(error)}")
            failed += 1
    return changed, failed


def _may_bounce(system: System, wanted: Wanted, log: Log) -> bool:
    """Whether a link may go down now: never more than the role allows, and less while something trades."""
    try:
        allowed = flag("bounce_allowed", wanted.get("bounce_allowed")) is True
        return maintenance.may_disturb_now(system, allowed, wanted)
    except (HostError, OSError) as error:
        log(f"no link goes down for a setting: {_one_line(error)}")
        return False


def _document(system: System) -> Wanted:
    wanted = document.read_document(system)
    if wanted is None:
        raise HostError(f"/{document.FILE}", "", "there is no such file", "run role roce_host, which writes it")
    return wanted


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _apply(system: System, interface: str) -> int:
    names = [interface] if interface else document.watched_interfaces(system, _document(system))
    failures = 0
    for name in names:
        if not system.path(f"sys/class/net/{name}").exists():
            raise HostError("interface", name, "this host has none of that name", "see 'ip link'")
        failures += reapply(system, name, _log)[1]
    return 1 if failures else 0


def _watch(system: System, interface: str) -> int:
    listener = Listener()
    try:
        for said in listener.missing:
            _log(f"{interface}: {said}")
        watch(interface, listener, lambda: reapply(system, interface, _log)[0], _log)
    finally:
        listener.close()
    return 0


def _drift(system: System, as_json: bool, path: str) -> int:
    """0: as wanted; 1: there is drift; 2: it could not be told."""
    try:
        report = drift.report(system, _document(system))
    except (HostError, OSError, ValueError):
        if path:
            write_atomic(Path(path), textfile.format_failure(time.time()))
        raise
    if path:
        write_atomic(Path(path), textfile.format_report(report, time.time()))
    if as_json:
        _log(json.dumps(report, indent=1, sort_keys=True))
    else:
        for item in report["drift"]:
            _log(item["message"] + (" (a reboot is due)" if item["pending_reboot"] else ""))
        if not report["drift"]:
            _log("the host is as wanted")
    return 1 if report["drift"] else 0


def main(argv: Sequence[str], system: System | None = None) -> int:
    """Exit status of the command; an error is one line."""
    parser = argparse.ArgumentParser(prog="tickwire-host", description="What is wanted of this host, kept.")
    commands = parser.add_subparsers(dest="command", required=True)
    apply = commands.add_parser("apply", help="apply again what does not survive a boot or a link event")
    apply.add_argument("interface", nargs="?", default="", metavar="INTERFACE", help="only this one")
    follow = commands.add_parser("watch", help="apply at every link event of an interface")
    follow.add_argument("interface", metavar="INTERFACE")
    look = commands.add_parser("drift", help="say what is not as wanted; exit status 1 when something is not")
    look.add_argument("--json", action="store_true", help="all of the report, as JSON")
    look.add_argument("--textfile", default="", metavar="PATH", help="write the metrics there for node_exporter")
    given = parser.parse_args(argv)
    here = system or System(Path("/"), run)
    try:
        if given.command == "apply":
            return _apply(here, given.interface)
        if given.command == "watch":
            return _watch(here, given.interface)
        return _drift(here, given.json, given.textfile)
    except (HostError, OSError, ValueError) as error:
        sys.stderr.write(f"tickwire-host: {_one_line(error)}\n")
        return 2
