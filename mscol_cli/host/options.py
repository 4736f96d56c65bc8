"""Check values from `KEY=VALUE`, TOML or JSON against a dataclass of documented options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mscol_cli.contracts.options import Option, options_of
from mscol_cli.errors import UsageError
from mscol_cli.host.guard import describe_error
from mscol_cli.host.names import unknown_name

TEXTS = tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """How messages name options.

    Attributes:
        all: Kind of option, such as `option of objective 'msa'`.
        name: Returns the name of an option.
        text: Whether values may be text to parse, as users type it.
    """

    all: str
    name: Callable[[Option], str]
    text: bool = True

    @staticmethod
    def of(owner: str) -> Wording:
        """Wording for `KEY=VALUE` of an owner, such as `objective 'msa'`."""
        return Wording(f"option of {owner}", lambda item: f"option {item.key} of {owner}")

    @staticmethod
    def in_file(where: str) -> Wording:
        """Wording for a table in a file, whose values have types."""
        return Wording(f"setting in {where}", lambda item: f"{where}: {item.key}", text=False)


FLAGS = Wording("option", lambda item: item.flag)
"""Wording for options on the command line."""


def make_options(options: type, values: Mapping[str, Any], owner: str) -> Any:
    """Build an options dataclass from values by name, typed by users or read from JSON.

    Raises:
        UsageError: An unknown key, an unreadable value, one out of its range, or values that the
            dataclass refuses.
    """
    read = read_options(options_of(options), values, Wording.of(owner))
    try:
        return options(**read)
    except Exception as error:  # `__post_init__` is the plugin's
        raise UsageError(f"options of {owner}: {describe_error(error)}") from error


def override(options: Any, values: Mapping[str, Any], owner: str) -> Any:
    """Replace some options of a dataclass.

    Args:
        options: An instance of a dataclass; only fields declared with `option` can be changed.
        values: Values by name, typed by users or read from TOML.
        owner: What the options belong to, for messages.

    Raises:
        UsageError: An unknown name, an unreadable value, or one out of its range.
    """
    return replace(options, **read_options(options_of(options), values, Wording.of(owner)))


def read_options(
    known: Iterable[Option], values: Mapping[str, Any], wording: Wording
) -> dict[str, Any]:
    """Parse and check values.

    Returns:
        Values by field name.

    Raises:
        UsageError: An unknown key, a value of another type, or one out of its range.
    """
    by_key = {item.key: item for item in known}
    for key in values:
        if key not in by_key:
            raise unknown_name(wording.all, key, by_key)
    return {
        by_key[key].name: read_value(by_key[key], value, wording) for key, value in values.items()
    }


def read_value(item: Option, value: Any, wording: Wording) -> Any:
    """Parse and check the value of an option. Raises UsageError."""
    name = wording.name(item)
    try:
        converted = _convert(item.kind, value, wording.text)
    except ValueError:
        raise UsageError(f"{name} takes {_describe(item.kind, wording)}, not {value!r}.") from None
    _check_range(item, converted, name)
    _check_choices(item, converted, name)
    return converted


def split_assignment(text: str, owner: str) -> tuple[str, str]:
    """Split `KEY=VALUE`; dashes in the key become underscores. Raises UsageError."""
    key, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"'{text}' is not KEY=VALUE: set options of {owner} as KEY=VALUE.")
    return key.strip().replace("-", "_"), value.strip()


def _convert(kind: Any, value: Any, text: bool) -> Any:
    """Convert a value to the type `kind`. Raises ValueError."""
    if kind == TEXTS and isinstance(value, (list, tuple)):
        if text or all(isinstance(item, str) for item in value):
            return _texts(value)
    elif kind != TEXTS and type(value) in ((int, float) if kind is float else (kind,)):
        return kind(value)
    if not text:
        raise ValueError(value)
    return _READERS[kind](str(value))


def _bool(value: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.lower() not in words:
        raise ValueError(value)
    return words[value.lower()]


def _texts(items: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(item).strip() for item in items if str(item).strip())


_READERS: Mapping[Any, Callable[[str], Any]] = {
    bool: _bool,
    int: int,
    float: float,
    str: str,
    TEXTS: lambda value: _texts(value.split(",")),
}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _describe(kind: Any, wording: Wording) -> str:
    lists = "names separated by commas" if wording.text else "a list of names"
    return _WORDS.get(kind, lists)


def _check_range(item: Option, value: Any, name: str) -> None:
    low, high = item.metadata.get("minimum"), item.metadata.get("maximum")
    if low is not None and not value >= low:
        raise UsageError(f"{name} must be at least {low}, not {value}.")
    if high is not None and not value <= high:
        raise UsageError(f"{name} must be at most {high}, not {value}.")


def _check_choices(item: Option, value: Any, name: str) -> None:
    choices = item.metadata.get("choices")
    for choice in value if isinstance(value, tuple) else (value,):
        if choices is not None and choice not in choices:
            raise UsageError(f"{name} takes {', '.join(choices)}, not '{choice}'.")
