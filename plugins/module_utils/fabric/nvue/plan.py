# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs between the applied configuration and the wanted one, within what is ours.

Ours are the profiles with our prefix, wherever a port refers to them, and on the intent's ports the queues, the VLANs,
the limits of storm control, LLDP's DCBX and PTP. What is wanted elsewhere is one leaf, and only that leaf is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .desired import PREFIX, PROFILES
from .tree import Change, Path, Tree, at, changed, missing, surplus

BINDINGS = (*PROFILES, "pfc-watchdog")


class NvueError(RuntimeError):
    """The switch can not be read or configured; the message says what, why, and what became of the switch."""


def plan(wanted: Tree, applied: Tree, bridge: str) -> Change:
    """The change from ``applied`` to ``wanted``; empty when there is nothing to do.

    NvueError when the pools of others leave no room for ours.
    """
    change = Change(tuple(surplus(wanted, applied, _owned(wanted, applied, bridge))), missing(wanted, applied))
    _check_pools(changed(applied, change))
    return change


def _owned(wanted: Tree, applied: Tree, bridge: str) -> Iterator[Path]:
    """Paths of which everything that is not wanted goes."""
    yield "qos", "roce"
    yield "qos", "egress-queue-mapping", "default-global", "switch-priority"
    for port in wanted["interface"]:
        here = ("interface", port)
        for key in BINDINGS:
            yield (*here, "qos", key)
        # pauses of the whole link and those of priorities exclude each other
        yield (*here, "qos", "link-pause")
        for key in ("access", "untagged", "vlan"):
            yield (*here, "bridge", "domain", bridge, key)
        for key in ("broadcast", "unknown-unicast"):
            yield (*here, "storm-control", key)
    for port, kinds in foreign_bindings(wanted, applied):
        for kind in kinds:
            yield "interface", port, "qos", kind
    for kind in PROFILES:
        for name in at(applied, ("qos", kind)) or {}:
            if name.startswith(PREFIX):
                yield "qos", kind, name


def foreign_bindings(wanted: Tree, applied: Tree) -> Iterator[tuple[str, list[str]]]:
    """Ports that the intent does not name (any more) and that still refer to profiles of ours, and to which kinds."""
    for port, content in (applied.get("interface") or {}).items():
        if port in wanted["interface"]:
            continue
        kinds = [kind for kind in PROFILES if str(at(content, ("qos", kind, "profile"))).startswith(PREFIX)]
        if "pfc" in kinds and at(content, ("qos", "pfc-watchdog")) is not None:
            kinds.append("pfc-watchdog")
        if kinds:
            yield port, kinds


def _check_pools(after: Tree) -> None:
    pools = at(after, ("qos", "traffic-pool")) or {}
    shares = {name: int(at(pool, ("memory-percent",)) or 0) for name, pool in pools.items()}
    if sum(shares.values()) > 100:
        said = ", ".join(f"{name} {share}" for name, share in shares.items())
        raise NvueError(
            f"the traffic pools would take {sum(shares.values())} percent of the buffer ({said}), 100 at most; "
            "take away the pool that is not the intent's ('nv unset qos traffic-pool NAME') or lower its memory-percent"
        )


def text(tree: Tree) -> str:
    """The part of a configuration that a change touches, as commands; for the diff."""
    return "".join(line + "\n" for line in sorted(Change(set=tree).lines()))


def touched(tree: Tree, change: Change) -> dict[str, Any]:
    """What ``tree`` has at the paths that ``change`` names."""
    found: dict[str, Any] = {}
    for path in change.unset:
        _take(tree, path, found)
    for path in _leaf_paths(change.set):
        _take(tree, path, found)
    return found


def _take(tree: Tree, path: Path, found: dict[str, Any]) -> None:
    value = at(tree, path)
    if value is None:
        return
    for key in path[:-1]:
        found = found.setdefault(key, {})
    if not (isinstance(value, Mapping) and path[-1] in found):
        found[path[-1]] = value


def _leaf_paths(tree: Tree) -> Iterator[Path]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            for path in _leaf_paths(value):
                yield (key, *path)
        else:
            yield (key,)
