# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What CONFIG_DB becomes, and the way there as a JSON patch (RFC 6902).

Ours are the rows that the intent wants, the named rows with our prefix, and the rows that refer to one of those, and of
the intent's ports the VLAN without a tag. All else stays. One row can be in the way: SONiC takes no two rows for the
same queue or priority group, so that a range such as ``Ethernet0|3-4`` is split, what is not ours of it keeping its
fields.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .buffers import COMPUTED
from .tables import (
    NAMED,
    PREFIX,
    RANGED,
    Leaf,
    Row,
    SonicError,
    Tables,
    copied,
    key,
    leaves,
    port_rows,
    span,
    span_text,
)

Operation = dict[str, object]


def target(running: Tables, wanted: Tables) -> Tables:
    """The whole configuration as the intent wants it, everything that is not ours as it was."""
    found = copied(running)
    _drop_stale(found, running, wanted)
    for table in RANGED:
        _split_ranges(found.get(table, {}), wanted.get(table, {}))
    for table, rows in wanted.items():
        for name, row in rows.items():
            now = found.setdefault(table, {}).setdefault(name, {})
            if table in NAMED or table in RANGED:
                now.clear()
            elif table == "PORT_QOS_MAP":
                _drop_other_maps(now, row)
            elif table == "BUFFER_POOL" and _model(running) != _model(wanted):
                # sizes of the traditional model would stay fixed in the dynamic one
                for field in ("size", "xoff"):
                    now.pop(field, None)
            now.update(row)
    return {table: rows for table, rows in found.items() if rows}


def _model(tables: Tables) -> str:
    return tables.get("DEVICE_METADATA", {}).get("localhost", {}).get("buffer_model", "traditional")


def refuse_impossible(running: Tables, wanted: Tables) -> None:
    """SonicError when the switch has not the ports of the intent, or uses them for what excludes a VLAN."""
    known = running.get("PORT", {})
    for port in wanted.get("PORT", {}):
        if port not in known:
            raise SonicError(f"{port} of the intent is no port of this switch; PORT has {', '.join(known) or 'none'}")
    for name in wanted.get("VLAN_MEMBER", {}):
        port = name.partition("|")[2]
        for table in ("INTERFACE", "PORTCHANNEL_MEMBER"):
            rows = [one for one in running.get(table, {}) if port in one.split("|")]
            if rows:
                said = f"{table}|{rows[0]} makes {port} no port of a VLAN"
                raise SonicError(f"{said}; remove that row, or take {port} out of the links of the intent")


def _ours(name: str, row: Mapping[str, str]) -> bool:
    return name.startswith(PREFIX) or any(value.startswith(PREFIX) for value in row.values())


def _drop_stale(found: Tables, running: Tables, wanted: Tables) -> None:
    """Remove what an earlier intent of ours had made and this one does not want."""
    for table in (*NAMED, *RANGED, "PORT_QOS_MAP"):
        for name, row in running.get(table, {}).items():
            if name not in wanted.get(table, {}) and _ours(name, row):
                found[table].pop(name)
    for name in in_place_of(running, wanted):
        found["VLAN_MEMBER"].pop(name)
    pauses = running.get("MAP_PFC_PRIORITY_TO_QUEUE", {})
    for port, row in running.get("PORT_QOS_MAP", {}).items():
        ours = row.get("pfc_to_queue_map", "")
        if not ours.startswith(PREFIX):
            continue
        # the map says for which priorities the port was lossless by our doing
        for priority in pauses.get(ours, {}):
            group = key(port, priority)
            there = running.get("BUFFER_PG", {}).get(group, {})
            if group not in wanted.get("BUFFER_PG", {}) and there.get("profile") == COMPUTED:
                found["BUFFER_PG"].pop(group)
        if port not in wanted.get("PFC_WD", {}):
            found.get("PFC_WD", {}).pop(port, None)


def in_place_of(running: Tables, wanted: Tables) -> list[str]:
    """VLAN members that those of the intent replace: a port has one VLAN without a tag, and of ours those of its link.

    Others' VLANs with a tag stay.
    """
    members = wanted.get("VLAN_MEMBER", {})
    ports = {name.partition("|")[2] for name in members}
    found = []
    for name, row in running.get("VLAN_MEMBER", {}).items():
        vlan, _divider, port = name.partition("|")
        untagged = row.get("tagging_mode") == "untagged"
        if port in ports and name not in members and (untagged or vlan in wanted.get("VLAN", {})):
            found.append(name)
    return found


def _drop_other_maps(now: Row, row: Mapping[str, str]) -> None:
    """A port that trusts the PCP must have no DSCP map, which SONiC would prefer; and no map of an earlier intent."""
    if "dot1p_to_tc_map" in row and "dscp_to_tc_map" not in row:
        now.pop("dscp_to_tc_map", None)
    for field in [field for field, value in now.items() if value.startswith(PREFIX)]:
        del now[field]


def _split_ranges(rows: dict[str, Row], wanted: Mapping[str, Row]) -> None:
    taken: dict[str, set[int]] = {}
    for name in wanted:
        port, divider, rest = name.partition("|")
        taken.setdefault(port, set()).update(span(rest))
    for port, mine in taken.items():
        for name, rest, row in list(port_rows(rows, port)):
            numbers = span(rest)
            if len(numbers) < 2 or not mine.intersection(numbers):
                continue
            del rows[name]
            for left in _runs([number for number in numbers if number not in mine]):
                rows[key(port, span_text(left))] = dict(row)


def _runs(numbers: list[int]) -> list[range]:
    found: list[range] = []
    for number in numbers:
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


def patch(before: Tables, after: Tables) -> list[Operation]:
    """The operations from one configuration to the other: whole tables, rows or single fields."""
    found: list[Operation] = []
    for table in sorted({*before, *after}):
        if table not in after:
            found.append(_operation("remove", table))
        elif table not in before:
            found.append(_operation("add", table, value=after[table]))
        else:
            found += _row_operations(table, before[table], after[table])
    return found


def _row_operations(table: str, before: Mapping[str, Row], after: Mapping[str, Row]) -> list[Operation]:
    found = []
    for name in sorted({*before, *after}):
        if name not in after:
            found.append(_operation("remove", table, name))
        elif name not in before:
            found.append(_operation("add", table, name, value=after[name]))
        else:
            old, new = before[name], after[name]
            for field in sorted({*old, *new}):
                if field not in new:
                    found.append(_operation("remove", table, name, field))
                elif old.get(field) != new[field]:
                    verb = "replace" if field in old else "add"
                    found.append(_operation(verb, table, name, field, value=new[field]))
    return found


def _operation(verb: str, *parts: str, value: object = None) -> Operation:
    path = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return {"op": verb, "path": path} if verb == "remove" else {"op": verb, "path": path, "value": value}


def differences(before: Tables, after: Tables) -> list[tuple[Leaf, str | None, str | None]]:
    """(table, row, field), value before, value after, of every leaf that differs; None where there is none."""
    old, new = leaves(before), leaves(after)
    return [(leaf, old.get(leaf), new.get(leaf)) for leaf in sorted({*old, *new}) if old.get(leaf) != new.get(leaf)]


def applied(config: Mapping[str, object], operations: list[Operation]) -> dict[str, object]:
    """A copy of a configuration, as a tool printed it, after the operations of :func:`patch`."""
    found = copy.deepcopy(dict(config))
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in str(operation["path"]).split("/")[1:]]
        place: Any = found
        for part in parts[:-1]:
            place = place[part]
        if operation["op"] == "remove":
            del place[parts[-1]]
        else:
            place[parts[-1]] = copy.deepcopy(operation["value"])
    return found
