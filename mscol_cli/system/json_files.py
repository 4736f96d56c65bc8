"""Reading JSON that may be damaged or edited: every problem is one line that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mscol_cli.errors import MissingDataError, UsageError
from mscol_cli.system.files import read_bytes

INVALID = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What Python raises for JSON of another structure than expected."""
RESTORE = "restore or delete it."
_DEEPEST, _LARGEST = 50, 2**63


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: The file is not a JSON object, is nested deeply, or has an integer that needs
            more than 64 bits.
    """
    try:
        content = json.loads(read_bytes(path).decode("utf-8"))
        _check_limits(content)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingDataError(f"{path.parent} is not a {what}: it has no {path.name}.") from None
    except (ValueError, OSError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON ({error}): {RESTORE}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not a JSON object: {RESTORE}")
    return content


@contextmanager
def parsing(path: Path, advice: str = RESTORE) -> Iterator[None]:
    """Context for taking values from the JSON of a file.

    Raises:
        UsageError: A value is missing or of another type.
    """
    try:
        yield
    except INVALID as error:
        raise UsageError(f"{path} is damaged ({format_invalid(error)}): {advice}") from error


def format_invalid(error: Exception) -> str:
    """What is wrong with JSON: `lacks 'steps'`, or the text of the error."""
    if isinstance(error, KeyError):
        return f"lacks {error.args[0]!r}"
    return str(error) or type(error).__name__


def _check_limits(content: Any) -> None:
    """Raise ValueError for deep nesting or large integers, which fail only where they are used."""
    level, depth = [content], 0
    while level:
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
        if any(type(value) is int and abs(value) >= _LARGEST for value in level):
            raise ValueError("an integer needs more than 64 bits")
        inner = [value for value in level if isinstance(value, (dict, list))]
        level = [
            item
            for value in inner
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        depth += 1
