# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Configuration of NVUE as a tree of mappings, and what has to be set and unset between two of them.

A leaf is a scalar, or an empty mapping where being there is all that is said (``vlan: {'110': {}}``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Tree = Mapping[str, Any]
Path = tuple[str, ...]
# "swp1-4", "swp1s0-swp1s3" or "0-3": NVUE shortens keys whose contents are the same
RANGE = re.compile(r"([a-z]*(?:\d+s)?)(\d+)(?:-(?:\1)?(\d+))?")


@dataclass(frozen=True)
class Change:
    """Paths to be unset, then a tree to be set."""

    unset: tuple[Path, ...] = ()
    set: Tree = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.unset or self.set)

    def lines(self) -> list[str]:
        """The change as commands one would type."""
        lines = ["nv unset " + " ".join(path) for path in self.unset]
        return lines + ["nv set " + " ".join((*path, *_words(value))) for path, value in leaves(self.set)]


def _words(value: Any) -> tuple[str, ...]:
    return () if value == {} else (str(value),)


def leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf with its path, in the order of the tree."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def at(tree: Tree, path: Path) -> Any:
    """What is at the path; None when nothing is."""
    here: Any = tree
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return here


def put(tree: dict[str, Any], path: Path, value: Any) -> None:
    """Write a value, making the branches on the way."""
    for key in path[:-1]:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            inner = tree[key] = {}
        tree = inner
    tree[path[-1]] = value


def same(one: Any, other: Any) -> bool:
    """Whether two leaves say the same; NVUE writes numbers with and without quotes."""
    return one == other or (not isinstance(one, Mapping) and not isinstance(other, Mapping) and str(one) == str(other))


def missing(wanted: Tree, there: Tree) -> dict[str, Any]:
    """The leaves of ``wanted`` that ``there`` does not have so."""
    found: dict[str, Any] = {}
    for path, value in leaves(wanted):
        now = at(there, path)
        if value == {}:
            if now is None:
                put(found, path, {})
        elif now is None or not same(now, value):
            put(found, path, value)
    return found


def surplus(wanted: Tree, there: Tree, owned: Iterable[Path]) -> list[Path]:
    """The highest paths within the ``owned`` ones that ``there`` has and ``wanted`` does not."""
    found: list[Path] = []
    for path in owned:
        for one in _surplus(at(wanted, path), at(there, path), path):
            if one not in found:
                found.append(one)
    return found


def _surplus(wanted: Any, there: Any, path: Path) -> Iterator[Path]:
    if there is None:
        return
    if wanted is None:
        yield path
    elif isinstance(there, Mapping) and isinstance(wanted, Mapping):
        for key, value in there.items():
            yield from _surplus(wanted.get(key), value, (*path, key))


def changed(tree: Tree, change: Change) -> dict[str, Any]:
    """The tree after the change; branches that the unsetting empties go too."""
    found = _copy(tree)
    for path in change.unset:
        _drop(found, path)
    for path, value in leaves(change.set):
        if value != {} or at(found, path) is None:
            put(found, path, value)
    return found


def _copy(tree: Tree) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in tree.items()}


def _drop(tree: dict[str, Any], path: Path) -> None:
    key, *rest = path
    if key not in tree:
        return
    if not rest:
        del tree[key]
    elif isinstance(tree[key], dict):
        _drop(tree[key], tuple(rest))


def expanded(tree: Tree) -> dict[str, Any]:
    """The tree with every shortened key (``swp1-4``, ``0,3``) written out."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        value = expanded(value) if isinstance(value, Mapping) else value
        for name in _names(str(key)):
            there = found.get(name)
            found[name] = _merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return found


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, value in other.items():
        there = found.get(key)
        found[key] = _merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
    return found


def _names(key: str) -> list[str]:
    names: list[str] = []
    for part in key.split(","):
        match = RANGE.fullmatch(part)
        if not match:
            return [key]
        first, last = int(match.group(2)), int(match.group(3) or match.group(2))
        names += [f"{match.group(1)}{number}" for number in range(first, last + 1)]
    return names
