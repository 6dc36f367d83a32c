# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that are on every SONiC switch, and what they print.

CONFIG_DB is read with ``sonic-cfggen``, as ``config save`` itself does; the other databases with ``sonic-db-cli``, one
call each, which runs a few lines of Lua in the database and prints the hashes asked for as JSON.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence

from .tables import SonicError, Tables

SAVED = "/etc/sonic/config_db.json"
CHECKPOINTS = "/etc/sonic/checkpoints"
VERSION = "/etc/sonic/sonic_version.yml"
TOOLS = ("config", "sonic-cfggen", "sonic-db-cli")

# ARGV: patterns of keys. An empty table is {} in JSON either way.
READ_HASHES = (
    "local found = {} "
    "for n = 1, #ARGV do for i, key in ipairs(redis.call('KEYS', ARGV[n])) do "
    "if redis.call('TYPE', key)['ok'] == 'hash' then "
    "local flat, row = redis.call('HGETALL', key), {} "
    "for j = 1, #flat, 2 do row[flat[j]] = flat[j + 1] end "
    "found[key] = row end end end "
    "return cjson.encode(found)"
)

Hashes = dict[str, dict[str, str]]
# argv -> return code, standard output, standard error
Run = Callable[[Sequence[str]], tuple[int, str, str]]


def read_argv(database: str, *patterns: str) -> tuple[str, ...]:
    """The command that prints the hashes of ``database`` whose key matches a pattern."""
    return ("sonic-db-cli", database, "EVAL", READ_HASHES, "0", *patterns)


def read_command(database: str, *patterns: str) -> str:
    """The same as one line."""
    return shlex.join(read_argv(database, *patterns))


def parse_hashes(text: str, what: str) -> Hashes:
    """What ``read_argv`` prints."""
    found = parse_object(text, what)
    return {name: _strings(row) for name, row in found.items() if isinstance(row, Mapping)}


def parse_object(text: str, what: str) -> dict[str, object]:
    """A JSON object; SonicError when the text is none."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SonicError(f"{what} did not print JSON: {error}; it printed {text[:80]!r}") from error
    if not isinstance(found, dict):
        raise SonicError(f"{what} printed no JSON object but {text[:80]!r}")
    return found


def _strings(row: Mapping[str, object]) -> dict[str, str]:
    return {field: value if isinstance(value, str) else json.dumps(value) for field, value in row.items()}


class Switch:
    """Runs SONiC's tools and turns a failure into a SonicError."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.commands: list[str] = []

    def tables(self, *arguments: str) -> tuple[Tables, dict[str, object]]:
        """A configuration as (tables of strings, the same as printed), from ``sonic-cfggen`` with these arguments."""
        printed = parse_object(self.read("sonic-cfggen", *arguments, "--print-data"), "sonic-cfggen")
        found: Tables = {}
        for table, rows in printed.items():
            if isinstance(rows, Mapping):
                found[table] = {
                    name: _strings(row) if isinstance(row, Mapping) else {"": json.dumps(row)}
                    for name, row in rows.items()
                }
        return found, printed

    def hashes(self, database: str, *patterns: str) -> Hashes:
        """The hashes of a database whose key matches a pattern."""
        return parse_hashes(self.read(*read_argv(database, *patterns)), f"sonic-db-cli {database}")

    def asic_type(self) -> str:
        """Such as mellanox or broadcom."""
        return self.read("sonic-cfggen", "-y", VERSION, "-v", "asic_type").strip()

    def read(self, *argv: str) -> str:
        """Standard output of a command that changes nothing."""
        rc, out, err = self._run(argv)
        if rc != 0:
            raise SonicError(f"'{' '.join(argv[:3])}' failed with {rc}: {_said(out, err)}")
        return out

    def asked(self, *argv: str) -> tuple[bool, str]:
        """Whether a command that changes nothing works, and all that it said, in one line."""
        rc, out, err = self._run(argv)
        return rc == 0, " ".join(f"{out} {err}".split())

    def change(self, *argv: str) -> str | None:
        """Run what changes the switch; None when it worked, else what it said."""
        self.commands.append(" ".join(argv))
        rc, out, err = self._run(argv)
        return None if rc == 0 else f"'{' '.join(argv)}' failed with {rc}: {_said(out, err)}"


def _said(out: str, err: str) -> str:
    """What a command gave as its reason: the last line, which is where SONiC's tools have it."""
    lines = [line.strip() for line in (err.strip() or out.strip()).splitlines() if line.strip()]
    return lines[-1] if lines else "nothing was said"
