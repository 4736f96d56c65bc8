"""RUN/metrics.jsonl as it is read: one JSON object for each logged step."""

from __future__ import annotations

import json
import math
from pathlib import Path

METRICS = "metrics.jsonl"


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Every line of a run's metrics.jsonl that can be read."""
    return split_damaged(run)[0]


def split_damaged(run: Path) -> tuple[list[dict[str, float]], int]:
    """The lines that can be read, and how many cannot; a half-written last one is neither."""
    path = run / METRICS
    if not path.exists():
        return [], 0
    text = path.read_text(encoding="utf-8", errors="replace")
    found = [_values(line) for line in text.split("\n")[:-1]]
    lines = [line for line in found if line is not None]
    return lines, len(found) - len(lines)


def damage(run: Path, lines: int) -> str:
    """How to say that lines are damaged."""
    return f"{run / METRICS}: {lines} damaged {'line is' if lines == 1 else 'lines are'} left out."


def _values(text: str) -> dict[str, float] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    numbers = isinstance(values, dict) and all(map(_is_number, values.values()))
    return values if numbers and values.get("step", -1) >= 0 else None


def _is_number(value: object) -> bool:
    # JSON as Python reads it has NaN and Infinity, which nothing here writes.
    return isinstance(value, (int, float)) and math.isfinite(value)
