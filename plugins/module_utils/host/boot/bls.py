# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel command line on hosts that boot by files of the Boot Loader Specification (RHEL, Rocky and Alma).

Each entry is changed by one call of grubby, by its index, so that rescue entries stay as they are: ``ALL`` means them
too, and rewrites GRUB_CMDLINE_LINUX_DEFAULT on the way. Within one call grubby takes every token of a key away and
then appends all arguments as they are, so repeated keys keep their order. It gets an empty environment block, or it
would write the value of ``$kernelopts`` in place of the variable. It exits with 0 whatever sed made of a value, so
every entry is read back.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..cmdline import ADDITIVE, Token, differences, family, format_cmdline, parse_cmdline
from ..errors import HostError
from ..files import read_text
from ..system import System
from .grubenv import empty_grubenv, parse_grubenv
from .menu import BLS, MenuEntry

ENTRIES = "boot/loader/entries"
GRUBENV = "boot/grub2/grubenv"
GRUBBY = ("usr/sbin/grubby", "usr/bin/grubby")
EDITENV = "usr/bin/grub2-editenv"
#: The copy of the running entry that a trial falls back to; its name sorts before those that begin with a machine id.
PREVIOUS = "tickwire-previous"

_FIELD = re.compile(r"(\S+)[ \t]+(.*)\Z")
_INFO = re.compile(r'(index|id)="?([^"\n]*)"?\Z')


def find_grubby(root: Path) -> str | None:
    """grubby's place below the root, or None."""
    return next((name for name in GRUBBY if (root / name).exists()), None)


def entry_fields(text: str) -> dict[str, str]:
    """Fields of an entry file; a field that is there twice is joined, as the specification says of ``options``."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _FIELD.match(line.strip())
        if match is not None:
            fields[match.group(1)] = f"{fields.get(match.group(1), '')} {match.group(2)}".strip()
    return fields


def expand(options: str, environment: dict[str, str]) -> list[Token]:
    """Tokens of an options field, with GRUB's variables (``$kernelopts``, ``$tuned_params``) put in."""
    found: list[Token] = []
    for token in parse_cmdline(options):
        if token.value is None and token.key.startswith("$"):
            found += parse_cmdline(environment.get(token.key[1:].strip("{}"), ""))
        else:
            found.append(token)
    return found


def read_entries(root: Path) -> list[MenuEntry]:
    """Every entry of the host, by name; the entry of a trial is there and is not one of ours()."""
    environment = parse_grubenv(read_text(root / GRUBENV) or "")
    entries: list[MenuEntry] = []
    for path in sorted((root / ENTRIES).glob("*.conf")):
        fields = entry_fields(read_text(path) or "")
        if "linux" in fields:
            entries.append(
                MenuEntry(
                    title=fields.get("title", path.stem),
                    script=PREVIOUS if path.stem == PREVIOUS else BLS,
                    kernel=fields["linux"],
                    tokens=tuple(expand(fields.get("options", ""), environment)),
                    name=path.stem,
                )
            )
    return entries


def without(tokens: Iterable[Token], others: Iterable[Token]) -> list[Token]:
    """The tokens whose key (or ordered family) none of the others has; of consoles and the like only the same go."""
    others = list(others)
    names = {family(token) for token in others} - ADDITIVE
    same = {token.same for token in others}
    return [token for token in tokens if family(token) not in names and token.same not in same]


def to_set(entries: Sequence[MenuEntry], wanted: Sequence[Token], ours: Sequence[Token]) -> list[Token]:
    """The wanted tokens that we have to set; the others are in every entry already and belong to somebody else.

    HostError when somebody else's token contradicts a wanted one.
    """
    managed = [entry for entry in entries if entry.ours]
    foreign = {entry.name: without(entry.tokens, ours) for entry in managed}
    theirs: set[str] = set()
    for name in dict.fromkeys(family(token) for token in wanted):
        mine = [token for token in wanted if family(token) == name]
        for entry in managed:
            found = [token for token in foreign[entry.name] if family(token) == name]
            if found and name not in ADDITIVE and differences(found, mine):
                raise HostError(
                    "boot entry",
                    entry.title,
                    f"it has '{format_cmdline(found)}', and '{format_cmdline(mine)}' is wanted",
                    "take the first away with grubby --remove-args, or do not ask for the second",
                )
        if managed and all(not differences(foreign[entry.name], mine) for entry in managed):
            theirs.add(name)
    return [token for token in wanted if family(token) not in theirs]


def outdated(entries: Sequence[MenuEntry], add: Sequence[Token], gone: Sequence[Token]) -> list[MenuEntry]:
    """Entries of ours that lack a token of ``add`` or have one of the keys that ``gone`` takes away."""
    return [
        entry
        for entry in entries
        if entry.ours and (differences(entry.tokens, add) or len(without(entry.tokens, gone)) != len(entry.tokens))
    ]


def update_entries(system: System, names: Sequence[str], add: Sequence[Token], gone: Sequence[Token]) -> None:
    """Give the named entries these tokens and take the others away, with one grubby call each."""
    if not names or not (add or gone):
        return
    with tempfile.NamedTemporaryFile("w", prefix="tickwire-grubenv-", encoding="ascii") as block:
        block.write(empty_grubenv())
        block.flush()
        grubby = f"/{find_grubby(system.root)}"
        indexes = read_indexes(_run(system, [grubby, f"--env={block.name}", "--info=ALL"]))
        for name in names:
            if name not in indexes:
                raise HostError("grubby", name, "it does not list this entry", "run grubby --info=ALL on the host")
            command = [grubby, f"--env={block.name}", f"--update-kernel={indexes[name]}"]
            arguments = [*_beside(system, name, [*add, *gone]), *add]
            if gone:
                command.append("--remove-args=" + " ".join(dict.fromkeys(token.key for token in gone)))
            if arguments:
                command.append("--args=" + format_cmdline(arguments))
            _run(system, command)


def _beside(system: System, name: str, ours: Sequence[Token]) -> list[Token]:
    """Other people's consoles and the like in this entry: grubby would take them away with ours."""
    fields = entry_fields(read_text(system.path(f"{ENTRIES}/{name}.conf")) or "")
    names = {family(token) for token in ours} & ADDITIVE
    return [token for token in without(parse_cmdline(fields.get("options", "")), ours) if family(token) in names]


def read_indexes(text: str) -> dict[str, str]:
    """Index by entry name, of what ``grubby --info=ALL`` prints."""
    indexes: dict[str, str] = {}
    index = ""
    for line in text.splitlines():
        match = _INFO.match(line)
        if match is not None and match.group(1) == "index":
            index = match.group(2)
        elif match is not None:
            indexes[match.group(2)] = index
    return indexes


def default_entry(system: System) -> str:
    """Name of the entry that the next boot takes."""
    grubby = f"/{find_grubby(system.root)}"
    index = _run(system, [grubby, "--default-index"]).strip()
    for name, found in read_indexes(_run(system, [grubby, "--info=ALL"])).items():
        if found == index:
            return name
    raise HostError("grubby", index, "its default entry is not in its list", "run grubby --info=ALL on the host")


def _run(system: System, argv: list[str]) -> str:
    rc, out, err = system.run(argv)
    if rc != 0:
        raise HostError("grubby", f"exit {rc}", f"it failed: {(err or out).strip()[-400:]}", "run it on the host")
    return out
