# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter `to_toml`: a mapping as a TOML 1.0 document."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: to_toml
short_description: Write a mapping as a TOML document
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Writes a mapping as a TOML 1.0 document that any TOML parser reads back to the same values.
  - Plain keys of a table come first, then its tables, then its arrays of tables, each group in the order of the
    mapping, so that the same mapping always gives the same text.
  - TOML has no null. A value that TOML cannot hold is refused with its path.
options:
  _input:
    description: The mapping.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write a TOML file
  ansible.builtin.copy:
    content: "{{ {'engine': {'cpu': 1}} | tickwire.fabric.to_toml }}"
    dest: /etc/example.toml
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The TOML document, ending in a newline; empty text for an empty mapping.
  type: str
"""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_SHORT_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def _string(text, path):
    out = []
    for character in text:
        code = ord(character)
        if character in _SHORT_ESCAPES:
            out.append(_SHORT_ESCAPES[character])
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\u{code:04x}")
        elif 0xD800 <= code <= 0xDFFF:
            raise ValueError(f"{path}: the text holds the lone surrogate U+{code:04X}, which UTF-8 cannot carry")
        else:
            out.append(character)
    return '"' + "".join(out) + '"'


def _key(key, path):
    if not isinstance(key, str):
        raise ValueError(f"{path or 'top level'}: the key {key!r} is no text; quote it in YAML")
    return key if _BARE_KEY.match(key) else _string(key, path)


def _is_tables(value):
    """Whether the value is written as an array of tables: a list of mappings that is not empty."""
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _float(value):
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(float(value))  # 1.0, 1e-07 and 1e+16 are all TOML floats


def _inline(value, path):
    """A value on one line: a scalar, an array or an inline table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{path}: {value} does not fit in the 64 bits of a TOML integer")
        return str(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _string(value, path)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        pairs = [f"{_key(key, path)} = {_inline(item, f'{path}.{key}')}" for key, item in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(item, f"{path}[{index}]") for index, item in enumerate(value)) + "]"
    if value is None:
        raise ValueError(f"{path}: TOML has no null; leave the key out")
    raise ValueError(f"{path}: TOML cannot hold a value of type {type(value).__name__}")


def _table(mapping, header, path, blocks):
    """Append the text of one table and of those below it to blocks, one block each."""
    plain, tables, arrays = [], [], []
    for key, value in mapping.items():
        name = _key(key, path)
        below = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            tables.append((name, value, below))
        elif _is_tables(value):
            arrays.append((name, value, below))
        else:
            plain.append(f"{name} = {_inline(value, below)}")
    # A table that only holds tables needs no header of its own; an empty one does, or it would be lost.
    if header.startswith("[[") or plain or (header and not tables and not arrays):
        blocks.append("\n".join(([header] if header else []) + plain))
    inside = header.strip("[]") + "." if header else ""
    for name, value, below in tables:
        _table(value, f"[{inside}{name}]", below, blocks)
    for name, value, below in arrays:
        for index, item in enumerate(value):
            _table(item, f"[[{inside}{name}]]", f"{below}[{index}]", blocks)


def to_toml(value):
    """TOML text of a mapping; AnsibleFilterError names the path of what TOML cannot hold. Grammar: toml.io v1.0.0."""
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"to_toml: a mapping is needed, not {type(value).__name__}")
    blocks: list[str] = []
    try:
        _table(value, "", "", blocks)
    except ValueError as error:
        raise AnsibleFilterError(f"to_toml: {error}") from error
    return "\n\n".join(blocks) + "\n" if blocks else ""


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Name and function of each filter."""
        return {"to_toml": to_toml}
