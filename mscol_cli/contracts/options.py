"""Documented options: dataclass fields with a default, a help text and bounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, get_type_hints


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] | None = None,
) -> Any:
    """Declare one option of a plugin, as a dataclass field.

    Args:
        default: Value if the user sets none; the annotation must be `int`, `float`, `bool`,
            `str` or `tuple[str, ...]` (written by users as `a,b,c`).
        help: One line with the unit, shown by `mscol plugins show NAME`.
        minimum: Smallest value allowed, inclusive.
        maximum: Largest value allowed, inclusive.
        choices: The only values allowed (for a tuple: the only items allowed).
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


def parameter(
    default: Any,
    help: str,
    metavar: str = "",
    *,
    key: str = "",
    short: str = "",
    positional: bool = False,
    minimum: int | None = None,
) -> Any:
    """Declare one option or argument of a command, as a field of its request.

    Args:
        default: Value if the user sets none; `...` for a required one. The annotation must be one
            that Typer knows, `tuple[T, ...]` for an option that can be repeated, or
            `tuple[float, ...]` for numbers with commas.
        help: One sentence for `--help`.
        metavar: Placeholder of the value in the help.
        key: Name on the command line, or a short one such as `-k`; empty for the name of the field.
        short: Short name, such as `-o`.
        positional: Whether it is an argument instead of an option.
        minimum: Smallest value allowed, inclusive.
    """
    names = {"key": key, "short": short, "positional": positional}
    metadata = {"help": help, "metavar": metavar, "least": minimum, **names}
    return field(default=MISSING if default is ... else default, metadata=metadata)


@dataclass(frozen=True)
class NoOptions:
    """Options of a plugin without options."""


@dataclass(frozen=True)
class Option:
    """A documented option.

    Attributes:
        name: Name of the dataclass field.
        kind: Annotation of the field.
        default: Default value.
        metadata: Arguments of `option`.
    """

    name: str
    kind: Any
    default: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name in files and in `KEY=VALUE`."""
        return str(self.metadata.get("key") or self.name)

    @property
    def flag(self) -> str:
        """Name on the command line."""
        return self.key if self.key.startswith("-") else f"--{self.key.replace('_', '-')}"


def options_of(declared: Any) -> list[Option]:
    """Documented fields of a dataclass or an instance, in order."""
    kinds = get_type_hints(declared if isinstance(declared, type) else type(declared))
    return [
        Option(item.name, kinds[item.name], item.default, item.metadata)
        for item in fields(declared)
        if "help" in item.metadata
    ]


def as_words(request: Any, without: Collection[str] = ()) -> list[str]:
    """The options of a request as words of a command line, without None and False.

    Args:
        request: An instance of a dataclass with fields of `parameter`.
        without: Names of fields to leave out, such as those of arguments.
    """
    words: list[str] = []
    for item in options_of(request):
        value = getattr(request, item.name)
        if item.name in without or value is None or value is False:
            continue
        if value is True:
            words.append(item.flag)
        else:
            parts = value if isinstance(value, tuple) else (value,)
            words += [word for part in parts for word in (item.flag, str(part))]
    return words
