"""Values by name, checked against a dataclass of documented options: `KEY=VALUE`, TOML or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mscol_cli.contracts.options import Option, options_of
from mscol_cli.errors import UsageError
from mscol_cli.host.names import unknown_name

TEXTS = tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """How messages name options.

    Attributes:
        all: What an unknown name is none of: `option of objective 'msa'`.
        one: Names one of them.
        text: Whether a value may be text that is to be read, as users type it.
    """

    all: str
    one: Callable[[Option], str]
    text: bool = True

    @staticmethod
    def of(owner: str) -> Wording:
        """Of `KEY=VALUE` for an owner, such as `objective 'msa'`."""
        return Wording(f"option of {owner}", lambda item: f"option {item.key} of {owner}")

    @staticmethod
    def in_file(where: str) -> Wording:
        """Of a table in a file, whose values have types already."""
        return Wording(f"setting in {where}", lambda item: f"{where}: {item.key}", text=False)


FLAGS = Wording("option", lambda item: item.flag)
"""Of options on the command line."""


def make_options(options: type, values: Mapping[str, Any], owner: str) -> Any:
    """Build an options dataclass from values by name: strings as a user types them, or as JSON
    recorded them.

    Raises:
        UsageError: An unknown key, an unreadable value, or one out of its range.
    """
    return options(**read_options(options_of(options), values, Wording.of(owner)))


def override(given: Any, values: Mapping[str, Any], owner: str) -> Any:
    """Options as they stand, but for some values.

    Args:
        given: An instance of a dataclass; only fields declared with `option` can be changed.
        values: By name, strings as a user types them or as TOML has them.
        owner: What the options belong to, for messages.

    Raises:
        UsageError: An unknown name, an unreadable value, or one out of its range.
    """
    return replace(given, **read_options(options_of(given), values, Wording.of(owner)))


def read_options(
    known: Iterable[Option], values: Mapping[str, Any], wording: Wording
) -> dict[str, Any]:
    """The values that are given, each read and checked.

    Args:
        known: The options there are.
        values: By key.
        wording: How messages name them.

    Returns:
        Values by the names of their fields.

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
    """One value of an option. Raises UsageError."""
    where = wording.one(item)
    try:
        read = _convert(item.kind, value, wording.text)
    except ValueError:
        raise UsageError(f"{where} takes {_describe(item.kind, wording)}, not {value!r}.") from None
    _check_range(item, read, where)
    _check_choices(item, read, where)
    return read


def split_assignment(text: str, owner: str) -> tuple[str, str]:
    """`KEY=VALUE` apart, dashes of the key as underscores. Raises UsageError."""
    key, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"'{text}' is no option of {owner}: write it as KEY=VALUE.")
    return key.strip().replace("-", "_"), value.strip()


def _convert(kind: Any, value: Any, text: bool) -> Any:
    """A value of a kind. Raises ValueError for one of another type that is not text for it."""
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


def _check_range(item: Option, value: Any, where: str) -> None:
    low, high = item.metadata.get("minimum"), item.metadata.get("maximum")
    if low is not None and not value >= low:
        raise UsageError(f"{where} must be at least {low}, not {value}.")
    if high is not None and not value <= high:
        raise UsageError(f"{where} must be at most {high}, not {value}.")


def _check_choices(item: Option, value: Any, where: str) -> None:
    choices = item.metadata.get("choices")
    if choices is None:
        return
    for given in value if isinstance(value, tuple) else (value,):
        if given not in choices:
            raise UsageError(f"{where} takes {', '.join(choices)}, not '{given}'.")
