"""Options of a role may come from the command line (``-e name=true``), where they are words and not truth values; those
that say together which CPUs are isolated go together to every module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
PLAYBOOKS = ROLES.parent / "playbooks"
WHICH_CPUS = {"isolated_cpus", "housekeeping_per_node", "split_siblings"}
CONDITIONS = ("when", "that", "failed_when", "changed_when", "until")


def conditions(node: Any) -> Iterator[str]:
    """Every condition of a task file, however deep."""
    if isinstance(node, list):
        for one in node:
            yield from conditions(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in CONDITIONS:
                yield from map(str, value if isinstance(value, list) else [value])
            else:
                yield from conditions(value)


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir() if (path / "tasks").is_dir()))
def test_a_truth_value_in_a_condition_may_be_a_word(role: str) -> None:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    options = {name for spec in specs.values() for name, one in spec["options"].items() if one["type"] == "bool"}
    bare = [
        f"{path.relative_to(ROLES)}: {condition}"
        for path in sorted((ROLES / role / "tasks").rglob("*.yml"))
        for condition in conditions(yaml.safe_load(path.read_text(encoding="utf-8")))
        for name in options
        if re.search(rf"\b{name}\b(?!\s*\|\s*bool\b)", condition)
    ]
    assert bare == []


def dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a task file, however deep."""
    if isinstance(node, dict):
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from dictionaries(one)


def test_no_module_is_told_a_part_of_which_cpus_are_isolated() -> None:
    paths = [*sorted(ROLES.glob("*/tasks/*.yml")), *sorted(PLAYBOOKS.rglob("*.yml"))]
    told = [
        (path.name, WHICH_CPUS - set(one))
        for path in paths
        for one in dictionaries(yaml.safe_load(path.read_text(encoding="utf-8")))
        if WHICH_CPUS & set(one)
    ]
    assert len(told) >= 5 and [one for one in told if one[1]] == []


def test_the_role_does_not_measure_on_the_cpus_of_a_runtime_that_trades() -> None:
    [task] = yaml.safe_load((ROLES / "roce_host/tasks/jitter.yml").read_text(encoding="utf-8"))
    assert "__roce_host_may_disturb" in task["when"]
