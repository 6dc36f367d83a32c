# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nothing half applied: what was changed before a failure is put back in the opposite order."""

from __future__ import annotations

from collections.abc import Callable

from .files import read_text, remove, write_atomic
from .system import System


class Undo:
    """``with Undo() as undo``: steps that were added are run backwards when the block fails, and dropped when not.

    A step that fails itself does not keep the others from running; the failure of the block is what the caller sees.
    """

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def add(self, step: Callable[[], object]) -> None:
        """Remember how to take the next change back."""
        self._steps.append(step)

    def __enter__(self) -> Undo:
        return self

    def __exit__(self, kind: type[BaseException] | None, *dummy: object) -> None:
        if kind is None:
            return
        for step in reversed(self._steps):
            try:
                step()
            except (OSError, ValueError):
                continue


def replace_file(system: System, name: str, text: str, mode: int, undo: Undo) -> bool:
    """Make a file of ours say ``text`` (be absent where it is empty); whether that changed anything."""
    path = system.path(name)
    before = read_text(path)
    mode_before = path.stat().st_mode & 0o7777 if before is not None else mode
    if (before or "") == text and mode_before == mode:
        return False

    def back() -> None:
        if before is None:
            remove(path)
        else:
            write_atomic(path, before, mode_before)

    undo.add(back)
    if text:
        write_atomic(path, text, mode)
    else:
        remove(path)
    return True
