# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs ``tickwire bench`` over every transport between two hosts, and puts the results side by side."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

TRANSPORTS = ("udp", "tcp", "rc", "ud")
REPORT, FIGURES = "compare.html", "compare.json"
# How much longer than what it measures a command may live before it is killed, in seconds.
GRACE_S = 60
_NEXT = "Next: deploy the runtime with the role t2t_runtime"


class CompareError(Exception):
    """Nothing could be compared; the text says why and what to do next."""


@dataclass
class Wanted:
    """What to measure: ``count`` samples of ``size_bytes`` each, idle and in bursts; ``cpu`` -1 is not pinned."""

    tickwire: str
    server: str
    directory: str = ""
    transports: Sequence[str] = TRANSPORTS
    size_bytes: int = 64
    count: int = 10000
    warmup: int = 1000
    burst: int = 50
    every_ms: int = 10
    rate: int = 0
    tos: int = 0
    cpu: int = -1
    wait_s: int = 30
    idle_s: int = 30
    timeout_s: int = 300


@dataclass
class Found:
    """Files of the results by transport, and why there are none of the others."""

    files: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def limit_s(wanted: Wanted, what: str) -> int:
    """Return how long a command may live, in seconds; the server has to outlive every run."""
    runs = 2 * len(TRANSPORTS) if what == "serve" else 1
    return (wanted.timeout_s + GRACE_S) * runs


def _bounded(wanted: Wanted, *arguments: str) -> list[str]:
    """A command under coreutils' ``timeout``, so that even one that hangs ends."""
    return ["timeout", "--kill-after=5", str(limit_s(wanted, arguments[0])), wanted.tickwire, "bench"] + list(arguments)


def _pinned(wanted: Wanted) -> list[str]:
    return ["--cpu", str(wanted.cpu)] if wanted.cpu >= 0 else []


def serve_command(wanted: Wanted) -> list[str]:
    """Return the server's command, which ends ``idle_s`` seconds after its last client."""
    return _bounded(wanted, "serve", wanted.server, "--idle", str(wanted.idle_s)) + _pinned(wanted)


def run_commands(wanted: Wanted, transport: str) -> list[tuple[str, list[str]]]:
    """Return (result file, command) of the idle run and of the one in bursts over a transport."""
    commands = []
    shape = ["--burst", str(wanted.burst), "--every-ms", str(wanted.every_ms)]
    if wanted.rate:
        shape += ["--rate", str(wanted.rate)]
    for test, more in (("pingpong", []), ("burst", shape)):
        path = os.path.join(wanted.directory, "%s-%s.json" % (transport, test))
        asked = {
            "transport": transport,
            "size": wanted.size_bytes,
            "count": wanted.count,
            "warmup": wanted.warmup,
            "tos": wanted.tos,
            "json": path,
        }
        options = [text for name, value in asked.items() for text in ("--" + name, str(value))]
        commands.append((path, _bounded(wanted, test, wanted.server) + options + more + _pinned(wanted)))
    return commands


def _why(run: Run, command: Sequence[str], limit: int) -> str:
    """Run a command; return "" when it went well, otherwise why it did not."""
    try:
        rc, out, err = run(command)
    except OSError as error:
        raise CompareError("%s cannot run: %s. %s" % (command[0], error, _NEXT)) from error
    if rc in (126, 127):
        raise CompareError("%s cannot run: %s. %s" % (command[3], err.strip(), _NEXT))
    if rc in (124, 137):
        return "it did not end within %d s and was killed" % limit
    if rc != 0:
        lines = [line for line in (err or out).strip().splitlines() if line]
        return lines[-1] if lines else "it ended with %d" % rc
    return ""


def serve(run: Run, wanted: Wanted) -> None:
    """Send back what the client sends, until no client has come for a while. Raises CompareError."""
    why = _why(run, serve_command(wanted), limit_s(wanted, "serve"))
    if why:
        raise CompareError(
            "bench server %s: %s. Next: is the address this host's, and the port free?" % (wanted.server, why)
        )


def measure(run: Run, wanted: Wanted) -> Found:
    """Measure every transport, idle and in bursts; one that fails is named with its reason. Raises CompareError."""
    found = Found()
    wait_s = wanted.wait_s
    for transport in wanted.transports:
        files = []
        for path, command in run_commands(wanted, transport):
            why = _why(run, command + ["--wait", str(wait_s)], limit_s(wanted, "run"))
            wait_s = 0  # a server that is not there for the first run is not for the next
            if why:
                found.missing[transport] = why
                break
            files.append(path)
        else:
            found.files += files
    if not found.files:
        reasons = "; ".join("%s: %s" % item for item in found.missing.items())
        raise CompareError("nothing could be measured against %s: %s" % (wanted.server, reasons))
    return found


def compare(run: Run, wanted: Wanted, found: Found) -> dict[str, Any]:
    """Put what was measured side by side; return the comparison, "text" being the table. Raises CompareError.

    ``run`` works in ``wanted.directory``: the comparison names its results as they lie beside it, here or fetched.
    """
    figures = os.path.join(wanted.directory, FIGURES)
    command = _bounded(wanted, "compare") + [os.path.basename(path) for path in found.files]
    command += ["--json", figures, "--html", os.path.join(wanted.directory, REPORT)]
    for transport, reason in found.missing.items():
        command += ["--without", "%s=%s" % (transport, reason)]
    rc, out, err = run(command)
    if rc != 0:
        raise CompareError("the results in %s cannot be compared: %s" % (wanted.directory, (err or out).strip()))
    with open(figures, encoding="utf-8") as stream:
        result: dict[str, Any] = json.load(stream)
    result["text"] = out.splitlines()
    return result
