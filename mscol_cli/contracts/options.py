"""Documented options: a dataclass whose every field has a default, a help line and its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


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
