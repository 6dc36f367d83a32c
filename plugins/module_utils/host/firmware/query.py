# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What mstconfig, mstflint and mstfwreset print, as data.

The text form is that of mstconfig 4.21 and older; newer ones write JSON with the same names and values. A value is a
number (``16``), a name with its number (``True(1)``, ``_256KB(1)``), bytes in hexadecimal, ``Array[0..7]`` or ``N/A``.
Old cards have no column of current values, and without -e there is only what the next boot gets.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_NAMED = re.compile(r"(?P<name>.*)\((?P<number>\d+)\)\Z")
_ROW = re.compile(r"\*?\s*(?P<read_only>RO\s+)?(?P<name>[A-Za-z]\w*(?:\[\d+\])?)\s+(?P<values>\S.*)\Z")
_COLUMNS = {"Default": "default", "Current": "current", "Next Boot": "next"}
_FIELD = re.compile(r"(?P<name>[A-Z][A-Za-z ()]*?):\s+(?P<value>\S.*)\Z")
_LEVEL = re.compile(r"(?P<level>\d): .*-(?P<supported>Supported|Not Supported)\b")


@dataclass(frozen=True)
class Value:
    """One value. ``number`` is None where the tool gives none; ``name`` is empty where it has none."""

    text: str
    number: int | None = None
    name: str = ""

    @property
    def is_array(self) -> bool:
        return self.number is None and self.text.startswith("Array[")

    def is_as(self, wanted: str) -> bool:
        """Whether a user's text means this value: its number in any base, its name, or the whole."""
        try:
            return self.number == int(wanted, 0)
        except ValueError:
            return wanted.lower() in (self.text.lower(), self.name.lower())

    def as_set(self) -> str:
        """The text that sets this value again."""
        return self.text if self.number is None else str(self.number)


@dataclass(frozen=True)
class Parameter:
    """One parameter. ``default`` and ``current`` are None where the firmware does not tell."""

    name: str
    next: Value | None
    current: Value | None = None
    default: Value | None = None
    read_only: bool = False


@dataclass
class Configuration:
    """All parameters of one card that its firmware shows."""

    device_type: str = ""
    description: str = ""
    parameters: dict[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class Firmware:
    """Versions and PSID of a card or an image; ``running`` differs from ``version`` between a burn and its loading."""

    version: str
    running: str
    psid: str


def parse_value(text: str) -> Value | None:
    """One value of the table, None for ``N/A``."""
    if text == "N/A":
        return None
    match = _NAMED.match(text)
    if match is not None:
        return Value(text, int(match.group("number")), match.group("name"))
    try:
        return Value(text, int(text, 0))
    except ValueError:
        return Value(text)


def parse_text(text: str) -> Configuration:
    """The table of ``mstconfig query``, with -e or without."""
    found = Configuration()
    columns: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("Configurations:"):
            heads = re.split(r"\s{2,}", stripped)[1:]
            columns = [_COLUMNS.get(head, head) for head in heads]
        elif stripped.startswith("Device type:"):
            found.device_type = stripped.partition(":")[2].strip()
        elif stripped.startswith("Description:"):
            found.description = stripped.partition(":")[2].strip()
        elif columns and stripped.startswith(("The '", "-", "Device ")):
            columns = []
        elif columns:
            parameter = _row(stripped, columns)
            if parameter is not None:
                found.parameters[parameter.name] = parameter
    return found


def _row(line: str, columns: list[str]) -> Parameter | None:
    match = _ROW.match(line)
    if match is None:
        return None
    words = match.group("values").split()
    if len(words) != len(columns):
        words = re.split(r"\s{2,}", match.group("values"))
    # A row of another shape is a parameter all the same, whose values cannot be told.
    values = dict(zip(columns, map(parse_value, words))) if len(words) == len(columns) else {}
    return Parameter(
        match.group("name"),
        next=values.get("next"),
        current=values.get("current"),
        default=values.get("default"),
        read_only=match.group("read_only") is not None,
    )


def parse_json(text: str) -> Configuration:
    """The file of ``mstconfig -j FILE query``; ValueError when it is none."""
    document = json.loads(text)
    device = next((value for key, value in document.items() if key.startswith("Device #")), None)
    if not isinstance(device, dict):
        raise ValueError("no device in it")
    found = Configuration(str(device.get("device_type", "")), str(device.get("description", "")))
    for name, entry in device.get("tlv_configuration", {}).items():
        found.parameters[name] = Parameter(
            name,
            next=_json_value(entry.get("next_value")),
            current=_json_value(entry.get("current_value")),
            default=_json_value(entry.get("default_value")),
            read_only=bool(entry.get("read_only")),
        )
    return found


def _json_value(value: Any) -> Value | None:
    return None if value is None else parse_value(str(value))


def parse_firmware(text: str) -> Firmware | None:
    """Versions and PSID of ``mstflint query`` of a card or an image; None when there are none in it."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        match = _FIELD.match(line)
        if match is not None:
            fields.setdefault(match.group("name"), match.group("value").strip())
    running = fields.get("FW Version(Running)", fields.get("FW Version", ""))
    if not running or "PSID" not in fields:
        return None
    return Firmware(fields.get("FW Version", running), running, fields["PSID"])


def parse_reset_levels(text: str) -> frozenset[int]:
    """Reset levels that ``mstfwreset query`` calls supported."""
    levels = set()
    within = False
    for line in text.splitlines():
        if line.startswith("Reset-"):
            within = line.startswith("Reset-levels:")
        match = _LEVEL.match(line) if within else None
        if match is not None and match.group("supported") == "Supported":
            levels.add(int(match.group("level")))
    return frozenset(levels)


def parse_version(text: str) -> tuple[int, ...]:
    """``16.28.2006`` as numbers that compare; ValueError for another form."""
    return tuple(int(part) for part in text.strip().split("."))


def errors(text: str) -> str:
    """What a tool says went wrong: its lines after ``-E-``, in one line."""
    found = [line.partition("-E-")[2].strip() for line in text.splitlines() if "-E-" in line]
    return "; ".join(found)
