# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What NX-OS answers to ``show ... | json``: tables within tables, where one row is a mapping and several are a list.

cisco.nxos hands the JSON on as text when the first of several answers is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

PFC = "show interface priority-flow-control"
QUEUING = "show queuing interface"
WATCHDOG = "show queuing pfc-queue detail"

Row = Mapping[str, object]


def rows(output: object, name: str) -> Iterator[Row]:
    """Every row of the tables ``TABLE_<name>``, however deep they are."""
    if isinstance(output, str) and output.lstrip().startswith("{"):
        yield from rows(json.loads(output), name)
    elif isinstance(output, (list, tuple)):
        for one in output:
            yield from rows(one, name)
    elif isinstance(output, Mapping):
        for key, value in output.items():
            if key == f"ROW_{name}":
                yield from (row for row in (value if isinstance(value, list) else [value]) if isinstance(row, Mapping))
            else:
                yield from rows(value, name)


def ports(output: object, name: str) -> dict[str, list[Row]]:
    """Rows with an ``if_name_str`` by port, in the intent's spelling; an interface may have a row per direction."""
    found: dict[str, list[Row]] = {}
    for row in rows(output, name):
        found.setdefault(port_name(str(row.get("if_name_str", ""))), []).append(row)
    return found


def port_name(name: str) -> str:
    """``Eth1/1`` as ``Ethernet1/1``."""
    name = name.strip()
    return f"Ethernet{name[3:]}" if name.startswith("Eth") and not name.startswith("Ethernet") else name


def number(value: object) -> int | None:
    """A count as a number; NX-OS writes numbers as text, and a dash or nothing where it has none."""
    try:
        return int(str(value).strip())
    except ValueError:
        return None
