# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's own object models as a judge: types and ranges by pydantic, and every key has to be known.

The models of ``nvueschema`` let unknown keys pass, so the tree is walked beside the types.
"""

from __future__ import annotations

import functools
import importlib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

VERSIONS = tuple(f"5.{minor}" for minor in range(9, 19))


@functools.cache
def root(version: str) -> type[BaseModel]:
    """The model of the whole configuration of a version such as 5.15."""
    model: type[BaseModel] = importlib.import_module(f"nvueschema.models.v{version.replace('.', '_')}").NvueConfig
    return model


def problems(tree: Mapping[str, Any], version: str) -> list[str]:
    """What NVUE of that version would not take, a line each."""
    try:
        root(version).model_validate(tree)
    except ValidationError as error:
        found = ["/".join(map(str, one["loc"])) + f": {one['msg']}" for one in error.errors()]
    else:
        found = []
    return found + list(_unknown(tree, root(version), ""))


def _unknown(value: object, kind: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    for one in _mappings(kind):
        if one is Any:
            return
        if isinstance(one, type) and issubclass(one, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in one.model_fields.items()}
            for key, inner in value.items():
                if key not in fields:
                    yield f"{path}/{key}: unknown key; known here: {', '.join(sorted(fields))}"
                else:
                    yield from _unknown(inner, fields[key], f"{path}/{key}")
        else:
            for key, inner in value.items():
                yield from _unknown(inner, typing.get_args(one)[1], f"{path}/{key}")
        return
    yield f"{path}: {value!r} has to be a single value"


def _mappings(kind: Any) -> Iterator[Any]:
    """The models and dictionaries that a type allows."""
    origin = typing.get_origin(kind)
    if kind is Any or origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        yield kind
    else:
        for argument in typing.get_args(kind):
            yield from _mappings(argument)
