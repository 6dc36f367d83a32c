# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What running values were before this collection changed them first, so that a setting that is taken away goes back.

One JSON file per host holds them under a key per module (``noise``, ``nic ens4``). A value is remembered once, before
the first change, and forgotten when it was put back.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import HostError
from .files import remove, write_atomic
from .system import System

FILE = "var/lib/tickwire/host-before.json"
MODE = 0o600


def read_before(system: System, owner: str) -> dict[str, str]:
    """Values before the first change, by name, of one owner; HostError when the file is damaged."""
    return _read(system).get(owner, {})


def write_before(
    system: System, owner: str, values: Mapping[str, str], mine: Callable[[str], bool] = lambda dummy: True
) -> None:
    """Replace what is kept for ``owner`` under the names that are ``mine``; of an owner without values nothing is."""
    _change(system, owner, lambda kept: {**{name: kept[name] for name in kept if not mine(name)}, **values})


def remember(system: System, owner: str, values: Mapping[str, str]) -> None:
    """Keep these values for ``owner`` beside what it has; a name that is kept already stays as it is."""
    _change(system, owner, lambda kept: {**values, **kept})


def forget(system: System, owner: str, names: Collection[str]) -> None:
    """Keep these names for ``owner`` no longer."""
    _change(system, owner, lambda kept: {name: value for name, value in kept.items() if name not in names})


def _change(system: System, owner: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    kept = read_before(system, owner)
    if change(kept) == kept:
        return
    path = system.path(FILE)
    with _locked(path):
        everything = _read(system)
        values = change(everything.pop(owner, {}))
        if values:
            everything[owner] = values
        if everything:
            write_atomic(path, json.dumps(everything, indent=1, sort_keys=True) + "\n", MODE)
        else:
            remove(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The file for this process alone; a new one is empty, which is the same as none.

    A writer puts another file in its place, so that who has waited for the old one begins again with the new one.
    The last thing done with the lock has to be that.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_file(path, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def _is_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(system: System) -> dict[str, dict[str, str]]:
    text = system.read(FILE)
    if not text:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise HostError("file", f"/{FILE}", f"it is damaged ({error})", "remove it; earlier values are lost") from error
