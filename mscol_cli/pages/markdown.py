"""Tables and lists in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

LISTED = 20


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns after the first are aligned to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in (header, rule, *rows))


def listing(title: str, lines: Sequence[str]) -> str:
    """A titled list that is cut when long; nothing when empty."""
    if not lines:
        return ""
    shown = [f"- {plain(line)}" for line in lines[:LISTED]]
    more = [f"- and {len(lines) - LISTED} more, in the JSON"] if len(lines) > LISTED else []
    return "\n".join([f"{title} ({len(lines)}):", "", *shown, *more])


def plain(text: str) -> str:
    """Text in one line, in which no name that comes from data is taken for HTML."""
    return " ".join(text.split()).replace("<", "\\<")


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|")
