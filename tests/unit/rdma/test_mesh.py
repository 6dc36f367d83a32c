# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rounds of a mesh: every pair once, no host twice in a round, never more pairs at once than allowed."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.filter.mesh_rounds import mesh_rounds
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.mesh import rounds


def check(names: list[str], at_once: int) -> list[list[tuple[str, str]]]:
    """Compare the rounds of a mesh with what they have to be."""
    found = list(rounds(names, at_once))
    pairs = [frozenset(pair) for one in found for pair in one]
    assert Counter(pairs) == Counter(frozenset(pair) for pair in combinations(names, 2))
    for one in found:
        busy = [host for pair in one for host in pair]
        assert len(busy) == len(set(busy)), "a host is in two pairs"
        assert 1 <= len(one) <= at_once
    return found


@given(st.integers(0, 40), st.integers(1, 25))
def test_every_pair_once_and_no_host_twice_in_a_round(count: int, at_once: int) -> None:
    found = check([f"h{number}" for number in range(count)], at_once)
    full = count // 2  # what a round of the tournament has at most
    turns = 0 if count < 2 else count - 1 + count % 2
    assert len(found) == turns * -(-full // at_once)


@given(st.integers(2, 40))
def test_nobody_serves_always(count: int) -> None:
    served = Counter(
        server for one in rounds([str(number) for number in range(count)], count) for server, client in one
    )
    assert all(abs(2 * served[str(number)] - (count - 1)) <= 0.5 * count + 1 for number in range(count))


def test_a_thousand_hosts() -> None:
    found = check([f"h{number}" for number in range(1000)], 500)
    assert len(found) == 999 and all(len(one) == 500 for one in found)


def test_a_small_mesh_by_hand() -> None:
    assert list(rounds(["a"], 1)) == list(rounds([], 9)) == []
    assert [sorted(map(sorted, one)) for one in rounds(["a", "b", "c", "d"], 2)] == [
        [["a", "d"], ["b", "c"]],
        [["a", "c"], ["b", "d"]],
        [["a", "b"], ["c", "d"]],
    ]


def test_what_cannot_be_a_mesh() -> None:
    with pytest.raises(ValueError, match="at_once 0: at least one pair"):
        list(rounds(["a", "b"], 0))
    with pytest.raises(ValueError, match="a, c: a host can be in the mesh once only"):
        list(rounds(["a", "b", "a", "c", "c"], 1))


def test_the_filter() -> None:
    assert mesh_rounds(["a", "b", "c"], "1") == [list(map(list, one)) for one in rounds(["a", "b", "c"], 1)]
    with pytest.raises(AnsibleFilterError, match="mesh_rounds: at_once 0"):
        mesh_rounds(["a", "b"], 0)
    with pytest.raises(AnsibleFilterError, match="mesh_rounds: "):
        mesh_rounds(None, 1)
