# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every module's examples pass its own argument validation, and its documentation is its argument_spec."""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

CHECKOUT = Path(__file__).resolve().parents[3]
FRAGMENTS = sorted(path.stem for path in (CHECKOUT / "plugins/doc_fragments").glob("*.py"))
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py") if path.stem != "__init__")
SAMPLES: dict[str, Any] = {"int": 1, "float": 1.0, "bool": True, "list": [], "dict": {}, "path": "/x", "str": "x"}

by_module = pytest.mark.parametrize("name", MODULES)


class ModuleCalled(Exception):
    """Carries what a module gave to AnsibleModule, before it does anything."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__()
        self.given = given


@functools.cache
def all_documentation() -> dict[str, dict[str, Any]]:
    """What ansible-doc reads of every module, with the fragments that it extends."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-doc")), "--type", "module", "--json"]
        + [f"tickwire.fabric.{name}" for name in MODULES],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def documentation(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """DOCUMENTATION and the tasks of EXAMPLES."""
    found = all_documentation()[f"tickwire.fabric.{name}"]
    doc, examples = found["doc"], found["examples"]
    assert examples, f"{name} has no EXAMPLES"
    entries = yaml.safe_load(examples)
    tasks = [task for entry in entries for task in entry.get("tasks", [entry])]
    return doc, tasks


def argument_spec(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the module gives to AnsibleModule."""

    def called(*args: Any, **given: Any) -> None:
        raise ModuleCalled({**({"argument_spec": args[0]} if args else {}), **given})

    module = importlib.import_module(f"ansible_collections.tickwire.fabric.plugins.modules.{name}")
    monkeypatch.setattr(basic, "AnsibleModule", called)
    monkeypatch.setattr(module, "AnsibleModule", called)
    with pytest.raises(ModuleCalled) as caught:
        module.main()
    return caught.value.given


def without_templates(value: Any, option: dict[str, Any]) -> Any:
    """The value an option of this type could have where an example has a Jinja expression."""
    if isinstance(value, str) and "{{" in value:
        return option["choices"][0] if option.get("choices") else SAMPLES.get(option.get("type", "str"), "x")
    inner = option.get("options") or {}
    if isinstance(value, dict) and inner:
        return {key: without_templates(one, inner.get(key, {})) for key, one in value.items()}
    if isinstance(value, list):
        element = {"type": option.get("elements", "str"), "options": inner}
        return [without_templates(one, element) for one in value]
    return value


def shape(options: dict[str, Any], inner: str) -> dict[str, Any]:
    """What documentation and code both have to say of options, with defaults of absent keys filled in."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": bool(option.get("required", False)),
            "default": option.get("default"),
            "choices": list(option.get("choices") or []),
            "aliases": sorted(option.get("aliases") or []),
            "options": shape(option.get(inner) or {}, inner),
        }
        for name, option in options.items()
    }


def test_there_are_modules() -> None:
    assert MODULES


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_serves_more_than_one(fragment: str) -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for kind in ("modules", "filter")
        for path in (CHECKOUT / "plugins" / kind).glob("*.py")
    ]
    assert sum(f"  - tickwire.fabric.{fragment}" in source for source in sources) > 1


@by_module
def test_examples_pass_argument_validation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _doc, tasks = documentation(name)
    given = argument_spec(name, monkeypatch)
    conditions = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
    validator = ArgumentSpecValidator(given["argument_spec"], **{key: given.get(key) for key in conditions})
    key = f"tickwire.fabric.{name}"
    used = [task for task in tasks if key in task]
    assert used, f"no example of {name} calls {key}"
    for task in used:
        arguments = without_templates(task[key] or {}, {"options": given["argument_spec"]})
        result = validator.validate(arguments)
        assert not result.error_messages, f"{task.get('name')}: {result.error_messages}"


@by_module
def test_documentation_is_the_argument_spec(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    doc, _tasks = documentation(name)
    given = argument_spec(name, monkeypatch)
    assert shape(doc.get("options") or {}, "suboptions") == shape(given["argument_spec"], "options")


@by_module
def test_check_mode_is_supported_and_documented(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    doc, _tasks = documentation(name)
    supported = bool(argument_spec(name, monkeypatch).get("supports_check_mode"))
    assert (doc["attributes"]["check_mode"]["support"] == "full") == supported
    assert supported
    assert str(doc["version_added"]) == "0.1.0"


def test_templates_are_replaced_by_values_of_their_type() -> None:
    options = {"count": {"type": "int"}, "mode": {"choices": ["server", "client"]}, "size": {"type": "int"}}
    arguments = {"count": "{{ n }}", "mode": "{{ m }}", "size": 64}
    assert without_templates(arguments, {"options": options}) == {"count": 1, "mode": "server", "size": 64}
