"""A switch's configuration as hier_config keeps it, changed line by line as a command line changes it.

A grammar says which lines the switch knows: each :class:`Rule` has the words that name a setting (``stem``) and what
may follow them. A line with the same stem takes the place of the one that was there, ``no`` and ``default`` before the
stem take it away, and a line that no rule knows is refused, as a real switch refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hier_config import HConfig, HConfigChild, Platform, get_hconfig


class Refused(Exception):
    """The switch does not know the line; the message is the line."""


@dataclass(frozen=True)
class Rule:
    """``stem`` and ``value`` are regular expressions, joined by a space; no ``value``: nothing follows the stem.

    ``opens`` are the rules of the mode that the line opens. ``keeps_no``: the default is on, so that ``no`` is what the
    configuration shows. ``expand`` turns one line into several settings, such as a list of DSCPs into one line each.
    """

    stem: str
    value: str = ""
    opens: tuple[Rule, ...] = ()
    keeps_no: bool = False
    expand: Callable[[str], Iterable[str]] | None = None

    def takes(self, line: str) -> bool:
        return bool(re.fullmatch(f"(?:{self.stem})" + (f" (?:{self.value})" if self.value else ""), line))

    def key(self, line: str) -> str | None:
        """The words of ``line`` that name the setting; None when it is another one."""
        found = re.match(f"(?:{self.stem})(?= |$)", line)
        return found.group(0) if found else None


@dataclass
class Position:
    """Where the next line goes: the lines that lead there, from the top, and the rules that hold there."""

    grammar: tuple[Rule, ...]
    modes: list[tuple[str, tuple[Rule, ...]]] = field(default_factory=list)

    def rules(self, depth: int) -> tuple[Rule, ...]:
        return self.modes[depth - 1][1] if depth else self.grammar


class Config:
    """One configuration: the running one, or that of a session."""

    def __init__(self, platform: Platform, text: str = "") -> None:
        self.platform = platform
        self.tree = get_hconfig(platform, text)

    def copy(self) -> Config:
        return Config(self.platform, self.text())

    def lines(self) -> list[str]:
        """Indented by three columns a level, in the order they came."""
        found: list[str] = []

        def walk(node: HConfig | HConfigChild, depth: int) -> None:
            for child in node.children:
                found.append("   " * depth + child.text)
                walk(child, depth + 1)

        walk(self.tree, 0)
        return found

    def text(self) -> str:
        return "".join(line + "\n" for line in self.lines())

    def diff(self, other: Config) -> str:
        """What ``other`` has and this has not, and the other way round, in the manner of ``diff -u``."""
        return "\n".join(self.tree.unified_diff(other.tree))

    def enter(self, position: Position, line: str) -> None:
        """Take one line at ``position``, in its mode or in one above; Refused when none knows it."""
        line = re.sub(r"\s+", " ", line.strip())
        if not line or line.startswith("!"):
            return
        if line in ("exit", "end"):
            position.modes = position.modes[:-1] if line == "exit" else []
            return
        for depth in range(len(position.modes), -1, -1):
            rule = self._rule(position.rules(depth), line)
            if rule:
                position.modes = position.modes[:depth]
                self._set(position, rule, line)
                return
        raise Refused(line)

    @staticmethod
    def _rule(rules: Sequence[Rule], line: str) -> Rule | None:
        word, _, rest = line.partition(" ")
        if word in ("no", "default"):
            return next((rule for rule in rules if rule.key(rest)), None)
        return next((rule for rule in rules if rule.takes(line)), None)

    def _node(self, position: Position) -> HConfig | HConfigChild:
        node: HConfig | HConfigChild = self.tree
        for text, _rules in position.modes:
            node = node.get_child(equals=text) or node.add_child(text)
        return node

    def _set(self, position: Position, rule: Rule, line: str) -> None:
        word, _, rest = line.partition(" ")
        negated = word in ("no", "default")
        node = self._node(position)
        for one in rule.expand(rest if negated else line) if rule.expand else [rest if negated else line]:
            key = rule.key(one)
            for child in list(node.children):
                if rule.key(child.text.removeprefix("no ")) == key and (negated or child.text != one):
                    child.delete()
            if negated:
                if word == "no" and rule.keeps_no:
                    node.add_child(f"no {key}")
            elif not (rule.keeps_no and one == key) and node.get_child(equals=one) is None:
                node.add_child(one)
        if rule.opens and not negated:
            position.modes.append((line, rule.opens))
