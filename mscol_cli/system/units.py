"""Human-readable bytes, durations, counts and lists of names."""

from __future__ import annotations

from collections.abc import Sequence

BYTE_UNITS = ("kB", "MB", "GB", "TB")
DURATIONS = ((100, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h"))
"""Upper limit in seconds, seconds per unit and name of each unit."""


def format_bytes(count: int) -> str:
    """Format bytes with three digits and a decimal unit: `2.97 GB`."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in BYTE_UNITS:
        value /= 1000
        if value < 999.5 or unit == BYTE_UNITS[-1]:
            break
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"


def format_duration(seconds: float) -> str:
    """Format seconds in a suitable unit: `0.3 s`, `45 s`, `2.3 min`, `12 min`, `1.2 h`."""
    if 0 < seconds < 0.05:
        return "under 0.1 s"
    for limit, size, unit in DURATIONS:
        # Compared after rounding, so that 99.7 s becomes 1.7 min and not 100 s.
        if float(f"{seconds / size:.{_digits(seconds / size)}f}") * size < limit:
            return f"{seconds / size:.{_digits(seconds / size)}f} {unit}"
    days = seconds / 86_400
    return f"{days:.{_digits(days)}f} days"


def counted(count: int, noun: str) -> str:
    """Format a number with a regular noun: `1 clip`, `1,000 clips`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def first_names(names: Sequence[str], limit: int) -> str:
    """Join the first names, with the number of the others, as in `a, b and 3 more`."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _digits(value: float) -> int:
    return 1 if 0 < value < 9.95 else 0
