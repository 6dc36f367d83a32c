# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What running values were before this collection changed them first, so that a setting that is taken away goes back.

One JSON file per host holds them under a key per module (``noise``, ``nic ens4``). A value is remembered once, before
the first change, and forgotten when it was put back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from .errors import HostError
from .files import remove, write_atomic
from .system import System

FILE = "var/lib/tickwire/host-before.json"
MODE = 0o600


def read_before(system: System, owner: str) -> dict[str, str]:
    """Values before the first change, by name, of one owner; HostError when the file is damaged."""
    return _read(system).get(owner, {})


def write_before(system: System, owner: str, values: Mapping[str, str]) -> None:
    """Replace what is kept for ``owner``; nothing is kept of an owner without values."""
    everything = _read(system)
    if everything.get(owner, {}) == dict(values):
        return
    everything.pop(owner, None)
    if values:
        everything[owner] = dict(values)
    if everything:
        write_atomic(system.path(FILE), json.dumps(everything, indent=1, sort_keys=True) + "\n", MODE)
    else:
        remove(system.path(FILE))


def _read(system: System) -> dict[str, dict[str, str]]:
    text = system.read(FILE)
    if not text:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise HostError("file", f"/{FILE}", f"it is damaged ({error})", "remove it; earlier values are lost") from error
