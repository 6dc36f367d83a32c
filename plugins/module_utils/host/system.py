# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host that the code works on: where its files are, and how its programs are run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .files import Write, read_text, write_text

#: Runs a program: argv to exit status, standard output and standard error. No shell is in between.
Run = Callable[[list[str]], tuple[int, str, str]]


@dataclass(frozen=True)
class System:
    """One host. ``root`` is / or a tree of a test; ``write`` writes one value to a file of /proc or /sys."""

    root: Path
    run: Run
    write: Write = write_text

    def path(self, name: str) -> Path:
        """The file of that name; a leading slash is allowed and means nothing."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """Text of a file without the blanks around it, or None where there is no such file."""
        text = read_text(self.path(name))
        return None if text is None else text.strip()
