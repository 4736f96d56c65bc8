"""What each letter of the table promises, and whether an outcome keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.audio.table.chirp import TOLERANCE
from tests.audio.table.outcome import Outcome
from tests.audio.table.rows import Row


@dataclass(frozen=True)
class Verdict:
    """What may come of a file.

    Attributes:
        word: In the table that users read.
        status: In a store's manifest.
        reason: Pattern of the reason for a refusal; None where the file is decoded.
    """

    word: str
    status: str
    reason: str | None = None


VERDICTS: Mapping[str, Verdict] = {
    "W": Verdict("all", "done"),
    "S": Verdict("short", "short"),
    "L": Verdict("short, length unknown", "short"),
    "U": Verdict("unnoticed", "done"),
    "T": Verdict("refused: truncated", "failed", r"truncated|cut off|never finished"),
    "D": Verdict("refused: damaged", "failed", r"damaged|missing|out of order|corrupt"),
    "N": Verdict("refused: not audio", "failed", r"not audio"),
    "X": Verdict("refused: not numbers", "failed", r"NaN or infinite"),
    "E": Verdict("refused: empty", "failed", r"0 bytes"),
}

SHORTFALL = 0.25
"""Seconds by which the length that a file declares may be wrong."""
CUT = "cut at 60 %"
TAIL = "zeros from 60 %"
_LEAST, _LEAST_AT_START = 0.37, 0.3
"""Shares of a damaged file that must still come out where it is not refused. They are small, as
damage may hit one of few pages (Ogg) or clusters (Matroska)."""


def complaint(letter: str, row: Row, column: str, result: Outcome) -> str | None:
    """What is wrong with an outcome; None where it is as the table says."""
    pattern = VERDICTS[letter].reason
    if pattern is not None:
        if result.reason is None:
            return f"was decoded ({result.seconds} s, declared {result.declared})"
        return None if re.search(pattern, result.reason) else f"gave as reason: {result.reason}"
    if result.reason is not None:
        return f"was refused: {result.reason}"
    if (result.shortfall is None) == (VERDICTS[letter].status == "short"):
        return f"is short by: {result.shortfall} ({result.seconds} s of {result.declared} s)"
    if letter == "S" or (letter == "W" and result.declared is not None):
        declared = result.declared or 0.0
        if abs(declared - row.seconds) >= SHORTFALL:
            return f"declares {result.declared} s, not {row.seconds} s"
    return _whole(row, result) if letter == "W" else _what_is_left(row, column, result)


def _whole(row: Row, result: Outcome) -> str | None:
    heard = result.heard
    assert heard is not None
    if abs(result.seconds - row.seconds) > row.slack + 1e-4:
        return f"lasts {result.seconds} s, not {row.seconds} s"
    if heard.delay > TOLERANCE + row.slack or not heard.without_holes:
        return f"plays another moment, up to {heard.delay:.3f} s away, or has holes"
    return None


def _what_is_left(row: Row, column: str, result: Outcome) -> str | None:
    """Whatever is decoded of a damaged file: enough of it, in order, nothing twice."""
    heard = result.heard
    assert heard is not None
    cut = column in (CUT, TAIL)
    if result.seconds < (_LEAST_AT_START if cut else _LEAST) * row.seconds:
        return f"only {result.seconds} s of {row.seconds} s came out"
    in_place = heard.delay <= TOLERANCE + row.slack and heard.without_holes
    if column == CUT and row.cells[0] in "WL" and not in_place:
        return f"plays another moment, up to {heard.delay:.3f} s away, or has holes"
    return None if heard.in_order else "plays a moment twice, or out of order"
