"""Checks of single values, shared by the checks of all kinds of parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mscol_cli.errors import PluginError
from mscol_cli.host.guard import plugin_call

if TYPE_CHECKING:
    from torch import Tensor

_MISSING = object()


def breach(label: str, problem: str) -> PluginError:
    """Build the error for a part that breaks its contract."""
    return PluginError(f"{label}: {problem}.")


def attribute(part: object, name: str, label: str) -> Any:
    """A required attribute. Raises PluginError if it is missing."""
    with plugin_call(label, name):  # it may be a property
        value = getattr(part, name, _MISSING)
    if value is _MISSING:
        raise breach(label, f"it has no attribute '{name}', which its contract requires")
    return value


def check_whole(part: object, names: Iterable[str], label: str, minimum: int = 1) -> None:
    """Check that attributes are whole numbers. Raises PluginError."""
    for name in names:
        value = attribute(part, name, label)
        if not is_whole(value, minimum):
            raise breach(label, f"{name} is {value!r}, not a whole number of at least {minimum}")


def check_finite(tensors: Iterable[Tensor], method: str, label: str) -> None:
    """Check values that a method returned at the first update, which waits for the device. Raises
    PluginError."""
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise breach(label, f"{method} returned a value that is not finite at the first update")


def is_whole(value: object, minimum: int = 0) -> bool:
    """Whether a value is an `int` of at least `minimum`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


NAME_RULE = "a name must not begin or end with spaces, or contain any of / \\ , = +"


def is_name(value: object) -> bool:
    """Whether a value can be part of file names and option values: `NAME_RULE` for messages."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and value.strip() == value
        and value not in ("", ".", "..")
        and not set(value) & set("/\\,=+")
    )
