"""A resolved configuration as TOML, which is a recipe again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w

from mscol_cli import __version__


def to_toml(content: Mapping[str, Any], command: str) -> str:
    """Sections with every value stated, under a comment that says what it is.

    Args:
        content: Tables of a recipe; empty ones, and values that are None, are left out.
        command: The command whose configuration this is.
    """
    text = tomli_w.dumps(_stated(content))
    return f"# mscol {__version__}: every option of '{command}', usable with --recipe.\n\n{text}"


def _stated(value: Any) -> Any:
    if isinstance(value, Mapping):
        stated = {name: _stated(item) for name, item in value.items() if item is not None}
        return {name: item for name, item in stated.items() if item != {}}
    return list(value) if isinstance(value, tuple) else value
