"""Edits of JSON: every value in it, replaced by what no writer of mscol writes there."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
REMOVED = object()
PLAIN = (None, True, -1, 10**20, 1.5, "x", "")
VALUES: Sequence[Any] = (REMOVED, *PLAIN, [], {}, [{}], {"a": []}, DEEP)


def places(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in JSON."""
    items: Any = ()
    if isinstance(content, dict):
        items = content.items()
    elif isinstance(content, list):
        items = enumerate(content[:2])
    for key, value in items:
        yield (*above, key)
        yield from places(value, (*above, key))


def edited(content: Any, way: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in way[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return changed
