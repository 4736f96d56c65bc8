"""Documented options: a dataclass whose every field has a default, a help line and its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
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
        default: Value when the user gives none; its annotation must be `int`, `float`, `bool`,
            `str` or `tuple[str, ...]` (written by users as `a,b,c`).
        help: One line with the unit, shown by `mscol plugins show NAME`.
        minimum: Smallest value allowed, inclusive.
        maximum: Largest value allowed, inclusive.
        choices: The only values allowed (for a tuple: the only items allowed).
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NoOptions:
    """The options of a plugin that has none."""


@dataclass(frozen=True)
class Option:
    """A field that was declared with `option`, or one like it.

    Attributes:
        name: Of the field.
        kind: Its annotation.
        default: Its default.
        metadata: What `option` was given.
    """

    name: str
    kind: Any
    default: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in files and in `KEY=VALUE`."""
        return str(self.metadata.get("key") or self.name)

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.key.replace('_', '-')}"


def options_of(declared: Any) -> list[Option]:
    """The documented fields of a dataclass, or of an instance, in their order."""
    kinds = get_type_hints(declared if isinstance(declared, type) else type(declared))
    return [
        Option(item.name, kinds[item.name], item.default, item.metadata)
        for item in fields(declared)
        if "help" in item.metadata
    ]
