# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Units of systemd that shall not run: masked, so that no preset, package or other unit starts them, and put back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .before import read_before, write_before
from .errors import HostError
from .system import System
from .undo import Undo
from .values import Outcome

UNITS = "etc/systemd/system"
_PLACES = (
    UNITS,
    "run/systemd/generator",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
)
_OLD_PLACE = "lib/systemd/system"


def is_there(system: System, unit: str) -> bool:
    """Whether the host has the unit, masked or not; of an instance (``a@b.timer``) the template counts."""
    name, at, rest = unit.partition("@")
    template = f"{name}@.{rest.rpartition('.')[2]}" if at else unit
    names = {unit, template}
    found = [system.path(f"{place}/{one}") for place in (*_PLACES, _OLD_PLACE) for one in names]
    return any(path.exists() or (path.is_symlink() and not is_masked(system, path.name)) for path in found)


def is_masked(system: System, unit: str) -> bool:
    """Whether the unit is masked for good."""
    path = system.path(f"{UNITS}/{unit}")
    return path.is_symlink() and path.readlink() == Path("/dev/null")


def run(system: System, *argv: str) -> str:
    """Standard output of a program; HostError with what it said when it fails."""
    status, out, err = system.run(list(argv))
    if status != 0:
        said = err.strip() or out.strip() or "it failed without a word"
        raise HostError(" ".join(argv), f"exit status {status}", said, "see the journal of this boot for the reason")
    return out


def apply_masks(
    system: System, owner: str, units: Sequence[str], stop: bool, check: bool, undo: Undo, outcome: Outcome
) -> None:
    """Mask the units, stopping them when ``stop``; units that were masked here and are not wanted go back.

    What the host has not is no failure: ``unsupported`` says so. A unit that somebody else masked stays his.
    """
    before = read_before(system, owner)
    kept = dict(before)
    for unit in units:
        if is_masked(system, unit):
            continue
        if not is_there(system, unit):
            outcome.unsupported[unit] = "this host has no such unit"
            continue
        outcome.note(unit, "not masked", "masked")
        if not check:
            # is-active answers with an exit status of its own for a unit that is not running.
            kept.setdefault(unit, system.run(["systemctl", "is-active", unit])[1].strip() if stop else "not stopped")
            undo.add(lambda: write_before(system, owner, before))
            write_before(system, owner, kept)
            _mask(system, unit, stop, kept[unit], undo)
    for unit in [unit for unit in before if unit not in units]:
        if is_masked(system, unit):
            outcome.note(unit, "masked", "not masked")
        if not check:
            if is_masked(system, unit):
                _unmask(system, unit, before[unit], undo)
            kept.pop(unit)
    if not check:
        write_before(system, owner, kept)


def _mask(system: System, unit: str, stop: bool, was: str, undo: Undo) -> None:
    undo.add(lambda: _start_again(system, unit, was))
    run(system, "systemctl", "mask", *(["--now"] if stop else []), unit)
    if not is_masked(system, unit):
        raise HostError(
            unit, "masked", f"/{UNITS}/{unit} is no link to /dev/null after systemctl mask", "look at that file"
        )


def _start_again(system: System, unit: str, was: str) -> None:
    run(system, "systemctl", "unmask", unit)
    if was == "active":
        run(system, "systemctl", "start", unit)


def _unmask(system: System, unit: str, was: str, undo: Undo) -> None:
    undo.add(lambda: run(system, "systemctl", "mask", *(["--now"] if was == "active" else []), unit))
    _start_again(system, unit, was)
