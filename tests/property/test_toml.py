# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`to_toml` against the standard library's parser: what is written is read back the same."""

from __future__ import annotations

import math
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.filter.to_toml import to_toml

# Surrogates are no characters, and TOML, being UTF-8, cannot hold them.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=True, allow_infinity=True),
    texts,
    st.datetimes(),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)
documents = st.dictionaries(texts, values, max_size=5)


def same(left: object, right: object) -> bool:
    """Equality in which nan equals nan, -0.0 differs from 0.0 and True differs from 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return left == right


@given(documents)
def test_every_document_is_read_back_the_same(document: dict[str, object]) -> None:
    text = to_toml(document)
    assert same(tomllib.loads(text), document), text


@given(documents)
def test_the_text_is_utf8_and_ends_in_one_newline(document: dict[str, object]) -> None:
    text = to_toml(document)
    text.encode()
    assert text == "" or (text.endswith("\n") and not text.endswith("\n\n"))
