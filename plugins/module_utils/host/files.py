# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading and replacing small files below a root directory (``/`` on a host, a temporary tree in tests)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

#: How a file of /proc or /sys is written; tests put a kernel's answer in its place.
Write = Callable[[Path, str], None]


def read_text(path: Path) -> str | None:
    """Text of the file, or None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_atomic(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    """Replace the file so that a reader sees the old text or the new one, never a part.

    The temporary name starts with a dot and has no suffix of the directory's readers (``*.cfg``, ``*.conf``), so that
    one which is left behind by a crash is never read as configuration.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=str(path.parent))
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(text.encode("utf-8") if isinstance(text, str) else text)
            out.flush()
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.replace(name, str(path))
    except BaseException:
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
        raise


def write_text(path: Path, text: str) -> None:
    """One write to a file of /proc or /sys, which takes it whole or refuses it with an OSError."""
    with path.open("w", encoding="ascii") as out:
        out.write(text)


def remove(path: Path) -> None:
    """Remove the file where it is there."""
    try:
        path.unlink()
    except FileNotFoundError:
        pass
