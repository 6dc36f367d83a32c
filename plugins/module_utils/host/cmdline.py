# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel command line as a sequence of tokens.

Order and repetition are kept, since they mean something: ``hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=512``.
Tokens are compared whole, never by text search: ``isolcpus=2`` is not there because ``isolcpus=2-7`` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

#: Keys whose tokens only mean something in their order relative to each other: they are compared as one sequence.
_ORDERED = {"hugepagesz": "hugepages", "hugepages": "hugepages", "default_hugepagesz": "hugepages"}
#: Keys of which every token adds one thing more: it is enough that ours are among the others.
ADDITIVE = frozenset({"console", "earlycon", "earlyprintk", "modprobe.blacklist", "module_blacklist"})
#: Characters that the shell of /etc/default/grub, GRUB's own or the kernel would take for something else.
_REFUSED = re.compile(r"""[`$\\"'\x00-\x1f\x7f]""")
#: Characters that GRUB's script language splits a line at when they stand outside quotes.
_QUOTED = re.compile(r"[\s;&|<>(){}#]")
#: What YAML's booleans and null become as text; no kernel parameter takes them in this spelling.
_YAML = frozenset({"True", "False", "None"})


@dataclass(frozen=True)
class Token:
    """One parameter: ``quiet`` has no value (None), ``nohz_full=1`` has one; ``key`` is as it was written."""

    key: str
    value: str | None = None

    @property
    def name(self) -> str:
        """The key as the kernel compares it: dashes and underscores are the same."""
        return self.key.replace("-", "_")

    @property
    def same(self) -> tuple[str, str | None]:
        """What two tokens of equal effect have in common."""
        return (self.name, self.value)

    def __str__(self) -> str:
        if self.value is None:
            return f'"{self.key}"' if _QUOTED.search(self.key) else self.key
        return f'{self.key}="{self.value}"' if _QUOTED.search(self.value) else f"{self.key}={self.value}"


@dataclass(frozen=True)
class Difference:
    """One key (or one ordered family of keys) that is not as wanted; both sides as they would be written."""

    key: str
    wanted: str
    found: str


def parse_cmdline(text: str) -> list[Token]:
    """Tokens of a command line, in order; what follows a ``--`` is init's.

    Quotes mean what they mean to the kernel's next_arg() (lib/cmdline.c).
    """
    tokens: list[Token] = []
    start: int | None = None
    quoted = False
    for position, char in enumerate(text + " "):
        last = position == len(text)
        if char.isspace() and (not quoted or last):
            if start is not None:
                raw = text[start:position]
                if raw == "--":
                    return tokens
                tokens.append(_token(raw))
                start = None
            continue
        if start is None:
            start = position
        if char == '"':
            quoted = not quoted
    return tokens


def _token(raw: str) -> Token:
    """One raw word without its quotes: ``key="a b"`` and ``"key=a b"`` are the same token."""
    if raw.startswith('"'):
        raw = raw[1:-1] if len(raw) > 1 and raw.endswith('"') else raw[1:]
    # From the second character on, as in next_arg(): a word that starts with '=' has no value.
    split = raw.find("=", 1)
    if split < 0:
        return Token(raw)
    key, value = raw[:split], raw[split + 1 :]
    if value.startswith('"'):
        value = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    return Token(key, value)


def format_cmdline(tokens: Iterable[Token]) -> str:
    """The command line of the tokens, quoted where a value needs it."""
    return " ".join(str(token) for token in tokens)


def parse_wanted(items: Iterable[str]) -> list[Token]:
    """Tokens of the user's list: one token per item. ValueError names the item and the rule."""
    tokens: list[Token] = []
    for item in items:
        bare = item.strip()
        # The quotes around a whole value are ours to write; any other quote cannot pass through GRUB unharmed.
        found = parse_cmdline(bare)
        if len(found) != 1 or not found[0].key:
            raise ValueError(f"kernel command line token '{item}': one token per list item, and not an empty one")
        for part in (found[0].key, found[0].value or ""):
            bad = _REFUSED.search(part)
            if bad is not None:
                raise ValueError(
                    f"kernel command line token '{item}': the character {bad.group()!r} cannot be carried "
                    "through GRUB's configuration unchanged"
                )
        if {found[0].key, found[0].value} & _YAML:
            raise ValueError(
                f"kernel command line token '{item}': YAML makes this of a bare on, off, yes, no, true, false or null; "
                "put the whole token in quotes"
            )
        if _QUOTED.search(found[0].key):
            raise ValueError(
                f"kernel command line token '{item}': a parameter name has no blank and none of ;&|<>(){{}}#"
            )
        tokens.append(found[0])
    return tokens


def family(token: Token) -> str:
    """Name under which a token is compared: its key, or that of its ordered family."""
    return _ORDERED.get(token.name, token.name)


def differences(found: Sequence[Token], wanted: Sequence[Token]) -> list[Difference]:
    """What keeps `found` from saying what `wanted` says, per key, in the order of `wanted`; empty when nothing does.

    A key that is wanted has to have exactly the wanted values, in order: another value beside ours contradicts it
    (``isolcpus=2 isolcpus=1``). The same token twice in a row is once; keys that are not wanted are not looked at.
    """
    result: list[Difference] = []
    for name in dict.fromkeys(family(token) for token in wanted):
        ours = [token for token in wanted if family(token) == name]
        theirs = [token for token in found if family(token) == name]
        if name in ADDITIVE:
            there = {token.same for token in theirs}
            equal = all(token.same in there for token in ours)
        else:
            equal = _runs(theirs) == _runs(ours)
        if not equal:
            result.append(Difference(name, format_cmdline(ours), format_cmdline(theirs)))
    return result


def _runs(tokens: Iterable[Token]) -> list[tuple[str, str | None]]:
    return [same for same, dummy in groupby(token.same for token in tokens)]
