"""KEY=VALUE strings to a plugin's options, checked against what its dataclass declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, replace
from typing import Any, get_type_hints

from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name


def parse_options(options: type, assignments: Sequence[str], owner: str) -> Any:
    """Build an options dataclass from `KEY=VALUE` strings.

    Args:
        options: The dataclass a card names, its fields declared with `option`.
        assignments: What the user gave, in order; a later one wins.
        owner: What the options belong to, for messages: `objective 'msa'`.

    Raises:
        UsageError: An unknown key, an unreadable value, or one out of its range.
    """
    return make_options(options, dict(split_assignment(text, owner) for text in assignments), owner)


def make_options(options: type, values: Mapping[str, Any], owner: str) -> Any:
    """Build an options dataclass from values by name: strings as a user types them, or as JSON
    recorded them.

    Raises:
        UsageError: An unknown key, an unreadable value, or one out of its range.
    """
    known = {item.name: item for item in fields(options)}
    types = get_type_hints(options)
    for key in values:
        if key not in known:
            raise unknown_name(f"option of {owner}", key, known)
    read = {key: _read(known[key], types[key], value, owner) for key, value in values.items()}
    return options(**read)


def override(given: Any, values: Mapping[str, Any], owner: str) -> Any:
    """Options as they stand, but for some values.

    Args:
        given: An instance of a dataclass; only fields declared with `option` can be changed.
        values: By name, strings as a user types them or as TOML has them.
        owner: What the options belong to, for messages.

    Raises:
        UsageError: An unknown name, an unreadable value, or one out of its range.
    """
    known = {item.name: item for item in fields(given) if "help" in item.metadata}
    types = get_type_hints(type(given))
    for key in values:
        if key not in known:
            raise unknown_name(f"option of {owner}", key, known)
    read = {key: _read(known[key], types[key], value, owner) for key, value in values.items()}
    return replace(given, **read)


def split_assignment(text: str, owner: str) -> tuple[str, str]:
    """`KEY=VALUE` apart, dashes of the key as underscores. Raises UsageError."""
    key, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"'{text}' is no option of {owner}: write it as KEY=VALUE.")
    return key.strip().replace("-", "_"), value.strip()


def _read(item: Field[Any], kind: Any, value: Any, owner: str) -> Any:
    where = f"option {item.name} of {owner}"
    try:
        read = _reader(kind)(value)
    except ValueError:
        raise UsageError(f"{where} takes {_describe(kind)}, not '{value}'.") from None
    _check_range(item, read, where)
    _check_choices(item, read, where)
    return read


def _reader(kind: Any) -> Callable[[Any], Any]:
    readers: dict[Any, Callable[[Any], Any]] = {bool: _bool, int: int, float: float, str: str}
    return readers.get(kind, _names)


def _bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError(value)
    return words[str(value).lower()]


def _names(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    return tuple(str(item).strip() for item in items if str(item).strip())


def _describe(kind: Any) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(kind, "names separated by commas")


def _check_range(item: Field[Any], value: Any, where: str) -> None:
    low, high = item.metadata.get("minimum"), item.metadata.get("maximum")
    if low is not None and not value >= low:
        raise UsageError(f"{where} must be at least {low}, not {value}.")
    if high is not None and not value <= high:
        raise UsageError(f"{where} must be at most {high}, not {value}.")


def _check_choices(item: Field[Any], value: Any, where: str) -> None:
    choices = item.metadata.get("choices")
    if choices is None:
        return
    for given in value if isinstance(value, tuple) else (value,):
        if given not in choices:
            raise UsageError(f"{where} takes {', '.join(choices)}, not '{given}'.")
