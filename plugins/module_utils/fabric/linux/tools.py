# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tools of iproute2, called without a shell. ``dcb`` may be missing: then no port has DCB."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .state import SwitchError

TOOLS = ("ip", "bridge", "tc")
OPTIONAL = ("dcb",)

# run(argv, data) -> (rc, stdout, stderr); data goes to stdin
Run = Callable[[Sequence[str], str], "tuple[int, str, str]"]

FAILED_LINE = re.compile(r"Command failed -:(\d+)")


class Iproute:
    """``ip``, ``bridge`` and ``tc`` at their paths, through a ``run`` callable of the caller."""

    def __init__(self, run: Run, paths: Mapping[str, str]) -> None:
        self.run = run
        self.paths = dict(paths)

    def read(self, tool: str, *arguments: str) -> list[dict[str, Any]]:
        """JSON output of a command that only shows something. tc prints nothing at all where there is nothing."""
        argv = [self.paths[tool], "-j", *arguments]
        rc, out, err = self.run(argv, "")
        if rc != 0:
            raise SwitchError(f"'{' '.join(argv)}' failed with {rc}: {err.strip() or out.strip()}")
        return [item for item in self.parsed(argv, out, []) if item]

    def parsed(self, argv: Sequence[str], out: str, nothing: Any) -> Any:
        """The JSON that a command printed, ``nothing`` for none. SwitchError when it is no JSON."""
        try:
            return json.loads(out) if out.strip() else nothing
        except ValueError as error:
            raise SwitchError(
                f"'{' '.join(argv)}' printed no JSON ({error}); iproute2 6.1 or newer is needed"
            ) from error

    def batch(self, tool: str, lines: Sequence[str]) -> Failure | None:
        """Run the lines in one process; None when all worked, else where it stopped. Lines before it did work."""
        if not lines:
            return None
        rc, out, err = self.run([self.paths[tool], "-batch", "-"], "".join(line + "\n" for line in lines))
        if rc == 0:
            return None
        match = FAILED_LINE.search(err)
        done = int(match.group(1)) - 1 if match else 0
        said = " ".join(FAILED_LINE.sub("", err).split()).rstrip(".") or out.strip()
        return Failure(tool, tuple(lines[:done]), lines[min(done, len(lines) - 1)], said or f"exit code {rc}")


class Failure:
    """A batch that stopped: what worked before, the line that failed, and what the tool said."""

    def __init__(self, tool: str, done: tuple[str, ...], line: str, said: str) -> None:
        self.done = tuple(f"{tool} {text}" for text in done)
        self.line = f"{tool} {line}"
        self.said = said
