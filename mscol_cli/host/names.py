"""Errors for unknown names, with the nearest match and all known names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from mscol_cli.errors import UsageError


def unknown_name(
    kind: str, name: str, known: Iterable[str], notes: Sequence[str] = ()
) -> UsageError:
    """Build an error that suggests the nearest known name and lists all of them.

    Args:
        kind: What the name belongs to, such as `encoder`.
        name: The unknown name.
        known: All known names.
        notes: Reasons why a name may be missing, appended as clauses.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listed = ", ".join(names) or "none"
    why = "".join(f"; {note}" for note in notes)
    return UsageError(f"no {kind} is called '{name}'.{hint} Known: {listed}{why}.")
