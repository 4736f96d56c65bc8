"""A check of JSON against the part of JSON Schema that the schema of results uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


def problems(schema: Mapping[str, Any], value: Any, root: Any, at: str = "") -> Iterator[str]:
    """What of a value does not conform to a schema, as lines that begin with its place."""
    if "$ref" in schema:
        yield from problems(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root, at)
        return
    if "anyOf" in schema:
        found = [list(problems(one, value, root, at)) for one in schema["anyOf"]]
        if all(found):
            yield from min(found, key=len)
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    kinds = schema.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_is(value, kind) for kind in kinds):
        yield f"{at}: {value!r} is not {' or '.join(kinds)}"
    elif isinstance(value, dict):
        yield from _object_problems(schema, value, root, at)
    elif isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from problems(schema["items"], item, root, f"{at}[{number}]")


def _object_problems(
    schema: Mapping[str, Any], value: Mapping[str, Any], root: Any, at: str
) -> Iterator[str]:
    yield from (f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value)
    known = schema.get("properties", {})
    for name, item in value.items():
        yield from problems(
            known.get(name, schema.get("additionalProperties", {})), item, root, f"{at}.{name}"
        )


def _is(value: Any, kind: str) -> bool:
    # In Python, true is an integer.
    return isinstance(value, TYPES[kind]) and (type(value) is not bool or kind == "boolean")
