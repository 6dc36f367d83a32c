"""Progress lines with elapsed seconds, and running a long command without a silent minute."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

HEARTBEAT_S = 10.0
KERNEL_DIED = re.compile(r"\] (?:BUG: |Oops: |int3: |invalid opcode: |general protection fault|Kernel panic )")
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?!]*[A-Za-z]|\x1b[a-zA-Z]")


class Progress:
    """Prints `[lab  12.3 s] text` lines; the clock starts when it is made."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._start_s = time.monotonic()
        self._last_s = self._start_s

    def elapsed_s(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start_s

    def say(self, text: str) -> None:
        """Print one line at once."""
        self._last_s = time.monotonic()
        print(f"[lab {self.elapsed_s():5.1f} s] {text}", file=self._stream, flush=True)

    def beat(self, text: str) -> None:
        """Print the line only when nothing was printed for `HEARTBEAT_S` seconds."""
        if time.monotonic() - self._last_s >= HEARTBEAT_S:
            self.say(text)


def tail(path: Path, lines: int) -> list[str]:
    """The last non-blank lines of a text file, without control characters; empty when there is no file."""
    try:
        text = path.read_bytes()[-65536:].decode("utf-8", "replace")
    except OSError:
        return []
    plain = CONTROL_SEQUENCE.sub("", text)
    kept = ("".join(ch for ch in line if ch.isprintable()).rstrip() for line in plain.splitlines())
    return [line for line in kept if line][-lines:]


def last_words(console: Path, lines: int) -> list[str]:
    """The last lines of a console; of a kernel that died its first words about that, where the cause stands."""
    kept = tail(console, 1000)
    died = next((number for number, line in enumerate(kept) if KERNEL_DIED.search(line)), None)
    return kept[-lines:] if died is None else kept[died : died + 3 * lines]


def run_logged(argv: Sequence[str], log: Path, progress: Progress, label: str, cwd: Path | None = None) -> int:
    """Run a command with its output in `log`, beating with the last line of it; returns the exit status.

    The command's standard input stays open as long as it is wanted. When this process is interrupted it is closed, the
    command is terminated and waited for.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, cwd=cwd)
        try:
            while True:
                try:
                    return process.wait(timeout=1.0)
                except subprocess.TimeoutExpired:
                    last = tail(log, 1)
                    progress.beat(f"{label}: {last[0][:100] if last else 'still running'}")
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.terminate()
    except PermissionError:
        pass  # It runs under sudo, and watches its standard input.
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
