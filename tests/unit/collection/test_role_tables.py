# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every role says the same in its defaults, its argument specification and its README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import role_readme

ROLES = role_readme.roles()
SHARED = {"fabric"}  # the intent: one variable for all
ALL_ROLES = {"ptp", "roce_host", "roce_switch", "t2t_runtime"}

by_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def specification(role: Path) -> dict[str, Any]:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return specs["argument_specs"]["main"].get("options") or {}


def test_every_role_has_a_specification() -> None:
    assert {role.name for role in ROLES} == {path.name for path in role_readme.CHECKOUT.glob("roles/*")} == ALL_ROLES


@by_role
def test_defaults_are_those_of_the_specification(role: Path) -> None:
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}
    specified = {name: option["default"] for name, option in specification(role).items() if "default" in option}
    assert defaults == specified


@by_role
def test_a_variable_is_required_or_has_a_default_and_its_role_as_prefix(role: Path) -> None:
    for name, option in specification(role).items():
        assert bool(option.get("required")) != ("default" in option), name
        assert name.startswith(f"{role.name}_") or name in SHARED, name


@by_role
def test_readme_table_is_made_from_the_specification(role: Path) -> None:
    assert (role / "README.md").read_text(encoding="utf-8") == role_readme.readme_with_table(role), "next: make docs"


@by_role
def test_role_meta_is_complete(role: Path) -> None:
    info = yaml.safe_load((role / "meta/main.yml").read_text(encoding="utf-8"))["galaxy_info"]
    assert info["license"] == "GPL-3.0-or-later"
    assert str(info["min_ansible_version"]) == "2.18"
    assert info["description"]
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    main = specs["argument_specs"]["main"]
    assert main.get("version_added") == "0.1.0", "the changelog announces a role by it"
    assert main.get("author")


def role_with(tmp_path: Path, readme: str) -> Path:
    role = tmp_path / "roles/example"
    (role / "meta").mkdir(parents=True)
    specs = {
        "example_pages": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "description": ["Pages | per node.", "Second."],
            "options": {"size": {"type": "str", "required": True, "choices": ["2M", "1G"], "description": "Size."}},
        }
    }
    text = yaml.safe_dump({"argument_specs": {"main": {"options": specs}}})
    (role / "meta/argument_specs.yml").write_text(text, encoding="utf-8")
    (role / "README.md").write_text(readme, encoding="utf-8")
    return role


def test_table_shows_nested_options_and_escapes_bars(tmp_path: Path) -> None:
    table = role_readme.table(role_with(tmp_path, ""))
    assert "| `example_pages` | list of dict | `[]` | Pages \\| per node. Second. |" in table
    assert "| `example_pages[].size` | str | required | Size. One of `2M`, `1G`. |" in table


def test_readme_without_markers_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"example/README.md lacks"):
        role_readme.readme_with_table(role_with(tmp_path, "# example\n"))


def test_only_the_part_between_the_markers_changes(tmp_path: Path) -> None:
    readme = f"before\n{role_readme.BEGIN}\nold\n{role_readme.END}\nafter\n"
    text = role_readme.readme_with_table(role_with(tmp_path, readme))
    assert text.startswith(f"before\n{role_readme.BEGIN}\n| Variable")
    assert text.endswith(f"|\n{role_readme.END}\nafter\n")
    assert "old" not in text
