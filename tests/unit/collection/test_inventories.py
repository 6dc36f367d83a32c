"""What the inventories give to the roles is what the roles take, that which is commented out as well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.wanted import parse_nics

CHECKOUT = Path(__file__).parents[3]
FILES = sorted(CHECKOUT.glob("inventories/*/group_vars/*.yml"))


def options() -> dict[str, dict[str, Any]]:
    """Every option of every role."""
    found: dict[str, dict[str, Any]] = {}
    for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml"):
        for spec in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found.update(spec["options"])
    return found


def errors(variables: dict[str, Any]) -> list[str]:
    known = options()
    given = {name: value for name, value in variables.items() if name in known and "{{" not in str(value)}
    return ArgumentSpecValidator({name: known[name] for name in given}).validate(given).error_messages


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_variables_are_as_the_roles_take_them(path: Path) -> None:
    variables = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    assert errors(variables) == []
    assert [name for name in variables if name.startswith("roce_host_") and name not in options()] == []


def test_the_firmware_of_the_example_is_right_when_it_is_uncommented() -> None:
    text = (CHECKOUT / "inventories/example/group_vars/traders.yml").read_text(encoding="utf-8")
    firmware = re.sub(r"^# ?", "", text[text.index("# roce_host_firmware:") :], flags=re.M)
    variables = yaml.safe_load(firmware)
    assert variables["roce_host_firmware"][0]["settings"]["CNP_DSCP_P1"] == 48
    assert errors(variables) == []


def test_the_cards_of_the_example_mean_something_and_have_the_mtu_of_the_intent() -> None:
    names = ("all", "traders")
    read = {
        name: yaml.safe_load((CHECKOUT / f"inventories/example/group_vars/{name}.yml").read_text(encoding="utf-8"))
        for name in names
    }
    [nic] = parse_nics(read["traders"]["roce_host_nics"])
    assert int(nic.settings["mtu"]) >= read["all"]["fabric"]["mtu"]["host"]
    [feed] = nic.feeds
    assert read["traders"]["roce_host_irqbalance"] == "stopped", "a host with irqbalance refuses queue_cpus otherwise"
    assert [queue for queue, cpus in nic.queue_cpus.items() if cpus == {feed.cpu}] == [3]


def test_a_wrong_suboption_is_seen() -> None:
    assert errors({"roce_host_nics": [{"name": "ens4", "ring": {}}]}) != []
