# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The layout that `to_toml` writes, and what it refuses."""

from __future__ import annotations

import tomllib

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.tickwire.fabric.plugins.filter.to_toml import FilterModule, to_toml


def test_keys_come_before_tables_and_tables_before_arrays_of_tables() -> None:
    document = {
        "orders": {"accounts": [{"username": "A"}, {"username": "B"}], "tcp": {"port": 1}, "address": "127.0.0.1"},
        "top": 1,
    }
    assert to_toml(document) == (
        'top = 1\n\n[orders]\naddress = "127.0.0.1"\n\n[orders.tcp]\nport = 1\n\n'
        '[[orders.accounts]]\nusername = "A"\n\n[[orders.accounts]]\nusername = "B"\n'
    )


def test_a_bracket_in_a_key_stays_in_its_quotes() -> None:
    document = {"a]": {"[b": {"c": 1}}}
    assert tomllib.loads(to_toml(document)) == document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"feed": {"port": None}}, "feed.port: TOML has no null"),
        ({"a": [1, None]}, r"a\[1\]: TOML has no null"),
        ({"n": 2**63}, "n: 9223372036854775808 does not fit"),
        ({1: 2}, "top level: the key 1 is no text"),
        ({"a": {2: 1}}, "a: the key 2 is no text"),
        ({"a": object()}, "a: TOML cannot hold a value of type object"),
        ({"a": "\ud800"}, "a: the text holds the lone surrogate"),
        ([], "a mapping is needed, not list"),
    ],
)
def test_what_toml_cannot_hold_is_refused_with_its_path(document: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        to_toml(document)


def test_the_filter_is_registered_by_its_name() -> None:
    assert FilterModule().filters()["to_toml"] is to_toml
