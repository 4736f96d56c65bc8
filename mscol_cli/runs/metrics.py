"""Reading RUN/metrics.jsonl: one JSON object per logged step."""

from __future__ import annotations

import json
import math
from pathlib import Path

METRICS = "metrics.jsonl"
_MAX_STEP = 2**63


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Every readable line of a run's metrics.jsonl."""
    return split_damaged(run)[0]


def split_damaged(run: Path) -> tuple[list[dict[str, float]], int]:
    """Readable lines and the number of damaged lines, without an incomplete last line."""
    path = run / METRICS
    if not path.exists():
        return [], 0
    text = path.read_text(encoding="utf-8", errors="replace")
    parsed = [_parse(line) for line in text.split("\n")[:-1]]
    lines = [line for line in parsed if line is not None]
    return lines, len(parsed) - len(lines)


def format_damage(run: Path, lines: int) -> str:
    """Message about damaged lines."""
    return f"{run / METRICS}: {lines} damaged {'line is' if lines == 1 else 'lines are'} skipped."


def _parse(text: str) -> dict[str, float] | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    numbers = isinstance(values, dict) and all(map(_is_number, values.values()))
    return values if numbers and 0 <= values.get("step", -1) < _MAX_STEP else None


def _is_number(value: object) -> bool:
    # Python parses NaN and Infinity, which mscol never writes.
    if isinstance(value, int):
        return abs(value) < _MAX_STEP
    return isinstance(value, float) and math.isfinite(value)
