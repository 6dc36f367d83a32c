# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept on the host about its kernel command line: our tokens, those before them, a trial, and what failed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..cmdline import Token, parse_cmdline
from ..errors import HostError
from ..files import remove, write_atomic
from ..system import System

RECORD = "var/lib/tickwire/kernel-cmdline.json"
#: The record of a host from which all of ours was taken away: what the running kernel still has of it is worth nothing
#: after the next boot, which takes the file along. Not in /run/tickwire, which is the engine's user's.
PASSING = "run/tickwire-kernel-cmdline.json"
FAILED = "var/lib/tickwire/kernel-cmdline-failed.json"
MODE = 0o600


@dataclass
class Trial:
    """A boot on trial: the next boot takes the new command line once, every later one the previous entry.

    ``boot_id`` is that of the boot in which it was armed, ``saved_entry`` GRUB's default before (None: it had none),
    ``panic_s`` kernel.panic before.
    """

    name: str
    boot_id: str
    tried: list[str]
    saved_entry: str | None
    panic_s: str


@dataclass
class Record:
    """What is wanted at the next boot, and ``tokens``: those of it that are ours, since nobody else sets them.

    ``former`` are those with which the host was last seen running, ``created`` the files that we made.
    """

    wanted: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    former: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    trial: Trial | None = None


def texts(tokens: Sequence[Token]) -> list[str]:
    """Tokens as they are kept."""
    return [str(token) for token in tokens]


def tokens_of(kept: Sequence[str]) -> list[Token]:
    """The tokens that texts() kept."""
    return [token for text in kept for token in parse_cmdline(text)]


def read_record(system: System) -> Record:
    """The record, an empty one where there is none; HostError when it is damaged."""
    name = RECORD if system.path(RECORD).exists() else PASSING
    found = _read(system, name)
    trial = found.pop("trial", None)
    try:
        return Record(**found, trial=Trial(**trial) if trial else None)
    except TypeError as error:
        raise _damaged(name, error) from error


def write_record(system: System, record: Record) -> None:
    """Keep the record; an empty one is no file, and one that only says what was before lasts until the next boot."""
    name, other = (PASSING, RECORD) if record == Record(former=record.former) else (RECORD, PASSING)
    if record == Record():
        remove(system.path(name))
    elif read_record(system) != record or not system.path(name).exists():
        write_atomic(system.path(name), json.dumps(asdict(record), indent=1) + "\n", MODE)
    remove(system.path(other))


def read_failed(system: System) -> tuple[list[str], str] | None:
    """Tokens of a command line that failed, and why; None where none is remembered."""
    found = _read(system, FAILED)
    return (found.get("tokens", []), found.get("reason", "")) if found else None


def write_failed(system: System, tokens: Sequence[str], reason: str) -> None:
    """Remember a command line that failed."""
    text = json.dumps({"tokens": list(tokens), "reason": reason}, indent=1) + "\n"
    write_atomic(system.path(FAILED), text, MODE)


def forget_failed(system: System) -> None:
    """Forget it: something else is wanted now."""
    remove(system.path(FAILED))


def refuse_failed(system: System, wanted: Sequence[Token]) -> None:
    """HostError when these very tokens failed on this host: they are not tried a second time.

    To have none is never refused: every question that is not about boot parameters and the rollback want none.
    """
    failed = read_failed(system)
    if wanted and failed is not None and failed[0] == texts(wanted):
        raise HostError(
            "kernel command line",
            " ".join(failed[0]),
            f"it failed on this host: {failed[1]}",
            f"correct the tokens; to try the same again after a repair remove /{FAILED}",
        )


def _read(system: System, name: str) -> dict[str, Any]:
    text = system.read(name)
    if not text:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> HostError:
    return HostError("file", "/" + name, f"it is damaged ({error})", "remove it and run the role again")
