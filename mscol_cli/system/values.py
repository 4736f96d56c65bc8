"""Conversion of values to and from JSON, flattening and comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_LARGEST = 2**63


def as_json(value: Any) -> Any:
    """Convert a value to JSON types: dataclasses to objects, tuples to lists, paths to text.

    A class with a custom representation has a method `as_json`.
    """
    if hasattr(value, "as_json"):
        return as_json(value.as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[T], content: Any) -> T:
    """Build a dataclass, including nested dataclasses, from the result of `as_json`.

    Unknown fields are ignored, and missing fields get their defaults. A class with a custom
    representation has a class method `from_json`.

    Raises:
        LookupError, TypeError, ValueError: A field is missing or of another type.
    """
    value: T = _read(kind, content)
    return value


def from_flat(kind: type[T], content: Mapping[str, Any], **nested: Any) -> T:
    """`from_json` for dataclasses of plain values, several times as fast.

    Args:
        kind: The dataclass.
        content: Values by field.
        nested: Values of other fields, which are not checked.

    Raises:
        LookupError, TypeError, ValueError: A field is missing or of another type.
    """
    values = dict(nested)
    for name, allowed in _plain_types(cast(Any, kind)).items():
        if name in content and name not in nested:
            value = values[name] = content[name]
            if type(value) not in allowed or (type(value) is int and abs(value) >= _LARGEST):
                raise TypeError(f"{name}: {value!r} is not a valid value")
    return kind(**values)


def flatten(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= flatten(value, f"{above}{name}.") if inner else {above + str(name): value}
    return flat


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, shared: bool = False
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted name and both values of each difference between two nested mappings.

    Values are compared as JSON; a missing value is None.

    Args:
        old: Nested values.
        new: Nested values to compare with.
        shared: Skip names that only one of them has.
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
        if not isinstance(content, Mapping):
            raise TypeError(f"{content!r} is not an object")
        types = _types(kind)
        names = [name for name in types if name in content]
        return kind(**{name: _read_field(types[name], content[name], name) for name in names})
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if content is None else _read(inner[0], content)
    if origin is Mapping:
        if not isinstance(content, Mapping):
            raise TypeError(f"{content!r} is not an object")
        return {name: _read(inner[1], item) for name, item in content.items()}
    if origin in (Sequence, tuple) and not isinstance(content, (list, tuple)):
        raise TypeError(f"{content!r} is not a list")
    if origin is tuple and inner[-1] is not Ellipsis:
        return tuple(_read(type_, item) for type_, item in zip(inner, content, strict=True))
    if origin in (Sequence, tuple):
        return tuple(_read(inner[0], item) for item in content)
    if kind is Any:
        return content
    if kind is float and type(content) is int:
        return float(content)
    # In Python, true is an integer.
    if not isinstance(content, kind) or (type(content) is bool and kind is not bool):
        raise TypeError(f"{content!r} is not of type {kind.__name__}")
    if kind is int and abs(content) >= _LARGEST:
        raise OverflowError(f"{content} needs more than 64 bits")
    return content


def _read_field(kind: Any, content: Any, name: str) -> Any:
    try:
        return _read(kind, content)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


@cache
def _plain_types(kind: type) -> dict[str, frozenset[type]]:
    """Types that JSON has for the fields of a dataclass of plain values, by name."""
    found = {}
    for name, type_ in _types(kind).items():
        allowed = {*(get_args(type_) if get_origin(type_) is UnionType else (type_,))}
        found[name] = frozenset(allowed | {int} if float in allowed else allowed)
    return found


@cache
def _types(kind: type) -> dict[str, Any]:
    """Types of the fields of a dataclass, by name."""
    types = get_type_hints(kind)
    return {item.name: types[item.name] for item in fields(kind)}
