"""Writes the table of variables in every role's README.md from its meta/argument_specs.yml.

The table stands between `<!-- variables begin -->` and `<!-- variables end -->`. With `--check` nothing is written and
the exit code is 1 when a table is not what the specification says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- variables begin -->", "<!-- variables end -->"


def cell(text: str) -> str:
    """Text for a table cell: one line, no bar that would end it."""
    return " ".join(text.split()).replace("|", "\\|")


def words(description: Any) -> str:
    """A description, a text or a list of them, as one text."""
    return " ".join(description) if isinstance(description, list) else str(description or "")


def type_name(option: dict[str, Any]) -> str:
    """The type with that of its elements, as in `list of dict`."""
    name = str(option.get("type", "str"))
    return f"{name} of {option['elements']}" if option.get("elements") else name


def default(option: dict[str, Any]) -> str:
    """The default as written in JSON, or `required`, or nothing."""
    if option.get("required"):
        return "required"
    if "default" not in option:
        return ""
    return f"`{json.dumps(option['default'], ensure_ascii=False)}`"


def rows(options: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """A line for every option, its own options after it."""
    for name, option in options.items():
        path = f"{prefix}{name}"
        text = words(option.get("description"))
        if option.get("choices"):
            text += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        yield f"| `{path}` | {type_name(option)} | {cell(default(option))} | {cell(text)} |"
        nested = "[]." if option.get("type") == "list" else "."
        yield from rows(option.get("options") or {}, f"{path}{nested}")


def table(role: Path) -> str:
    """The table of a role's variables, from the `main` entry point of its specification."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    lines = ["| Variable | Type | Default | Description |", "|---|---|---|---|"]
    lines += rows(specs["argument_specs"]["main"].get("options") or {})
    return "\n".join(lines)


def readme_with_table(role: Path) -> str:
    """The role's README as it should be. ValueError when the markers are missing."""
    text = (role / "README.md").read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{role.name}/README.md lacks the lines '{BEGIN}' and '{END}' around its table of variables")
    return f"{before}{BEGIN}\n{table(role)}\n{END}{after}"


def roles(checkout: Path = CHECKOUT) -> list[Path]:
    """The roles of the collection."""
    return sorted(path.parent.parent for path in checkout.glob("roles/*/meta/argument_specs.yml"))


def main() -> int:
    """Command line, see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a table is out of date")
    check = parser.parse_args().check
    stale = 0
    for role in roles():
        readme = role / "README.md"
        try:
            wanted = readme_with_table(role)
        except (ValueError, OSError) as error:
            print(f"role_readme: {error}", file=sys.stderr)
            stale += 1
            continue
        if readme.read_text(encoding="utf-8") != wanted:
            if check:
                print(f"role_readme: {role.name}/README.md is out of date. Next: make docs", file=sys.stderr)
                stale += 1
            else:
                readme.write_text(wanted, encoding="utf-8")
                print(f"role_readme: wrote {role.name}/README.md")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
