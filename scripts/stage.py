"""Runs the stages of a make target: output passed on, a line when a command is silent, the time each stage took.

    stage.py run NAME -- COMMAND...           one stage
    stage.py all TARGET NAME...               make NAME, one after the other, up to the first that fails; then the table
    stage.py summary                          the table of the last `all`

`run` reads what the command prints, so it can say after 20 s of silence that it is alive and which Ansible task is
running, and can count tests from pytest's closing lines (a stage without any counts as one test). `all --tests` ends
with one line `N passed, N failed in S s`. Times go to `.stage/times.jsonl`, output to `.stage/NAME.log`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

SILENCE_S = 20.0
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TASK = re.compile(r"^(TASK|PLAY|RUNNING HANDLER) \[.*\]")
CLOSING = re.compile(r"^=*\s*((?:\d+ [a-z]+,? ?)+) in [\d.:]+ ?s.*$")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


def state_directory() -> Path:
    """Where times and logs go: TICKWIRE_STAGE_DIR, or .stage of the current directory."""
    return Path(os.environ.get("TICKWIRE_STAGE_DIR", ".stage"))


def duration(seconds: float) -> str:
    """A time for people: 48.2 s, or 7 min 05 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


class Watcher:
    """Follows the lines of a command: the last Ansible task or play, and the tests pytest counted."""

    def __init__(self) -> None:
        self.task = ""
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.counted = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of output; lines may be split anywhere."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(COLOUR.sub("", line.decode(errors="replace")).strip())

    def _line(self, line: str) -> None:
        task = TASK.match(line)
        if task:
            self.task = task.group(0)
        closing = CLOSING.match(line)
        if closing:
            for number, word in COUNT.findall(closing.group(1)):
                self.counted = True
                self.counts["failed" if word.startswith("error") else word] += int(number)


def environment(name: str) -> dict[str, str]:
    """A stage's environment: unbuffered, in colour when a person is looking; stages it runs keep their own times."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "TICKWIRE_STAGE_DIR": str((state_directory() / name).resolve())}
    if sys.stdout.isatty() and "NO_COLOR" not in env:
        env.setdefault("FORCE_COLOR", "1")
        env.setdefault("ANSIBLE_FORCE_COLOR", "1")
    return env


def pump(process: subprocess.Popen[bytes], name: str, log: BinaryIO, watcher: Watcher, silence_s: float) -> None:
    """Passes a command's output on until it ends, with a line of our own after every silence."""
    assert process.stdout is not None
    started = time.monotonic()
    newline = b""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], silence_s)
        if ready:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                return
            sys.stdout.buffer.write(data)
            log.write(data)
            watcher.feed(data)
            newline = b"" if data.endswith(b"\n") else b"\n"
        else:
            doing = f", in {watcher.task}" if watcher.task else ""
            elapsed = duration(time.monotonic() - started)
            sys.stdout.buffer.write(newline + f"... {name}: still running after {elapsed}{doing}\n".encode())
            newline = b""
        sys.stdout.buffer.flush()


def keep(record: dict[str, Any]) -> None:
    """Adds a stage to the file of times."""
    state_directory().mkdir(parents=True, exist_ok=True)
    with (state_directory() / "times.jsonl").open("a", encoding="utf-8") as times:
        times.write(json.dumps(record) + "\n")


def run_stage(name: str, command: list[str], silence_s: float = SILENCE_S) -> dict[str, Any]:
    """Runs one stage and returns its record: name, seconds, code, and the tests that passed, failed, were skipped."""
    directory = state_directory()
    directory.mkdir(parents=True, exist_ok=True)
    print(f"==> {name}: {shlex.join(command)}", flush=True)
    watcher = Watcher()
    started = time.monotonic()
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(name))
    except OSError as error:
        print(f"stage {name}: cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        code = 127
    else:
        # A terminal interrupts the command as well: wait for its end, so that nothing of it is left behind.
        previous = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
            signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        }
        with (directory / f"{name}.log").open("wb") as log:
            pump(process, name, log, watcher, silence_s)
        returned = process.wait()
        for number, handler in previous.items():
            signal.signal(number, handler)
        code = returned if returned >= 0 else 128 - returned
    seconds = round(time.monotonic() - started, 1)
    record: dict[str, Any] = {"name": name, "seconds": seconds, "code": code, **watcher.counts}
    if not watcher.counted:
        record["passed"] = int(code == 0)
    if code != 0:
        record["failed"] = max(1, record["failed"])
    keep(record)
    ended = "done" if code == 0 else f"FAILED with code {code}"
    print(f"==> {name}: {ended} after {duration(record['seconds'])}", flush=True)
    if code != 0:
        again = shlex.join(["make", name, *shlex.split(os.environ.get("TICKWIRE_MAKE_VARIABLES", ""))])
        print(f"Stage {name} failed. Run it alone with: {again}   (its output: {directory / name}.log)", flush=True)
    return record


def records() -> list[dict[str, Any]]:
    """The stages since the last start of `all`."""
    try:
        lines = (state_directory() / "times.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def summary(done: list[dict[str, Any]]) -> list[str]:
    """The table of stages, their times and tests."""
    width = max([len(record["name"]) for record in done] + [len("stage")])
    lines = [f"{'stage':<{width}}  {'time':>12}  {'passed':>6}  {'failed':>6}  {'skipped':>7}"]
    for record in done:
        counts = f"{record['passed']:>6}  {record['failed']:>6}  {record['skipped']:>7}"
        lines.append(f"{record['name']:<{width}}  {duration(record['seconds']):>12}  {counts}")
    lines.append(f"{'all':<{width}}  {duration(sum(record['seconds'] for record in done)):>12}")
    return lines


def closing_line(done: list[dict[str, Any]]) -> str:
    """The tests of all stages as pytest ends: `12 passed, 0 failed in 3.20s`."""
    total = {key: sum(record[key] for record in done) for key in ("seconds", "passed", "failed", "skipped")}
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    return f"{total['passed']} passed, {total['failed']} failed{skipped} in {total['seconds']:.2f}s"


def written_at(path: Path | None) -> int | None:
    """When a file was last written, in ns; None when there is none."""
    return path.stat().st_mtime_ns if path is not None and path.exists() else None


def run_all(target: str, names: list[str], report: Path | None, tests: bool) -> int:
    """Runs `make NAME` for every name up to the first failure; returns its exit code."""
    with contextlib.suppress(FileNotFoundError):
        (state_directory() / "times.jsonl").unlink()
    before = written_at(report)
    code = 0
    # A terminal interrupts the stage as well: wait for its end. Python would kill `make` and go, in mid clean-up.
    signal.signal(signal.SIGINT, lambda *_: None)
    for name in names:
        command = [os.environ.get("MAKE", "make"), "--silent", "--no-print-directory", name]
        code = subprocess.run(command, check=False).returncode
        if code == 0:
            continue
        done = records()
        if done and done[-1]["name"] == name:
            code = done[-1]["code"] or code  # make answers 2 for whatever the stage answered
        else:
            keep({"name": name, "seconds": 0.0, "code": code, "passed": 0, "failed": 1, "skipped": 0})
        break
    if report is not None and written_at(report) not in (None, before):
        print(f"\nReport: {report.resolve()}")
    print(f"\n{target}: {'done' if code == 0 else 'stopped at the first stage that failed'}")
    print("\n".join(summary(records())), flush=True)
    if tests:
        print(closing_line(records()), flush=True)
    return code


def main() -> int:
    """Command line, see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="action", required=True)
    run = commands.add_parser("run", help="run one stage")
    run.add_argument("name")
    run.add_argument("command", nargs="+", help="after --: the command and its arguments")
    every = commands.add_parser("all", help="make several targets, then print their times")
    every.add_argument("--report", type=Path, help="a file to name at the end when a stage wrote it")
    every.add_argument("--tests", action="store_true", help="end with a line of how many tests passed")
    every.add_argument("target")
    every.add_argument("names", nargs="+")
    commands.add_parser("summary", help="print the table of the last `all`")
    arguments = parser.parse_args()
    if arguments.action == "run":
        return int(run_stage(arguments.name, arguments.command)["code"])
    if arguments.action == "all":
        return run_all(arguments.target, arguments.names, arguments.report, arguments.tests)
    print("\n".join([*summary(records()), closing_line(records())]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
