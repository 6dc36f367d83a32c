# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CONFIG_DB as plain data: table -> row -> field -> value, all of them strings, as ``config_db.json`` has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Row = dict[str, str]
Tables = dict[str, dict[str, Row]]
Leaf = tuple[str, str, str]

PREFIX = "TICKWIRE_"
# rows with a name of their own; the name's prefix says that a row is ours
NAMED = (
    "DSCP_TO_TC_MAP",
    "DOT1P_TO_TC_MAP",
    "TC_TO_QUEUE_MAP",
    "TC_TO_PRIORITY_GROUP_MAP",
    "MAP_PFC_PRIORITY_TO_QUEUE",
    "PFC_PRIORITY_TO_PRIORITY_GROUP_MAP",
    "SCHEDULER",
    "WRED_PROFILE",
    "BUFFER_PROFILE",
)
# rows whose key ends in a queue, a priority group or a range of them, such as Ethernet0|3-4
RANGED = ("QUEUE", "BUFFER_PG", "BUFFER_QUEUE")


class SonicError(Exception):
    """The switch cannot be read or changed, or refused; the message says what and the next step."""


def key(*parts: object) -> str:
    """The key of a row with several parts."""
    return "|".join(str(part) for part in parts)


def copied(tables: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Tables:
    """A copy that can be changed."""
    return {table: {name: dict(row) for name, row in rows.items()} for table, rows in tables.items()}


def leaves(tables: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[Leaf, str]:
    """(table, row, field) -> value; a row without fields has one field without name."""
    found = {}
    for table, rows in tables.items():
        for name, row in rows.items():
            for field, value in row.items() if row else [("", "")]:
                found[table, name, field] = value
    return found


def span(text: str) -> range:
    """The numbers of ``3`` or ``3-4``; empty for anything else."""
    low, dash, high = text.partition("-")
    if not low.isdigit() or (dash and not high.isdigit()):
        return range(0)
    return range(int(low), int(high if dash else low) + 1)


def span_text(numbers: range) -> str:
    """The other way round."""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def port_rows(rows: Mapping[str, Row], port: str) -> Iterator[tuple[str, str, Row]]:
    """The rows ``port|rest`` of a table: key, rest, row."""
    for name, row in rows.items():
        mine, divider, rest = name.partition("|")
        if divider and mine == port:
            yield name, rest, row
