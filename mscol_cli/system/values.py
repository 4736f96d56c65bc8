"""Values as JSON has them, back into dataclasses, by dotted name, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def as_json(value: Any) -> Any:
    """A value as it comes back from JSON: dataclasses are objects, tuples lists, paths text.

    A class with a form of its own has a method `as_json`.
    """
    if hasattr(value, "as_json"):
        return as_json(value.as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[T], content: Any) -> T:
    """A dataclass from what `as_json` made of it, and so the dataclasses in its fields.

    Unknown fields are ignored; absent ones have their defaults. A class with a form of its own
    has a class method `from_json`.

    Raises:
        LookupError, TypeError, ValueError: A field is missing or of another type.
    """
    value: T = _read(kind, content)
    return value


def flatten(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= flatten(value, f"{above}{name}.") if inner else {above + str(name): value}
    return flat


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, shared: bool = False
) -> Iterator[tuple[str, Any, Any]]:
    """The dotted name and both values of what two nested mappings state differently.

    Values are compared as JSON has them; one that is not stated is None.

    Args:
        old: Any values.
        new: Any others.
        shared: Leave out what only one of them states.
    """
    old, new = flatten(as_json(old)), flatten(as_json(new))
    for name in {**old, **new}:
        before, now = old.get(name), new.get(name)
        if before != now and not (shared and (name not in old or name not in new)):
            yield name, before, now


def format_differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What both state, differently: `steps is 100, not 200`, by name."""
    changed = differences(made, wanted, shared=True)
    return sorted(f"{name} is {_stated(old)}, not {_stated(new)}" for name, old, new in changed)


def _stated(value: Any) -> Any:
    return "none" if value is None or value == "" else value


def _read(kind: Any, content: Any) -> Any:
    if hasattr(kind, "from_json"):
        return kind.from_json(content)
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind)
        names = [item.name for item in fields(kind) if item.name in content]
        return kind(**{name: _read(types[name], content[name]) for name in names})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if content is None else _read(inner[0], content)
    if origin is Mapping:
        return {name: _read(inner[1], one) for name, one in content.items()}
    if origin is tuple and inner[-1] is not Ellipsis:
        return tuple(_read(one, part) for one, part in zip(inner, content, strict=True))
    if origin in (Sequence, tuple):
        return tuple(_read(inner[0], one) for one in content)
    if kind is float and isinstance(content, int):
        return float(content)
    if kind is not Any and not isinstance(content, kind):
        raise TypeError(f"{content!r} is not of type {kind.__name__}")
    return content
