"""Errors for a name that is not there: the nearest match, and everything that is."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from mscol_cli.errors import UsageError


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """An error that names the nearest known name, if any is near, and lists all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listed = ", ".join(names) or "none"
    return UsageError(f"no {kind} is called '{name}'.{hint} Known: {listed}.")
